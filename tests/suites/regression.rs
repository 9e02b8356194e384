//! What once went wrong, each told by what its users saw.

use std::time::Duration;

use bridge_migrate::SCHEMA_VERSION;
use support::schema_1_0_0::start_up;
use support::statements::run_statements_once;
use support::{BridgeMigrate, TestDatabase};

use crate::common::{assert_output, json, refused, run};

/// `migrate` failed with "table rooms already exists", or refused the schema, when it was started together with a
/// server on a new database: the server makes its tables one by one.
#[test]
fn a_server_in_the_middle_of_its_first_start_is_waited_for() {
    let database = TestDatabase::nothing();
    for sql in start_up().take(4) {
        database.execute(sql);
    }
    let process = BridgeMigrate::new(&database).args(["migrate", "--json"]).spawn();
    std::thread::sleep(Duration::from_millis(300));
    for sql in start_up().skip(4) {
        database.execute(sql);
    }
    let output = process.wait();
    output.assert_code(0);
    assert_eq!(output.json()["adopted"]["version"], 1);
    run_statements_once(&database.path()).unwrap();
}

/// Tables that are missing where there are rows are no first start: the refusal comes, and at once.
#[test]
fn missing_tables_beside_rows_are_refused_without_waiting() {
    let database = TestDatabase::populated(181);
    database.execute("DROP TABLE votes");
    assert_eq!(refused(&database, &["migrate"], 1)["kind"], "schema_mismatch");
}

/// `log` showed the run before the last when both began within one second: their names are random.
#[test]
fn the_newest_log_is_that_of_the_last_run_also_within_a_second() {
    let database = TestDatabase::populated(182);
    for version in 2..=7 {
        let target = version.to_string();
        let answer = json(&database, &["migrate", "--no-backup", "--to", &target]);
        let newest = json(&database, &["log"]);
        assert_eq!(newest["file"], answer["log"], "after V00{version}");
        assert_eq!(newest["events"][0]["run"], answer["run"]);
    }
}

/// A damaged database was answered with `ls -ld`, which shows nothing of it.
#[test]
fn a_damaged_database_is_answered_with_the_backups() {
    let database = TestDatabase::populated(183);
    run(&database, &["backup", "create"]);
    database.damage(100, &[0xff; 200]);
    let error = refused(&database, &["migrate"], 6);
    assert!(
        error["hint"].as_str().unwrap().ends_with("backup list"),
        "{error}"
    );
    // And that leads on.
    run(&database, &["backup", "list"]);
    run(&database, &["restore", "latest"]);
    assert_eq!(json(&database, &["migrate"])["to"]["release"], SCHEMA_VERSION);
}

/// A slip in `--tokens` migrated a database without its tokens, and said nothing of it.
#[test]
fn a_token_file_that_is_not_there_is_told() {
    let database = TestDatabase::populated(184);
    let slip = database.folder().join("token.json");
    let output = BridgeMigrate::new(&database)
        .arg("--tokens")
        .arg(&slip)
        .args(["migrate", "--to", "V004"])
        .run();
    output.assert_code(0);
    assert_output("tokens_missing", &output);
    // Nothing is lost: the import can be run again.
    assert_eq!(database.count("auth_tokens"), 0);
    assert_eq!(json(&database, &["tokens", "import"])["added"], 46);
    // A new database has no token file yet, and that is no news.
    let fresh = run(&TestDatabase::nothing(), &["migrate"]);
    assert!(!fresh.stderr.contains("tokens.json"), "{fresh}");
}
