//! Counting rows.

use rusqlite::Connection;

use crate::sqlite::{ask::Ask, page_check::lacks_collation, quote::identifier, sqlite_error::SqliteContext};
use bridge_migrate_core::Result;

/// The rows of one table.
///
/// # Errors
/// When SQLite cannot read the table.
pub(crate) fn count_rows(connection: &Connection, table: &str) -> Result<u64> {
    count_rows_of(connection, "main", table)
}

/// The rows of one table in an attached database.
///
/// # Errors
/// As [`count_rows`].
pub(crate) fn count_rows_of(connection: &Connection, schema: &str, table: &str) -> Result<u64> {
    let count = |how: &str| {
        let sql = format!("SELECT count(*) FROM {schema}.{}{how}", identifier(table));
        connection.value(&sql, [])
    };
    match count("") {
        // The smallest index may be one that only the application can order.
        Err(error) if lacks_collation(&error) => count(" NOT INDEXED"),
        counted => counted,
    }
    .while_doing(format_args!("count the rows of {table}"))
}
