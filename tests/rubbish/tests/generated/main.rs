//! Rubbish that is nearly right: seeds with a few changes, and inputs made by a grammar, thousands for each target.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says so by panicking"
)]

mod files;
mod inputs;
mod mutation;
mod planted;
mod quiet;
mod records;
mod runner;
mod sql;
mod words;
