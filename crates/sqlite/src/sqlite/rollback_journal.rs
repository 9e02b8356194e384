//! One rollback journal for all transactions of a run.

use rusqlite::{Connection, ToSql};

use crate::files::{database_file::with_suffix, lock::MigrationLock};
use crate::sqlite::{ask::Ask, connection::open_writer};
use bridge_migrate_core::{Observer, Result, Settings};

/// What is kept of it, in bytes: one large step does not take its space until the run ends.
const KEPT_BYTES: i64 = 16 << 20;

/// While it lives, SQLite keeps the rollback journal of a database between two transactions and overwrites it.
/// Dropped, it removes the journal.
///
/// A journal that each transaction makes and removes costs two syncs of the folder, and blocks of the disk that
/// are given back and taken again: a fifth of the time of a step in many batches. A kept one is as safe: what
/// ends a transaction is its header, overwritten with zeros and synced, which every program that uses the
/// database understands. One that commits meanwhile may remove it; then the next transaction makes it again.
#[derive(Debug)]
#[must_use = "the journal is removed when this is dropped"]
pub(crate) struct RollbackJournal<'a> {
    connection: &'a Connection,
    is_kept: bool,
}

impl<'a> RollbackJournal<'a> {
    /// Leaves a database alone that is in write-ahead mode. Whether it works does not matter to what follows.
    pub(crate) fn keep(connection: &'a Connection) -> Self {
        let mode: rusqlite::Result<String> = connection.setting("journal_mode");
        Self {
            connection,
            is_kept: mode.is_ok_and(|mode| mode == "delete")
                && set(connection, "journal_mode", "persist").is_ok()
                && set(connection, "journal_size_limit", KEPT_BYTES).is_ok(),
        }
    }
}

/// Removes the journal that a run left which was killed after its last commit, and before it could. For the command
/// that then finds nothing to do, under the migration lock.
pub(crate) fn remove_left(settings: &Settings, command: &str, observer: &dyn Observer) -> Result<()> {
    if with_suffix(&settings.database, "-journal").exists() {
        let _lock = MigrationLock::take(settings, command, observer)?;
        let writer = open_writer(&settings.database, settings.busy_timeout)?;
        drop(RollbackJournal::keep(&writer));
    }
    Ok(())
}

impl Drop for RollbackJournal<'_> {
    fn drop(&mut self) {
        if self.is_kept && self.connection.is_autocommit() {
            // Where somebody else is writing, SQLite leaves the journal to them.
            let _ = set(self.connection, "journal_mode", "delete");
        }
    }
}

fn set(connection: &Connection, pragma: &str, value: impl ToSql) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, pragma, value, |_| Ok(()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sqlite::connection::create_writer;

    fn database() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("collab.db");
        let connection = create_writer(&path, Duration::ZERO).unwrap();
        connection.execute_batch("CREATE TABLE t (x)").unwrap();
        (folder, path)
    }

    #[test]
    fn the_journal_stays_between_two_transactions_and_is_gone_at_the_end() {
        let (_folder, path) = database();
        let journal = with_suffix(&path, "-journal");
        let connection = create_writer(&path, Duration::ZERO).unwrap();
        {
            let _kept = RollbackJournal::keep(&connection);
            connection.execute_batch("INSERT INTO t VALUES (1)").unwrap();
            assert!(journal.exists());
            let server = create_writer(&path, Duration::ZERO).unwrap();
            server.execute_batch("INSERT INTO t VALUES (2)").unwrap();
            assert!(!journal.exists(), "a server's commit takes it away");
            connection.execute_batch("INSERT INTO t VALUES (3)").unwrap();
            assert!(journal.exists());
        }
        assert!(!journal.exists());
        let sum: i64 = connection
            .query_row("SELECT sum(x) FROM t", [], |row| row.get(0))
            .unwrap();
        assert_eq!(sum, 6);
    }

    #[test]
    fn a_write_ahead_database_stays_in_its_mode() {
        let (_folder, path) = database();
        let connection = create_writer(&path, Duration::ZERO).unwrap();
        set(&connection, "journal_mode", "wal").unwrap();
        drop(RollbackJournal::keep(&connection));
        let mode: String = connection
            .pragma_query_value(None, "journal_mode", |row| row.get(0))
            .unwrap();
        assert_eq!(mode, "wal");
    }
}
