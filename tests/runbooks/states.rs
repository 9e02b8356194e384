//! The states that the pages are about, and what others do while somebody works through a page.

use std::fs::OpenOptions;
use std::time::{Duration, Instant};

use bridge_migrate::SCHEMA_VERSION;
use rusqlite::Connection;
use support::catalog::{after, last};
use support::{BridgeMigrate, Population, Running, TestDatabase};

use crate::shell;

/// A database in trouble.
pub(crate) struct State {
    database: TestDatabase,
    last: i32,
    /// A process that hangs, and what it hangs on.
    hanging: Option<(Running, Connection)>,
}

/// Longer than any disk on which tests run; what a file system does not allow is halved.
const ENORMOUS: u64 = 8 << 40;

impl State {
    fn of(database: TestDatabase) -> Self {
        Self {
            database,
            last: 0,
            hanging: None,
        }
    }

    /// Three thousand messages, and a few with names that a page can use.
    fn populated() -> TestDatabase {
        let database = TestDatabase::with(&Population {
            seed: 2026,
            odd_timestamps: 0,
            ..Population::of_messages(3000)
        });
        database.execute(
            "UPDATE messages SET timestamp = substr(timestamp, 1, 19) WHERE rowid % 2 = 0; \
             INSERT INTO rooms (room_id, topic, created_at) VALUES ('berlin', 'planning', '2026-02-01T09:00:00+00:00'); \
             INSERT INTO messages (id, room_id, from_client, text, timestamp) VALUES \
             ('m-1', 'berlin', 'claude-1', 'one', '2026-02-22T15:30:45'), \
             ('m-2', 'berlin', 'claude-1', 'two', '2026-02-22T15:31:45'), \
             ('m-3', 'berlin', 'claude-2', 'three', '2026-02-22T15:32:45')",
        );
        database
    }

    fn migrate(database: &TestDatabase, target: &str) {
        let run = BridgeMigrate::bare(database).args(["migrate", "--to", target]);
        run.run().assert_code(0);
    }

    pub(crate) fn failing_migration() -> Self {
        let database = Self::populated();
        database.execute(
            // In the second batch, whatever its size: the first has 256 rows, and a second has 64 at least.
            "CREATE TRIGGER audit BEFORE UPDATE OF timestamp ON messages WHEN OLD.rowid = 300 \
             BEGIN SELECT RAISE(ABORT, 'this message is under audit'); END",
        );
        Self::of(database)
    }

    pub(crate) fn migrated_and_used() -> Self {
        let database = Self::populated();
        Self::migrate(&database, "1.2.0");
        database.execute(
            "INSERT INTO reactions VALUES ('m-1', 'claude-2', '👍', '2026-03-01T10:00:00+00:00'); \
             UPDATE messages SET text = 'two, edited' WHERE id = 'm-2'; \
             INSERT INTO messages (id, room_id, from_client, text, timestamp) \
             VALUES ('m-4', 'berlin', 'claude-2', 'written since', '2026-03-01T10:00:00+00:00')",
        );
        Self::of(database)
    }

    pub(crate) fn wrong_records() -> Self {
        let database = Self::populated();
        Self::migrate(&database, "1.2.0");
        database.execute("UPDATE messages SET timestamp = '2026-02-22T14:32:45+00:00' WHERE id = 'm-3'");
        Self::of(database)
    }

    pub(crate) fn full_disk() -> Self {
        let database = Self::populated();
        for _ in 0..3 {
            let run = BridgeMigrate::bare(&database).args(["backup", "create"]);
            run.run().assert_code(0);
        }
        let state = Self::of(database);
        // A hole in the file: it would take that much to copy it.
        state.resize(ENORMOUS);
        state
    }

    pub(crate) fn held_lock() -> Self {
        let database = Self::populated();
        Self::migrate(&database, "1.0.0");
        let blocker = database.connect();
        blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
        let running = BridgeMigrate::bare(&database).arg("migrate").spawn();
        let lock = database.folder().join("collab.db.migrate.lock");
        let deadline = Instant::now() + Duration::from_secs(20);
        // It has the lock and waits for the database.
        while bridge_migrate_sqlite::current_holder(&database.path())
            .is_none_or(|holder| holder.pid != running.id())
        {
            assert!(Instant::now() < deadline, "nobody holds {}", lock.display());
            std::thread::sleep(Duration::from_millis(20));
        }
        Self {
            hanging: Some((running, blocker)),
            ..Self::of(database)
        }
    }

    pub(crate) fn newer_database() -> Self {
        let database = Self::populated();
        Self::migrate(&database, "latest");
        // What a later program with one more migration would have written.
        let (last, release) = (last(), after(SCHEMA_VERSION));
        let next = last + 1;
        database.execute(&format!(
            "ALTER TABLE rooms ADD COLUMN archived_at TEXT; UPDATE rooms SET archived_at = '2026-03-01' WHERE rowid = 1; \
             INSERT INTO refinery_schema_history (version, name, applied_on, checksum) \
             VALUES ({next}, 'room_archive', '2026-03-01T10:00:00Z', '1'); \
             INSERT INTO schema_version VALUES ('{release}', '2999-01-01 00:00:00', 'V{next:03}__room_archive'); \
             INSERT INTO migration_steps SELECT {next}, 'room_archive', '{release}', 'expand', run, 0, applied_at, 1, 1, 0, 0, \
             '', 'statements', 'ALTER TABLE rooms DROP COLUMN archived_at;', 'Drops the column.' \
             FROM migration_steps WHERE version = {last}",
        ));
        Self::of(database)
    }

    pub(crate) fn corrupt_database() -> Self {
        let database = Self::populated();
        Self::migrate(&database, "1.2.0");
        let run = BridgeMigrate::bare(&database).args(["backup", "create"]);
        run.run().assert_code(0);
        let page: usize = database
            .query_string("SELECT rootpage FROM sqlite_schema WHERE name = 'messages'")
            .parse()
            .unwrap();
        let size: usize = database.query_string("PRAGMA page_size").parse().unwrap();
        database.damage((page - 1) * size, &[0x55; 64]);
        Self::of(database)
    }

    /// Runs a command of the page.
    pub(crate) fn run(&mut self, line: &str) -> String {
        let process = self.hanging.as_ref().map(|(running, _)| running.id());
        let (text, code) = shell::run(&self.database, line, self.last, process);
        self.last = code;
        text
    }

    /// What others do.
    pub(crate) fn meanwhile(&mut self, event: &str) {
        match event {
            "the trigger is removed" => self.database.execute("DROP TRIGGER audit"),
            "somebody makes room" => {
                let pages: u64 = self.database.query_string("PRAGMA page_count").parse().unwrap();
                let size: u64 = self.database.query_string("PRAGMA page_size").parse().unwrap();
                self.resize(pages * size);
            }
            "the process ends" => {
                let (running, blocker) = self.hanging.take().unwrap();
                let output = running.wait();
                assert_eq!(output.code, None, "it was killed: {output}");
                blocker.execute_batch("ROLLBACK").unwrap();
            }
            other => panic!("nobody knows how to do this: {other}"),
        }
    }

    fn resize(&self, bytes: u64) {
        let file = OpenOptions::new().write(true).open(self.database.path()).unwrap();
        if let Err(error) = file.set_len(bytes) {
            assert!(bytes > 1 << 36, "{error}");
            self.resize(bytes / 2);
        }
    }
}
