//! An operator removes the lock file while somebody holds it: whoever comes next makes another file of that name,
//! and two processes hold a lock each. SQLite's own lock and the history, read again under it, keep them apart.

use std::fs;
use std::time::{Duration, Instant};

use support::{CommandOutput, Population, Running, Server, TestDatabase, proof};

use super::truth::Truth;
use super::{crowd_of, has_a_batch_of, logs};

/// Waits until a run has committed a batch of this migration.
fn wait_for_a_batch_of(version: u32, database: &TestDatabase) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !logs(database).iter().any(|log| has_a_batch_of(version, log)) {
        assert!(Instant::now() < deadline, "V{version:03} never began");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn remove_the_lock_file_in_the_middle(database: &TestDatabase) -> Vec<CommandOutput> {
    // These wait for the file that is to go, and those come when it is gone.
    let mut crowd: Vec<Running> = crowd_of(6, database);
    for version in [5, 7] {
        wait_for_a_batch_of(version, database);
        fs::remove_file(database.folder().join("collab.db.migrate.lock")).unwrap();
        crowd.extend(crowd_of(6, database));
    }
    crowd.into_iter().map(Running::wait).collect()
}

#[test]
fn a_lock_file_that_is_removed_in_the_middle_lets_nothing_be_done_twice() {
    let mut overtaken = 0;
    for (wal, served) in [(false, true), (true, true), (false, false)] {
        let database = TestDatabase::with(&Population {
            seed: 163,
            ..Population::of_messages(10_000)
        });
        database.set_wal(wal);
        let truth = Truth::of(&database);
        let server = served.then(|| Server::start_paced(&database.path(), 2, Duration::from_millis(5)));
        let outputs = remove_the_lock_file_in_the_middle(&database);
        let report = server.map(Server::stop).unwrap_or_default();
        report.assert_no_errors();
        for output in &outputs {
            // Whoever was overtaken stops. If it had committed something before, it says where the database is.
            if output.code == Some(0) {
                continue;
            }
            let error = &output.json()["error"];
            assert_eq!(error["kind"], "busy", "{output}");
            let reached = &error["reached"]["version"];
            output.assert_code(if reached.is_null() { 1 } else { 3 });
            if let Some(version) = reached.as_u64() {
                let truth = format!("(V{version:03}).");
                assert!(error["truth"].as_str().unwrap().contains(&truth), "{output}");
            }
        }
        overtaken += outputs.iter().filter(|output| output.code != Some(0)).count();
        truth.assert_holds(&database, &report);
    }
    proof::count(
        6,
        "lock files removed under their holder",
        format_args!("{overtaken} of 54 processes were overtaken, nothing was done twice"),
    );
}
