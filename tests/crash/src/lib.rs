//! Proves that the engine survives power cuts and failing disks: what it writes is recorded below SQLite, then laid
//! out as every possible cut would have left it, and opened again.
//!
//! Only the traffic of the database, its journal and its log is recorded and disturbed. Backups, manifests and the
//! companion are renamed into place by the engine itself and do not pass through SQLite.
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

pub mod disk;
pub mod faults;
pub mod options;
pub mod prover;
pub mod scenario;
pub mod trace;
pub mod truth;
pub mod vfs;
pub mod watch;
