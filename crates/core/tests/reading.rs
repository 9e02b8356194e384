//! Reads never write: not a byte of the database or its folder changes, whatever a crash left there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails where its ground gives way"
)]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bridge_migrate_core::Target;
use bridge_migrate_core::apply::{MigrateOptions, migrate};
use bridge_migrate_core::connection::open_reader;
use bridge_migrate_core::event::Silent;
use bridge_migrate_core::finding::Severity;
use bridge_migrate_core::rusqlite;
use bridge_migrate_core::status::{Presence, status};
use bridge_migrate_core::verify::{VerifyOptions, verify};
use common::{Place, catalog, to};

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(Result::unwrap)
        .filter(|entry| entry.path().is_file())
        .map(|entry| {
            (
                entry.file_name().to_string_lossy().into_owned(),
                std::fs::read(entry.path()).unwrap(),
            )
        })
        .collect()
}

fn migrated() -> Place {
    let place = Place::new();
    migrate(&catalog(), &place.settings, MigrateOptions::default(), &Silent).unwrap();
    place
}

fn assert_status_reads_only(place: &Place) {
    let before = files(place.folder.path());
    let found = status(&catalog(), &place.settings).unwrap();
    assert_eq!(found.presence, Presence::Managed);
    assert_eq!(found.position.version, 4);
    let after = files(place.folder.path());
    assert_eq!(
        before.keys().collect::<Vec<_>>(),
        after.keys().collect::<Vec<_>>()
    );
    assert!(before == after, "a byte changed");
}

#[test]
fn in_rollback_journal_mode() {
    assert_status_reads_only(&migrated());
}

#[test]
fn in_write_ahead_mode_with_nobody_there() {
    let place = migrated();
    place
        .open()
        .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE theirs (x);")
        .unwrap();
    assert_status_reads_only(&place);
}

#[test]
fn in_write_ahead_mode_with_a_server_writing() {
    let place = migrated();
    let server = place.open();
    server
        .execute_batch("PRAGMA journal_mode = WAL; INSERT INTO notes (id, body) VALUES ('w', 'W')")
        .unwrap();
    // In one process SQLite shares the index of the log, where readers leave their marks: it is memory that
    // happens to have a name. Everything else must stay.
    let everything_but_marks = || {
        let mut files = files(place.folder.path());
        assert!(files.remove("notes.db-shm").is_some());
        files
    };
    let before = everything_but_marks();
    assert_eq!(status(&catalog(), &place.settings).unwrap().position.version, 4);
    assert!(before == everything_but_marks(), "a byte changed");
    drop(server);
}

#[test]
fn with_a_log_that_a_crash_left_behind() {
    let place = migrated();
    let server = place.open();
    server
        .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE theirs (x);")
        .unwrap();
    let crashed = Place::new();
    for suffix in ["", "-wal"] {
        let name = |path: &Path| format!("{}{suffix}", path.display());
        std::fs::copy(name(&place.database()), name(&crashed.database())).unwrap();
    }
    assert_status_reads_only(&crashed);
    let crashed_with_index = Place::new();
    for suffix in ["", "-wal", "-shm"] {
        let name = |path: &Path| format!("{}{suffix}", path.display());
        std::fs::copy(name(&place.database()), name(&crashed_with_index.database())).unwrap();
    }
    assert_status_reads_only(&crashed_with_index);
}

#[test]
fn with_a_journal_that_a_crash_left_to_be_rolled_back() {
    let place = migrated();
    let server = place.open();
    // A cache of one page makes the transaction spill: the database and its hot journal are both on disk.
    server
        .execute_batch(
            "PRAGMA cache_size = 1; BEGIN; DELETE FROM refinery_schema_history WHERE version = 4; \
             INSERT INTO notes (id, body) SELECT value, hex(zeroblob(500)) FROM \
             (WITH RECURSIVE n(value) AS (VALUES (1) UNION ALL SELECT value + 1 FROM n LIMIT 2000) SELECT value FROM n);",
        )
        .unwrap();
    let crashed = Place::new();
    for suffix in ["", "-journal"] {
        let name = |path: &Path| format!("{}{suffix}", path.display());
        std::fs::copy(name(&place.database()), name(&crashed.database())).unwrap();
    }
    assert!(
        std::fs::metadata(format!("{}-journal", crashed.database().display()))
            .unwrap()
            .len()
            > 0
    );
    assert_status_reads_only(&crashed);
}

#[test]
fn servers_that_come_and_go_do_not_look_like_damage() {
    let place = migrated();
    let sql =
        "PRAGMA journal_mode = WAL; CREATE TABLE calls (text TEXT); CREATE INDEX by_text ON calls (text)";
    place.open().execute_batch(sql).unwrap();
    let mut server = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["a_server_in_a_process_of_its_own", "--exact", "--ignored"])
        .env("BM_TEST_SERVED", place.folder.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let calls = || -> rusqlite::Result<u64> {
        let reader = open_reader(&place.database(), Duration::from_secs(5)).unwrap();
        let integrity: String = reader.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        assert_eq!(integrity, "ok");
        reader.query_row("SELECT count(*) FROM calls", [], |row| row.get(0))
    };
    let started = std::time::Instant::now();
    let mut seen = 0;
    while seen < 300 {
        // Who reads for long may find the log gone, and has to open the database again; a command does so by itself.
        match calls() {
            Ok(now) => seen = now,
            Err(error) => assert_eq!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::ReadOnly)),
        }
        let found = status(&catalog(), &place.settings).unwrap();
        assert_eq!((found.presence, found.position.version), (Presence::Managed, 4));
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "the server does not write"
        );
    }
    std::fs::write(place.folder.path().join("stop"), "").unwrap();
    assert!(server.wait().unwrap().success(), "the server saw an error");
}

#[test]
#[ignore = "part of another test"]
fn a_server_in_a_process_of_its_own() {
    let Some(folder) = std::env::var_os("BM_TEST_SERVED").map(std::path::PathBuf::from) else {
        return;
    };
    // A connection for each call: closing it, the last one, removes the log.
    while folder.is_dir() && !folder.join("stop").exists() {
        let connection =
            bridge_migrate_core::connection::open_writer(&folder.join("notes.db"), Duration::from_secs(5))
                .unwrap();
        connection
            .execute_batch("INSERT INTO calls VALUES (hex(randomblob(600)))")
            .unwrap();
    }
}

/// Each step changes the schema and its records in one transaction, and so must whoever compares them read both.
#[test]
fn whoever_looks_beside_a_migration_sees_no_damage() {
    for _ in 0..10 {
        let place = Place::new();
        migrate(&catalog(), &place.settings, to(Target::Version(1)), &Silent).unwrap();
        std::thread::scope(|scope| {
            let looks = [(); 2].map(|()| {
                scope.spawn(|| {
                    let mut looks = 0;
                    loop {
                        let found = status(&catalog(), &place.settings).unwrap();
                        assert_eq!(found.drift, [], "at V{:03}", found.position.version);
                        let damage = verify(&catalog(), &place.settings, VerifyOptions::default(), &Silent);
                        let worst = damage.unwrap().into_iter().next();
                        assert!(
                            worst
                                .as_ref()
                                .is_none_or(|worst| worst.severity != Severity::Error),
                            "{worst:?}"
                        );
                        looks += 1;
                        if found.position.version == 4 {
                            return looks;
                        }
                    }
                })
            });
            for version in 2..=4 {
                migrate(&catalog(), &place.settings, to(Target::Version(version)), &Silent).unwrap();
            }
            let looks: u32 = looks.into_iter().map(|thread| thread.join().unwrap()).sum();
            assert!(looks > 2, "{looks} looks");
        });
    }
}
