//! The prover can fail: bugs that it must find, each beside the same thing done right.
#![cfg(unix)]
#![allow(
    clippy::print_stdout,
    reason = "the counts are for whoever reads the tests' output"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "the tests play an engine with bugs, which opens the database in its own way"
)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::path::Path;

use crash::disk::Forgotten;
use crash::options::Options;
use crash::prover::{Effort, Prover};
use crash::scenario::{Command, Scenario};
use rusqlite::Connection;

/// The environment is for the other tests: here it must not decide what is tried.
const OPTIONS: Options = Options {
    seed: 1,
    all: false,
    case: None,
    point: None,
};

fn migration(wal: bool) -> Prover {
    Prover::record(Scenario::new(Command::Migrate, wal, OPTIONS.seed))
}

/// One transaction, whose rollback journal is made for it and removed.
fn adoption() -> Prover {
    Prover::record(Scenario::new(Command::Adopt, false, OPTIONS.seed))
}

fn failures(prover: &Prover, forgotten: Forgotten) -> Vec<String> {
    let proof = prover.prove(&OPTIONS, Effort { reruns: 0, forgotten });
    println!(
        "{} with {forgotten:?} forgotten: {} of {} points fail",
        prover.scenario.name(),
        proof.failures.len(),
        proof.points
    );
    proof.failures
}

#[track_caller]
fn assert_caught(failures: &[String], how: &str) {
    assert!(
        failures.iter().any(|failure| failure.contains(how)),
        "nobody says {how:?}: {:?}",
        failures.first()
    );
}

#[test]
fn a_missing_sync_of_the_journal_is_found() {
    let prover = migration(false);
    assert_eq!(failures(&prover, Forgotten::None), [""; 0]);
    let found = failures(&prover, Forgotten::Of(crash::trace::Name::Journal));
    assert_caught(&found, "integrity_check");
    assert_caught(&found, "the engine said");
    let found = failures(&prover, Forgotten::Of(crash::trace::Name::Database));
    assert_caught(&found, "integrity_check");
}

#[test]
fn a_missing_sync_of_a_deletion_is_found() {
    let prover = adoption();
    assert_eq!(failures(&prover, Forgotten::None), [""; 0]);
    let found = failures(&prover, Forgotten::Deletions);
    assert_caught(&found, "the engine said");
}

#[test]
fn a_missing_sync_of_the_log_is_found() {
    let prover = migration(true);
    assert_eq!(failures(&prover, Forgotten::None), [""; 0]);
    let found = failures(&prover, Forgotten::Of(crash::trace::Name::Log));
    assert_caught(&found, "the engine said");
    let found = failures(&prover, Forgotten::Of(crash::trace::Name::Database));
    assert!(!found.is_empty());
}

/// An engine that applies V002 by hand, with a commit before the history row or without.
fn apply_v002(prover: &Prover, database: &Path, commit_between: bool) {
    prover.scenario.migrate_to(database, 1);
    let connection = Connection::open(database).unwrap();
    let up = &prover.scenario.catalog().get(2).unwrap().up;
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    connection.execute_batch(up).unwrap();
    if commit_between {
        connection.execute_batch("COMMIT; BEGIN IMMEDIATE").unwrap();
    }
    let records = "\
        INSERT INTO refinery_schema_history SELECT 2, name, applied_on, checksum FROM refinery_schema_history;
        CREATE TEMP TABLE step AS SELECT * FROM migration_steps;
        UPDATE step SET version = 2;
        INSERT INTO migration_steps SELECT * FROM step;
        UPDATE migration_runs SET reached_version = 2;
        COMMIT";
    connection.execute_batch(records).unwrap();
}

#[test]
fn a_history_row_outside_its_transaction_is_found() {
    let mut prover = migration(false);
    for commit_between in [false, true] {
        prover.trace = prover
            .scenario
            .record_by(|database| apply_v002(&prover, database, commit_between));
        let found = failures(&prover, Forgotten::None);
        if commit_between {
            assert_caught(&found, "the history says V001, the schema differs");
        } else {
            assert_eq!(found, [""; 0]);
        }
    }
}

/// An engine that moves a first batch of V005 by hand, with a commit before the journal rows or without.
fn move_a_batch(prover: &Prover, database: &Path, commit_between: bool) {
    prover.scenario.migrate_to(database, 4);
    let connection = Connection::open(database).unwrap();
    connection
        .execute("ATTACH ?1 AS done", [prover.after.database().to_str().unwrap()])
        .unwrap();
    let batch = "\
        CREATE TEMP TABLE batch AS
            SELECT j.* FROM done.migration_affected_records AS j WHERE j.migration = 5 ORDER BY j.seq LIMIT 50;
        DETACH done;
        BEGIN IMMEDIATE;
        UPDATE messages SET timestamp = (SELECT new_value FROM batch WHERE row_id = messages.rowid)
            WHERE rowid IN (SELECT row_id FROM batch);
        INSERT INTO migration_progress VALUES (5, 'normalize_timestamps', '1.1.0',
            'journal messages.timestamp', 'up', '51', 50, 50, 0, 0, '');";
    connection.execute_batch(batch).unwrap();
    if commit_between {
        connection.execute_batch("COMMIT; BEGIN IMMEDIATE").unwrap();
    }
    connection
        .execute_batch("INSERT INTO migration_affected_records SELECT * FROM batch; COMMIT")
        .unwrap();
}

#[test]
fn a_journal_row_outside_its_batch_is_found() {
    let mut prover = migration(false);
    for commit_between in [false, true] {
        prover.trace = prover
            .scenario
            .record_by(|database| move_a_batch(&prover, database, commit_between));
        let found = failures(&prover, Forgotten::None);
        if commit_between {
            assert_caught(&found, "the journal does not have it");
        } else {
            assert_eq!(found, [""; 0]);
        }
    }
}
