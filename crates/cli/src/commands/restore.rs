//! `restore`: puts a backup's content back.

use std::ffi::OsString;

use bridge_migrate_sqlite::MigrationLock;
use bridge_migrate_sqlite::backup::{self, BackupFacts};
use bridge_migrate_sqlite::restore::{RestoreOptions, refuse_foreign, restore};

use crate::commands::arguments::TokenChoice;
use crate::context::Context;
use crate::output::Failure;
use crate::render::restore::RestoreReport;

/// Puts the database and the token file back as a backup has them
///
/// The present state is secured in a backup first. Servers see the old or the new content whole.
///
/// Tokens that were issued since the backup stay, and those that were revoked since stay revoked, in the file and in
/// the database. `--tokens backup` takes them as they are in the backup, `--tokens present` as they are now; with any
/// other value, --tokens is the path of the token file.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The backup: `latest` (of those that no restore or rollback made), its stamp (20260222_153045), or a file of it
    backup: OsString,
    /// Only says what would change
    #[arg(long)]
    dry_run: bool,
    /// Accepts a plain copy of a database, without a manifest, if a full check finds it sound
    #[arg(long)]
    accept_without_manifest: bool,
    /// Accepts a backup of another application's database
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    pub(crate) tokens: TokenChoice,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Result<u8, Failure> {
    let mut settings = context.for_catalog()?;
    let backup = backup::find(&settings, &arguments.backup)?;
    if !arguments.force {
        refuse_foreign(&context.catalog()?, &backup)?;
    }
    let console = context.console();
    let options = RestoreOptions {
        dry_run: arguments.dry_run,
        accept_without_manifest: arguments.accept_without_manifest,
        present: BackupFacts::default(),
        companion: arguments.tokens.into(),
    };
    // A dry run only reads, and must not wait for others.
    let lock = if arguments.dry_run {
        None
    } else {
        let lock = MigrationLock::take(&settings, "restore", &console)?;
        settings.limit_waiting(settings.lock_timeout.saturating_sub(lock.waited()));
        Some(lock)
    };
    let outcome = restore(&settings, &backup, &options, &console)?;
    drop(lock);
    drop(console);
    let report = RestoreReport::new(&outcome, settings.companion);
    let changed = (!arguments.dry_run).then_some("The restore");
    super::done(context, &report, arguments.dry_run, changed)
}
