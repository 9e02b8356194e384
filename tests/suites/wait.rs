//! `wait`: a server starts when the database is there, and not before.

use std::time::{Duration, Instant};

use bridge_migrate::SCHEMA_VERSION;
use support::catalog::{last, position_of};
use support::{BridgeMigrate, TestDatabase};

use crate::common::{assert_output, json, refused, run, tree};

#[test]
fn a_database_that_is_there_is_not_waited_for() {
    let database = TestDatabase::populated(131);
    run(&database, &["migrate"]);
    let before = tree(database.root());
    for target in ["1.0.0", "1.2.0", "V005", "9", "latest"] {
        let answer = json(&database, &["wait", "--for", target, "--timeout", "0"]);
        assert_eq!(answer["version"], last(), "{target}");
    }
    assert_eq!(tree(database.root()), before);
}

#[test]
fn a_server_waits_while_another_process_migrates() {
    // From no file at all to the last release, in three steps of other processes.
    let database = TestDatabase::nothing();
    let mut waiting = BridgeMigrate::new(&database)
        .args(["wait", "--for", "latest", "--timeout", "60", "--json"])
        .spawn();
    for target in ["V001", "1.1.0"] {
        run(&database, &["migrate", "--to", target]);
        std::thread::sleep(Duration::from_millis(150));
        assert!(waiting.is_running(), "after {target}");
    }
    run(&database, &["migrate"]);
    let output = waiting.wait();
    output.assert_code(0);
    assert_eq!(output.json()["release"], SCHEMA_VERSION);
    assert!(output.json()["waited_ms"].as_u64().unwrap() >= 300);
}

#[test]
fn after_the_timeout_it_says_where_the_database_is() {
    let database = TestDatabase::populated(132);
    run(&database, &["migrate", "--to", "1.1.0", "--no-backup"]);
    let before = tree(database.root());
    let started = Instant::now();
    let output = BridgeMigrate::new(&database)
        .args(["wait", "--for", "1.2.0", "--timeout", "1"])
        .run();
    assert!(started.elapsed() >= Duration::from_secs(1));
    output.assert_code(4);
    assert_output("wait_timeout", &output);
    assert_eq!(
        refused(&database, &["wait", "--for", "1.2.0", "--timeout", "0"], 4)["kind"],
        "timeout"
    );
    assert_eq!(tree(database.root()), before);
}

#[test]
fn what_can_never_come_is_not_waited_for() {
    let database = TestDatabase::fresh_1_0_0();
    let started = Instant::now();
    for target in ["V099", "3.0.0", "+1", "soon"] {
        refused(&database, &["wait", "--for", target], 2);
    }
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[test]
fn of_a_database_that_is_not_managed_it_says_what_status_says() {
    let said = |database: &TestDatabase, target: &str| {
        let error = refused(database, &["wait", "--for", target, "--timeout", "0"], 4);
        assert!(error["hint"].as_str().unwrap().ends_with(" migrate"), "{error}");
        error["message"].as_str().unwrap().to_owned()
    };
    let database = TestDatabase::populated(133);
    assert_eq!(
        said(&database, "1.2.0"),
        format!(
            "after 0 s the database is not managed yet: it looks like 1.0.0 (V001), and {} was waited for",
            position_of("1.2.0")
        )
    );
    assert_eq!(
        said(&database, "0"),
        "after 0 s the database is not managed yet: it looks like 1.0.0 (V001), and V000 was waited for"
    );
    database.execute("ALTER TABLE rooms ADD COLUMN odd");
    assert_eq!(
        said(&database, "0"),
        "after 0 s the database is not managed, and its schema is that of no version; V000 was waited for"
    );
    assert_eq!(
        said(&TestDatabase::nothing(), "0"),
        "after 0 s the database is not there yet; V000 was waited for"
    );
}
