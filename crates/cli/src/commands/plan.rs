//! `plan`: the steps that `migrate` would take.

use bridge_migrate_core::{Phase, Target};
use bridge_migrate_sqlite::{AdoptionOptions, Plan, PlanOptions, Start, plan, plan_fresh};

use crate::context::Context;
use crate::output::Failure;
use crate::render::{kept::KeptWaiting, plan::PlanReport};

/// Shows the steps that `migrate` would take, what each locks and copies, and the disk it needs
///
/// Opens the database for reading only.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    way: Way,
    /// Shows the statements too
    #[arg(long)]
    sql: bool,
}

/// Where to go, and which part of the way.
#[derive(Debug, clap::Args)]
pub(crate) struct Way {
    /// Where to go: `latest`, a migration, a release, or +1
    #[arg(long, value_name = "TARGET", default_value = "latest", allow_hyphen_values = true,
        value_parser = Target::parse)]
    pub(crate) to: Target,
    /// Only the next steps of one phase
    #[arg(long, value_name = "PHASE", default_value = "all")]
    phase: PhaseChoice,
}

/// Which steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum PhaseChoice {
    /// Adds what new servers need; old and new servers both work
    Expand,
    /// Moves data in batches while servers run
    Backfill,
    /// Removes what only old servers needed
    Contract,
    /// Every phase
    All,
}

impl Way {
    /// What the engine is asked for.
    pub(crate) fn options(&self) -> PlanOptions {
        PlanOptions {
            target: self.to,
            phase: match self.phase {
                PhaseChoice::Expand => Some(Phase::Expand),
                PhaseChoice::Backfill => Some(Phase::Backfill),
                PhaseChoice::Contract => Some(Phase::Contract),
                PhaseChoice::All => None,
            },
            adoption: AdoptionOptions::default(),
        }
    }
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Result<u8, Failure> {
    let catalog = context.catalog()?;
    let options = arguments.way.options();
    let plan = if context.would_make_folder() {
        // Where `migrate` makes the folder there is no database to read.
        plan_fresh(&catalog, &context.settings, options)?
    } else {
        plan(&catalog, &context.settings, options)?
    };
    context.output.report(&report(context, plan, arguments.sql))
}

fn report(context: &Context, plan: Plan, shows_sql: bool) -> PlanReport {
    let is_fresh = plan.start == Start::Fresh;
    let backs_up = !is_fresh && !plan.is_empty();
    PlanReport {
        shows_sql,
        from: plan.from,
        to: plan.to,
        fresh: is_fresh,
        adopts: match &plan.start {
            Start::Adopt(adoption) => Some(adoption.as_ref().clone()),
            Start::Managed | Start::Fresh => None,
        },
        drift: plan.drift,
        steps: plan.steps,
        timezone: plan.time_zone,
        disk_needed_bytes: plan.disk_space.total(),
        backup_dir: backs_up.then(|| context.settings.backup_dir.to_string_lossy().into_owned()),
        lock_budget_ms: super::milliseconds(context.settings.lock_budget),
        kept: KeptWaiting::new(plan.kept, &context.output),
        path: plan.database,
    }
}
