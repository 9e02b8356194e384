//! `history`: what was applied, when, by whom, how long, with which tool.

use bridge_migrate_sqlite::{read_runs, read_steps, with_failures};

use crate::context::Context;
use crate::output::Failure;
use crate::render::history::HistoryReport;

/// Shows what was applied: when, by which run, how long it took, with which tool
///
/// Why a run failed is in its log only: it is shown where --log-dir is the one that the run had, and the log still there.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Shows how each migration goes back, and what that loses
    #[arg(long)]
    rollback: bool,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Result<u8, Failure> {
    let settings = context.for_catalog()?;
    let report = context.read(|reader| {
        Ok(HistoryReport {
            shows_rollback: arguments.rollback,
            applied: read_steps(reader)?,
            runs: with_failures(&settings, read_runs(reader)?)?,
        })
    })?;
    context.output.report(&report)
}
