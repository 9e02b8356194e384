//! Values that somebody gave a row.

use rusqlite::Connection;

use crate::schema::TableDetail;
use crate::sqlite::{quote::identifier, sqlite_error::SqliteContext};
use bridge_migrate_core::Result;

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
