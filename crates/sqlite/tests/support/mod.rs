//! A small application with a database, a companion file and a busy server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails where its ground gives way"
)]
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::{thread::JoinHandle, time::Duration};

use bridge_migrate_core::{Settings, Silent, clock::Clock};
use bridge_migrate_sqlite::backup::{Backup, BackupFacts, create};
use bridge_migrate_sqlite::connection::{create_writer, open_immutable, open_writer};
use chrono::{DateTime, Utc};
use rusqlite::Connection;
use tempfile::TempDir;

/// The server's busy timeout.
pub const SERVER_TIMEOUT: Duration = Duration::from_secs(5);

/// A clock that stands still until it is set.
#[derive(Debug)]
pub struct TestClock(Mutex<DateTime<Utc>>);

impl TestClock {
    pub fn set(&self, time: &str) {
        *self.0.lock().unwrap() = time.parse().unwrap();
    }
}

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }

    fn nonce(&self) -> u32 {
        7
    }
}

/// A folder with `collab.db` and `tokens.json`.
pub struct Site {
    pub folder: TempDir,
    pub clock: Arc<TestClock>,
    pub settings: Settings,
}

impl Site {
    /// A site whose database has `rows` notes; every note has a twin in another table.
    pub fn new(rows: usize, setup: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::new(folder.path().join("collab.db"));
        let clock = Arc::new(TestClock(Mutex::new("2026-01-02T03:04:05Z".parse().unwrap())));
        settings.clock = Arc::clone(&clock) as Arc<dyn Clock>;
        settings.log_dir = folder.path().join("logs");
        let site = Self {
            folder,
            clock,
            settings,
        };
        let connection = create_writer(&site.settings.database, SERVER_TIMEOUT).unwrap();
        connection.execute_batch(setup).unwrap();
        connection
            .execute_batch(&format!(
                "CREATE TABLE notes (id TEXT PRIMARY KEY, text TEXT NOT NULL);
                 CREATE TABLE twins (id TEXT PRIMARY KEY, text TEXT NOT NULL);
                 BEGIN;
                 WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
                 INSERT INTO notes SELECT i, hex(randomblob(100)) FROM n;
                 INSERT INTO twins SELECT * FROM notes;
                 COMMIT;"
            ))
            .unwrap();
        std::fs::write(&site.settings.companion, r#"{"tokens": {}}"#).unwrap();
        site
    }

    pub fn backup(&self) -> Backup {
        create(&self.settings, &BackupFacts::default(), &Silent)
            .unwrap()
            .backup
    }

    pub fn open(&self) -> Connection {
        open_writer(&self.settings.database, SERVER_TIMEOUT).unwrap()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Names of all files but those named in `but`.
    pub fn names_but(&self, but: &[&str]) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !but.contains(&name.as_str()))
            .collect();
        names.sort();
        names
    }
}

/// Rows of both tables; they must be equal in every state that a reader sees.
pub fn counts(connection: &Connection) -> (i64, i64) {
    connection
        .query_row(
            "SELECT (SELECT count(*) FROM notes), (SELECT count(*) FROM twins)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap()
}

/// Rows of both tables of a finished copy.
pub fn counts_of(copy: &Path) -> (i64, i64) {
    counts(&open_immutable(copy).unwrap())
}

/// Ends what other threads do until a flag is set, also when the test fails.
pub struct StopOnDrop<'a>(pub &'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A server that writes a note and its twin all the while, with a new connection each time.
pub struct Server {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<usize>,
}

impl Server {
    pub fn start(database: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let database = database.to_owned();
        let thread = std::thread::spawn(move || {
            let mut written = 0;
            // One process has one index of a write-ahead log for all its connections, and it cannot be written to where
            // the first of them only reads. Here that may be a reader of the engine; other processes have their own.
            let first = open_writer(&database, SERVER_TIMEOUT).expect("the server opens");
            first
                .query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
                .expect("the server reads");
            while !seen.load(Ordering::Relaxed) {
                let mut connection = open_writer(&database, SERVER_TIMEOUT).expect("the server opens");
                let transaction = connection
                    .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
                    .expect("the server gets the lock within its timeout");
                for table in ["notes", "twins"] {
                    transaction
                        .execute(
                            &format!("INSERT INTO {table} VALUES (lower(hex(randomblob(8))), ?1)"),
                            ["x".repeat(200)],
                        )
                        .expect("the server writes");
                }
                transaction.commit().expect("the server commits");
                written += 1;
            }
            written
        });
        Self { stop, thread }
    }

    /// Stops the server and says how often it wrote. Panics if the server saw an error.
    pub fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the server saw no error")
    }
}
