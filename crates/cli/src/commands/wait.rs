//! `wait`: returns when the database is where a server needs it.

use std::time::{Duration, Instant};

use bridge_migrate_core::{Target, wait};

use crate::context::Context;
use crate::exit_code;
use crate::failure::Failure;
use crate::render::wait::WaitReport;

/// Returns when the database is at the target or beyond; for servers at start
///
/// Ends with 4 when it is not there in time.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What to wait for: `latest`, a migration or a release
    #[arg(long = "for", value_name = "TARGET", allow_hyphen_values = true, value_parser = Target::parse)]
    target: Target,
    /// How long to wait
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    timeout: u32,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Result<u8, Failure> {
    let started = Instant::now();
    let timeout = Duration::from_secs(arguments.timeout.into());
    let position = wait::wait(&context.catalog()?, &context.settings, arguments.target, timeout)?;
    context.output.report_done(&WaitReport {
        position: position.into(),
        waited_ms: super::milliseconds(started.elapsed()),
    })?;
    Ok(exit_code::DONE)
}
