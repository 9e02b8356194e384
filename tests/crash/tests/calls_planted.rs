//! The prover of the whole program can fail: bugs that it must find, each beside the same thing done right.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Barrier;

use crash::calls::are_traceable;
use crash::calls::call::{Action, Call, Process};
use crash::calls::case::{Case, DATABASE};
use crash::calls::cases::case;
use crash::calls::prover::{Effort, Prover};
use crash::calls::trace::Trace;
use crash::calls::tracer::{Ending, Verdict, Watcher};
use crash::options::Options;
use crash::prover::open;
use crash::truth::content;
use support::proof;

/// The environment is for the other tests: here it must not decide what is tried.
const OPTIONS: Options = Options {
    seed: 1,
    all: false,
    case: None,
    point: None,
};
const BACKUP: &str = "data/collab.db.backup.*";
const MANIFEST: &str = "data/collab.db.backup.*.json";
const TOKENS_BACKUP: &str = "data/tokens.json.backup.*";
const TOKENS: &str = "data/tokens.json";

fn failures(prover: &Prover) -> Vec<String> {
    let effort = Effort {
        points: 200,
        reruns: 0,
    };
    prover.prove(&OPTIONS, effort).failures
}

/// One of the failures says each of `hows`; nothing is wrong with the run as it was.
fn assert_found(name: &str, plant: impl Fn(&Trace) -> Trace, bug: &str, hows: &[&str]) {
    let mut prover = Prover::record(case(name, OPTIONS.seed));
    assert_eq!(failures(&prover), [""; 0], "{name} as it was");
    prover.trace = plant(&prover.trace);
    let found = failures(&prover);
    for how in hows {
        assert!(
            found.iter().any(|failure| failure.contains(how)),
            "{name} without {bug}: nobody says {how:?} but {:?}",
            found.first()
        );
    }
    proof::count(
        found.len() as u64,
        "failures of a planted bug",
        format_args!("program, {name} without {bug}"),
    );
}

#[test]
fn a_missing_sync_before_a_rename_is_found_in_a_backup() {
    if !are_traceable() {
        return;
    }
    let offered = "is offered, but";
    for (file, hows) in [
        (BACKUP, [offered, "the program said"]),
        (TOKENS_BACKUP, [offered, "the program said"]),
        (MANIFEST, ["the program said", "is not as it left it"]),
    ] {
        let plant = |trace: &Trace| trace.without_sync_of(file);
        assert_found("backup-create", plant, &format!("a sync of {file}"), &hows);
    }
}

#[test]
fn a_missing_sync_before_a_rename_is_found_in_the_token_file() {
    if !are_traceable() {
        return;
    }
    let plant = |trace: &Trace| trace.without_sync_of(TOKENS);
    assert_found(
        "restore",
        plant,
        "a sync of the token file",
        &["the token file has"],
    );
}

#[test]
fn a_missing_sync_of_a_folder_is_found() {
    if !are_traceable() {
        return;
    }
    let after_manifest = |trace: &Trace| trace.without_folder_sync_after(MANIFEST);
    assert_found(
        "backup-create",
        after_manifest,
        "a sync of its folder",
        &["is missing"],
    );
    let after_tokens = |trace: &Trace| trace.without_folder_sync_after(TOKENS);
    let how = "the token file is not as it should be";
    assert_found("restore", after_tokens, "a sync of its folder", &[how]);
    let bug = "syncs of its folder";
    assert_found("backup-prune", Trace::without_folder_syncs, bug, &["is back"]);
}

/// Runs beside another, with the migration lock or with what a lock that is released too early comes to.
struct Contender<'a> {
    /// Whether the kernel is not asked for the lock.
    without_lock: bool,
    /// Where both meet that believe to hold the lock.
    meeting: Option<&'a Barrier>,
}

fn is_migration_lock(call: &Call) -> bool {
    matches!(call.action, Action::Lock) && call.path.to_string_lossy().ends_with(".migrate.lock")
}

impl Watcher for Contender<'_> {
    fn before(&mut self, call: &Call) -> Verdict {
        match is_migration_lock(call) && self.without_lock {
            true => Verdict::Answer(0),
            false => Verdict::Pass,
        }
    }

    fn after(&mut self, _: &Process, call: &Call, result: i64) {
        if is_migration_lock(call) && result == 0 {
            // The first time it is taken, later it is given back.
            if let Some(meeting) = self.meeting.take() {
                meeting.wait();
            }
        }
    }
}

/// Two processes migrate the same database at the same time; whether the kernel keeps the lock for each of them.
fn contend(case: &Case, locked: [bool; 2]) -> [Ending; 2] {
    case.before.write(&case.root());
    let meeting = Barrier::new(2);
    let is_honest = locked == [true, true];
    std::thread::scope(|scope| {
        let start = |locked: bool| {
            let mut contender = Contender {
                without_lock: !locked,
                meeting: (!is_honest).then_some(&meeting),
            };
            scope.spawn(move || case.watch_here(&mut contender))
        };
        locked.map(start).map(|thread| thread.join().unwrap())
    })
}

/// What shows that two runs were at work at the same time.
fn overlap(endings: &[Ending; 2], root: &Path) -> Option<String> {
    let worked = endings.iter().filter(|ending| {
        let json: serde_json::Value = serde_json::from_str(&ending.stdout).unwrap();
        ending.code != Some(0) || !json["run"].is_null()
    });
    let worked = worked.count();
    let mut logs: BTreeMap<String, (String, String)> = BTreeMap::new();
    for entry in std::fs::read_dir(root.join("logs")).unwrap() {
        for line in std::fs::read_to_string(entry.unwrap().path()).unwrap().lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let (run, time) = (line["run"].to_string(), line["time"].to_string());
            let span = logs.entry(run).or_insert((time.clone(), String::new()));
            span.1 = time;
        }
    }
    let mut spans: Vec<_> = logs.values().collect();
    spans.sort();
    let is_crossed = spans.windows(2).any(|pair| pair[1].0 < pair[0].1);
    match (worked, is_crossed) {
        (1, false) => None,
        _ => Some(format!(
            "{worked} of 2 did work, and that they crossed is {is_crossed}: {spans:?}"
        )),
    }
}

#[test]
fn a_lock_that_is_released_early_is_found() {
    if !are_traceable() {
        return;
    }
    let prover = Prover::record(case("migrate", OPTIONS.seed));
    let case = &prover.case;
    let mut found = 0;
    for locked in [[true, true], [true, false], [false, false]] {
        let endings = contend(case, locked);
        let overlap = overlap(&endings, &case.root());
        let told = format!("locked: {locked:?}; {}; {}", endings[0], endings[1]);
        if locked == [true, true] {
            assert_eq!(overlap, None, "{told}");
        } else {
            assert!(overlap.is_some(), "nobody sees that two were at work; {told}");
            found += 1;
        }
        // The other half of the lock keeps the data whole, and whoever comes next gets to the end.
        let connection = open(&case.root().join(DATABASE)).unwrap();
        let standing = case.truth.check(&connection);
        assert!(standing.is_ok(), "{standing:?}; {told}");
        drop(connection);
        case.prepare(&["migrate", "--no-backup"]);
        let connection = open(&case.root().join(DATABASE)).unwrap();
        assert!(content(&connection) == prover.goal.content, "{told}");
    }
    proof::count(
        found,
        "planted bugs found",
        "program, two migrations without the lock",
    );
}
