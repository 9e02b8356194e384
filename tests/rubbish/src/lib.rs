//! Rubbish in: for each thing that the program reads, a function that reads any bytes as that thing and asserts what
//! must hold of the answer. The tests here and the fuzz targets in `fuzz/` call the same functions.
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

pub mod corpus;
pub mod ground;
pub mod targets;

pub use targets::{TARGETS, Target};
