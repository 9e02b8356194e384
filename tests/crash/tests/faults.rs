//! The disk fails in any operation of any command.
#![cfg(unix)]

use std::collections::BTreeMap;

use crash::faults::inject;
use crash::options::Options;
use crash::prover::Prover;
use crash::scenario::{Command, Scenario};
use support::proof;

/// Operations of a kind that fail in turn in one scenario, unless all do.
const CAP: u64 = 10;

fn disturb(commands: &[Command]) {
    let options = Options::read();
    for wal in [false, true] {
        for command in commands {
            if *command == Command::Fresh && wal {
                continue;
            }
            let scenario = Scenario::new(*command, wal, options.seed);
            if options.is_elsewhere(&scenario.name()) {
                continue;
            }
            let prover = Prover::record(scenario);
            let findings = inject(&prover, &options, CAP);
            let injected: &BTreeMap<_, _> = &findings.injected;
            proof::count(
                injected.values().sum(),
                "faults of the disk",
                format_args!(
                    "{}: {} refused; {injected:?}",
                    prover.scenario.name(),
                    findings.refused
                ),
            );
            let first: Vec<&str> = findings.failures.iter().take(5).map(String::as_str).collect();
            assert!(
                findings.failures.is_empty(),
                "{}:\n{}",
                findings.failures.len(),
                first.join("\n")
            );
            assert!(findings.refused > 0);
        }
    }
}

#[test]
fn migrations_say_what_failed_and_go_on_later() {
    disturb(&[Command::Fresh, Command::Migrate, Command::Adopt]);
}

#[test]
fn ways_back_say_what_failed_and_go_on_later() {
    disturb(&[Command::Rollback, Command::Undo, Command::Restore]);
}
