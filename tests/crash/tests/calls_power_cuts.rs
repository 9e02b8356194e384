//! The power fails while the real program works, also in what it does without SQLite.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use crash::calls::cases::case;
use crash::calls::prover::{Effort, Prover};
use crash::calls::{are_traceable, try_each};
use support::proof;

/// Points of a case, unless all are tried.
const POINTS: usize = 200;
/// Fewer points than this would mean that something was not recorded.
const LEAST_POINTS: u64 = 30;

fn prove(names: &[&str]) {
    try_each(names, |name, options| {
        let prover = Prover::record(case(name, options.seed));
        let effort = Effort {
            points: POINTS,
            reruns: if options.all { 40 } else { 5 },
        };
        let proven = prover.prove(options, effort);
        let summary = prover.trace.summary();
        proof::count(
            proven.points,
            "power cuts",
            format_args!("program, {name}: {summary}; {proven}"),
        );
        if let Some(point) = &options.point {
            assert!(proven.points == 1, "there is no point {point}");
        } else {
            assert!(proven.points >= LEAST_POINTS, "{proven}");
        }
        proven.failures.into_iter().take(5).collect()
    });
}

#[test]
fn points_have_the_same_names_in_each_run() {
    if !are_traceable() {
        return;
    }
    for name in ["adopt", "backup-create", "restore", "rollback-restore"] {
        let names = [(); 2].map(|()| case(name, 1).record().0.names());
        let differ: Vec<_> = names[0].symmetric_difference(&names[1]).collect();
        assert!(names[0].len() > 10 && differ.is_empty(), "{name}: {differ:?}");
    }
}

#[test]
fn a_migration_is_whole_after_a_power_cut() {
    prove(&["fresh", "migrate", "migrate-wal", "adopt"]);
}

#[test]
fn backups_are_whole_after_a_power_cut() {
    prove(&["backup-create", "backup-create-wal", "backup-prune", "rehearse"]);
}

#[test]
fn a_restore_is_whole_after_a_power_cut() {
    prove(&[
        "restore",
        "restore-wal",
        "restore-missing",
        "restore-note",
        "restore-merge",
        "restore-merge-wal",
        "rollback-restore",
    ]);
}

#[test]
fn other_ways_back_are_whole_after_a_power_cut() {
    prove(&["rollback-down", "undo", "log-prune", "repair"]);
}

#[test]
fn what_was_kept_is_in_its_file_or_back_after_a_power_cut() {
    prove(&["kept-reclaim", "kept-reclaim-wal", "kept-prune"]);
}
