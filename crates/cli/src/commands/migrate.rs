//! `migrate`: lock, adopt if needed, back up, apply, verify, record.

use bridge_migrate_core::Error;
use bridge_migrate_sqlite::{MigrateOptions, MigrateOutcome, migrate};

use super::plan::Way;
use crate::context::Context;
use crate::exit_code;
use crate::output::Failure;
use crate::render::backup::BackupFiles;
use crate::render::kept::{KeptWaiting, ReclaimedReport};
use crate::render::migrate::MigrateReport;

/// Takes the database to the target: locks, adopts if needed, backs up, applies, verifies, records
///
/// Servers keep running meanwhile. When nothing is to be done no lock is taken and no byte changes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    way: Way,
    /// Makes no backup first
    #[arg(long)]
    no_backup: bool,
    /// Refuses beforehand when a value cannot be converted, instead of leaving it as it is
    #[arg(long)]
    strict: bool,
    /// Also takes back what earlier rollbacks kept, as `kept reclaim` does
    #[arg(long)]
    reclaim: bool,
    /// Refuses unless `rehearse` left a receipt for exactly this, with success and within seven days
    #[arg(long)]
    require_receipt: bool,
    /// Passes over a schema that somebody changed by hand, and puts on record what differed
    #[arg(long)]
    allow_drift: bool,
    /// Refuses to make a new database when there is none at the path
    #[arg(long)]
    must_exist: bool,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Result<u8, Failure> {
    let catalog = context.catalog()?;
    let settings = &context.settings;
    context.refuse_beside_another()?;
    if context.would_make_folder() && !arguments.must_exist {
        // Nothing is made for a target that does not exist.
        catalog.resolve(arguments.way.to, 0)?;
        context.make_folder()?;
    }
    let options = MigrateOptions {
        plan: arguments.way.options(),
        without_backup: arguments.no_backup,
        strict: arguments.strict,
        reclaim: arguments.reclaim,
        require_receipt: arguments.require_receipt,
        allow_drift: arguments.allow_drift,
        must_exist: arguments.must_exist,
    };
    let console = context.console();
    let outcome = migrate(&catalog, settings, options, &console)?;
    drop(console);
    let report = report(context, &outcome);
    context
        .output
        .report_done(&report)
        .map_err(|error| unanswered(error, &outcome))?;
    Ok(exit_code::DONE)
}

/// The answer, from what the engine did.
pub(super) fn report(context: &Context, outcome: &MigrateOutcome) -> MigrateReport {
    MigrateReport {
        from: outcome.from,
        to: outcome.to,
        created: outcome.created,
        adopted: outcome.adopted.clone(),
        applied: outcome.applied.clone(),
        backup: outcome
            .backup
            .as_ref()
            .map(|created| BackupFiles::from(&created.backup)),
        waited_ms: super::milliseconds(outcome.waited),
        run: outcome.run.clone(),
        pending: outcome.pending,
        reclaimed: outcome
            .reclaimed
            .clone()
            .map(|outcome| ReclaimedReport::new(outcome, &context.output)),
        kept: KeptWaiting::new(outcome.kept.clone(), &context.output),
        skipped: outcome.skipped.clone(),
        log: outcome.log.clone(),
    }
}

/// The failure to write the answer.
pub(super) fn unanswered(error: Error, outcome: &MigrateOutcome) -> Error {
    match outcome.run {
        None => error,
        Some(_) => super::after_success(error, "The run", outcome.to),
    }
}
