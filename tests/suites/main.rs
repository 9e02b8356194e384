//! Every command as its users meet it: one module for each, and what only shows when commands meet each other.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says so by panicking"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "the tests play other programs, which open databases in their own way"
)]

mod common;

mod adopt;
mod backup;
mod bad_input;
mod crowd;
mod drift;
mod files;
mod held;
mod hints;
mod json;
mod limits;
mod migrate;
mod places;
mod plan;
mod reading;
mod records;
mod regression;
mod restore;
mod restore_tokens;
mod room;
mod rooms;
mod status;
mod tokens;
mod wait;
