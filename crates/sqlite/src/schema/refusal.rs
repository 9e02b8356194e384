//! The refusal to write where a schema is not what it should be.

use std::path::Path;

use crate::schema::Difference;
use crate::sqlite::quote::identifier;
use bridge_migrate_core::{Error, ErrorKind, Hint};

/// The refusal to write while there are `differences`: each with the statements that mend it.
pub(crate) fn refusal(what: &str, differences: &[Difference], database: &Path) -> Error {
    let mut message = what.to_owned();
    if !differences.is_empty() {
        message.push(':');
    }
    let mut statements = Vec::new();
    for difference in differences {
        message.push_str(&format!("\n  {difference}"));
        let mended_by = difference.mended_by();
        if let Some(sql) = &mended_by {
            let loses = if difference.mending_loses() {
                " (and what is in it)"
            } else {
                ""
            };
            message.push_str(&format!("\n    mend with: {sql}{loses}"));
        }
        statements.push(mended_by.filter(|_| !difference.mending_loses()));
    }
    let statements: Option<Vec<String>> = statements.into_iter().collect();
    let hint = match statements {
        Some(statements) if !statements.is_empty() => Hint::Sql {
            database: database.into(),
            statements,
        },
        // What loses something, or takes thought, is not for a command that is copied.
        _ => Hint::Verify,
    };
    Error::unchanged(ErrorKind::Drift, message).with_hint(hint)
}

/// The command that gives tables of somebody else's other names, with all that is in them.
pub(crate) fn rename_away<'a>(tables: impl IntoIterator<Item = &'a str>, database: &Path) -> Hint {
    let rename = |table: &str| {
        let other = identifier(&format!("{table}_before"));
        format!("ALTER TABLE {} RENAME TO {other};", identifier(table))
    };
    Hint::Sql {
        database: database.into(),
        statements: tables.into_iter().map(rename).collect(),
    }
}
