//! What a database holds, as far as a manifest tells: its header's numbers and the rows of each table.

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use crate::sqlite::{count::count_rows, sqlite_error::SqliteContext};
use bridge_migrate_core::Result;

/// Header and row counts of a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// Bytes in a page.
    pub page_size: u32,
    /// Pages in the file.
    pub page_count: u64,
    /// `PRAGMA application_id`.
    pub application_id: i32,
    /// `PRAGMA user_version`.
    pub user_version: i32,
    /// Rows of every table but SQLite's own and virtual ones.
    pub tables: BTreeMap<String, u64>,
}

/// Reads the contents, all of one moment if `connection` is in a transaction.
pub(crate) fn read_contents(connection: &Connection) -> Result<Contents> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let header = || -> rusqlite::Result<(i64, i64, i64, i64)> {
        Ok((
            pragma("page_size")?,
            pragma("page_count")?,
            pragma("application_id")?,
            pragma("user_version")?,
        ))
    };
    let (page_size, page_count, application_id, user_version) =
        header().while_doing("read the database's header")?;
    Ok(Contents {
        page_size: u32::try_from(page_size).unwrap_or_default(),
        page_count: u64::try_from(page_count).unwrap_or_default(),
        application_id: i32::try_from(application_id).unwrap_or_default(),
        user_version: i32::try_from(user_version).unwrap_or_default(),
        tables: row_counts(connection)?,
    })
}

fn row_counts(connection: &Connection) -> Result<BTreeMap<String, u64>> {
    let doing = "count the rows of each table";
    // Not the table-valued function: a table of the name `pragma_table_list` hides it.
    let mut names: Vec<String> = Vec::new();
    connection
        .pragma_query(Some("main"), "table_list", |row| {
            let (name, kind): (String, String) = (row.get("name")?, row.get("type")?);
            if matches!(kind.as_str(), "table" | "shadow") && !name.starts_with("sqlite_") {
                names.push(name);
            }
            Ok(())
        })
        .while_doing(doing)?;
    names
        .into_iter()
        .map(|name| count_rows(connection, &name).map(|rows| (name, rows)))
        .collect()
}
