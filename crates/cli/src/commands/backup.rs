//! `backup create`, `list`, `verify` and `prune`.

use std::{ffi::OsString, path::PathBuf};

use bridge_migrate_core::{Error, ErrorKind, Hint, Result};
use bridge_migrate_sqlite::backup::{self, BackupFacts, PruneOptions};
use bridge_migrate_sqlite::{History, read_runs};

use crate::context::Context;
use crate::output::Failure;
use crate::render::backup::{
    BackupEntry, BackupFiles, CreatedReport, ListReport, PrunedReport, VerifiedReport,
};

/// Makes, lists, verifies and removes backups
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Action {
    /// Makes a verified backup of the database and the token file while servers run
    Create,
    /// Lists the backups, newest first
    List,
    /// Compares a backup with its manifest and checks it for damage; ends with 6 when something is wrong
    Verify {
        /// `latest` (of those that no restore or rollback made), a stamp (20260222_153045), or a file of the backup
        #[arg(default_value = "latest")]
        backup: OsString,
        /// Also checks that indexes agree with their tables, which takes about ten times as long
        #[arg(long)]
        full: bool,
    },
    /// Removes old backups; the newest, the `latest`, and those that a run can go back to, stay
    Prune {
        /// How many of the newest to keep, besides those that restores and rollbacks made since
        #[arg(long, value_name = "NUMBER")]
        keep_last: Option<usize>,
        /// Only those made longer ago, such as 30d, 12h or 90m
        #[arg(long, value_name = "AGE", value_parser = parse_age)]
        older_than: Option<chrono::Duration>,
        /// Also those that a run could go back to
        #[arg(long)]
        include_restore_points: bool,
        /// Only says what would be removed
        #[arg(long)]
        dry_run: bool,
    },
}

pub(crate) fn run(context: &Context, action: &Action) -> std::result::Result<u8, Failure> {
    match action {
        Action::Create => create(context),
        Action::List => list(context),
        Action::Verify { backup, full } => verify(context, backup, *full),
        Action::Prune {
            keep_last,
            older_than,
            include_restore_points,
            dry_run,
        } => {
            let pinned = if *include_restore_points {
                Vec::new()
            } else {
                restore_points(context)?
            };
            prune(
                context,
                &PruneOptions {
                    keep_last: *keep_last,
                    older_than: *older_than,
                    pinned,
                    dry_run: *dry_run,
                },
            )
        }
    }
}

fn create(context: &Context) -> std::result::Result<u8, Failure> {
    let settings = context.for_catalog()?;
    let facts = BackupFacts {
        reason: "backup create".to_owned(),
        ..BackupFacts::default()
    };
    let created = backup::create(&settings, &facts, &context.console())?;
    context.output.report_run(&CreatedReport::from(&created), false)
}

fn list(context: &Context) -> std::result::Result<u8, Failure> {
    let settings = context.for_catalog()?;
    let backups = backup::list(&settings)?;
    context.output.report(&ListReport {
        backups: backups.iter().map(BackupEntry::from).collect(),
        backup_dir: settings.backup_dir,
    })
}

fn verify(context: &Context, name: &OsString, full: bool) -> std::result::Result<u8, Failure> {
    let settings = context.for_catalog()?;
    let found = backup::find(&settings, name)?;
    let problems = backup::verify(&settings, &found, full, &context.console())?;
    let report = VerifiedReport {
        backup: BackupFiles::from(&found),
        problems,
    };
    if !report.problems.is_empty() {
        let error = Error::new(
            ErrorKind::VerificationFailed,
            format!("the backup {} cannot be trusted", found.database.display()),
        )
        .with_truth("Nothing was changed.")
        .with_hint(Hint::BackupList);
        return context.output.findings(&report, error);
    }
    context.output.report(&report)
}

fn prune(context: &Context, options: &PruneOptions) -> std::result::Result<u8, Failure> {
    let settings = context.for_catalog()?;
    let pruned = backup::prune(&settings, options, &context.console())?;
    let entries = |backups: &[backup::Backup]| backups.iter().map(BackupEntry::from).collect();
    let report = PrunedReport {
        dry_run: options.dry_run,
        removed: entries(&pruned.removed),
        bytes: pruned.bytes,
        kept_for_runs: entries(&pruned.pinned),
    };
    context.output.report_run(&report, options.dry_run)
}

/// The manifests of backups that lead back to before a run whose changes are still there.
fn restore_points(context: &Context) -> Result<Vec<PathBuf>> {
    let read = context.read(|reader| {
        let version = History::read(reader)?.map_or(0, |history| history.version());
        Ok((version, read_runs(reader)?))
    });
    let (version, runs) = match read {
        Ok(read) => read,
        // A database that is gone has no runs; its backups are all that is left.
        Err(error) if error.kind() == ErrorKind::Missing => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    Ok(runs
        .into_iter()
        .filter(|run| run.from < version)
        .filter_map(|run| run.backup.map(PathBuf::from))
        .collect())
}

/// A number and a unit: `30d`, `12h`, `90m`, `4w`.
pub(super) fn parse_age(text: &str) -> std::result::Result<chrono::Duration, String> {
    let wrong = || "give a number and a unit: 30d, 12h, 90m or 4w".to_owned();
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let number: i64 = text
        .strip_suffix(unit)
        .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(wrong)?;
    match unit {
        'm' => chrono::Duration::try_minutes(number),
        'h' => chrono::Duration::try_hours(number),
        'd' => chrono::Duration::try_days(number),
        'w' => chrono::Duration::try_weeks(number),
        _ => None,
    }
    .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_a_number_with_a_unit() {
        assert_eq!(parse_age("30d"), Ok(chrono::Duration::days(30)));
        assert_eq!(parse_age("90m"), Ok(chrono::Duration::minutes(90)));
        for text in [
            "",
            "30",
            "d",
            "-1d",
            "+1d",
            "1.5h",
            "3y",
            "99999999999999999d",
            "１d",
        ] {
            assert!(parse_age(text).is_err(), "{text:?}");
        }
    }
}
