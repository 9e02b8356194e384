//! By which name SQL finds a row's number.

use rusqlite::Connection;

use super::table_detail::TableDetail;
use crate::sqlite::quote::identifier;

/// The rowid of a table's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowNumber {
    /// What it is called in SQL; none for a WITHOUT ROWID table, and where columns hide all its names.
    pub(crate) name: Option<String>,
    /// The column that it is, without quotes: `INTEGER PRIMARY KEY`.
    pub(crate) alias: Option<String>,
}

impl RowNumber {
    /// What it is in `table`, which must be in `main`.
    ///
    /// # Errors
    /// When SQLite cannot look into the table.
    pub(crate) fn of(connection: &Connection, table: &str) -> rusqlite::Result<Self> {
        let mut without_rowid = false;
        connection.pragma(Some("main"), "table_list", table, |row| {
            without_rowid = row.get("wr")?;
            Ok(())
        })?;
        if without_rowid {
            return Ok(Self {
                name: None,
                alias: None,
            });
        }
        let detail = TableDetail::read(connection, table)?;
        let is_column = |name: &&str| {
            detail
                .columns
                .iter()
                .any(|column| column.name.eq_ignore_ascii_case(name))
        };
        let hidden = ["rowid", "_rowid_", "oid"]
            .into_iter()
            .find(|name| !is_column(name));
        // Of all keys only an alias of the rowid has no index. Its type alone does not tell: see
        // <https://sqlite.org/lang_createtable.html#rowids_and_the_integer_primary_key>.
        let mut has_index = false;
        connection.pragma(Some("main"), "index_list", table, |row| {
            has_index |= row.get::<_, String>("origin")? == "pk";
            Ok(())
        })?;
        let alias = match detail.into_key_columns().as_slice() {
            [key] if !has_index => Some(key.clone()),
            _ => None,
        };
        Ok(Self {
            name: hidden
                .map(str::to_owned)
                .or_else(|| alias.as_deref().map(identifier)),
            alias,
        })
    }
}
