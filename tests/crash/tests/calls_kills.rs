//! The real program is killed (SIGKILL) before chosen changes of files: by number, not by the clock.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::time::Instant;

use crash::calls::cases::{NAMES, case};
use crash::calls::disturb::kill;
use crash::calls::prover::Prover;
use crash::calls::try_each;
use support::proof;

/// Changes before which a case's program is killed, unless it is before all.
const CAP: u64 = 4;

#[test]
fn a_killed_program_leaves_what_the_next_run_completes() {
    try_each(&NAMES, |name, options| {
        let started = Instant::now();
        let prover = Prover::record(case(name, options.seed));
        let findings = kill(&prover, options, CAP);
        let tried = findings.tried.values().sum();
        let seconds = started.elapsed().as_secs_f64();
        proof::count(
            tried,
            "kills before a change",
            format_args!("program, {name}; {seconds:.1} s"),
        );
        assert!(tried > 0 || options.point.is_some(), "{name} changes nothing");
        findings.failures
    });
}
