//! 64 processes and 8 writers on one database: what an installation sees when all its servers start at once while
//! it is in use, and one of them is killed.

use std::time::{Duration, Instant};

use support::catalog::{last, last_of};
use support::{BridgeMigrate, CommandOutput, Population, Report, Running, Server, TestDatabase, proof};

use super::truth::Truth;
use super::{crowd_of, has_a_batch_of, logs, shared_the_work};

const PROCESSES: usize = 64;
const WRITERS: u64 = 8;
/// Each writer rests for so long between calls; eight of them keep the database busy all the same.
const REST: Duration = Duration::from_millis(10);
/// Generous: the crowd needs a tenth of it on two cores.
const PATIENCE: Duration = Duration::from_secs(120);

/// Says how long the writers' users waited.
fn print(report: &Report, kills: usize, what: &str) {
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    proof::count(PROCESSES as u64, "processes that migrate at once", what);
    if kills > 0 {
        proof::count(
            kills as u64,
            "holders of the lock killed, another took over",
            what,
        );
    }
    proof::count(
        report.calls(),
        &format!("calls of {WRITERS} writers"),
        format_args!(
            "{what}, {} errors, p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
            report.errors.len(),
            milliseconds(report.p50()),
            milliseconds(report.p99()),
            milliseconds(report.max()),
        ),
    );
}

/// Kills whoever holds the lock as soon as one more run has committed a batch of this migration.
fn kill_the_holder_in(version: u32, database: &TestDatabase, crowd: &mut Vec<Running>, so_far: usize) {
    let deadline = Instant::now() + PATIENCE;
    let batches = || {
        logs(database)
            .iter()
            .filter(|log| has_a_batch_of(version, log))
            .count()
    };
    while batches() <= so_far {
        assert!(Instant::now() < deadline, "V{version:03} never began");
        std::thread::sleep(Duration::from_millis(2));
    }
    let lock = database.folder().join("collab.db.migrate.lock");
    let text = std::fs::read_to_string(lock).unwrap();
    let holder: serde_json::Value = serde_json::from_str(&text).unwrap();
    let index = crowd.iter().position(|process| holder["pid"] == process.id());
    let output = crowd.swap_remove(index.unwrap()).kill();
    assert_eq!(output.code, None, "it had ended by itself: {output}");
}

/// Servers that may only start when the database is at a release.
fn standing_by(database: &TestDatabase) -> Vec<(u64, Running)> {
    [
        ("1.1.0", 5),
        ("1.1.0", 5),
        ("1.2.0", last_of("1.2.0").into()),
        ("latest", last().into()),
    ]
    .map(|(release, version)| {
        let wait =
            BridgeMigrate::new(database).args(["wait", "--for", release, "--timeout", "120", "--json"]);
        (version, wait.spawn())
    })
    .into()
}

fn assert_released(database: &TestDatabase, waiting: Vec<(u64, Running)>) {
    for (version, process) in waiting {
        let output = process.wait();
        output.assert_code(0);
        let there: u64 = database
            .query_string("SELECT max(version) FROM refinery_schema_history")
            .parse()
            .unwrap();
        let said = output.json()["version"].as_u64().unwrap();
        assert!(version <= said && said <= there, "{output}");
    }
}

/// The first version that the survivors had to apply: what killed runs had committed is not done again.
fn first_of_the_survivors(database: &TestDatabase, outputs: &[CommandOutput]) -> u64 {
    let runs = outputs.iter().map(|output| output.json()["run"].clone());
    let run = runs
        .filter_map(|run| run.as_str().map(str::to_owned))
        .next()
        .unwrap();
    let sql =
        format!("SELECT coalesce(max(version), 0) + 1 FROM migration_steps WHERE run <> '{run}' OR adopted");
    database.query_string(&sql).parse().unwrap()
}

fn a_1_0_0_database_in_use(wal: bool, seed: u64) {
    let database = TestDatabase::with(&Population {
        seed,
        ..Population::of_messages(20_000)
    });
    database.set_wal(wal);
    let truth = Truth::of(&database);
    let started = Instant::now();
    let server = Server::start_paced(&database.path(), WRITERS, REST);
    server.wait_for_calls(10 * WRITERS);
    let waiting = standing_by(&database);
    let mut crowd = crowd_of(PROCESSES, &database);
    kill_the_holder_in(5, &database, &mut crowd, 0);
    kill_the_holder_in(7, &database, &mut crowd, 0);
    assert_released(&database, waiting);
    let outputs: Vec<CommandOutput> = crowd.into_iter().map(Running::wait).collect();
    server.wait_for_calls(10 * WRITERS);
    let report = server.stop();
    print(
        &report,
        2,
        &format!("1.0.0, 20000 messages, {}", journal_mode(wal)),
    );
    report.assert_no_errors();
    assert_eq!(outputs.len(), PROCESSES - 2);
    let first = first_of_the_survivors(&database, &outputs);
    assert!((7..=8).contains(&first), "{first}");
    shared_the_work(&outputs, first..=last().into()).unwrap();
    truth.assert_holds(&database, &report);
    // Three processes worked, one after the other, and each had a restore point of its own.
    assert_eq!(database.count("migration_runs"), 3);
    assert!(started.elapsed() < PATIENCE);
}

fn journal_mode(wal: bool) -> &'static str {
    if wal {
        "write-ahead log"
    } else {
        "rollback journal"
    }
}

#[test]
fn a_database_in_use_is_migrated_though_holders_are_killed() {
    a_1_0_0_database_in_use(false, 161);
}

#[test]
fn a_database_in_use_in_wal_mode_is_migrated_though_holders_are_killed() {
    a_1_0_0_database_in_use(true, 162);
}

fn a_fresh_database_in_use(wal: bool) {
    let database = TestDatabase::nothing();
    let truth = Truth::of(&database);
    if wal {
        database.set_wal(true);
    }
    let started = Instant::now();
    let waiting = standing_by(&database);
    let mut crowd = crowd_of(PROCESSES / 2, &database);
    let server = Server::start_paced(&database.path(), WRITERS, REST);
    crowd.extend(crowd_of(PROCESSES / 2, &database));
    assert_released(&database, waiting);
    let outputs: Vec<CommandOutput> = crowd.into_iter().map(Running::wait).collect();
    server.wait_for_calls(10 * WRITERS);
    let report = server.stop();
    print(&report, 0, &format!("fresh, {}", journal_mode(wal)));
    report.assert_no_errors();
    let first = first_of_the_survivors(&database, &outputs);
    assert!((1..=2).contains(&first), "{first}");
    shared_the_work(&outputs, first..=last().into()).unwrap();
    truth.assert_holds(&database, &report);
    assert!(started.elapsed() < PATIENCE);
}

#[test]
fn servers_and_a_crowd_start_on_a_fresh_database() {
    a_fresh_database_in_use(false);
}

#[test]
fn servers_and_a_crowd_start_on_a_fresh_database_in_wal_mode() {
    a_fresh_database_in_use(true);
}
