//! `doctor`: what a maintainer needs to help, with no secret and no row of user data in it.
//!
//! The rule: no text that stands in a row, a log, a lock file or a folder's name goes into the bundle. Numbers
//! do, times that parse, and texts that equal one this program knows itself. Of the schema, the application's
//! own statements are shown as they are; in those of operators every value is left out.

mod database;
mod known;
mod log_lines;
mod redact;

use std::path::Path;

use serde::Serialize;

use crate::backup::{self, file_name};
use crate::files::{database_file::for_catalog, lock};
use crate::inspect::verify::{VerifyOptions, verify};
use crate::records::{run_log::with_failures, runs::read_runs};
use crate::sqlite::connection::with_reader;
use bridge_migrate_core::whole_file::{Publication, WholeFile};
use bridge_migrate_core::{
    Catalog, Error, ErrorKind, Hint, IoContext, Observer, Result, Settings, Severity, clock::timestamp, disk,
    folder_of,
};

pub use database::{
    AppliedMigration, DatabaseFacts, RecordedRelease, RunFacts, SchemaObject, StepFacts, TableRows,
};
pub use log_lines::{LogFacts, LogLine, last_log};

/// What a maintainer gets.
#[derive(Debug, Clone, Serialize)]
pub struct Bundle {
    /// The form of this file, 1.
    pub format: u32,
    /// When it was made, in UTC.
    pub created_at: String,
    /// The programs and the machine.
    pub environment: Environment,
    /// Files, sizes, disk and lock.
    pub files: Files,
    /// What is in the database, as far as it can be read.
    pub database: Option<DatabaseFacts>,
    /// Why it cannot be read: the kind of the error.
    pub unreadable: Option<ErrorKind>,
    /// What `verify` found.
    pub findings: Vec<BundledFinding>,
    /// Why runs failed, the last ten of them.
    pub failures: Vec<FailureFacts>,
    /// The last log.
    pub log: Option<LogFacts>,
}

/// Why a run failed.
#[derive(Debug, Clone, Serialize)]
pub struct FailureFacts {
    /// The run's name.
    pub run: Option<String>,
    /// What it did.
    pub command: Option<&'static str>,
    /// When it began.
    pub started_at: Option<String>,
    /// Where it came.
    pub reached: u32,
    /// What was being done and what was wrong, with values left out.
    pub message: String,
    /// SQLite's extended result code.
    pub sqlite_code: Option<i32>,
    /// What the code means.
    pub sqlite: Option<&'static str>,
    /// The table, if there is one of this name.
    pub table: Option<String>,
    /// The row's id.
    pub rowid: Option<i64>,
}

/// Failed runs that a bundle has.
const FAILURES: usize = 10;

/// The programs and the machine.
#[derive(Debug, Clone, Serialize)]
pub struct Environment {
    /// Name and version of the program.
    pub tool: String,
    /// The version of SQLite in it.
    pub sqlite: &'static str,
    /// The operating system.
    pub system: &'static str,
    /// The processor.
    pub architecture: &'static str,
    /// The kernel, where the system tells.
    pub kernel: Option<String>,
    /// The kind of file system that the database is on, where the system tells.
    pub file_system: Option<String>,
    /// What a timestamp without an offset means.
    pub time_zone: String,
    /// The last migration that the program knows.
    pub catalog_version: u32,
    /// The last release that the program knows.
    pub catalog_release: Option<String>,
}

/// Files, sizes, disk and lock.
#[derive(Debug, Clone, Serialize)]
pub struct Files {
    /// The file name of the database.
    pub database: String,
    /// Its length in bytes; `None` when there is none.
    pub database_bytes: Option<u64>,
    /// The permission bits of the file, in octal, where the system has such.
    pub mode: Option<String>,
    /// Length in bytes of each file that SQLite keeps beside it.
    pub sidecars: Vec<(&'static str, u64)>,
    /// Length in bytes of the companion file; `None` when there is none.
    pub companion_bytes: Option<u64>,
    /// Complete backups.
    pub backups_complete: usize,
    /// Backups that cannot be restored, and files that look like backups.
    pub backups_other: usize,
    /// When the newest complete backup was made, as its name says.
    pub newest_backup: Option<String>,
    /// Free bytes in the folder of the database.
    pub free_bytes: Option<u64>,
    /// Free bytes in the backup folder.
    pub backup_free_bytes: Option<u64>,
    /// Whether somebody holds the migration lock.
    pub is_locked: bool,
}

/// A finding of `verify` with values left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BundledFinding {
    /// The stable code.
    pub code: &'static str,
    /// How much it weighs.
    pub severity: Severity,
    /// What it is about.
    pub subject: String,
    /// What is wrong.
    pub message: String,
}

/// Gathers everything that can be gathered; what cannot be read is left out. Reads only.
///
/// # Errors
/// When the folder of the database does not exist.
pub fn gather(catalog: &Catalog, settings: &Settings, observer: &dyn Observer) -> Result<Bundle> {
    let settings = &for_catalog(catalog, settings)?;
    let looked = database::read(catalog, settings);
    let settings = &settings.after(&looked);
    let (database, unreadable) = match looked {
        Ok(facts) => (Some(facts), None),
        Err(error) => (None, Some(error.kind())),
    };
    let names = redact::Names::new(catalog, settings, database.as_ref());
    let findings = verify(catalog, settings, VerifyOptions::default(), observer)
        .unwrap_or_default()
        .into_iter()
        .map(|finding| names.redact(finding))
        .collect();
    Ok(Bundle {
        format: 1,
        created_at: timestamp(settings.clock.now()),
        environment: environment(catalog, settings),
        files: files(settings),
        database,
        unreadable,
        findings,
        failures: failures(catalog, settings, &names),
        log: last_log(catalog, settings),
    })
}

fn failures(catalog: &Catalog, settings: &Settings, names: &redact::Names) -> Vec<FailureFacts> {
    let recorded = with_reader(&settings.database, settings.busy_timeout, |reader| {
        read_runs(reader)
    })
    .unwrap_or_default();
    let runs = with_failures(settings, recorded).unwrap_or_default();
    let failed = runs.into_iter().rev().filter_map(|run| {
        let cause = run.failure?;
        let is_stem = |name: &str| {
            catalog
                .migrations()
                .iter()
                .any(|known| known.stem().eq_ignore_ascii_case(name))
        };
        let is_name = |name: &str| names.has(name) || is_stem(name);
        // What a trigger of the operators' own says is a value in their statement.
        let because = cause
            .because
            .filter(|_| cause.sqlite_code != Some(rusqlite::ffi::SQLITE_CONSTRAINT_TRIGGER));
        let message = match because {
            Some(because) => format!("{}: {because}", cause.message),
            None => cause.message,
        };
        Some(FailureFacts {
            run: known::run(&run.run),
            command: known::command(&run.command),
            started_at: known::time(&run.started_at),
            reached: run.reached,
            message: known::message(&message, is_name),
            sqlite_code: cause.sqlite_code,
            sqlite: cause.sqlite_code.map(rusqlite::ffi::code_to_str),
            table: cause.table.filter(|table| is_name(table)),
            rowid: cause.rowid,
        })
    });
    failed.take(FAILURES).collect()
}

/// Writes the bundle to a file that does not exist yet, readable by its owner only.
///
/// # Errors
/// [`ErrorKind::Usage`] when there is such a file; when it cannot be written.
pub fn write(bundle: &Bundle, file: &Path) -> Result<()> {
    let name = file_name(file)?;
    let whole = WholeFile::create_in(&folder_of(file))?;
    serde_json::to_writer_pretty(whole.file(), bundle)
        .map_err(std::io::Error::from)
        .on_file("write", file)?;
    let (verified, ()) = whole.verified(|_| Ok(()))?;
    match verified.publish_new(name)? {
        Publication::Done(published) => {
            published.keep();
            Ok(())
        }
        Publication::Taken(_) => Err(Error::new(
            ErrorKind::Usage,
            format!("{} exists already", file.display()),
        )
        .with_truth("Nothing was written.")
        .with_hint(Hint::LookAtFile(file.into()))),
    }
}

fn environment(catalog: &Catalog, settings: &Settings) -> Environment {
    let last = catalog.last_version();
    Environment {
        tool: settings.tool.clone(),
        sqlite: rusqlite::version(),
        system: std::env::consts::OS,
        architecture: std::env::consts::ARCH,
        kernel: std::fs::read_to_string("/proc/sys/kernel/osrelease")
            .ok()
            .map(|release| release.trim().to_owned()),
        file_system: crate::inspect::checklist::file_system_of(&settings.database),
        time_zone: settings.time_zone.to_string(),
        catalog_version: last,
        catalog_release: catalog.release_at(last).map(|release| release.to_string()),
    }
}

fn files(settings: &Settings) -> Files {
    let bytes = |path: &Path| path.metadata().ok().map(|metadata| metadata.len());
    let backups = backup::list(settings).unwrap_or_default();
    let complete = |backup: &&backup::Backup| backup.state == backup::Completeness::Complete;
    let folder = folder_of(&settings.database);
    Files {
        database: backup::lossy_name(&settings.database),
        database_bytes: bytes(&settings.database),
        mode: mode(&settings.database),
        sidecars: crate::files::database_file::SIDECARS
            .into_iter()
            .filter_map(|suffix| {
                let sidecar = crate::files::database_file::with_suffix(&settings.database, suffix);
                Some((suffix, bytes(&sidecar)?))
            })
            .collect(),
        companion_bytes: bytes(&settings.companion),
        backups_complete: backups.iter().filter(complete).count(),
        backups_other: backups.iter().filter(|backup| !complete(backup)).count(),
        newest_backup: backups
            .iter()
            .find(complete)
            .and_then(|backup| Some(backup.stamp?.to_string())),
        free_bytes: disk::available(&folder).ok(),
        backup_free_bytes: disk::available(&settings.backup_dir).ok(),
        is_locked: lock::current_holder(&settings.database).is_some(),
    }
}

#[cfg(unix)]
fn mode(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    Some(format!("{:04o}", path.metadata().ok()?.mode() & 0o7777))
}

#[cfg(not(unix))]
fn mode(_: &Path) -> Option<String> {
    None
}
