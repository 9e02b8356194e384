//! The real program is killed (SIGKILL) at random moments, with the server's statements running beside it.
#![cfg(unix)]
#![allow(
    clippy::disallowed_methods,
    reason = "the tests play the operator, who opens the database in their own way"
)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says so by panicking"
)]

use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crash::options::{Options, number};
use crash::prover::open;
use crash::truth::{Truth, content, first_difference};
use rusqlite::Connection;
use support::catalog::last;
use support::engine::in_memory;
use support::proof;
use support::random::{Random, mix};
use support::{BridgeMigrate, Population, Server, TestDatabase};

/// Kills that must have met a running program; `CRASH_KILLS` says another number.
const KILLS: u64 = 300;
/// Kills of each way back.
const KILLS_BACK: u64 = 60;
/// Kills of each way back by a restore beside servers.
const KILLS_SERVED: u64 = 10;
/// The cores of the smallest machine that this runs on.
const WORKERS: u64 = 2;
/// Of so many runs, one has a server beside it.
const SERVED: u64 = 3;

/// What the kills of one command came to.
#[derive(Default)]
struct Tally {
    kills: AtomicU64,
    ended: AtomicU64,
    served: AtomicU64,
    /// How long a run may take before it is killed; found by trying, since machines are busy at times.
    longest: Mutex<Duration>,
    /// Versions in which the kills left the database, and how often.
    left: Mutex<BTreeMap<String, u64>>,
}

/// A database before and after the command, and how long that takes.
struct Sample {
    bytes: [Vec<u8>; 2],
    tokens: Vec<u8>,
    original: TestDatabase,
    migrated: TestDatabase,
    usual: Duration,
    content: String,
}

impl Sample {
    fn new(wal: bool, seed: u64) -> Self {
        in_memory();
        let original = TestDatabase::with(&Population {
            seed,
            odd_timestamps: 50,
            ..Population::of_messages(2000)
        });
        original.set_wal(wal);
        let tokens = fs::read(original.tokens()).unwrap();
        let before = fs::read(original.path()).unwrap();
        let migrated = place(&before, &tokens);
        // The first run of all builds the program.
        support::command::binary();
        let started = Instant::now();
        assert_eq!(BridgeMigrate::new(&migrated).arg("migrate").run().code, Some(0));
        let usual = started.elapsed();
        let after = fs::read(migrated.path()).unwrap();
        let content = content(&migrated.connect_read_only());
        Self {
            bytes: [before, after],
            tokens,
            usual,
            content,
            original,
            migrated,
        }
    }

    fn truth(&self, is_undone: bool) -> Truth {
        let catalog = bridge_migrate::catalog().unwrap();
        let (original, migrated) = (self.original.path(), self.migrated.path());
        Truth::new(&catalog, Some(&original), &migrated, is_undone)
    }
}

fn place(bytes: &[u8], tokens: &[u8]) -> TestDatabase {
    let database = TestDatabase::nothing();
    fs::write(database.path(), bytes).unwrap();
    fs::write(database.tokens(), tokens).unwrap();
    database
}

/// Runs rounds on all cores until `wanted` kills met a running program.
fn until_killed(wanted: u64, tally: &Tally, round: impl Fn(u64) + Sync) {
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while tally.kills.load(Ordering::Relaxed) < wanted {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    assert!(
                        number < 10 * wanted + 100,
                        "the program ends before it can be killed"
                    );
                    round(number);
                }
            });
        }
    });
}

/// Lets the program run for a random time, kills it, and notes whether that met it.
fn kill(run: BridgeMigrate, random: &mut Random, tally: &Tally) {
    let longest = u64::try_from(tally.longest.lock().unwrap().as_micros()).unwrap();
    // The later of two: most of a small migration is its start and its backup, before anything can go wrong.
    let delay = Duration::from_micros(random.below(longest).max(random.below(longest)));
    let running = run.spawn();
    std::thread::sleep(delay);
    let output = running.kill();
    let mut longest = tally.longest.lock().unwrap();
    match output.code {
        None => {
            tally.kills.fetch_add(1, Ordering::Relaxed);
            *longest = *longest * 103 / 100;
        }
        Some(0) => {
            tally.ended.fetch_add(1, Ordering::Relaxed);
            *longest = *longest * 90 / 100;
        }
        Some(code) => panic!("the program ended by itself with {code}: {output}"),
    }
}

/// Checks what a kill left.
#[track_caller]
fn look(database: &TestDatabase, truth: &Truth, tally: &Tally, what: &str) -> Connection {
    let connection = open(&database.path()).unwrap_or_else(|wrong| panic!("{what}: {wrong}"));
    let standing = truth
        .check(&connection)
        .unwrap_or_else(|wrong| panic!("{what}: {wrong}"));
    let part = if standing.in_part { " and a part" } else { "" };
    let left = format!("V{:03}{part}", standing.version);
    *tally.left.lock().unwrap().entry(left).or_default() += 1;
    connection
}

fn report(what: &str, tally: &Tally, started: Instant) {
    proof::count(
        tally.kills.load(Ordering::Relaxed),
        what,
        format_args!(
            "{} came too late, {} with a server beside; left at {:?}; {:.1} s",
            tally.ended.load(Ordering::Relaxed),
            tally.served.load(Ordering::Relaxed),
            tally.left.lock().unwrap(),
            started.elapsed().as_secs_f64()
        ),
    );
}

#[test]
fn a_killed_migration_is_whole_and_goes_on() {
    let (options, started, tally) = (Options::read(), Instant::now(), Tally::default());
    let wanted = number("CRASH_KILLS").unwrap_or(KILLS);
    let samples = [false, true].map(|wal| Sample::new(wal, options.seed));
    *tally.longest.lock().unwrap() = samples[0].usual;
    let truths = samples
        .each_ref()
        .map(|sample| (sample.truth(false), sample.truth(false).with_writers()));
    until_killed(wanted, &tally, |number| {
        let index = usize::try_from(number % 2).unwrap();
        let (sample, (alone, shared)) = (&samples[index], &truths[index]);
        let mut random = Random::new(mix(options.seed ^ mix(number)));
        let is_served = number % SERVED == 0;
        let what = format!("CRASH_SEED={} migration {number}", options.seed);
        let database = place(&sample.bytes[0], &sample.tokens);
        let server = is_served.then(|| Server::start_paced(&database.path(), 1, Duration::from_millis(2)));
        kill(BridgeMigrate::new(&database).arg("migrate"), &mut random, &tally);
        let truth = if is_served { shared } else { alone };
        drop(look(&database, truth, &tally, &what));
        let again = BridgeMigrate::new(&database)
            .args(["migrate", "--no-backup"])
            .run();
        assert_eq!(again.code, Some(0), "{what}: {again}");
        if let Some(server) = server {
            tally.served.fetch_add(1, Ordering::Relaxed);
            server.wait_for_calls(1);
            let report = server.stop();
            report.assert_no_errors();
            report.assert_nothing_lost(&database);
        }
        let connection = open(&database.path()).unwrap();
        let standing = truth
            .check(&connection)
            .unwrap_or_else(|wrong| panic!("{what}, again: {wrong}"));
        assert_eq!((standing.version, standing.in_part), (last(), false), "{what}");
        if !is_served {
            let found = content(&connection);
            assert!(
                found == sample.content,
                "{what}: {}",
                first_difference(&sample.content, &found)
            );
        }
    });
    report("kills of migrate", &tally, started);
    assert!(tally.left.lock().unwrap().len() > 3, "all kills left the same");
}

#[test]
fn a_killed_restore_leaves_one_of_the_two_and_goes_on() {
    let (options, started, tally) = (Options::read(), Instant::now(), Tally::default());
    let wanted = number("CRASH_KILLS").unwrap_or(KILLS_BACK);
    let sample = Sample::new(false, options.seed);
    let truth = sample.truth(false);
    *tally.longest.lock().unwrap() = sample.usual;
    until_killed(wanted, &tally, |number| {
        let mut random = Random::new(mix(options.seed ^ mix(number)));
        let what = format!("CRASH_SEED={} restore {number}", options.seed);
        let database = place(&sample.bytes[0], &sample.tokens);
        assert_eq!(
            BridgeMigrate::new(&database)
                .args(["backup", "create"])
                .run()
                .code,
            Some(0)
        );
        let backup = fs::read_dir(database.folder())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| {
                path.extension().is_some_and(|extension| extension == "json") && *path != database.tokens()
            })
            .unwrap();
        fs::write(database.path(), &sample.bytes[1]).unwrap();
        let restore = || {
            BridgeMigrate::new(&database)
                .arg("restore")
                .arg(backup.with_extension(""))
        };
        kill(restore(), &mut random, &tally);
        drop(look(&database, &truth, &tally, &what));
        let again = restore().run();
        assert_eq!(again.code, Some(0), "{what}: {again}");
        let standing = truth.check(&open(&database.path()).unwrap());
        assert_eq!(standing.map(|standing| standing.version), Ok(0), "{what}");
        assert_eq!(fs::read(database.tokens()).unwrap(), sample.tokens, "{what}");
    });
    report("kills of restore", &tally, started);
    let left = tally.left.lock().unwrap();
    assert!(left.keys().eq(["V000", &format!("V{:03}", last())]), "{left:?}");
}

/// Kills a restore while servers write: what they were told is written is in the database, or in a backup that secured it.
fn kill_beside_servers(restoring: impl Fn(&TestDatabase) -> Vec<String> + Sync, what: &str, version: u32) {
    let (options, started, tally) = (Options::read(), Instant::now(), Tally::default());
    let wanted = number("CRASH_KILLS").unwrap_or(KILLS_SERVED);
    let samples = [false, true].map(|wal| Sample::new(wal, options.seed));
    let truths = samples
        .each_ref()
        .map(|sample| sample.truth(false).with_writers());
    let migrated = |sample: &Sample| {
        let database = place(&sample.bytes[0], &sample.tokens);
        let output = BridgeMigrate::new(&database).arg("migrate").run();
        assert_eq!(output.code, Some(0), "{output}");
        database
    };
    let undisturbed = migrated(&samples[0]);
    let arguments = restoring(&undisturbed);
    let usual = Instant::now();
    let output = BridgeMigrate::new(&undisturbed).args(&arguments).run();
    assert_eq!(output.code, Some(0), "{output}");
    // Writers wait for it, and it for them.
    *tally.longest.lock().unwrap() = 2 * usual.elapsed();
    let (overwritten, secured) = (AtomicU64::new(0), AtomicU64::new(0));
    until_killed(wanted, &tally, |number| {
        let index = usize::try_from(number % 2).unwrap();
        let (sample, truth) = (&samples[index], &truths[index]);
        let mut random = Random::new(mix(options.seed ^ mix(number)));
        let what = format!("CRASH_SEED={} {what} {number}", options.seed);
        let database = migrated(sample);
        let arguments = restoring(&database);
        let server = Server::start_paced(&database.path(), 2, Duration::from_millis(1));
        tally.served.fetch_add(1, Ordering::Relaxed);
        server.wait_for_calls(10);
        kill(
            BridgeMigrate::new(&database).args(&arguments),
            &mut random,
            &tally,
        );
        drop(look(&database, truth, &tally, &what));
        secured.fetch_add(database.secured().len() as u64, Ordering::Relaxed);
        server.wait_for_calls(10);
        let again = BridgeMigrate::new(&database).args(&arguments).run();
        assert_eq!(again.code, Some(0), "{what}: {again}");
        server.wait_for_calls(1);
        let report = server.stop();
        report.assert_no_errors();
        let standing = truth.check(&open(&database.path()).unwrap());
        assert_eq!(standing.map(|standing| standing.version), Ok(version), "{what}");
        overwritten.fetch_add(report.lost(&database).len() as u64, Ordering::Relaxed);
        let lost = report.lost_from(&database, &database.secured());
        assert!(lost.is_empty(), "{what}: {} rows are lost: {lost:#?}", lost.len());
    });
    report(what, &tally, started);
    let overwritten = overwritten.into_inner();
    assert!(overwritten > 0, "nothing was at stake");
    proof::count(
        overwritten,
        "rows that only backups have",
        format_args!(
            "{what}, {} backups were complete when the kill came",
            secured.into_inner()
        ),
    );
}

#[test]
fn a_killed_restore_beside_servers_loses_no_row() {
    let restoring = |database: &TestDatabase| {
        // The backup that the migration began with.
        let backups = fs::read_dir(database.folder()).unwrap();
        let backup = backups
            .map(|entry| entry.unwrap().path())
            .find(|path| path.to_string_lossy().ends_with(".json") && *path != database.tokens());
        let backup = backup.unwrap().with_extension("");
        vec!["restore".to_owned(), backup.to_str().unwrap().to_owned()]
    };
    kill_beside_servers(restoring, "kills of restore beside servers", 0);
}

#[test]
fn a_killed_rollback_by_restore_beside_servers_loses_no_row() {
    let arguments = ["rollback", "--to", "1.0.0", "--strategy", "restore", "--yes"];
    let restoring = |_: &TestDatabase| arguments.map(str::to_owned).to_vec();
    kill_beside_servers(restoring, "kills of rollback by restore beside servers", 1);
}

/// Kills a way back from the last release; run again, it must end at `version` with the same content each time.
fn kill_on_the_way_back(arguments: &[&str], version: u32) -> BTreeMap<String, u64> {
    let (options, started, tally) = (Options::read(), Instant::now(), Tally::default());
    let wanted = number("CRASH_KILLS").unwrap_or(KILLS_BACK);
    let samples = [false, true].map(|wal| Sample::new(wal, options.seed));
    let truths = samples
        .each_ref()
        .map(|sample| sample.truth(arguments[0] == "undo"));
    *tally.longest.lock().unwrap() = samples[0].usual;
    let undisturbed = samples.each_ref().map(|sample| {
        let database = place(&sample.bytes[1], &sample.tokens);
        let output = BridgeMigrate::new(&database).args(arguments).run();
        assert_eq!(output.code, Some(0), "{output}");
        content(&database.connect_read_only())
    });
    until_killed(wanted, &tally, |number| {
        let index = usize::try_from(number % 2).unwrap();
        let (sample, truth) = (&samples[index], &truths[index]);
        let mut random = Random::new(mix(options.seed ^ mix(number)));
        let what = format!("CRASH_SEED={} {arguments:?} {number}", options.seed);
        let database = place(&sample.bytes[1], &sample.tokens);
        kill(BridgeMigrate::new(&database).args(arguments), &mut random, &tally);
        drop(look(&database, truth, &tally, &what));
        let again = BridgeMigrate::new(&database).args(arguments).run();
        assert_eq!(again.code, Some(0), "{what}: {again}");
        let connection = open(&database.path()).unwrap();
        let standing = truth
            .check(&connection)
            .unwrap_or_else(|wrong| panic!("{what}, again: {wrong}"));
        assert_eq!((standing.version, standing.in_part), (version, false), "{what}");
        let found = content(&connection);
        let wanted = &undisturbed[index];
        assert!(found == *wanted, "{what}: {}", first_difference(wanted, &found));
    });
    report(&format!("kills of {}", arguments[0]), &tally, started);
    tally.left.into_inner().unwrap()
}

#[test]
fn a_killed_rollback_is_whole_and_goes_on() {
    let left = kill_on_the_way_back(&["rollback", "--to", "1.0.0", "--strategy", "down", "--yes"], 1);
    assert!(left.len() > 2, "{left:?}");
}

#[test]
fn a_killed_undo_is_whole_and_goes_on() {
    kill_on_the_way_back(&["undo", "5"], last());
}
