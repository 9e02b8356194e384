//! What a way back would lose, counted beforehand.

use std::fmt;

use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;

use crate::error::{Result, SqliteContext};
use crate::ledger::count_rows;
use crate::quote::identifier;
use crate::schema::TableDetail;

use super::dropped::Dropped;

/// Something that going back would lose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// The table, or the column as `table.column`.
    pub subject: String,
    /// How many values or rows.
    pub count: u64,
    /// What they are, in the plural.
    pub what: String,
    /// Whether they go to a file from which a later migration can take them back.
    pub kept: bool,
    /// The records, one line each, where somebody has to be told of each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<String>,
}

impl Loss {
    /// `count` values or rows of `subject` that no file keeps.
    pub(crate) fn for_good(subject: &str, count: u64, what: &str) -> Self {
        Self {
            subject: subject.to_owned(),
            count,
            what: what.to_owned(),
            kept: false,
            items: Vec::new(),
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (noun, rest) = self.what.split_once(' ').unwrap_or((&self.what, ""));
        let noun = match (self.count, noun) {
            (1, "rows") => "row",
            (1, "values") => "value",
            (1, "entries") => "entry",
            _ => noun,
        };
        write!(f, "{}: {} {noun}", self.subject, self.count)?;
        if !rest.is_empty() {
            write!(f, " {rest}")?;
        }
        if self.kept {
            f.write_str(", kept in a file")
        } else {
            Ok(())
        }
    }
}

/// What dropping loses: rows of a table, values of a column that are not its default.
pub(crate) fn of_dropping(connection: &Connection, dropped: &Dropped) -> Result<Option<Loss>> {
    let loss = match dropped {
        Dropped::Table(table) => Loss::for_good(table, count_rows(connection, table)?, "rows"),
        Dropped::Column { table, column } => Loss::for_good(
            &format!("{table}.{column}"),
            connection
                .query_row(
                    &format!(
                        "SELECT count(*) FROM {} WHERE {}",
                        identifier(table),
                        is_not_default(connection, table, column)?
                    ),
                    [],
                    |row| row.get(0),
                )
                .while_doing(format_args!("count the values of {table}.{column}"))?,
            "values other than the default",
        ),
    };
    Ok((loss.count > 0).then_some(Loss { kept: true, ..loss }))
}

/// The condition under which a row has a value of its own in the column.
pub(crate) fn is_not_default(connection: &Connection, table: &str, column: &str) -> Result<String> {
    let detail =
        TableDetail::read(connection, table).while_doing(format_args!("read the columns of {table}"))?;
    let default = detail
        .columns
        .iter()
        .find(|candidate| candidate.name.eq_ignore_ascii_case(column))
        .and_then(|column| column.default.clone())
        .unwrap_or_else(|| "NULL".to_owned());
    // The default is an expression of the schema itself, which SQLite has accepted as such.
    Ok(format!("{} IS NOT ({default})", identifier(column)))
}

/// Records of a journaled migration that are not put back yet.
pub(crate) fn journal_size(connection: &Connection, version: u32) -> Result<u64> {
    connection
        .query_row(
            "SELECT count(*) FROM migration_affected_records WHERE migration = ?1 AND undone_by IS NULL",
            [version],
            |row| row.get(0),
        )
        .optional()
        .map(Option::unwrap_or_default)
        .while_doing("read the journal")
}
