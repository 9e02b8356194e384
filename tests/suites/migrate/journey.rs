//! One command takes a 1.0.0 database to the newest release with nothing lost.

use bridge_migrate::SCHEMA_VERSION;
use support::catalog::{CATALOG, last, release_at};
use support::statements::run_statements_once;
use support::{Nasty, TestDatabase, dump};

use crate::common::{STRATEGYS_QUERY, assert_output, json, of_operators, run, tree, untouchable, violations};

/// What the issue asks of any database that has arrived, but for its rows.
fn assert_arrived(database: &TestDatabase) {
    assert_eq!(database.query_string(STRATEGYS_QUERY), SCHEMA_VERSION);
    assert_eq!(database.query_string("PRAGMA integrity_check"), "ok");
    let status = json(database, &["status"]);
    assert_eq!(status["release"], SCHEMA_VERSION);
    assert_eq!(status["version"], last());
    assert_eq!(status["managed"], true);
    assert_eq!(status["pending"], serde_json::json!([]));
    assert_eq!(status["drift"], serde_json::json!([]));
    assert_eq!(status["lock"], serde_json::Value::Null);
}

#[test]
fn a_production_database_arrives_with_every_row() {
    let database = TestDatabase::populated(11);
    let before = untouchable(&database);
    let output = run(&database, &["migrate", "--to", "1.2.0"]);
    assert_output("migrate_populated", &output);
    run(&database, &["migrate"]);
    dump::assert_same(&before, &untouchable(&database));
    assert_arrived(&database);
    assert_eq!(
        database.query_strings("SELECT DISTINCT preferences FROM rooms"),
        ["{}"]
    );
    assert_eq!(
        database.query_strings("SELECT DISTINCT metadata FROM members"),
        ["{}"]
    );
    for table in ["reactions", "message_revisions"] {
        assert_eq!(database.count(table), 0, "{table}");
    }
    for _ in 0..2 {
        run_statements_once(&database.path()).unwrap();
    }
    assert_eq!(json(&database, &["status"])["drift"], serde_json::json!([]));
}

#[test]
fn a_database_with_everything_odd_arrives_with_every_row() {
    for seed in [12, 13] {
        let database = TestDatabase::nasty(seed);
        let (before, operators, old_violations) = (
            untouchable(&database),
            of_operators(&database),
            violations(&database),
        );
        assert!(!old_violations.is_empty());
        run(&database, &["migrate"]);
        dump::assert_same(&before, &untouchable(&database));
        dump::assert_same(&operators, &of_operators(&database));
        assert_eq!(violations(&database), old_violations);
        assert_arrived(&database);
        for view in ["operators_view", "\"view of a view\""] {
            database.query_strings(&format!("SELECT * FROM {view}"));
        }
        run_statements_once(&database.path()).unwrap();
    }
}

#[test]
fn an_operators_trigger_that_fires_on_updates_does_not_stop_it() {
    let nasty = Nasty {
        seed: 14,
        chain: 20,
        trigger_on_update: true,
        ..Nasty::default()
    };
    let database = TestDatabase::with_nasty(&nasty);
    let (before, log) = (untouchable(&database), database.count("operator's \"log\""));
    run(&database, &["migrate"]);
    dump::assert_same(&before, &untouchable(&database));
    // The trigger did what it always does: it is the operators' own.
    assert!(database.count("operator's \"log\"") >= log);
    assert_arrived(&database);
}

#[test]
fn status_is_true_and_the_server_works_at_each_point() {
    let database = TestDatabase::populated(15);
    let status = json(&database, &["status"]);
    assert_eq!(
        (&status["version"], &status["managed"]),
        (&0.into(), &false.into())
    );
    assert_eq!(status["release"], serde_json::Value::Null);
    assert_eq!(status["adoptable"]["version"], 1);
    for version in 1..=last() {
        let before = untouchable(&database);
        let target = version.to_string();
        let answer = json(&database, &["migrate", "--to", &target, "--no-backup"]);
        assert_eq!(answer["to"]["version"], version);
        dump::assert_same(&before, &untouchable(&database));
        let status = json(&database, &["status"]);
        assert_eq!(status["version"], version);
        assert_eq!(status["release"], release_at(version));
        assert_eq!(status["managed"], true);
        assert_eq!(status["drift"], serde_json::json!([]), "at {version}");
        let pending: Vec<_> = CATALOG
            .migrations()
            .iter()
            .skip(version as usize)
            .map(|next| {
                serde_json::json!({
                    "version": next.version,
                    "name": next.name,
                    "release": next.release.to_string(),
                    "phase": next.phase.to_string(),
                })
            })
            .collect();
        assert_eq!(status["pending"], serde_json::Value::Array(pending));
        assert_eq!(database.query_string(STRATEGYS_QUERY), release_at(version));
        run_statements_once(&database.path()).unwrap();
    }
    assert_arrived(&database);
}

#[test]
fn a_second_run_changes_no_byte_anywhere() {
    let database = TestDatabase::nasty(16);
    run(&database, &["migrate"]);
    let before = tree(database.root());
    let again = run(&database, &["migrate"]);
    assert_output("migrate_again", &again);
    assert_eq!(json(&database, &["migrate"])["applied"], serde_json::json!([]));
    assert_eq!(tree(database.root()), before);
}

#[test]
fn a_database_in_write_ahead_mode_stays_in_it() {
    let database = TestDatabase::nasty(17);
    database.set_wal(true);
    let before = untouchable(&database);
    // A server that has the database open, with rows that are in the log only.
    let server = database.connect();
    server
        .execute_batch("PRAGMA wal_autocheckpoint = 0; UPDATE tasks SET completed = completed")
        .unwrap();
    run(&database, &["migrate"]);
    dump::assert_same(&before, &untouchable(&database));
    drop(server);
    assert_eq!(database.query_string("PRAGMA journal_mode"), "wal");
    assert_arrived(&database);
    run_statements_once(&database.path()).unwrap();
}

#[test]
fn a_fresh_database_has_the_schema_of_a_migrated_one() {
    let fresh = TestDatabase::nothing();
    let answer = json(&fresh, &["migrate"]);
    assert_eq!(answer["from"]["version"], 0);
    assert_eq!(answer["backup"], serde_json::Value::Null);
    assert_arrived(&fresh);
    let migrated = TestDatabase::fresh_1_0_0();
    json(&migrated, &["migrate"]);
    let difference = json(&fresh, &["schema", "diff", migrated.path().to_str().unwrap()]);
    assert_eq!(difference["differences"], serde_json::json!([]));
    run_statements_once(&fresh.path()).unwrap();
}

#[test]
fn the_default_place_is_made_and_found() {
    let database = TestDatabase::nothing_in("elsewhere");
    let place = database.root().join("data/collab.db");
    let bare = |arguments: &[&str]| support::BridgeMigrate::bare(&database).args(arguments).run();
    bare(&["migrate"]).assert_code(0);
    assert!(place.is_file());
    assert_eq!(bare(&["status", "--json"]).json()["release"], SCHEMA_VERSION);
}
