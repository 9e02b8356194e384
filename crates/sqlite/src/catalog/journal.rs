//! The journal: old values of records that data steps changed, so that single records can go back.

use rusqlite::{Connection, params};

use crate::sqlite::{ask::Ask, quote::identifier, sqlite_error::SqliteContext};
use bridge_migrate_core::Result;

/// Writes the old values of one data step.
#[derive(Debug)]
pub(crate) struct Journal<'a> {
    connection: &'a Connection,
    migration: u32,
    table: &'a str,
    column: &'a str,
    insert: String,
}

impl<'a> Journal<'a> {
    /// A journal for the migration's changes of `table.column`, whose records are known by `key`.
    pub(crate) fn new(
        connection: &'a Connection,
        migration: u32,
        table: &'a str,
        column: &'a str,
        key: &str,
    ) -> Self {
        let insert = format!(
            "INSERT INTO migration_affected_records (migration, table_name, column_name, row_id, id, old_value, new_value) \
             SELECT ?1, ?2, ?3, _rowid_, {}, {}, ?5 FROM {} WHERE _rowid_ = ?4",
            identifier(key),
            identifier(column),
            identifier(table)
        );
        Self {
            connection,
            migration,
            table,
            column,
            insert,
        }
    }

    /// Keeps the present value of a row, which is about to become `new_value`.
    ///
    /// # Errors
    /// When SQLite refuses the row.
    pub(crate) fn keep(&self, rowid: i64, new_value: &str) -> Result<()> {
        self.connection
            .run(
                &self.insert,
                params![self.migration, self.table, self.column, rowid, new_value],
            )
            .while_doing("write the journal")?;
        Ok(())
    }
}
