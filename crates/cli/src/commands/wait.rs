//! `wait`: returns when the database is where a server needs it.

use std::time::{Duration, Instant};

use bridge_migrate_core::Target;
use bridge_migrate_sqlite::{status::status, wait};

use crate::context::Context;
use crate::output::Failure;
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
    let catalog = context.catalog()?;
    let position = wait(&catalog, &context.settings, arguments.target, timeout)?;
    // What else there is to know of the database must not keep a server from starting.
    let drift = status(&catalog, &context.settings).map_or_else(|_| Vec::new(), |status| status.drift);
    let report = WaitReport {
        position,
        waited_ms: super::milliseconds(started.elapsed()),
        drift,
    };
    context.output.report_run(&report, false)
}
