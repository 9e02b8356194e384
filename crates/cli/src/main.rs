//! The `bridge-migrate` command.
//!
//! It knows arguments, streams, rendering for people and for scripts, progress bars and exit codes. It must
//! never know SQL or pragmas: what happens to a database is the engine's.

mod arguments;
mod commands;
mod config;
mod context;
mod database_url;
mod exit_code;
mod failure;
mod glance;
mod hint;
mod json;
mod output;
mod program;
mod progress;
mod render;
mod report;

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(program::run(std::env::args_os().collect()))
}
