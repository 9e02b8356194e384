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
