//! `kept list`, `reclaim` and `prune`: what rollbacks dropped and kept.

use bridge_migrate_sqlite::kept::{self, PruneOptions, ReclaimOptions};

use super::backup::parse_age;
use crate::context::Context;
use crate::output::Failure;
use crate::render::kept::{KeptListReport, KeptPrunedReport, ReclaimedReport};

/// Lists, takes back and removes what rollbacks dropped and kept
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Action {
    /// Lists what was kept, newest first, and how much of it has not come back
    List,
    /// Takes back what fits; rows that no longer fit are listed with the reason and stay kept
    ///
    /// Nothing that was written since is overwritten. Running it again is harmless.
    Reclaim {
        /// Only from these files, as `kept list` names them, also of no rollback on record [default: all on record]
        files: Vec<String>,
        /// Gives up rows that do not fit: they wait no longer, and stay in their file until that is pruned
        #[arg(long)]
        give_up: bool,
        /// How long to wait for another process that is migrating [default: 300]
        #[arg(long, value_name = "SECONDS")]
        lock_timeout: Option<u32>,
    },
    /// Removes the files of which everything has come back or was given up; with --yes the others, too
    Prune {
        /// Only these files, as `kept list` names them
        files: Vec<String>,
        /// Only those kept longer ago, such as 30d, 12h or 90m
        #[arg(long, value_name = "AGE", value_parser = parse_age)]
        older_than: Option<chrono::Duration>,
        /// Also loses what has not come back
        #[arg(long)]
        yes: bool,
        /// Only says what would be removed
        #[arg(long)]
        dry_run: bool,
    },
}

pub(crate) fn run(context: &Context, action: &Action) -> Result<u8, Failure> {
    match action {
        Action::List => {
            let list = kept::list(&context.settings)?;
            let backup_dir = context.for_catalog()?.backup_dir;
            context
                .output
                .report(&KeptListReport::new(backup_dir, list, &context.output))
        }
        Action::Reclaim {
            files,
            give_up,
            lock_timeout,
        } => {
            let mut settings = context.for_catalog()?;
            if let Some(seconds) = lock_timeout {
                settings.lock_timeout = std::time::Duration::from_secs((*seconds).into());
            }
            let options = ReclaimOptions {
                files: files.clone(),
                give_up: *give_up,
            };
            let outcome = kept::reclaim(&settings, &options, &context.console())?;
            let changed = outcome.run.is_some().then_some("Taking back");
            let report = ReclaimedReport::new(outcome, &context.output);
            super::done(context, &report, false, changed)
        }
        Action::Prune {
            files,
            older_than,
            yes,
            dry_run,
        } => {
            let options = PruneOptions {
                files: files.clone(),
                older_than: *older_than,
                lose: *yes,
                dry_run: *dry_run,
            };
            let pruned = kept::prune(&context.settings, &options, &context.console())?;
            let changed = pruned.run.is_some().then_some("The pruning");
            let report = KeptPrunedReport {
                dry_run: *dry_run,
                pruned,
            };
            super::done(context, &report, *dry_run, changed)
        }
    }
}
