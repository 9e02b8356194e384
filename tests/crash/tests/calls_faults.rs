//! The disk fails in any call of the real program, also in what it does without SQLite.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::time::Instant;

use crash::calls::cases::case;
use crash::calls::disturb::{Caps, inject};
use crash::calls::prover::Prover;
use crash::calls::try_each;
use support::proof;

/// Calls of a kind that fail in turn in one case, unless all do.
const CAPS: Caps = Caps { engine: 2, sqlite: 1 };

fn disturb(names: &[&str]) {
    try_each(names, |name, options| {
        let started = Instant::now();
        let prover = Prover::record(case(name, options.seed));
        let findings = inject(&prover, options, CAPS);
        let (tried, refused) = (&findings.tried, findings.refused);
        let seconds = started.elapsed().as_secs_f64();
        proof::count(
            tried.values().sum(),
            "failing calls",
            format_args!("program, {name}: {refused} refused; {tried:?}; {seconds:.1} s"),
        );
        let is_tried = refused > 0 || !findings.failures.is_empty() || options.point.is_some();
        assert!(is_tried, "{name} fails nowhere");
        findings.failures
    });
}

#[test]
fn migrations_say_what_failed_and_go_on_later() {
    disturb(&["fresh", "migrate", "migrate-wal", "adopt"]);
}

#[test]
fn backups_say_what_failed_and_can_be_made_later() {
    disturb(&["backup-create", "backup-create-wal", "backup-prune"]);
}

#[test]
fn restores_say_what_failed_and_go_on_later() {
    disturb(&[
        "restore",
        "restore-wal",
        "restore-missing",
        "restore-merge",
        "rollback-restore",
    ]);
}

#[test]
fn other_ways_back_say_what_failed_and_go_on_later() {
    disturb(&[
        "rollback-down",
        "undo",
        "log-prune",
        "kept-reclaim",
        "kept-prune",
        "repair",
    ]);
}
