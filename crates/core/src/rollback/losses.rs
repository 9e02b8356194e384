//! What a way back would lose, counted beforehand.

use std::fmt;

use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;

use crate::backup::Backup;
use crate::connection::open_still;
use crate::error::{Result, SqliteContext};
use crate::expected;
use crate::ledger::count_rows;
use crate::quote::identifier;
use crate::schema::{ObjectKind, TableDetail};

use super::dropped::Dropped;

/// Something that going back would lose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// The table, or the column as `table.column`.
    pub subject: String,
    /// How many values or rows.
    pub count: u64,
    /// What they are.
    pub what: String,
    /// Whether they go to a file from which a later migration can take them back.
    pub kept: bool,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}", self.subject, self.count, self.what)?;
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
        Dropped::Table(table) => Loss {
            subject: table.clone(),
            count: count_rows(connection, table)?,
            what: "rows".to_owned(),
            kept: true,
        },
        Dropped::Column { table, column } => Loss {
            subject: format!("{table}.{column}"),
            count: connection
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
            what: "values that are not the default".to_owned(),
            kept: true,
        },
    };
    Ok((loss.count > 0).then_some(loss))
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

/// Rows that a restore point does not have as they are now: written, changed or removed since.
pub(crate) fn of_restoring(connection: &Connection, point: &Backup) -> Result<Vec<Loss>> {
    let reader = open_still(&point.database)?;
    let then = expected::read(&reader)?;
    let now = expected::read(connection)?;
    drop(reader);
    let mut losses = Vec::new();
    for table in now.of_kind(ObjectKind::Table) {
        let subject = table.name.clone();
        if then.get(ObjectKind::Table, &table.name).is_none() {
            let count = count_rows(connection, &table.name)?;
            if count > 0 {
                losses.push(Loss {
                    subject,
                    count,
                    what: "rows of a table that the restore point lacks".to_owned(),
                    kept: false,
                });
            }
            continue;
        }
        let count = written_since(connection, point, &table.name)?;
        if count > 0 {
            losses.push(Loss {
                subject,
                count,
                what: "rows written since the restore point".to_owned(),
                kept: false,
            });
        }
    }
    Ok(losses)
}

/// Rows whose number is beyond those of the restore point, or whose number it does not have.
fn written_since(connection: &Connection, point: &Backup, table: &str) -> Result<u64> {
    let doing = format!("compare {table} with the restore point");
    let reader = open_still(&point.database)?;
    let name = identifier(table);
    // Two cursors in the order of row ids: one pass, no memory.
    let sql = format!("SELECT _rowid_ FROM {name} ORDER BY _rowid_");
    let (Ok(mut then), Ok(mut now)) = (reader.prepare(&sql), connection.prepare(&sql)) else {
        // A table WITHOUT ROWID: the difference of the counts is what can be told.
        return Ok(count_rows(connection, table)?.saturating_sub(count_rows(&reader, table)?));
    };
    let mut then = then.query([]).while_doing(&doing)?;
    let mut now = now.query([]).while_doing(&doing)?;
    let next = |rows: &mut rusqlite::Rows<'_>| -> rusqlite::Result<Option<i64>> {
        rows.next()?.map(|row| row.get(0)).transpose()
    };
    let mut old = next(&mut then).while_doing(&doing)?;
    let mut count = 0;
    while let Some(rowid) = next(&mut now).while_doing(&doing)? {
        while old.is_some_and(|old| old < rowid) {
            old = next(&mut then).while_doing(&doing)?;
        }
        if old != Some(rowid) {
            count += 1;
        }
    }
    Ok(count)
}

/// Records of a journaled migration that were edited since and so keep what they have.
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
