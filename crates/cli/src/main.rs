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
#[cfg(unix)]
use std::sync::Arc;

fn main() -> ExitCode {
    // A write beyond the size that the shell allows would end the process without a word. It is an error like others,
    // and stays one when this fails.
    #[cfg(unix)]
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
    ExitCode::from(program::run(std::env::args_os().collect()))
}
