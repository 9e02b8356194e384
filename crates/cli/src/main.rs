//! The `bridge-migrate` command.

use std::process::ExitCode;

#[cfg(unix)]
use std::sync::Arc;

fn main() -> ExitCode {
    // A write beyond the size that the shell allows would end the process without a word. It is an error like others,
    // and stays one when this fails.
    #[cfg(unix)]
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
    ExitCode::from(bridge_migrate_cli::run(&std::env::args_os().collect::<Vec<_>>()))
}
