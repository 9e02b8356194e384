//! The power fails at any moment of any command.
#![cfg(unix)]

use std::collections::BTreeSet;

use crash::disk::Forgotten;
use crash::options::Options;
use crash::prover::{Effort, Prover};
use crash::scenario::{Command, Scenario};
use crash::truth::Standing;
use support::catalog::last;
use support::proof;

/// Fewer points than this would mean that something was not recorded.
const LEAST_POINTS: u64 = 30;

/// Proves a command in both journal modes, and that the cuts left the database in each of the `versions`.
fn prove(command: Command, versions: &[u32]) {
    let options = Options::read();
    for wal in [false, true] {
        // A database that is made by the command is never born with a log.
        if command == Command::Fresh && wal {
            continue;
        }
        let scenario = Scenario::new(command, wal, options.seed);
        if options.is_elsewhere(&scenario.name()) {
            continue;
        }
        let prover = Prover::record(scenario);
        let effort = Effort {
            reruns: if options.all { u64::MAX } else { 25 },
            forgotten: Forgotten::None,
        };
        let proven = prover.prove(&options, effort);
        proof::count(
            proven.points,
            "power cuts",
            format_args!("{}: {}; {proven}", prover.scenario.name(), prover.trace.summary()),
        );
        proven.assert_holds();
        if let Some(point) = &options.point {
            assert!(proven.points == 1, "there is no point {point}");
        } else {
            let seen: BTreeSet<u32> = proven.standings.iter().map(|standing| standing.version).collect();
            assert!(
                versions.iter().copied().eq(seen.iter().copied()),
                "only {seen:?} were seen"
            );
            assert!(proven.points >= LEAST_POINTS, "{proven}");
            let in_part = |standing: &Standing| standing.in_part;
            let moves_data = matches!(command, Command::Migrate | Command::Rollback);
            assert!(
                !moves_data || proven.standings.iter().any(in_part),
                "no data step was cut"
            );
        }
    }
}

#[test]
fn a_new_database_is_complete_or_not_there_after_a_power_cut() {
    prove(Command::Fresh, &[0, last()]);
}

#[test]
fn a_migration_is_whole_after_a_power_cut() {
    prove(Command::Migrate, &Vec::from_iter(0..=last()));
}

#[test]
fn an_adoption_is_whole_after_a_power_cut() {
    prove(Command::Adopt, &[0, 1]);
}

#[test]
fn a_rollback_is_whole_after_a_power_cut() {
    prove(Command::Rollback, &Vec::from_iter(1..=last()));
}

#[test]
fn an_undo_is_whole_after_a_power_cut() {
    prove(Command::Undo, &[last()]);
}

#[test]
fn a_restore_is_whole_after_a_power_cut() {
    prove(Command::Restore, &[0, last()]);
}
