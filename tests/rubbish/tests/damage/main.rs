//! Damaged databases: pages lost, exchanged or bent, files cut off. Every command answers in time, with a result or an
//! error that says so, and makes nothing worse.
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

mod backups;
mod commands;
mod damage;
mod look;
mod program;
mod proving;
mod reading;
mod writing;
