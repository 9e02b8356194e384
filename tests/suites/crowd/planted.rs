//! What the suite would not notice, it would not prove: each kind of damage is done here on purpose, and noticed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::Backup;
use support::catalog::last;
use support::database::connect_to_copy;
use support::{CommandOutput, Report, Server, TestDatabase};

use super::shared_the_work;
use super::truth::Truth;
use crate::common::{json, run};

#[test]
fn a_lock_that_is_held_for_too_long_loses_calls_of_the_servers_users() {
    let database = TestDatabase::populated(164);
    let server = Server::start_paced(&database.path(), 8, Duration::from_millis(10));
    server.wait_for_calls(80);
    // A migrator without a budget.
    let migrator = database.connect();
    migrator.execute_batch("BEGIN IMMEDIATE").unwrap();
    std::thread::sleep(Duration::from_millis(6_500));
    migrator.execute_batch("ROLLBACK").unwrap();
    server.wait_for_calls(80);
    let report = server.stop();
    assert!(
        report.errors.iter().any(|error| error.contains("locked")),
        "{:?}",
        report.errors
    );
    assert!(report.max() >= Duration::from_secs(5), "{:?}", report.max());
    assert!(std::panic::catch_unwind(|| report.assert_no_errors()).is_err());
    // What was not written is not lost: its user was told.
    report.assert_nothing_lost(&database);
}

#[test]
fn a_restore_that_secures_first_and_overwrites_later_loses_rows() {
    for wal in [false, true] {
        let database = TestDatabase::populated(170);
        database.set_wal(wal);
        let backup = json(&database, &["backup", "create"]);
        let restored = connect_to_copy(Path::new(backup["database"].as_str().unwrap()));
        let server = Server::start_paced(&database.path(), 3, Duration::from_millis(1));
        server.wait_for_calls(30);
        let secured = json(&database, &["backup", "create"]);
        // It is checked, and gets its manifest, while servers go on.
        server.wait_for_calls(30);
        let mut live = database.connect();
        Backup::new(&restored, &mut live)
            .unwrap()
            .run_to_completion(i32::MAX, Duration::from_millis(1), None)
            .unwrap();
        server.wait_for_calls(30);
        let report = server.stop();
        report.assert_no_errors();
        let copies = [PathBuf::from(secured["database"].as_str().unwrap())];
        let lost = report.lost_from(&database, &copies);
        assert!(!lost.is_empty(), "nobody would notice");
        assert!(
            lost.len() < report.lost(&database).len(),
            "the backup has the others"
        );
    }
}

/// A database that was migrated beside a server, with what is true of it.
fn migrated_beside_a_server() -> (TestDatabase, Truth, Report) {
    let database = TestDatabase::populated(165);
    let truth = Truth::of(&database);
    let server = Server::start_paced(&database.path(), 2, Duration::from_millis(5));
    server.wait_for_calls(40);
    run(&database, &["migrate", "--no-backup"]);
    server.wait_for_calls(40);
    let report = server.stop();
    report.assert_no_errors();
    (database, truth, report)
}

#[test]
fn damage_of_every_kind_breaks_the_truth() {
    let (database, truth, report) = migrated_beside_a_server();
    truth.assert_holds(&database, &report);
    let whole = std::fs::read(database.path()).unwrap();
    let of_the_server = "id LIKE 'message-of-server%'";
    for (what, sql) in [
        ("a server's row is deleted", format!("DELETE FROM messages WHERE id = (SELECT id FROM messages WHERE {of_the_server} LIMIT 1)")),
        ("an old row is deleted", "DELETE FROM messages WHERE rowid = 7".to_owned()),
        ("a server's row is changed", "UPDATE files SET content = X'00' WHERE id LIKE 'file-of-server%'".to_owned()),
        ("an old row is changed", "UPDATE tasks SET text = text || ' ' WHERE rowid = 3".to_owned()),
        ("a row of nobody's", "INSERT INTO messages SELECT 'x', room_id, from_client, text, timestamp, type, channel, NULL, 'x', NULL, NULL FROM messages WHERE rowid = 1".to_owned()),
        ("a row is there twice", "INSERT INTO code_executions SELECT NULL, room_id, executed_by, executed_at, language, code, output, error, exit_code, execution_time_ms FROM code_executions WHERE rowid = 1".to_owned()),
        ("a value goes back", "UPDATE messages SET timestamp = (SELECT old_value FROM migration_affected_records WHERE seq = 1) WHERE id = (SELECT id FROM migration_affected_records WHERE seq = 1)".to_owned()),
        ("a server's message is in no thread", format!("UPDATE messages SET thread_id = NULL WHERE {of_the_server}")),
        ("a journal row is missing", "DELETE FROM migration_affected_records WHERE seq = 1".to_owned()),
        ("a journal row is there twice", "INSERT INTO migration_affected_records SELECT NULL, migration, table_name, column_name, row_id, id, old_value, new_value, undone_by FROM migration_affected_records WHERE seq = 1".to_owned()),
        ("a version is not in the history", "DELETE FROM refinery_schema_history WHERE version = 5".to_owned()),
        ("a release is recorded twice", "INSERT INTO schema_version SELECT '1.2.0 ', applied_at, migration_file FROM schema_version WHERE version = '1.2.0'".to_owned()),
        ("a step is recorded as unfinished", "INSERT INTO migration_progress VALUES (7, 'message_threads_backfill', '1.2.0', 'down', 'up', 'scan 0', 1, 1, 0, 1, '')".to_owned()),
    ] {
        std::fs::write(database.path(), &whole).unwrap();
        database.execute(&sql);
        assert!(!truth.broken(&database, &report).is_empty(), "{what}");
    }
}

#[test]
fn work_that_is_done_twice_or_not_at_all_is_no_sharing() {
    let migrate = |seed| -> CommandOutput {
        let database = TestDatabase::populated(seed);
        run(&database, &["migrate", "--no-backup", "--json"])
    };
    let worker = migrate(166);
    let database = TestDatabase::populated(167);
    run(&database, &["migrate", "--no-backup"]);
    let idle = run(&database, &["migrate", "--json"]);
    let half = TestDatabase::populated(168);
    run(&half, &["migrate", "--no-backup", "--to", "1.1.0"]);
    let second_half = run(&half, &["migrate", "--no-backup", "--json"]);

    let mut failed = idle.clone();
    failed.code = Some(1);

    assert_eq!(
        shared_the_work(&[worker.clone(), idle.clone()], 2..=last().into()),
        Ok(())
    );
    for (what, outputs) in [
        ("nobody worked", vec![idle.clone(), idle.clone()]),
        ("both did all", vec![worker.clone(), migrate(169)]),
        ("one did a part again", vec![worker.clone(), second_half.clone()]),
        ("one did a part only", vec![second_half, idle.clone()]),
        ("one failed", vec![worker, failed]),
    ] {
        assert!(shared_the_work(&outputs, 2..=last().into()).is_err(), "{what}");
    }
}
