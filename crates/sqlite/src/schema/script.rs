//! What a migration's text may be: statements, or one rebuild of a table, and how either is run.

use std::fmt;

use rusqlite::Connection;

use super::head::Head;
use super::table_definition::items;
use super::token::{Token, TokenKind, tokenize};
use crate::sqlite::quote::identifier;
use bridge_migrate_core::Migration;

/// The line that makes a rebuild of what follows it.
const MARK: &str = "-- rebuild\n";

/// A table made anew by a definition of its own: what ALTER TABLE cannot do. Its text is exactly
///
/// ```sql
/// -- rebuild
/// CREATE TABLE "notes" ("id" TEXT PRIMARY KEY, "body" TEXT NOT NULL);
/// INSERT INTO "notes" ("id", "body") SELECT "id" AS "id", "text" AS "body" FROM "notes";
/// ```
///
/// Read with the eyes of today's table: each of its rows becomes one of the new table. The table keeps its rowids, its
/// indexes and triggers, and whatever refers to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuild {
    pub(super) table: String,
    pub(super) definition: String,
    pub(super) taken: Vec<Taken>,
}

/// What a column of the new table is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The new table's column, without quotes.
    pub column: String,
    /// An SQL expression over the columns of a row of the old table.
    pub value: String,
}

impl Taken {
    /// The old column whose value it is, unchanged.
    #[must_use]
    pub(crate) fn old(&self) -> Option<String> {
        match tokenize(&self.value).as_slice() {
            [name] if matches!(name.kind, TokenKind::Word | TokenKind::Quoted) => {
                name.name().map(std::borrow::Cow::into_owned)
            }
            _ => None,
        }
    }

    /// Whether the value is made of an old column, among others.
    pub(crate) fn reads(&self, column: &str) -> bool {
        tokenize(&self.value).iter().any(|token| {
            matches!(token.kind, TokenKind::Word | TokenKind::Quoted)
                && token.name().is_some_and(|name| name.eq_ignore_ascii_case(column))
        })
    }
}

impl Rebuild {
    /// A rebuild of `table` into what `definition`, a CREATE TABLE statement, says.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(table: &str, definition: &str, taken: Vec<Taken>) -> Result<Self, String> {
        let head = format!("CREATE TABLE {}", identifier(table));
        let tokens = tokenize(definition);
        let body = Head::parse(&tokens).and_then(|head| tokens.get(head.name + 1..));
        if !definition.starts_with(&head) || !body.is_some_and(|body| starts_with(body, "(")) {
            return Err(format!("its definition does not begin with {head} ("));
        }
        if tokens
            .iter()
            .any(|token| token.is_operator(";") || token.kind == TokenKind::Invalid)
        {
            return Err("its definition is not one statement".to_owned());
        }
        if tokens.last().is_none_or(|last| last.end() != definition.len()) {
            return Err("something stands behind its definition".to_owned());
        }
        // While its rows are copied, the new table has another name.
        let names_itself = tokens.windows(2).any(|pair| {
            matches!(pair, [name, dot] if dot.is_operator(".")
                && name.name().is_some_and(|name| name.eq_ignore_ascii_case(table)))
        });
        if names_itself {
            return Err(format!(
                "its definition writes {table}.column: write the column alone"
            ));
        }
        if taken.is_empty() {
            return Err("it takes no column".to_owned());
        }
        for (place, Taken { column, value }) in taken.iter().enumerate() {
            if taken
                .iter()
                .take(place)
                .any(|other| other.column.eq_ignore_ascii_case(column))
            {
                return Err(format!("it gives column {column} two values"));
            }
            if let Some(why) = not_of_its_row(value) {
                return Err(format!("the value of column {column} {why}"));
            }
        }
        Ok(Self {
            table: table.to_owned(),
            definition: definition.to_owned(),
            taken,
        })
    }

    /// The rebuild that a migration's text is; `None` for statements.
    ///
    /// # Errors
    /// What is wrong with a text that begins as a rebuild.
    pub fn parse(sql: &str) -> Result<Option<Self>, String> {
        let Some(text) = sql.strip_prefix(MARK) else {
            return Ok(None);
        };
        let tokens = tokenize(text);
        let read = || {
            let end = tokens.iter().position(|token| token.is_operator(";"))?;
            let definition = text.get(..tokens.get(end)?.start)?;
            let head = Head::parse(tokens.get(..end)?)?;
            let table = tokens.get(head.name)?.name()?;
            let insert = tokens.get(end + 1..)?;
            let open = insert.iter().position(|token| token.is_operator("("))?;
            let select = insert.iter().position(|token| token.is_word("select"))?;
            let from = insert.iter().rposition(|token| token.is_word("from"))?;
            let columns = insert.get(open + 1..select.checked_sub(1)?)?;
            let columns = columns.split(|token| token.is_operator(","));
            let values = items(insert.get(select + 1..from)?);
            let taken = columns.zip(values).map(|(column, value)| {
                let value = value.get(..value.len().checked_sub(2)?)?;
                Some(Taken {
                    column: column.first()?.name()?.into_owned(),
                    value: text.get(value.first()?.start..value.last()?.end())?.to_owned(),
                })
            });
            Some(Self::new(&table, definition, taken.collect::<Option<_>>()?))
        };
        match read() {
            Some(Ok(rebuild)) if rebuild.to_string().trim_end() == sql.trim_end() => Ok(Some(rebuild)),
            Some(Err(why)) => Err(why),
            _ => Err("it is not CREATE TABLE and INSERT … SELECT as rebuild_table writes them".to_owned()),
        }
    }

    /// What applies a migration, if that is a rebuild.
    pub(crate) fn of(migration: &Migration) -> Option<Self> {
        Self::parse(&migration.up).ok().flatten()
    }

    /// The table, without quotes.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The CREATE TABLE statement that the schema will hold.
    #[must_use]
    pub fn definition(&self) -> &str {
        &self.definition
    }

    /// The columns that are given a value. Generated ones are not.
    #[must_use]
    pub fn taken(&self) -> &[Taken] {
        &self.taken
    }

    /// The definition for another table, whose name is SQL.
    #[must_use]
    pub(crate) fn definition_for(&self, table: &str) -> String {
        let rest = self
            .definition
            .strip_prefix(&format!("CREATE TABLE {}", identifier(&self.table)));
        format!("CREATE TABLE {table}{}", rest.unwrap_or_default())
    }

    /// The columns of [`Rebuild::taken`] as SQL, behind `first` if that is there.
    pub(crate) fn columns(&self, first: Option<&str>) -> String {
        let columns = self.taken.iter().map(|taken| identifier(&taken.column));
        listed(first.map(str::to_owned).into_iter().chain(columns))
    }

    /// The values of [`Rebuild::taken`] as SQL, behind `first` if that is there.
    pub(crate) fn values(&self, first: Option<&str>) -> String {
        let values = self.taken.iter().map(|taken| taken.value.clone());
        listed(first.map(str::to_owned).into_iter().chain(values))
    }
}

impl fmt::Display for Rebuild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = identifier(&self.table);
        write!(
            f,
            "{MARK}{};\nINSERT INTO {table} ({}) SELECT ",
            self.definition,
            self.columns(None)
        )?;
        for (place, Taken { column, value }) in self.taken.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{value} AS {}", identifier(column))?;
        }
        writeln!(f, " FROM {table};")
    }
}

/// Runs a migration's text in the present transaction, with foreign keys off.
///
/// # Errors
/// SQLite's; for a rebuild also what of the schema it would break.
pub(crate) fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    match Rebuild::parse(sql).map_err(|why| refused(format!("a rebuild cannot be read: {why}")))? {
        Some(rebuild) => rebuild.run(connection),
        None => connection.execute_batch(sql),
    }
}

/// Why an expression is not one over the columns of a row.
fn not_of_its_row(value: &str) -> Option<&'static str> {
    let tokens = tokenize(value);
    let mut depth = 0_usize;
    for (place, token) in tokens.iter().enumerate() {
        let next = tokens.get(place + 1);
        if token.is_operator("(") {
            depth += 1;
        } else if token.is_operator(")") {
            let Some(less) = depth.checked_sub(1) else {
                return Some("has a parenthesis too many");
            };
            depth = less;
        } else if token.is_one_of("select with over")
            || (token.is_word("in") && !next.is_some_and(|next| next.is_operator("(")))
        {
            return Some("reads other rows than its own");
        } else if matches!(token.kind, TokenKind::Invalid | TokenKind::Parameter)
            || token.is_operator(";")
            || (depth == 0 && (token.is_operator(",") || token.is_word("from")))
        {
            return Some("is no single expression");
        }
    }
    if tokens.is_empty() || depth > 0 || tokens.last().is_some_and(|last| last.end() != value.len()) {
        return Some("is no whole expression");
    }
    None
}

fn starts_with(tokens: &[Token<'_>], operator: &str) -> bool {
    tokens.first().is_some_and(|token| token.is_operator(operator))
}

fn listed(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

pub(super) fn refused(why: impl Into<String>) -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ERROR);
    rusqlite::Error::SqliteFailure(code, Some(why.into()))
}
