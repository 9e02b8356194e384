//! `log`: what a run wrote down; `log prune` gives old values up.

use bridge_migrate_core::{IoContext, regular_file};
use bridge_migrate_sqlite::{find_log, undo::prune};

use super::undo::parse_migration;
use crate::context::Context;
use crate::output::Failure;
use crate::render::{log::LogReport, undo::PruneReport};

/// A log has a line of some hundred bytes for each batch; more than this is none.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// Shows the log of a run, or gives up old values
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// The run's name, as `history` shows it [default: the newest]
    run: Option<String>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Removes the old values that data migrations kept, and says what can no longer be undone
    Prune {
        /// Only those of this migration: `5` or `V005`
        #[arg(long, value_parser = parse_migration)]
        migration: Option<u32>,
        /// Only says what would be removed
        #[arg(long)]
        dry_run: bool,
    },
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Result<u8, Failure> {
    if let Some(Action::Prune { migration, dry_run }) = arguments.action {
        let pruned = prune(&context.settings, migration, dry_run, &context.console())?;
        let changed = (!dry_run && !pruned.is_empty()).then_some("The pruning");
        // What is given up is said to the quiet, too.
        return super::done(context, &PruneReport { dry_run, pruned }, true, changed);
    }
    let file = find_log(&context.settings, arguments.run.as_deref())?;
    let bytes = regular_file::read(&file, MAX_BYTES).on_file("read", &file)?;
    let report = LogReport::parse(file, &String::from_utf8_lossy(&bytes));
    context.output.report(&report)
}
