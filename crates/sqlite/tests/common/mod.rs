//! A small catalog of its own: the engine knows no application.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails where its ground gives way"
)]
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests play the application, which opens databases as it likes"
)]

use std::{path::PathBuf, sync::Mutex};

use bridge_migrate_core::{
    Catalog, ChainRoots, DataStep, Event, Migration, Observer, Release, Rewrite, Rewritten, Settings, Target,
};
use bridge_migrate_sqlite::{MigrateOptions, PlanOptions};
use rusqlite::Connection;
use tempfile::TempDir;

/// A migration to there.
pub(crate) fn to(target: Target) -> MigrateOptions {
    MigrateOptions {
        plan: PlanOptions {
            target,
            ..PlanOptions::default()
        },
        ..MigrateOptions::default()
    }
}

pub(crate) fn migration(version: u32, name: &str, release: Release, up: &str, down: &str) -> Migration {
    Migration::new(version, name, release)
        .summary(format!("Does {name}."))
        .rollback(format!("Takes {name} back."))
        .up(up)
        .down(down)
}

pub(crate) fn data_migration(
    version: u32,
    name: &str,
    release: Release,
    step: impl Into<DataStep>,
) -> Migration {
    migration(version, name, release, "", "").data(step)
}

/// Notes with a body to be written in capitals, and replies whose threads are to be found.
pub(crate) fn notes() -> Vec<Migration> {
    let first = Release::new(1, 0, 0);
    let second = Release::new(1, 1, 0);
    vec![
        migration(
            1,
            "notes",
            first,
            "CREATE TABLE notes (id TEXT PRIMARY KEY, body TEXT NOT NULL, reply_to TEXT);",
            "DROP TABLE notes;",
        ),
        migration(
            2,
            "note_threads",
            second,
            "ALTER TABLE notes ADD COLUMN thread TEXT;",
            "ALTER TABLE notes DROP COLUMN thread;",
        ),
        data_migration(
            3,
            "shout",
            second,
            Rewrite::new("to capitals", "notes", "id", "body", |text, _| {
                match text.to_uppercase() {
                    _ if text.contains('#') => Rewritten::Skip("has a hash sign"),
                    upper if upper == text => Rewritten::Keep,
                    upper => Rewritten::Change(upper),
                }
            }),
        ),
        data_migration(
            4,
            "threads",
            second,
            ChainRoots::new("notes", "id", "reply_to", "thread"),
        ),
    ]
}

pub(crate) fn catalog() -> Catalog {
    Catalog::new("Notes", notes()).unwrap()
}

pub(crate) struct Place {
    pub(crate) folder: TempDir,
    pub(crate) settings: Settings,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::new(folder.path().join("notes.db"));
        settings.log_dir = folder.path().join("logs");
        Self { folder, settings }
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.settings.database.clone()
    }

    pub(crate) fn open(&self) -> Connection {
        let connection = Connection::open(self.database()).unwrap();
        connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        connection
    }

    pub(crate) fn strings(&self, sql: &str) -> Vec<String> {
        let connection = self.open();
        let mut select = connection.prepare(sql).unwrap();
        let rows = select.query_map([], |row| row.get::<_, String>(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }
}

#[derive(Default)]
pub(crate) struct Recorder(pub(crate) Mutex<Vec<Event>>);

impl Observer for Recorder {
    fn observe(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

/// What servers of the first release run.
pub(crate) fn first_servers() -> (Release, &'static str) {
    let text = "-- foreign keys: off
-- statement: write_note
-- Keeps a note.
-- changes: 1
INSERT INTO notes (id, body, reply_to) VALUES ('server', 'x', NULL);
";
    (Release::new(1, 0, 0), text)
}
