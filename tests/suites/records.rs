//! `history` and `log`: what was applied, when, by whom, how long, with which tool.

use std::fs;

use serde_json::Value;
use support::TestDatabase;
use support::catalog::{CATALOG, last};

use crate::common::{assert_output, json, refused, run, tree};

#[test]
fn the_history_has_every_migration_and_every_run() {
    let database = TestDatabase::populated(121);
    run(&database, &["migrate", "--to", "V003"]);
    run(&database, &["migrate"]);
    let before = tree(database.root());
    let answer = json(&database, &["history"]);
    let applied = answer["applied"].as_array().unwrap();
    assert_eq!(applied.len(), CATALOG.migrations().len());
    for (entry, migration) in applied.iter().zip(CATALOG.migrations()) {
        assert_eq!(entry["version"], migration.version);
        assert_eq!(entry["name"], migration.name.as_str());
        assert_eq!(entry["release"], migration.release.to_string());
    }
    let runs = answer["runs"].as_array().unwrap();
    let reached: Vec<&Value> = runs.iter().map(|run| &run["reached"]).collect();
    assert_eq!(reached, [3, last()]);
    for run in runs {
        assert!(run["tool"].as_str().unwrap().starts_with("bridge-migrate "));
        assert!(!run["host"].as_str().unwrap().is_empty());
    }
    assert_eq!(tree(database.root()), before);
    let output = run(&database, &["history"]);
    let host = runs[0]["host"].as_str().unwrap();
    let told = output.to_string().replace(host, "[HOST]");
    for migration in CATALOG.migrations() {
        assert!(told.contains(&migration.name), "{told}");
    }
}

#[test]
fn refinerys_own_history_is_what_the_answer_says() {
    let database = TestDatabase::populated(122);
    run(&database, &["migrate"]);
    let rows = database.query_strings("SELECT version, name FROM refinery_schema_history ORDER BY version");
    let expected: Vec<String> = CATALOG
        .migrations()
        .iter()
        .map(|migration| format!("{}|{}", migration.version, migration.name))
        .collect();
    assert_eq!(rows, expected);
}

#[test]
fn a_database_without_a_history_says_so() {
    for database in [TestDatabase::fresh_1_0_0(), TestDatabase::nothing()] {
        let before = tree(database.root());
        let output = support::BridgeMigrate::new(&database)
            .args(["history", "--json"])
            .run();
        match output.code {
            Some(0) => assert_eq!(output.json()["applied"], serde_json::json!([])),
            _ => assert_eq!(output.json()["error"]["kind"], "missing"),
        }
        assert_eq!(tree(database.root()), before);
    }
}

#[test]
fn the_log_tells_each_step_of_a_run() {
    let database = TestDatabase::populated(123);
    let first = json(&database, &["migrate", "--to", "V002"]);
    run(&database, &["migrate", "--to", "V005"]);
    let before = tree(database.root());
    assert_output("log", &run(&database, &["log", first["run"].as_str().unwrap()]));
    let last = json(&database, &["log"]);
    let steps: Vec<&Value> = last["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["event"] == "step_finished")
        .map(|event| &event["version"])
        .collect();
    assert_eq!(steps, [3, 4, 5]);
    let error = refused(&database, &["log", "00000000"], 1);
    assert_eq!(error["kind"], "missing");
    assert_eq!(tree(database.root()), before);
}

#[test]
fn each_line_of_a_log_is_one_json_object() {
    let database = TestDatabase::nasty(124);
    let answer = json(&database, &["migrate"]);
    let file = database.root().join(answer["log"].as_str().unwrap());
    let text = fs::read_to_string(&file).unwrap();
    for line in text.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["run"], answer["run"]);
        assert!(event["time"].as_str().unwrap().ends_with('Z') && event["event"].is_string());
    }
    // Whose line is cut off by a crash does not hide the rest.
    fs::write(&file, &text[..text.len() - 20]).unwrap();
    let log = json(&database, &["log"]);
    assert_eq!(log["unreadable_lines"], 1);
    assert_eq!(log["events"].as_array().unwrap().len(), text.lines().count() - 1);
}

#[test]
fn without_any_run_there_is_no_log() {
    let database = TestDatabase::fresh_1_0_0();
    assert_eq!(refused(&database, &["log"], 1)["kind"], "missing");
    assert!(!database.root().join("logs").exists());
}

/// A trigger of the operators' that refuses one message, with words that hold the message's text.
const REFUSES: &str = "CREATE TRIGGER guard BEFORE UPDATE OF timestamp ON messages WHEN NEW.rowid = 300
     BEGIN SELECT RAISE(ABORT, 'message is locked'); END;";

/// Has every message changed by V005, so that the trigger meets its row.
const ODD: &str = "UPDATE messages SET timestamp = '2026-02-22T10:00:00Z'";

#[test]
fn why_a_run_failed_stands_in_its_log_in_the_history_and_in_the_bundle() {
    let database = TestDatabase::populated(125);
    database.execute(ODD);
    database.execute(REFUSES);
    run(&database, &["migrate", "--to", "V004"]);
    let error = refused(&database, &["migrate", "--no-backup"], 3);
    assert_eq!(error["kind"], "sqlite");
    let key = database.query_string("SELECT id FROM messages WHERE rowid = 300");

    let log = json(&database, &["log"]);
    let last = log["events"].as_array().unwrap().last().unwrap();
    let history = json(&database, &["history"]);
    let failed = history["runs"].as_array().unwrap().last().unwrap();
    let status = json(&database, &["status"]);
    for cause in [last, &failed["failure"], &status["last_run"]["failure"]] {
        assert_eq!(cause["message"], "cannot rewrite messages.timestamp");
        assert_eq!(cause["because"], "message is locked");
        assert_eq!(cause["sqlite_code"], 1811);
        assert_eq!(
            (&cause["table"], &cause["row"]),
            (&"messages".into(), &key.clone().into())
        );
    }
    let told = run(&database, &["history"]).stdout;
    let line =
        format!("cannot rewrite messages.timestamp: message is locked (messages, row {key}) [SQLite 1811]");
    assert!(told.contains(&line), "{told}");
    let bundle = &json(&database, &["doctor"])["bundle"]["failures"][0];
    assert_eq!(bundle["message"], "cannot rewrite messages.timestamp");
    assert_eq!(bundle["sqlite_code"], 1811);
    assert_eq!(
        (&bundle["table"], &bundle["rowid"]),
        (&"messages".into(), &300.into())
    );
    assert!(!bundle.to_string().contains(&key) && !bundle.to_string().contains("locked"));
}

#[test]
fn what_a_row_holds_stays_out_of_what_is_recorded_of_a_failure() {
    let database = TestDatabase::populated(126);
    database.execute(ODD);
    database.execute(&REFUSES.replace("'message is locked'", "'hunter2' || NEW.text"));
    run(&database, &["migrate", "--to", "V004"]);
    refused(&database, &["migrate", "--no-backup"], 3);
    let text = database.query_string("SELECT text FROM messages WHERE rowid = 300");
    for told in [
        run(&database, &["log"]).stdout,
        run(&database, &["history", "--json"]).stdout,
        run(&database, &["doctor", "--json"]).stdout,
    ] {
        assert!(!told.contains("hunter2") && !told.contains(&text), "{told}");
        assert!(told.contains("1811"), "{told}");
    }
}

#[test]
fn a_run_that_fails_again_and_again_backs_the_same_state_up_once() {
    for wal in [false, true] {
        let database = TestDatabase::populated(127);
        database.execute(ODD);
        database.execute(&REFUSES.replace("300", "1"));
        run(&database, &["migrate", "--to", "V004", "--no-backup"]);
        database.set_wal(wal);
        let backups = || {
            json(&database, &["backup", "list"])["backups"]
                .as_array()
                .unwrap()
                .len()
        };
        let fail = || refused(&database, &["migrate"], 1);
        let before = database.dump();
        fail();
        assert_eq!(backups(), 1);
        // A server that has it open keeps the log of a write-ahead database.
        let server = database.connect();
        server.execute_batch("SELECT count(*) FROM rooms").unwrap();
        for _ in 0..3 {
            fail();
        }
        assert_eq!(backups(), 1, "wal {wal}");
        assert_eq!(database.dump(), before);
        // Nothing of this changed the database, and each is told all the same.
        let history = json(&database, &["history"]);
        let failed = |run: &&Value| run["failure"]["sqlite_code"] == 1811;
        assert_eq!(
            history["runs"].as_array().unwrap().iter().filter(failed).count(),
            4
        );
        // One more token is another state, and so is one more row.
        database.write_tokens(127, 41);
        fail();
        assert_eq!(backups(), 2, "wal {wal}");
        server.execute_batch("UPDATE rooms SET topic = 'other'").unwrap();
        fail();
        assert_eq!(backups(), 3, "wal {wal}");
        // A backup that was damaged since does not count.
        let newest = json(&database, &["backup", "list"])["backups"][0]["database"].clone();
        let path = database.root().join(newest.as_str().unwrap());
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
        fail();
        assert_eq!(backups(), 4, "wal {wal}");
        // What an operator asks for is made.
        run(&database, &["backup", "create"]);
        assert_eq!(backups(), 5, "wal {wal}");
    }
}

#[test]
fn every_command_that_changes_something_is_on_record_and_has_a_log() {
    let database = TestDatabase::populated(128);
    run(&database, &["adopt"]);
    run(&database, &["migrate"]);
    database.write_tokens(128, 41);
    run(&database, &["tokens", "import"]);
    run(&database, &["backup", "create"]);
    run(&database, &["undo", "V005"]);
    run(&database, &["restore", "latest"]);
    run(&database, &["backup", "prune", "--keep-last", "1"]);
    run(&database, &["log", "prune", "--migration", "V005"]);
    run(&database, &["rollback", "--to", "V008", "--yes"]);
    let history = json(&database, &["history"]);
    let runs = history["runs"].as_array().unwrap();
    let commands: Vec<&Value> = runs.iter().map(|run| &run["command"]).collect();
    // The undo was of a state that the restore replaced; its log is there.
    assert_eq!(
        commands,
        [
            "adopt",
            "migrate",
            "tokens import",
            "restore",
            "backup prune",
            "log prune",
            "rollback"
        ]
    );
    for run in runs {
        assert!(
            run["finished_at"].is_string() && run["failure"].is_null(),
            "{run}"
        );
        let log = json(&database, &["log", run["run"].as_str().unwrap()]);
        let events = log["events"].as_array().unwrap();
        assert_eq!(events[0]["event"], "run_started");
        assert_eq!(events[0]["command"], run["command"]);
        let last = events.last().unwrap();
        assert_eq!(last["event"], "run_finished");
        assert_eq!(last["version"], run["reached"]);
    }
    let logs = fs::read_dir(database.root().join("logs")).unwrap();
    assert_eq!(logs.count(), runs.len() + 1);
}

#[test]
fn a_restore_of_a_database_that_was_not_managed_is_in_its_log_alone() {
    let database = TestDatabase::populated(129);
    run(&database, &["backup", "create"]);
    run(&database, &["migrate"]);
    let before = database.dump();
    run(&database, &["rollback", "--to", "latest"]);
    let made = json(&database, &["backup", "list"])["backups"][1]["database"].clone();
    run(&database, &["restore", made.as_str().unwrap()]);
    assert_ne!(database.dump(), before);
    assert!(!database.schema().contains("migration_runs"));
    assert_eq!(json(&database, &["log"])["events"][0]["command"], "restore");
}

#[test]
fn a_failed_command_of_any_kind_is_told_by_the_history() {
    let database = TestDatabase::populated(122);
    run(&database, &["migrate"]);
    run(&database, &["backup", "create"]);
    fs::write(database.tokens(), "{\"tokens\": {\"sekret-token\": 7}").unwrap();
    refused(&database, &["tokens", "import"], 1);
    let history = run(&database, &["history", "--json"]);
    let runs = history.json()["runs"].clone();
    let failed = runs.as_array().unwrap().last().unwrap();
    assert_eq!(failed["command"], "tokens import");
    assert!(
        failed["failure"]["message"]
            .as_str()
            .unwrap()
            .contains("tokens.json")
    );
    assert!(!history.stdout.contains("sekret"));
    assert!(!run(&database, &["log"]).stdout.contains("sekret"));
}

#[test]
fn a_step_took_as_long_in_the_history_as_when_it_was_told() {
    for (database, target) in [
        (TestDatabase::populated(123), "latest"),
        (TestDatabase::populated(123), "V002"),
        (TestDatabase::nothing(), "latest"),
    ] {
        let told = json(&database, &["migrate", "--to", target]);
        let history = json(&database, &["history"]);
        let recorded = history["applied"].as_array().unwrap();
        for step in told["applied"].as_array().unwrap() {
            let of_step = recorded
                .iter()
                .find(|other| other["version"] == step["version"])
                .unwrap();
            for key in ["duration_ms", "max_lock_ms"] {
                assert_eq!(of_step[key], step[key], "{key} of {step}");
            }
        }
    }
}
