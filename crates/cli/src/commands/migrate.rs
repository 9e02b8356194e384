//! `migrate`: lock, adopt if needed, back up, apply, verify, record.

use bridge_migrate_sqlite::{MigrateOptions, MigrateOutcome, migrate};

use super::plan::Way;
use crate::context::Context;
use crate::output::Failure;
use crate::render::kept::{KeptWaiting, ReclaimedReport};
use crate::render::{backup::BackupFiles, migrate::MigrateReport};

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
    let outcome = migrate(&catalog, settings, options, &context.console())?;
    answer(context, outcome)
}

/// Answers with what the engine did.
pub(super) fn answer(context: &Context, outcome: MigrateOutcome) -> Result<u8, Failure> {
    let changed = outcome.run.is_some().then_some("The run");
    let report = MigrateReport {
        from: outcome.from,
        to: outcome.to,
        created: outcome.created,
        adopted: outcome.adopted,
        applied: outcome.applied,
        backup: outcome.backup.map(|created| BackupFiles::from(&created.backup)),
        waited_ms: super::milliseconds(outcome.waited),
        run: outcome.run,
        pending: outcome.pending,
        reclaimed: outcome
            .reclaimed
            .map(|outcome| ReclaimedReport::new(outcome, &context.output)),
        kept: KeptWaiting::new(outcome.kept, &context.output),
        skipped: outcome.skipped,
        log: outcome.log,
    };
    let answered = context.output.report_run(&report, false);
    answered.map_err(|failure| super::unanswered(failure, changed, || Ok(report.to)))
}
