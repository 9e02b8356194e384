//! What all suites share: databases as the Bridge's 1.0.0 server leaves them, that server, and the program under test.
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

pub mod catalog;
pub mod command;
pub mod database;
pub mod dump;
pub mod engine;
pub mod nasty;
pub mod output;
pub mod population;
pub mod proof;
pub mod python_time;
pub mod random;
pub mod redaction;
pub mod schema_1_0_0;
pub mod server;
pub mod shell;
pub mod statements;
pub mod timestamps;
pub mod tokens;
pub mod words;

pub use command::{BridgeMigrate, Running};
pub use database::TestDatabase;
pub use nasty::Nasty;
pub use output::CommandOutput;
pub use population::Population;
pub use server::{Report, Server};
