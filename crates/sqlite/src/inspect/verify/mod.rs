//! `verify`: whether a database is whole, and what its history, schema and records say of each other.
//!
//! Reads only. Damage is a finding, not an error: the rest is looked at as far as it can be read.

pub mod codes;
mod copy;
mod foreign;
mod history;
mod leftovers;
mod pages;
mod records;
mod report;
mod rows;
mod schema;

use rusqlite::Connection;

use crate::files::database_file::{FileState, for_catalog, inspect};
use crate::files::lock;
use crate::sqlite::connection::{self, Reader};
use crate::sqlite::sqlite_error::{SqliteContext, is_damage};
use bridge_migrate_core::{Activity, Catalog, Finding, Observer, Result, Settings, Severity};
use report::Report;

/// How thoroughly to look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VerifyOptions {
    /// Also whether indexes agree with their tables, which takes about ten times as long.
    pub full: bool,
}

/// What every part of a verification works with.
struct Context<'a> {
    catalog: &'a Catalog,
    settings: &'a Settings,
    connection: &'a Connection,
    /// Whether a run is at work: what is half done is not left half done.
    is_running: bool,
}

/// Looks at the database and everything beside it, worst findings first. Not one byte changes.
///
/// # Errors
/// When the file does not exist, is no database, is locked for too long or cannot be read by this user. What
/// is wrong inside is never an error.
pub fn verify(
    catalog: &Catalog,
    settings: &Settings,
    options: VerifyOptions,
    observer: &dyn Observer,
) -> Result<Vec<Finding>> {
    let settings = &for_catalog(catalog, settings)?;
    let mut report = Report::default();
    let state = inspect(&settings.database)?;
    leftovers::around(settings, state, &mut report)?;
    if state == FileState::Empty {
        report.add(&codes::NOT_MANAGED, "database", "there is nothing in it yet");
        return Ok(report.into_findings());
    }
    let looked = connection::with_reader(&settings.database, settings.busy_timeout, |reader| {
        let mut report = report.clone();
        check_inside(catalog, settings, options, reader, &mut report, observer)?;
        Ok(report)
    });
    match looked {
        Ok(report) => Ok(report.into_findings()),
        Err(error) if is_damage(&error) && matches!(state, FileState::Database { .. }) => {
            report.failure("database", &error);
            Ok(report.into_findings())
        }
        Err(error) => Err(error),
    }
}

fn check_inside(
    catalog: &Catalog,
    settings: &Settings,
    options: VerifyOptions,
    reader: &Reader,
    report: &mut Report,
    observer: &dyn Observer,
) -> Result<()> {
    let is_live = !reader.is_private_copy();
    if !is_live && !report.has(&codes::STALE_SIDECAR) {
        report.add(
            &codes::HOT_SIDECAR,
            "database",
            "a crash left a transaction half done beside it; the next program that opens it for writing rolls it back",
        );
    }
    let keeps_writers_waiting = is_live && !reader.is_wal();
    if keeps_writers_waiting {
        let outcome = pages::check_length(reader, &settings.database, report);
        report.absorb("database", outcome)?;
    }
    let name = settings
        .database
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    observer.progress(Activity::Check, &name, 0, None);
    let looked = check_at_one_moment(
        catalog,
        settings,
        reader,
        options,
        keeps_writers_waiting,
        observer,
        report,
    );
    observer.finished(Activity::Check, &name);
    looked
}

/// Looks at everything as of one moment: what a run writes in one transaction agrees with itself only then.
fn check_at_one_moment(
    catalog: &Catalog,
    settings: &Settings,
    reader: &Connection,
    options: VerifyOptions,
    keeps_writers_waiting: bool,
    observer: &dyn Observer,
    report: &mut Report,
) -> Result<()> {
    let limit = if report.has(&codes::RUNNING) {
        copy::CHECKED_BESIDE_A_RUN
    } else if options.full {
        copy::QUICKLY_CHECKED_IN_FULL
    } else {
        copy::QUICKLY_CHECKED
    };
    let copy = if keeps_writers_waiting {
        copy::copy_if_large(settings, limit, observer)?
    } else {
        None
    };
    let reader = copy.as_ref().map_or(reader, |copy| &copy.reader);
    let moment = connection::begin_reading(reader).while_doing("read the database")?;
    let context = Context {
        catalog,
        settings,
        connection: &moment,
        // Asked again, since a run may have begun between the first look and the moment.
        is_running: report.has(&codes::RUNNING) || lock::current_holder(&settings.database).is_some(),
    };
    let checked = pages::check(&moment, options.full, report);
    report.absorb("database", checked)?;
    let parts: [(&str, Part); 6] = [
        ("foreign keys", foreign::check),
        ("schema", schema::check),
        ("history", history::check),
        ("records", records::check),
        ("rows", rows::check),
        ("leftovers", leftovers::inside),
    ];
    for (area, part) in parts {
        let outcome = part(&context, report);
        report.absorb(area, outcome)?;
    }
    Ok(())
}

type Part = fn(&Context<'_>, &mut Report) -> Result<()>;

/// Whether the only thing wrong is that the database has migrations beyond this program's.
pub fn is_only_newer(findings: &[Finding]) -> bool {
    let mut errors = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .peekable();
    errors.peek().is_some() && errors.all(|finding| finding.code == codes::NEWER.code)
}
