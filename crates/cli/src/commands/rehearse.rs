//! `rehearse`: the whole plan, and back, on a copy; leaves a receipt.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{ffi::OsString, io::Write as _, time::Instant};

use bridge_migrate_core::{
    Error, ErrorKind, Hint, IoContext, Result, Target, folder_of, regular_file::refuse_to_replace,
    whole_file::WholeFile,
};
use bridge_migrate_sqlite::AdoptionOptions;
use bridge_migrate_sqlite::rehearse::{CheckOutcome, Rehearsal, RehearseOptions, SmokeTest, rehearse};

use crate::context::Context;
use crate::options::DATABASE_VARIABLE;
use crate::output::Failure;
use crate::render::rehearse::RehearseReport;
use crate::report::page;

/// The end of a smoke test's output that is kept, in bytes.
const OUTPUT_BYTES: usize = 64 * 1024;

/// Runs the whole plan on a copy of the database, then back, then again, and leaves a receipt
///
/// The database itself stays as it is, byte for byte. `migrate --require-receipt` demands the receipt, which
/// stands beside the backups and counts for seven days, for this database and these migrations.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where to go: `latest`, a migration, a release, or +1
    #[arg(long, value_name = "TARGET", default_value = "latest", allow_hyphen_values = true,
        value_parser = Target::parse)]
    to: Target,
    /// A command of the shell that tries the migrated copy: BRIDGE_DB and DATABASE_PATH name it, BRIDGE_TOKENS
    /// the copy of the token file
    #[arg(long, value_name = "COMMAND")]
    exec: Option<OsString>,
    /// Leaves the copy, migrated
    #[arg(long)]
    keep: bool,
    /// Writes a page for a review; it holds samples of the data
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Accepts columns that no release has when the database is adopted
    #[arg(long)]
    accept_additions: bool,
    /// Passes over a schema that somebody changed by hand, as `migrate --allow-drift` does
    #[arg(long)]
    allow_drift: bool,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> std::result::Result<u8, Failure> {
    if let Some(file) = &arguments.report {
        // Found before the work, not after it.
        let folder = folder_of(file);
        folder.metadata().on_file("find the folder", &folder)?;
        refuse_to_replace(file)?;
    }
    let mut smoke_test = |database: &Path, companion: &Path| match &arguments.exec {
        Some(command) => try_copy(command, database, companion),
        None => Err(Error::new(
            ErrorKind::Usage,
            "there is no command to try the copy with",
        )),
    };
    let options = RehearseOptions {
        target: arguments.to,
        adoption: AdoptionOptions {
            release: None,
            accept_additions: arguments.accept_additions,
        },
        allow_drift: arguments.allow_drift,
        keep: arguments.keep,
        smoke_test: if arguments.exec.is_some() {
            Some(&mut smoke_test)
        } else {
            None
        },
    };
    let rehearsal = rehearse(
        &context.catalog()?,
        &context.settings,
        options,
        &context.console(),
    )?;
    if let Some(file) = &arguments.report {
        write(file, &page(&rehearsal))?;
    }
    let report = RehearseReport::new(&rehearsal, arguments.report.clone());
    if rehearsal.ok() {
        return context.output.report(&report);
    }
    context.output.findings(&report, failure(&rehearsal))
}

fn failure(rehearsal: &Rehearsal) -> Error {
    let failed = rehearsal
        .checks
        .iter()
        .find(|check| check.outcome == CheckOutcome::Failed);
    let kind = failed.and_then(|check| check.error);
    let why = failed.map_or("a check does not hold", |check| check.name.claim());
    Error::new(
        kind.unwrap_or(ErrorKind::VerificationFailed),
        format!("the rehearsal failed; this does not hold: {why}"),
    )
    .with_truth("Only a copy was changed; the database is as it was.")
    .with_hint(Hint::PlanSql)
}

/// Runs the user's own test by the shell.
fn try_copy(command: &OsString, database: &Path, companion: &Path) -> Result<SmokeTest> {
    let (shell, flag) = if cfg!(windows) {
        ("cmd", "/C")
    } else {
        ("sh", "-c")
    };
    let started = Instant::now();
    let output = Command::new(shell)
        .arg(flag)
        .arg(command)
        .env("BRIDGE_DB", database)
        .env(DATABASE_VARIABLE, database)
        .env("BRIDGE_TOKENS", companion)
        .stdin(Stdio::null())
        .output()
        .on_file("run", Path::new(shell))?;
    let duration_ms = super::milliseconds(started.elapsed());
    let mut text = output.stdout;
    text.extend(output.stderr);
    let from = text.len().saturating_sub(OUTPUT_BYTES);
    Ok(SmokeTest {
        command: command.to_string_lossy().into_owned(),
        exit_code: output.status.code(),
        duration_ms,
        output: String::from_utf8_lossy(text.get(from..).unwrap_or_default()).into_owned(),
    })
}

/// For its owner only: the page holds data of the database.
fn write(file: &Path, text: &str) -> Result<()> {
    let whole = WholeFile::create_in(&folder_of(file))?;
    whole.file().write_all(text.as_bytes()).on_file("write", file)?;
    let (verified, ()) = whole.verified(|_| Ok(()))?;
    verified.publish_over(file)
}
