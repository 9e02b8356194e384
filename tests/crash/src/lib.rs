//! Proves that the engine survives power cuts and failing disks: what it writes is recorded below SQLite, then laid
//! out as every possible cut would have left it, and opened again.
//!
//! There are two provers. One records the database, its journal and its log in a shim below SQLite, in this process:
//! that is fast, and knows what the engine told its observer. The other ([`calls`]) records the system calls of the
//! real program, and with them all that does not pass through SQLite.
#![cfg(unix)]
#![allow(
    clippy::disallowed_methods,
    reason = "the tests play the server and the operator, who open the database in their own way"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says so by panicking"
)]

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod calls;
pub mod disk;
pub mod faults;
pub mod options;
pub mod prover;
pub mod scenario;
pub mod trace;
pub mod truth;
pub mod vfs;
pub mod watch;
