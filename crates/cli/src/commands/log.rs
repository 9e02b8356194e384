//! `log`: what a run wrote down.

use bridge_migrate_core::error::IoContext;
use bridge_migrate_core::run_log;

use crate::context::Context;
use crate::exit_code;
use crate::failure::Failure;
use crate::render::log::LogReport;

/// Shows the log of a run
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The run's name, as `history` shows it [default: the newest]
    run: Option<String>,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Result<u8, Failure> {
    let file = run_log::find(&context.settings, arguments.run.as_deref())?;
    let bytes = std::fs::read(&file).on_file("read", &file)?;
    let report = LogReport::parse(file, &String::from_utf8_lossy(&bytes));
    context.output.report(&report)?;
    Ok(exit_code::DONE)
}
