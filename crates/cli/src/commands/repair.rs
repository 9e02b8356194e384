//! `repair`: puts right what only the tool wrote.

use bridge_migrate_core::{Error, ErrorKind, Hint};
use bridge_migrate_sqlite::repair;

use crate::context::Context;
use crate::output::Failure;
use crate::render::repair::RepairReport;

/// Says what it would put right of what only this program wrote, and why; --yes does it, after a backup
///
/// Rows of `schema_version` that the history contradicts, records of interrupted work that nothing can go on with,
/// half-written files of killed runs. Without --yes it ends with 6 when there is something.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Does it
    #[arg(long)]
    yes: bool,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Result<u8, Failure> {
    let outcome = repair(
        &context.catalog()?,
        &context.settings,
        arguments.yes,
        &context.console(),
    )?;
    let changed = outcome.run.is_some();
    let next = match outcome.elsewhere.first() {
        _ if !changed && !outcome.repairs.is_empty() => Some(Hint::RepairConfirmed),
        Some(elsewhere) if !changed => Some(elsewhere.hint.clone()),
        _ => None,
    };
    let report = RepairReport::new(outcome, &context.output);
    if let Some(next) = next {
        let error = Error::new(ErrorKind::VerificationFailed, "something is not as it should be")
            .with_truth("Nothing was changed.")
            .with_hint(next);
        return context.output.findings(&report, error);
    }
    super::done(context, &report, false, changed.then_some("The repair"))
}
