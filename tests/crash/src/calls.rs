//! The same below the whole program: its system calls are recorded and disturbed, whoever makes them.
//!
//! SQLite's shim does not see what the engine writes by itself: backups, manifests, the companion, receipts, notes,
//! logs, the lock. The real program is run under `ptrace` and every call that changes a file below one folder is seen,
//! also those that no library makes for it.

pub mod aftermath;
pub mod call;
pub mod case;
pub mod cases;
pub mod disk;
pub mod disturb;
mod filter;
pub mod names;
pub mod prover;
pub mod record;
pub mod trace;
pub mod tracer;
pub mod tree;

use std::sync::OnceLock;

use support::proof;

use crate::options::Options;

/// Does `work` for each of the cases that the environment asks for, where a program can be traced, and at the same
/// time: most of a run is waiting.
///
/// # Panics
/// When `work` panics, or gives what did not hold.
pub fn try_each(names: &[&str], work: impl Fn(&str, &Options) -> Vec<String> + Sync) {
    if !are_traceable() {
        return;
    }
    let options = Options::read();
    let asked_for = names.iter().filter(|name| !options.is_elsewhere(name));
    let failures: Vec<String> = std::thread::scope(|scope| {
        let (work, options) = (&work, &options);
        let threads: Vec<_> = asked_for
            .map(|name| scope.spawn(move || work(name, options)))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(
        failures.is_empty(),
        "{}:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// Whether this machine lets a program be traced. Where it does not, says so once; in CI that is a failure.
///
/// # Panics
/// In CI, where it is refused.
pub fn are_traceable() -> bool {
    static REFUSED: OnceLock<Option<String>> = OnceLock::new();
    let refused = REFUSED.get_or_init(tracer::refusal);
    if let Some(why) = refused {
        proof::left_out("system calls", &format!("ptrace: {why}"));
    }
    refused.is_none()
}
