//! What a way back would lose, counted beforehand.

use rusqlite::{Connection, OptionalExtension};

use crate::schema::own_values::is_not_default;
use crate::sqlite::{ask::Ask, count::count_rows, quote::identifier, sqlite_error::SqliteContext};
use bridge_migrate_core::{Loss, Result};

use crate::schema::dropped::Dropped;

/// What dropping loses: rows of a table, values of a column that are not its default.
pub(crate) fn of_dropping(connection: &Connection, dropped: &Dropped) -> Result<Option<Loss>> {
    let loss = match dropped {
        Dropped::Table(table) => Loss::for_good(table, count_rows(connection, table)?, "rows"),
        Dropped::Column { table, column } => Loss::for_good(
            &format!("{table}.{column}"),
            connection
                .value(
                    &format!(
                        "SELECT count(*) FROM {} WHERE {}",
                        identifier(table),
                        is_not_default(connection, table, column)?
                    ),
                    [],
                )
                .while_doing(format_args!("count the values of {table}.{column}"))?,
            "values other than the default",
        ),
    };
    Ok((loss.count > 0).then_some(Loss { kept: true, ..loss }))
}

/// Records of a journaled migration that are not put back yet.
pub(crate) fn journal_size(connection: &Connection, version: u32) -> Result<u64> {
    connection
        .value(
            "SELECT count(*) FROM migration_affected_records WHERE migration = ?1 AND undone_by IS NULL",
            [version],
        )
        .optional()
        .map(Option::unwrap_or_default)
        .while_doing("read the journal")
}
