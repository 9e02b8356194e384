//! `restore` and `rollback --strategy restore` beside servers: a row of which a server was told that it is written is in
//! the database, or in the backup that secured what was overwritten.

use std::time::Duration;

use support::{Server, TestDatabase, proof};

use crate::common::{json, run};

const WRITERS: u64 = 3;
const ROUNDS: usize = 5;
/// Calls of the writers between two restores, so that each of them overwrites something.
const CALLS: u64 = 30;

#[test]
fn what_servers_wrote_before_a_restore_is_in_the_backup_that_secured_it() {
    for (wal, seed) in [(false, 171), (true, 172)] {
        let database = TestDatabase::populated(seed);
        database.set_wal(wal);
        run(&database, &["migrate", "--no-backup", "--to", "1.0.0"]);
        let backup = json(&database, &["backup", "create"]);
        let server = Server::start_paced(&database.path(), WRITERS, Duration::from_millis(1));
        for _ in 0..ROUNDS {
            server.wait_for_calls(CALLS);
            run(&database, &["restore", backup["database"].as_str().unwrap()]);
            server.wait_for_calls(CALLS);
            run(&database, &["migrate"]);
            server.wait_for_calls(CALLS);
            let back = ["rollback", "--to", "1.0.0", "--strategy", "restore", "--yes"];
            let answer = json(&database, &back);
            assert!(!answer["loses"].as_array().unwrap().is_empty(), "{answer}");
        }
        server.wait_for_calls(CALLS);
        let report = server.stop();
        report.assert_no_errors();
        let secured = database.secured();
        assert_eq!(secured.len(), 2 * ROUNDS);
        let (overwritten, lost) = (report.lost(&database), report.lost_from(&database, &secured));
        assert!(overwritten.len() > ROUNDS, "nothing was at stake");
        assert!(
            lost.is_empty(),
            "{} rows are lost: {:#?}",
            lost.len(),
            &lost[..lost.len().min(10)]
        );
        assert_eq!(database.query_string("PRAGMA integrity_check"), "ok");
        proof::count(
            report.rows_written() as u64,
            "rows written beside restores and rollbacks",
            format_args!("{} of them only in backups; wal: {wal}", overwritten.len()),
        );
    }
}
