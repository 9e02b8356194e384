//! Counting rows.

use rusqlite::Connection;

use crate::sqlite::{ask::Ask, quote::identifier, sqlite_error::SqliteContext};
use bridge_migrate_core::Result;

/// The rows of one table.
///
/// # Errors
/// When SQLite cannot read the table.
pub(crate) fn count_rows(connection: &Connection, table: &str) -> Result<u64> {
    connection
        .value(&format!("SELECT count(*) FROM {}", identifier(table)), [])
        .while_doing(format_args!("count the rows of {table}"))
}
