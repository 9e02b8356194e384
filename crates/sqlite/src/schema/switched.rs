//! A setting of a connection that is another for a while.

use rusqlite::{Connection, config::DbConfig};

/// A setting of a connection that goes back to what it was.
pub(super) struct Switched<'a> {
    connection: &'a Connection,
    config: DbConfig,
    before: bool,
}

impl<'a> Switched<'a> {
    pub(super) fn to(connection: &'a Connection, config: DbConfig, value: bool) -> rusqlite::Result<Self> {
        let before = connection.db_config(config)?;
        connection.set_db_config(config, value)?;
        Ok(Self {
            connection,
            config,
            before,
        })
    }
}

impl Drop for Switched<'_> {
    fn drop(&mut self) {
        // It was set just now: SQLite has no reason to refuse.
        let _ = self.connection.set_db_config(self.config, self.before);
    }
}
