//! Somebody holds a lock and does not go on: every command says who, and within the time that it was given.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::Value;
use support::{BridgeMigrate, Running, TestDatabase};

use crate::common::{json, run, untouchable};

/// Far more than the second or two that each command is given, and less than the half minute that it would take
/// SQLite's own patience.
const LIMIT: Duration = Duration::from_secs(20);

/// Commands that need the database, each given one second.
const COMMANDS: [&[&str]; 15] = [
    &["migrate"],
    &["rollback", "--to", "1.0.0", "--yes"],
    &["undo", "V005"],
    &["adopt"],
    &["restore", "latest"],
    &["backup", "create"],
    &["tokens", "import"],
    &["tokens", "verify"],
    &["log", "prune"],
    &["verify"],
    &["plan"],
    &["history"],
    &["schema", "show"],
    &["rehearse"],
    &["wait", "--for", "latest", "--timeout", "1"],
];

fn signal(name: &str, process: u32) {
    let status = Command::new("kill").args([name, &process.to_string()]).status();
    assert!(status.unwrap().success());
}

/// Keeps everybody out for as long as the connection is there; with a write-ahead log, everybody who writes.
fn keep_out(database: &TestDatabase) -> Connection {
    let connection = database.connect();
    connection.execute_batch("BEGIN EXCLUSIVE").unwrap();
    connection
}

/// A run that has the migration lock and does not go on.
fn stopped(database: &TestDatabase) -> Running {
    let holder = BridgeMigrate::new(database)
        .args(["migrate", "--no-backup"])
        .spawn();
    let lock = database.folder().join("collab.db.migrate.lock");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !fs::read_to_string(&lock)
        .unwrap()
        .contains(&format!("\"pid\":{},", holder.id()))
    {
        assert!(Instant::now() < deadline, "it never began");
        std::thread::sleep(Duration::from_millis(1));
    }
    signal("-STOP", holder.id());
    holder
}

/// The JSON of a command with its exit code, within the limit.
#[track_caller]
fn answer(database: &TestDatabase, arguments: &[&str]) -> (Option<i32>, Value) {
    let started = Instant::now();
    let output = BridgeMigrate::new(database).args(arguments).arg("--json").run();
    assert!(
        started.elapsed() < LIMIT,
        "{arguments:?}: {:?}",
        started.elapsed()
    );
    (output.code, output.json())
}

#[test]
fn a_stopped_holder_is_named_and_no_command_takes_longer_than_it_was_given() {
    for wal in [false, true] {
        let database = TestDatabase::populated(311);
        database.set_wal(wal);
        run(&database, &["migrate", "--to", "V005"]);
        let before = untouchable(&database);
        // What a run does that is stopped in the middle of its commit, the test does for it.
        let kept_out = keep_out(&database);
        let holder = stopped(&database);
        let pid = holder.id();
        let (code, status) = answer(&database, &["status"]);
        assert_eq!(code, Some(0), "{status}");
        assert_eq!(status["lock"]["pid"], pid);
        assert!(status["lock"]["since"].as_str().unwrap().starts_with("20"));
        if wal {
            assert_eq!(status["presence"], "managed");
        } else {
            assert_eq!(status["presence"], "locked");
            for key in ["release", "version", "managed", "pending", "drift", "last_run"] {
                assert_eq!(status.get(key), Some(&Value::Null), "{key}");
            }
            assert_eq!(answer(&database, &["status", "--exit-code"]).0, Some(4));
        }
        for arguments in COMMANDS {
            let (code, told) = answer(&database, &[&["--lock-timeout", "1"], arguments].concat());
            let reads = matches!(
                arguments[0],
                "plan" | "history" | "schema" | "verify" | "rehearse" | "backup"
            ) || arguments == ["tokens", "verify"];
            if wal && reads {
                continue;
            }
            assert_eq!(code, Some(4), "wal {wal}, {arguments:?}: {told}");
            let error = told["error"].to_string();
            assert!(
                error.contains(&format!("rocess {pid} on ")),
                "{arguments:?}: {error}"
            );
            let (_, since) = error.split_once(" since 20").unwrap_or_default();
            assert_eq!(since.get(17..21), Some(" UTC"), "{arguments:?}: {error}");
        }
        drop(kept_out);
        signal("-CONT", pid);
        // Whether its patience was over by the clock is all the same.
        holder.wait();
        run(&database, &["migrate"]);
        assert_eq!(untouchable(&database), before);
        assert_eq!(json(&database, &["verify"])["findings"], Value::Array(Vec::new()));
    }
}

/// What only waits to say more in its manifest would make it twice as long.
#[test]
fn a_backup_and_a_restore_wait_once_for_all() {
    let database = TestDatabase::populated(313);
    run(&database, &["migrate"]);
    let before = database.dump();
    let kept_out = keep_out(&database);
    std::thread::scope(|scope| {
        for arguments in [&["backup", "create"][..], &["restore", "latest"]] {
            let database = &database;
            scope.spawn(move || {
                let started = Instant::now();
                let (code, told) = answer(database, &[&["--lock-timeout", "8"], arguments].concat());
                let took = started.elapsed().as_secs();
                // Who is named depends on which of the two looks while the other waits.
                assert!([Some(1), Some(4)].contains(&code), "{told}");
                assert!((8..16).contains(&took), "{arguments:?} took {took} s");
            });
        }
    });
    drop(kept_out);
    assert_eq!(database.dump(), before);
}

#[test]
fn whoever_keeps_the_database_locked_is_named_and_no_command_takes_longer_than_it_was_given() {
    let database = TestDatabase::populated(312);
    run(&database, &["migrate", "--to", "1.1.0"]);
    let before = database.dump();
    // A server that hangs in the middle of its commit; here it is the test itself.
    let kept_out = keep_out(&database);
    let pid = std::process::id();
    let (code, status) = answer(&database, &["status"]);
    assert_eq!((code, &status["presence"]), (Some(0), &"locked".into()));
    assert_eq!(status["locked_by"], pid);
    assert_eq!(status["lock"], Value::Null);
    for arguments in COMMANDS {
        let (code, told) = answer(&database, &[&["--lock-timeout", "1"], arguments].concat());
        let expected = if arguments[0] == "wait" { 4 } else { 1 };
        assert_eq!(code, Some(expected), "{arguments:?}: {told}");
        let error = told["error"].to_string();
        assert!(
            error.contains(&format!("Process {pid} keeps the database locked")),
            "{arguments:?}: {error}"
        );
    }
    // They look at many things, and do not wait for the database at each.
    for command in ["checklist", "doctor"] {
        let (code, told) = answer(&database, &["--lock-timeout", "12", command]);
        assert!(matches!(code, Some(0 | 6)), "{command}: {code:?}, {told}");
    }
    drop(kept_out);
    assert_eq!(database.dump(), before);
    run(&database, &["migrate", "--lock-timeout", "0"]);
}
