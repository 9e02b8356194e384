//! `rollback`: goes back, and says beforehand what each way would lose.

use std::io::{BufRead as _, IsTerminal as _};

use bridge_migrate_core::Target;
use bridge_migrate_sqlite::rollback::{self, RollbackOptions, RollbackPlan, Strategy};

use crate::commands::arguments::TokenChoice;
use crate::context::Context;
use crate::output::{Failure, Report as _};
use crate::render::rollback::{RollbackPlanReport, RollbackReport};

/// Takes the database back to an earlier version, in the way that loses least
///
/// Says beforehand what each way would lose. When something would be lost, a terminal is asked; without one,
/// --yes is needed. What is dropped is kept in a file beside the backups, from which `kept reclaim` takes
/// it back. When the run's backup is put back, `--tokens merge` (the default), `backup` or `present` says which tokens
/// there are afterwards, as for `restore`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where to go: a migration, a release, or -1 for the one before
    #[arg(long, value_name = "TARGET", allow_hyphen_values = true, value_parser = Target::parse)]
    to: Target,
    /// Only says what would happen, and what each way would lose
    #[arg(long)]
    dry_run: bool,
    /// How: by stored statements (and the journal for data), by the journal alone, or by the run's backup
    #[arg(long, value_name = "WAY", default_value = "auto")]
    strategy: Way,
    /// Goes back without asking, also when something is lost
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    pub(crate) tokens: TokenChoice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Way {
    Auto,
    Down,
    Undo,
    Restore,
}

impl From<Way> for Strategy {
    fn from(way: Way) -> Self {
        match way {
            Way::Auto => Self::Auto,
            Way::Down => Self::Down,
            Way::Undo => Self::Undo,
            Way::Restore => Self::Restore,
        }
    }
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Result<u8, Failure> {
    let catalog = context.catalog()?;
    let settings = &context.settings;
    let options = RollbackOptions {
        target: arguments.to,
        strategy: arguments.strategy.into(),
        companion: arguments.tokens.into(),
    };
    if arguments.dry_run {
        let plan = rollback::plan(&catalog, settings, options)?;
        return context.output.report(&planned(context, &plan));
    }
    let mut confirm = |plan: &RollbackPlan| {
        if plan.is_urgent {
            return arguments.yes;
        }
        context.output.say(planned(context, plan).render().trim_end());
        arguments.yes || (!plan.loses.is_empty() && ask(context))
    };
    let outcome = rollback::rollback(&catalog, settings, options, &mut confirm, &context.console())?;
    let changed = outcome.run.is_some().then_some("The rollback");
    let report = RollbackReport {
        dry_run: false,
        outcome: &outcome,
    };
    let answered = context.output.report_run(&report, false);
    answered.map_err(|failure| super::unanswered(failure, changed, || Ok(outcome.to)))
}

fn planned<'a>(context: &Context, plan: &'a RollbackPlan) -> RollbackPlanReport<'a> {
    RollbackPlanReport::new(plan, super::milliseconds(context.settings.lock_budget))
}

/// Asks on a terminal; nobody there is a no.
fn ask(context: &Context) -> bool {
    let input = std::io::stdin();
    if !input.is_terminal() || !std::io::stderr().is_terminal() {
        return false;
    }
    context.output.ask("go back and lose this? [y/N] ");
    let mut answer = String::new();
    // An answer that cannot be read is none.
    let _ = input.lock().read_line(&mut answer);
    matches!(answer.trim(), "y" | "Y" | "yes")
}
