//! One statement, in one call.

use rusqlite::{Connection, Params, Row, types::FromSql};

pub(crate) trait Ask {
    /// The value of a pragma.
    fn setting<T: FromSql>(&self, pragma: &str) -> rusqlite::Result<T>;

    /// The value in the only row.
    fn value<T: FromSql>(&self, sql: &str, values: impl Params) -> rusqlite::Result<T>;

    /// The only row of a statement that comes again, as `read` has it.
    fn row<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T>;

    /// The rows, each as `read` has it.
    fn rows<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>>;

    /// Runs a statement that comes again. Returns how many rows it changed.
    fn run(&self, sql: &str, values: impl Params) -> rusqlite::Result<u64>;
}

impl Ask for Connection {
    fn setting<T: FromSql>(&self, pragma: &str) -> rusqlite::Result<T> {
        self.pragma_query_value(None, pragma, |row| row.get(0))
    }

    fn value<T: FromSql>(&self, sql: &str, values: impl Params) -> rusqlite::Result<T> {
        self.query_row(sql, values, |row| row.get(0))
    }

    fn row<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        self.prepare_cached(sql)?.query_row(values, read)
    }

    fn rows<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        self.prepare_cached(sql)?.query_map(values, read)?.collect()
    }

    fn run(&self, sql: &str, values: impl Params) -> rusqlite::Result<u64> {
        Ok(self.prepare_cached(sql)?.execute(values)? as u64)
    }
}
