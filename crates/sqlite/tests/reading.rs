//! Reads never write: not a byte of the database or its folder changes, whatever a crash left there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails where its ground gives way"
)]

mod common;
mod other_process;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::{collections::BTreeMap, path::Path, time::Duration};

use bridge_migrate_core::{Error, ErrorKind, Event, Observer, Severity, Silent, Target};
use bridge_migrate_sqlite::backup::{self, BackupFacts};
use bridge_migrate_sqlite::connection::{open_immutable, with_reader};
use bridge_migrate_sqlite::status::{Presence, status};
use bridge_migrate_sqlite::verify::{VerifyOptions, verify};
use bridge_migrate_sqlite::{MigrateOptions, PlanOptions, SqliteContext, migrate, plan};
use common::{Place, catalog, to};
use other_process::other_process;

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
    let mut server = other_process("serve", place.folder.path());
    let calls = || -> (String, u64) {
        with_reader(&place.database(), Duration::from_secs(5), |reader| {
            let ask = || {
                let integrity = reader.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
                let count = reader.query_row("SELECT count(*) FROM calls", [], |row| row.get(0))?;
                Ok((integrity, count))
            };
            ask().while_doing("count")
        })
        .unwrap()
    };
    let started = std::time::Instant::now();
    let mut seen = 0;
    while seen < 300 {
        let (integrity, now) = calls();
        assert_eq!(integrity, "ok");
        seen = now;
        let found = status(&catalog(), &place.settings).unwrap();
        // On a busy machine, whoever closes as the last keeps everybody out for longer than `status` waits.
        if !matches!(found.presence, Presence::Locked(_)) {
            assert_eq!((found.presence, found.position.version), (Presence::Managed, 4));
        }
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "the server does not write"
        );
    }
    std::fs::write(place.folder.path().join("stop"), "").unwrap();
    assert!(server.wait().unwrap().success(), "the server saw an error");
}

/// A database in write-ahead mode as a killed server left it, with its log and the index of that.
fn left_by_a_crash() -> Place {
    let place = migrated();
    let server = place.open();
    server
        .execute_batch("PRAGMA journal_mode = WAL; INSERT INTO notes (id, body) VALUES ('log', 'in the log')")
        .unwrap();
    let crashed = Place::new();
    for suffix in ["", "-wal", "-shm"] {
        let name = |path: &Path| format!("{}{suffix}", path.display());
        std::fs::copy(name(&place.database()), name(&crashed.database())).unwrap();
    }
    crashed
}

/// A thread of the process that embeds the engine: opens the database when it is told to, and writes a row each time.
fn server_thread(database: &Path, calls: Receiver<()>, answers: Sender<rusqlite::Result<usize>>) {
    let mut server = None;
    for () in calls {
        let server = server.get_or_insert_with(|| {
            let server = rusqlite::Connection::open(database).unwrap();
            server.busy_timeout(Duration::from_secs(5)).unwrap();
            server
        });
        let insert = "INSERT INTO notes (body) VALUES ('of the server')";
        answers.send(server.execute(insert, [])).unwrap();
    }
}

/// SQLite has one index of the log for all connections of a process: whoever finds one that was opened for reading only
/// can never write.
#[test]
fn a_server_that_embeds_the_engine_can_write_before_during_and_after_each_look() {
    let beside = |name: &str, place: &Place, opens_before: bool| {
        let (call, calls) = channel();
        let (answer, answers) = channel();
        let written = &AtomicUsize::new(0);
        let write = move || {
            call.send(()).unwrap();
            let answer: rusqlite::Result<usize> = answers.recv().unwrap();
            assert_eq!(answer.unwrap_or_else(|error| panic!("{name}: {error}")), 1);
            written.fetch_add(1, Ordering::Relaxed);
        };
        let count = |connection: &rusqlite::Connection| -> usize {
            let count = "SELECT count(*) FROM notes WHERE body = 'of the server'";
            connection.query_row(count, [], |row| row.get(0)).unwrap()
        };
        // The thread ends with `write`, also when this fails.
        std::thread::scope(move |scope| {
            scope.spawn(move || server_thread(&place.database(), calls, answer));
            if opens_before {
                write();
            }
            for _ in 0..3 {
                with_reader(&place.database(), Duration::from_secs(5), |reader| {
                    let moment = reader.unchecked_transaction().unwrap();
                    let before = written.load(Ordering::Relaxed);
                    assert_eq!(count(&moment), before, "{name}");
                    write();
                    assert_eq!(count(&moment), before, "{name}");
                    Ok(())
                })
                .unwrap();
                write();
                let found = status(&catalog(), &place.settings).unwrap();
                assert_eq!(found.position.version, 4, "{name}");
                write();
                plan(&catalog(), &place.settings, PlanOptions::default()).unwrap();
                write();
                let found = verify(&catalog(), &place.settings, VerifyOptions::default(), &Silent).unwrap();
                assert!(
                    found.iter().all(|finding| finding.severity != Severity::Error),
                    "{name}: {found:?}"
                );
                write();
                migrate(&catalog(), &place.settings, MigrateOptions::default(), &Silent).unwrap();
                write();
            }
        });
        assert_eq!(count(&place.open()), written.load(Ordering::Relaxed), "{name}");
        assert_eq!(place.strings("PRAGMA integrity_check"), ["ok"], "{name}");
    };
    for opens_before in [true, false] {
        let quiet = migrated();
        quiet.open().execute_batch("PRAGMA journal_mode = WAL").unwrap();
        beside("nobody else", &quiet, opens_before);
        beside("a log that a crash left", &left_by_a_crash(), opens_before);
        let held = left_by_a_crash();
        let mut other = other_process("hold", held.folder.path());
        while !held.folder.path().join("held").exists() {
            assert!(other.try_wait().unwrap().is_none(), "the other process ended");
            std::thread::sleep(Duration::from_millis(1));
        }
        beside("another process", &held, opens_before);
        let in_place = with_reader(&held.database(), Duration::from_secs(5), |reader| {
            Ok(!reader.is_private_copy())
        });
        assert!(in_place.unwrap());
        std::fs::write(held.folder.path().join("stop"), "").unwrap();
        assert!(other.wait().unwrap().success());
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

/// A database in write-ahead mode that nobody has open, with more pages than are copied at a time.
fn quiet_and_large() -> Place {
    let place = migrated();
    let sql = "PRAGMA journal_mode = WAL; CREATE TABLE calls (text TEXT); CREATE INDEX by_text ON calls (text); \
               WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT 10000) \
               INSERT INTO calls SELECT hex(randomblob(200)) FROM n;";
    place.open().execute_batch(sql).unwrap();
    assert!(place.database().metadata().unwrap().len() > 2048 * 4096);
    place
}

/// A server wakes up, changes every page and goes to sleep again, which brings its log into the file.
fn wake_up(place: &Place) {
    let sql = "PRAGMA synchronous = OFF; UPDATE calls SET text = hex(randomblob(150 + rowid % 100)); \
               INSERT INTO calls VALUES ('one more')";
    place.open().execute_batch(sql).unwrap();
}

/// Wakes a server up while a command shows that it looks, this many times.
struct Waking<'a> {
    place: &'a Place,
    left: AtomicUsize,
}

impl Observer for Waking<'_> {
    fn observe(&self, event: &Event) {
        let is_looking = matches!(event, Event::Progress { done, total, .. } if Some(*done) != *total);
        if is_looking && self.left.load(Ordering::Relaxed) > 0 {
            self.left.fetch_sub(1, Ordering::Relaxed);
            wake_up(self.place);
        }
    }
}

#[test]
fn a_server_that_wakes_up_in_the_middle_does_not_look_like_damage() {
    let place = quiet_and_large();
    let waking = |times| Waking {
        place: &place,
        left: AtomicUsize::new(times),
    };
    let verify = |observer: &dyn Observer| {
        verify(
            &catalog(),
            &place.settings,
            VerifyOptions { full: true },
            observer,
        )
        .unwrap()
    };
    let undisturbed = verify(&Silent);
    let observer = waking(2);
    assert_eq!(verify(&observer), undisturbed);
    assert_eq!(observer.left.into_inner(), 0, "nobody woke up");

    let observer = waking(1);
    let created = backup::create(&place.settings, &BackupFacts::default(), &observer).unwrap();
    assert_eq!(observer.left.into_inner(), 0, "nobody woke up");
    assert_eq!(
        backup::verify(&place.settings, &created.backup, true, &Silent).unwrap(),
        []
    );
    let rows = |database: &Path| -> i64 {
        let count = "SELECT count(*) FROM calls";
        open_immutable(database)
            .unwrap()
            .query_row(count, [], |row| row.get(0))
            .unwrap()
    };
    assert_eq!(rows(&created.backup.database), rows(&place.database()));
}

#[test]
fn what_was_read_of_a_file_that_changed_is_never_an_answer() {
    let place = quiet_and_large();
    let patience = Duration::from_secs(5);
    let count = |reader: &rusqlite::Connection| -> i64 {
        let count = "SELECT count(*) FROM calls";
        reader.query_row(count, [], |row| row.get(0)).unwrap()
    };
    let mut looks = 0;
    let seen = with_reader(&place.database(), patience, |reader| {
        looks += 1;
        if looks < 3 {
            wake_up(&place);
            // Whether this look fails or finds something, it is the next one that counts.
            let error = || Err(Error::new(ErrorKind::Corrupt, "of two moments"));
            return if looks == 1 { error() } else { Ok(-1) };
        }
        Ok(count(reader))
    });
    assert_eq!((looks, seen.unwrap()), (3, count(&place.open())));
    // One that never stops makes an error, not a wrong answer.
    let small = migrated();
    small.open().execute_batch("PRAGMA journal_mode = WAL").unwrap();
    let never = with_reader(&small.database(), Duration::ZERO, |_| {
        small
            .open()
            .execute_batch("PRAGMA user_version = 1; PRAGMA user_version = 0")
            .unwrap();
        Ok(())
    });
    assert_eq!(never.unwrap_err().kind(), ErrorKind::Busy);
}

#[test]
fn whoever_reads_beside_a_server_reads_one_moment_also_when_it_leaves() {
    let place = quiet_and_large();
    let server = std::cell::RefCell::new(Some(place.open()));
    let write = "INSERT INTO calls SELECT text FROM calls LIMIT 1000; PRAGMA wal_checkpoint";
    server.borrow().as_ref().unwrap().execute_batch(write).unwrap();
    let mut looks = 0;
    let (before, after, integrity) = with_reader(&place.database(), Duration::from_secs(5), |reader| {
        looks += 1;
        let moment = reader.unchecked_transaction().unwrap();
        let count = || -> i64 {
            moment
                .query_row("SELECT count(*) FROM calls", [], |row| row.get(0))
                .unwrap()
        };
        let before = count();
        server.borrow().as_ref().unwrap().execute_batch(write).unwrap();
        drop(server.take());
        let integrity: String = moment
            .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
            .unwrap();
        Ok((before, count(), integrity))
    })
    .unwrap();
    assert_eq!(
        (looks, before, after, integrity.as_str()),
        (1, 11_000, 11_000, "ok")
    );
    assert_eq!(
        place.strings("SELECT CAST(count(*) AS TEXT) FROM calls"),
        ["12000"]
    );
}
