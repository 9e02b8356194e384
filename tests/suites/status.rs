//! `status` says where a database stands, and changes not one byte of anything.

use std::fs;

use serde_json::{Value, json as value};
use support::{BridgeMigrate, TestDatabase};

use crate::common::{assert_output, json, run, tree};

/// Runs `status` in every form, and fails when any file is another afterwards.
#[track_caller]
fn only_looks(database: &TestDatabase) -> Value {
    let before = tree(database.root());
    let answer = json(database, &["status"]);
    run(database, &["status", "--verbose"]);
    assert_eq!(tree(database.root()), before);
    answer
}

#[test]
fn people_see_where_the_database_stands() {
    let database = TestDatabase::populated(61);
    assert_output("status_before", &run(&database, &["status"]));
    run(&database, &["migrate", "--to", "V004"]);
    assert_output("status_midway", &run(&database, &["status"]));
    run(&database, &["migrate"]);
    assert_output("status_after", &run(&database, &["status"]));
}

#[test]
fn the_exit_code_tells_of_pending_migrations_only_when_asked() {
    let database = TestDatabase::populated(62);
    let code = |arguments: &[&str]| BridgeMigrate::new(&database).args(arguments).run().code;
    assert_eq!(code(&["status"]), Some(0));
    assert_eq!(code(&["status", "--exit-code"]), Some(10));
    run(&database, &["migrate"]);
    assert_eq!(code(&["status", "--exit-code"]), Some(0));
}

#[test]
fn nothing_is_written_whatever_stands_there() {
    let nothing = TestDatabase::nothing();
    assert_eq!(only_looks(&nothing)["presence"], "missing");
    assert!(!nothing.path().exists());
    let empty = TestDatabase::nothing();
    fs::write(empty.path(), "").unwrap();
    assert_eq!(only_looks(&empty)["presence"], "empty");
    let nasty = TestDatabase::nasty(63);
    assert_eq!(only_looks(&nasty)["presence"], "adoptable");
    run(&nasty, &["migrate"]);
    assert_eq!(only_looks(&nasty)["presence"], "managed");
}

#[test]
fn nothing_is_written_beside_a_write_ahead_log() {
    let database = TestDatabase::populated(64);
    database.set_wal(true);
    assert_eq!(only_looks(&database)["version"], 0);
    assert_eq!(database.bytes_of_folder().len(), 2, "a log was made");
    // With a server at work the log is there, and holds rows that the file does not have yet.
    let server = database.connect();
    server
        .execute_batch("PRAGMA wal_autocheckpoint = 0; CREATE TABLE in_the_log (x)")
        .unwrap();
    let before = tree(database.root());
    let answer = json(&database, &["status"]);
    assert_eq!(answer["adoptable"]["kept"], value!(["table in_the_log"]));
    let mut after = tree(database.root());
    // Which of its slots are read is noted in the index of a log that is in use; the data must not change.
    after.retain(|path, _| !path.to_string_lossy().ends_with("-shm"));
    for (path, digest) in &after {
        assert_eq!(before.get(path), Some(digest), "{}", path.display());
    }
}

#[test]
fn what_a_killed_server_left_is_seen_and_left_alone() {
    let database = TestDatabase::populated(65);
    let crashed = TestDatabase::nothing();
    {
        // A transaction that was never finished: its journal is hot.
        let server = database.connect();
        server
            .execute_batch("PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN IMMEDIATE; UPDATE messages SET text = 'lost'")
            .unwrap();
        for entry in fs::read_dir(database.folder()).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), crashed.folder().join(entry.file_name())).unwrap();
        }
        server.execute_batch("ROLLBACK").unwrap();
    }
    assert!(crashed.folder().join("collab.db-journal").exists());
    assert_eq!(only_looks(&crashed)["adoptable"]["version"], 1);
    run(&crashed, &["migrate"]);
    assert_eq!(
        crashed.query_string("SELECT count(*) FROM messages WHERE text = 'lost'"),
        "0"
    );
    assert_eq!(crashed.count("messages"), database.count("messages"));
}

#[test]
fn everything_that_changed_since_is_told_as_drift() {
    let database = TestDatabase::populated(66);
    run(&database, &["migrate"]);
    database.execute("CREATE INDEX operators_own ON tasks(assignee); CREATE TABLE notes (x)");
    assert_eq!(only_looks(&database)["drift"].as_array().map(Vec::len), Some(2));
    database.execute("DROP INDEX idx_messages_thread; ALTER TABLE reactions ADD COLUMN extra TEXT");
    let answer = only_looks(&database);
    let drift = answer["drift"].to_string();
    for name in ["idx_messages_thread", "extra"] {
        assert!(drift.contains(name), "{name}: {drift}");
    }
    assert_output("status_drift", &run(&database, &["status"]));
}

#[test]
fn a_database_that_would_not_be_adopted_is_explained() {
    let database = TestDatabase::populated(67);
    database.execute("ALTER TABLE rooms ADD COLUMN colour TEXT");
    let answer = only_looks(&database);
    assert_eq!(answer["presence"], "unrecognized");
    assert!(answer["unrecognized"].to_string().contains("colour"), "{answer}");
    assert_output("status_unrecognized", &run(&database, &["status"]));
}

#[test]
fn the_environment_names_the_database_as_it_does_for_the_server() {
    let database = TestDatabase::populated(68);
    let output = BridgeMigrate::bare(&database)
        .env("DATABASE_PATH", database.path())
        .args(["status", "--json"])
        .run();
    output.assert_code(0);
    assert_eq!(output.json()["database"], database.path().to_str().unwrap());
}

#[test]
fn a_step_is_running_while_its_run_holds_the_lock_and_interrupted_afterwards() {
    let database = TestDatabase::populated(116);
    database.execute("UPDATE messages SET timestamp = '2026-02-22T10:00:00Z'");
    database.execute(
        "CREATE TRIGGER guard BEFORE UPDATE OF timestamp ON messages WHEN NEW.rowid = 300
         BEGIN SELECT RAISE(ABORT, 'no'); END;",
    );
    run(&database, &["migrate", "--to", "V004"]);
    let failed = BridgeMigrate::new(&database).arg("migrate").run();
    failed.assert_code(3);
    let lock = fs::File::options()
        .read(true)
        .write(true)
        .open(format!("{}.migrate.lock", database.path().display()))
        .unwrap();
    let hold = |command: &str| {
        lock.lock().unwrap();
        let holder = value!({
            "pid": 1, "host": "here", "since": "2020-01-01T00:00:00.000000Z", "command": command, "tool": "x"
        });
        fs::write(
            format!("{}.migrate.lock", database.path().display()),
            holder.to_string(),
        )
        .unwrap();
        let answer = json(&database, &["status"]);
        let told = run(&database, &["status"]).stdout;
        lock.unlock().unwrap();
        (answer, told)
    };
    let step = value!({"version": 5, "down": false, "rows_visited": 256});
    let (answer, told) = hold("migrate");
    assert_eq!(
        (&answer["running"], &answer["interrupted"]),
        (&step, &Value::Null)
    );
    assert!(
        told.contains("running      applying V005, 256 rows so far"),
        "{told}"
    );
    assert!(!told.contains("stopped"), "{told}");
    // Whoever prunes backups is not at work on the step.
    let (answer, told) = hold("backup prune");
    assert_eq!(
        (&answer["running"], &answer["interrupted"]),
        (&Value::Null, &step)
    );
    assert!(told.contains("stopped at V004"), "{told}");
    let answer = json(&database, &["status"]);
    assert_eq!(
        (&answer["running"], &answer["interrupted"]),
        (&Value::Null, &step)
    );
}
