//! SQL and sentences with every value left out.

use std::collections::BTreeSet;

use crate::inspect::verify::codes;
use crate::schema::token::{TokenKind, tokenize};
use crate::schema::{Object, ObjectKind, Snapshot, TableDefinition, expected};
use bridge_migrate_core::{Catalog, Finding, Settings, folder_of};

use super::{BundledFinding, database::DatabaseFacts};

/// What stands in the place of a value.
const LEFT_OUT: &str = "'…'";

/// `sql` with its literals and comments left out. What stands in double quotes stays only when it is one of
/// `names`: SQLite reads it as a text where no column has the name.
pub(super) fn without_values(sql: &str, is_name: impl Fn(&str) -> bool) -> String {
    let mut plain = String::new();
    let mut end = 0;
    for token in tokenize(sql) {
        let gap = sql.get(end..token.start).unwrap_or_default();
        // Between tokens stand white space and comments.
        if gap.contains("--") || gap.contains("/*") {
            plain.push_str(" /* … */ ");
        } else {
            plain.push_str(gap);
        }
        end = token.end();
        let keeps = match token.kind {
            TokenKind::Word | TokenKind::Operator => true,
            // Small numbers are sizes and flags.
            TokenKind::Number => token.text.len() <= 4,
            TokenKind::Quoted => token.name().is_some_and(|name| is_name(&name)),
            TokenKind::Text | TokenKind::Blob | TokenKind::Parameter | TokenKind::Invalid => false,
        };
        plain.push_str(if keeps { token.text } else { LEFT_OUT });
    }
    plain
}

/// How SQLite begins to speak of a schema that it cannot read.
const MALFORMED: &str = "malformed database schema";

/// Findings that repeat a definition in normal form, where a text in double quotes looks like a name, or a text
/// that a row holds. The schema is in the bundle anyway.
const WITHHELD: [&str; 4] = [
    codes::DRIFT.code,
    codes::UNRECOGNIZED.code,
    codes::DIVERGENT.code,
    codes::RESTORE_POINT_GONE.code,
];

/// The names that may be shown, and the folders that may not.
pub(super) struct Names {
    names: BTreeSet<String>,
    folders: Vec<String>,
}

impl Names {
    /// Those of the catalog, and those that the database's tables and columns have.
    pub(super) fn new(catalog: &Catalog, settings: &Settings, database: Option<&DatabaseFacts>) -> Self {
        let mut names: BTreeSet<String> = BTreeSet::new();
        for schema in expected::schemas(catalog).unwrap_or_default() {
            names.extend(names_of(&schema));
        }
        if let Some(database) = database {
            names.extend(database.names.iter().cloned());
        }
        let mut folders: Vec<String> = [
            folder_of(&settings.database),
            settings.backup_dir.clone(),
            settings.log_dir.clone(),
            folder_of(&settings.companion),
            std::env::temp_dir(),
        ]
        .iter()
        .map(|folder| folder.to_string_lossy().into_owned())
        .filter(|folder| folder.len() > 1)
        .collect();
        // A folder inside another goes first.
        folders.sort_by_key(|folder| std::cmp::Reverse(folder.len()));
        Self { names, folders }
    }

    /// Whether something of the application or of this database has the name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names.contains(&name.to_ascii_lowercase())
    }

    /// The finding with every value left out.
    pub(super) fn redact(&self, finding: Finding) -> BundledFinding {
        let is_name = |name: &str| self.has(name);
        let mut message = finding.message;
        // SQLite quotes from the statement, or from whatever lies where the schema was.
        if let Some(at) = message.find(MALFORMED) {
            message.truncate(at);
            message.push_str(MALFORMED);
        }
        for folder in &self.folders {
            message = message.replace(folder, "");
        }
        if WITHHELD.contains(&finding.code) {
            message = "what it says is left out".to_owned();
        }
        BundledFinding {
            code: finding.code,
            severity: finding.severity,
            subject: without_values(&finding.subject, is_name),
            message: without_values(&message, is_name),
        }
    }
}

/// The names of a schema's objects and of their columns, in lower case.
pub(super) fn names_of(schema: &Snapshot) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for object in schema {
        names.insert(object.name.to_ascii_lowercase());
        names.insert(object.table.to_ascii_lowercase());
        names.extend(columns_of(object));
    }
    names
}

fn columns_of(object: &Object) -> Vec<String> {
    if object.kind != ObjectKind::Table {
        return Vec::new();
    }
    TableDefinition::parse(&object.sql)
        .map(|definition| {
            definition
                .columns
                .into_iter()
                .map(|column| column.name.to_ascii_lowercase())
                .collect()
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_stays_in_a_statement() {
        let shown = without_values(
            "CREATE VIEW v AS SELECT \"body\", \"secret\", 'secret', x'5ec1e7', 123456789, 12 -- secret\n FROM notes /* secret */ WHERE a = :secret",
            |name| name == "body",
        );
        insta::assert_snapshot!(shown, @"CREATE VIEW v AS SELECT \"body\", '…', '…', '…', '…', 12 /* … */ FROM notes /* … */ WHERE a = '…'");
    }

    #[test]
    fn what_is_no_sql_keeps_nothing_after_an_open_quote() {
        assert_eq!(without_values("near 'secret and more", |_| false), "near '…'");
    }
}
