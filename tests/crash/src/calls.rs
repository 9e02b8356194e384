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

/// Does `work` for each case at the same time: most of a run is waiting. Gives what did not hold in any of them.
///
/// # Panics
/// When one of them does.
pub fn side_by_side(names: &[&str], work: impl Fn(&str) -> Vec<String> + Sync) -> Vec<String> {
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = names.iter().map(|name| scope.spawn(move || work(name))).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    })
}

/// Whether this machine lets a program be traced. Where it does not, says so once; in CI (`CI` is set) that is a
/// failure.
///
/// # Panics
/// In CI, where it is refused.
pub fn are_traceable() -> bool {
    static REFUSED: OnceLock<Option<String>> = OnceLock::new();
    let refused = REFUSED.get_or_init(|| {
        let why = tracer::refusal();
        if let Some(why) = &why {
            proof::count(0, "system calls", format_args!("left out: {why}"));
        }
        why
    });
    let in_ci = std::env::var_os("CI").is_some_and(|ci| !ci.is_empty() && ci != "false");
    if let (Some(why), true) = (refused, in_ci) {
        panic!("CI must be able to trace the program: {why}");
    }
    refused.is_none()
}
