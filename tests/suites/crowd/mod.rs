//! Many processes at once: each succeeds, one does the work, and a killed one is nobody's problem.

mod beside_servers;
mod going_back;
mod lock_file;
mod planted;
mod truth;

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use bridge_migrate::SCHEMA_VERSION;
use serde_json::Value;
use support::catalog::last;
use support::statements::run_statements_once;
use support::{BridgeMigrate, CommandOutput, Population, Running, Server, TestDatabase, dump};

use crate::common::{STRATEGYS_QUERY, assert_output, json, run, untouchable};

/// Processes that only wait for each other; with servers beside them there are more.
const CROWD: usize = 32;

fn crowd_of(number: usize, database: &TestDatabase) -> Vec<Running> {
    (0..number)
        .map(|_| BridgeMigrate::new(database).args(["migrate", "--json"]).spawn())
        .collect()
}

fn crowd(database: &TestDatabase) -> Vec<CommandOutput> {
    crowd_of(CROWD, database).into_iter().map(Running::wait).collect()
}

/// Whether everybody succeeded, and one of them, and only one, applied each of these migrations once.
fn shared_the_work(outputs: &[CommandOutput], expected: RangeInclusive<u64>) -> Result<(), String> {
    let mut worked = Vec::new();
    for output in outputs {
        if output.code != Some(0) {
            return Err(format!("one failed: {output}"));
        }
        let answer = output.json();
        if answer["to"]["release"] != SCHEMA_VERSION {
            return Err(format!("one did not see the end: {output}"));
        }
        let steps = answer["applied"].as_array().unwrap();
        if steps.is_empty() != answer["run"].is_null() {
            return Err(format!("a run without work, or work without a run: {output}"));
        }
        if !steps.is_empty() {
            let versions = steps.iter().map(|step| step["version"].as_u64().unwrap());
            worked.push(versions.collect::<Vec<u64>>());
        }
    }
    if worked == [expected.clone().collect::<Vec<u64>>()] {
        Ok(())
    } else {
        Err(format!(
            "{expected:?} were to be applied by one process, but: {worked:?}"
        ))
    }
}

#[track_caller]
fn assert_shared_the_work(outputs: &[CommandOutput], expected: RangeInclusive<u64>) {
    if let Err(why) = shared_the_work(outputs, expected) {
        panic!("{why}");
    }
}

#[test]
fn a_crowd_on_a_fresh_database_succeeds() {
    let database = TestDatabase::nothing();
    assert_shared_the_work(&crowd(&database), 1..=last().into());
    assert_eq!(database.query_string(STRATEGYS_QUERY), SCHEMA_VERSION);
    assert_eq!(database.count("migration_runs"), 1);
    run_statements_once(&database.path()).unwrap();
}

#[test]
fn a_crowd_on_a_1_0_0_database_succeeds() {
    let database = TestDatabase::populated(151);
    let before = untouchable(&database);
    assert_shared_the_work(&crowd(&database), 2..=last().into());
    dump::assert_same(&before, &untouchable(&database));
    // One worked, so one backup was made.
    assert_eq!(
        json(&database, &["backup", "list"])["backups"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(json(&database, &["status"])["lock"], Value::Null);
}

#[test]
fn servers_that_start_while_a_fresh_database_is_migrated_find_their_tables() {
    let database = TestDatabase::nothing();
    let running: Vec<Running> = (0..4)
        .map(|_| BridgeMigrate::new(&database).arg("migrate").spawn())
        .collect();
    let server = Server::start_paced(&database.path(), 2, Duration::from_millis(2));
    for process in running {
        process.wait().assert_code(0);
    }
    server.wait_for_calls(30);
    let report = server.stop();
    report.assert_no_errors();
    report.assert_nothing_lost(&database);
    assert_eq!(json(&database, &["status"])["release"], SCHEMA_VERSION);
}

/// A process that holds the migration lock and gets no further: the returned connection holds SQLite's own.
fn holder(database: &TestDatabase) -> (Running, rusqlite::Connection) {
    let writer = database.connect();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let process = BridgeMigrate::new(database)
        .args(["migrate", "--no-backup"])
        .spawn();
    let deadline = Instant::now() + Duration::from_secs(30);
    while json(database, &["status"])["lock"] == Value::Null {
        assert!(Instant::now() < deadline, "nobody took the lock");
        std::thread::sleep(Duration::from_millis(20));
    }
    (process, writer)
}

#[test]
fn the_holder_is_named_by_status_and_past_the_timeout() {
    let database = TestDatabase::populated(153);
    let (process, writer) = holder(&database);
    let lock = json(&database, &["status"])["lock"].clone();
    assert_eq!(lock["pid"], process.id());
    assert_eq!(lock["command"], "migrate");
    assert!(
        run(&database, &["status"])
            .stdout
            .contains(&process.id().to_string())
    );
    let output = BridgeMigrate::new(&database)
        .args(["migrate", "--lock-timeout", "1"])
        .run();
    output.assert_code(4);
    assert!(
        output.stderr.contains(&format!("process {} on", process.id())),
        "{output}"
    );
    assert_output("migrate_locked", &output);
    writer.execute_batch("ROLLBACK").unwrap();
    process.wait().assert_code(0);
    assert_eq!(json(&database, &["status"])["lock"], Value::Null);
}

#[test]
fn whoever_waits_takes_over_from_a_killed_holder() {
    let database = TestDatabase::populated(154);
    let before = untouchable(&database);
    let (process, writer) = holder(&database);
    let mut waiting = BridgeMigrate::new(&database).args(["migrate", "--json"]).spawn();
    std::thread::sleep(Duration::from_millis(200));
    assert!(waiting.is_running());
    assert_eq!(process.kill().code, None);
    writer.execute_batch("ROLLBACK").unwrap();
    let output = waiting.wait();
    assert_shared_the_work(&[output], 2..=last().into());
    dump::assert_same(&before, &untouchable(&database));
}

/// What each run so far has logged.
fn logs(database: &TestDatabase) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(database.root().join("logs")) else {
        return Vec::new();
    };
    entries
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect()
}

/// Whether a run has committed a batch of this migration.
fn has_a_batch_of(version: u32, log: &str) -> bool {
    log.contains(&format!("\"event\":\"batch_committed\",\"version\":{version},"))
}

#[test]
fn a_run_that_is_killed_in_the_middle_is_finished_by_the_next() {
    let database = TestDatabase::with(&Population {
        seed: 155,
        ..Population::of_messages(30_000)
    });
    let before = untouchable(&database);
    let timestamps = "SELECT timestamp FROM messages ORDER BY rowid";
    let reference = {
        let copy = TestDatabase::nothing();
        std::fs::copy(database.path(), copy.path()).unwrap();
        run(&copy, &["migrate", "--no-backup"]);
        copy.query_strings(timestamps)
    };
    let process = BridgeMigrate::new(&database)
        .args(["migrate", "--no-backup"])
        .spawn();
    // The first batch of V005 is committed, and more are to come.
    let deadline = Instant::now() + Duration::from_secs(60);
    while !logs(&database).iter().any(|log| has_a_batch_of(5, log)) {
        assert!(Instant::now() < deadline, "V005 never began");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(process.kill().code, None);
    let status = json(&database, &["status"]);
    assert_eq!(status["version"], 4);
    assert_eq!(status["interrupted"]["version"], 5);
    assert!(run(&database, &["status"]).stdout.contains("V005"));
    assert_shared_the_work(&crowd(&database), 5..=last().into());
    dump::assert_same(&before, &untouchable(&database));
    assert!(database.query_strings(timestamps) == reference);
    assert_eq!(json(&database, &["status"])["interrupted"], Value::Null);
}
