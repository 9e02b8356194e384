//! Puts a backup's content back, as one change that other processes see as a whole.
//!
//! The order is: check the backup, check that there is space, keep writers out, secure the present state as a backup of
//! its own, put the database back, check it, put the companion back. The database and the companion are two files and
//! cannot change at one instant: the database goes first, and a run that is killed in between is repaired by
//! running it again, since every part of it can be done twice.

mod companion;
mod in_doubt;
mod in_place;
mod replace;
mod same_pages;
mod secure;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub use companion::CompanionChange;
pub(crate) use companion::{CompanionPart, agree};
use in_doubt::in_doubt;
pub(crate) use in_place::Decision;
use in_place::Put;
use serde::Serialize;

use crate::backup::{
    BEFORE_RESTORE, Backup, BackupFacts, Contents, Problem, ProblemKind, read_contents, space_needed, verify,
};
use crate::files::database_file::{FileState, SIDECARS, inspect};
use crate::migrate::step::millis;
use crate::records::runs::{self, Run};
use crate::records::{failed_run::after_replacing, state::State, unfinished::Unfinished};
use crate::schema::{ObjectKind, Snapshot, expected};
use crate::sqlite::connection::{open_immutable, with_reader};
use crate::sqlite::{disk_space::DiskSpace, sqlite_error::is_damage};
use bridge_migrate_core::whole_file::{WholeFile, remove_abandoned};
use bridge_migrate_core::{
    Catalog, EntryCounts, Error, ErrorKind, Hint, Keep, Observer, Result, Settings, folder_of,
    regular_file::make_folder,
};

/// How to restore.
#[derive(Debug, Clone, Default)]
pub struct RestoreOptions {
    /// Only says what would change.
    pub dry_run: bool,
    /// Accepts a plain copy of a database that has no manifest, if a full check finds it sound.
    pub accept_without_manifest: bool,
    /// Which companion there is afterwards, and what the tables hold that hold the same.
    pub companion: Keep,
    /// What is known of the present state, for the backup that secures it.
    pub present: BackupFacts,
}

/// Where the state before the restore went.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "as", rename_all = "snake_case")]
pub enum Secured {
    /// Nowhere: there was nothing, or it was a dry run.
    Nothing,
    /// Into a backup.
    Backup {
        /// The backup.
        backup: Box<Backup>,
    },
    /// The database was damaged, so its files were copied as they were.
    Damaged {
        /// The copies.
        files: Vec<PathBuf>,
    },
}

/// How the content got to its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// As a transaction in the file: processes that have it open see it.
    InPlace,
    /// As a new file in the place of a missing one, or of one that SQLite cannot even lock: processes that have the
    /// old one open must open it again.
    NewFile,
}

/// Rows of a table before and after; `None` where there is no such table, or it cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableRows {
    /// The table.
    pub table: String,
    /// Rows before the restore.
    pub now: Option<u64>,
    /// Rows in the backup.
    pub backup: Option<u64>,
}

/// What a restore did, or would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RestoreOutcome {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// The backup that was put back.
    pub backup: Backup,
    /// Where the state before went.
    pub secured: Secured,
    /// How the content got to its place.
    pub placement: Placement,
    /// Rows of each table before and in the backup.
    pub tables: Vec<TableRows>,
    /// What became of the companion file.
    pub companion: CompanionChange,
    /// What became of its entries.
    pub entries: EntryCounts,
    /// Whether another process wrote between the restore and the check of its result, so that row counts
    /// could not be compared exactly. What was written before is in `secured`.
    pub written_since: bool,
    /// How long other processes were kept out of the database, in milliseconds; `None` unless it was restored in place.
    pub lock_ms: Option<u64>,
}

/// Puts the content of `backup` back. The caller holds the [migration lock](crate::files::lock::MigrationLock).
///
/// In rollback-journal mode, readers and writers of the database wait while its state is secured and its pages are
/// written; in write-ahead mode, only writers do. What was committed before is in the backup that secures it. That is about a second for 60 to 250 MB, so a server with a busy timeout of 5 s
/// is better stopped while a much larger database is restored. A run that is killed leaves the old or the new content whole.
///
/// The restored database has the backup's journal mode unless others have it open in write-ahead mode. If the
/// live database is in write-ahead mode with another page size, it keeps its page size.
///
/// # Errors
/// [`ErrorKind::BackupInvalid`] when the backup is not as its manifest says or is damaged;
/// [`ErrorKind::Permission`], [`ErrorKind::DiskFull`] before anything is changed; [`ErrorKind::Busy`] when
/// other processes keep the database locked for longer than the busy timeout. [`Error::reached`] tells where the
/// database stands when it is replaced and the rest failed.
pub fn restore(
    settings: &Settings,
    backup: &Backup,
    options: &RestoreOptions,
    observer: &dyn Observer,
) -> Result<RestoreOutcome> {
    if options.dry_run {
        return put_back(settings, backup, options, None, observer);
    }
    let version = runs::version_of(settings)?;
    Run::begin(settings, "restore", version, version).with_log(settings, observer, |run, log| {
        let mut options = options.clone();
        options.present.run = Some(run.name.clone());
        let outcome = put_back(settings, backup, &options, None, log)?;
        if let Secured::Backup { backup } = &outcome.secured {
            run.backup = Some(backup.manifest_path.clone());
        }
        // Whatever a rollback was restoring, this content is wanted now.
        Unfinished::forget(settings).map_err(|error| {
            let rest = "The note of an interrupted rollback may still be there. Run the restore again.";
            after_replacing(error, settings, &backup.database, rest).with_hint(again(&backup.database))
        })?;
        run.record_afterwards(settings, log);
        Ok(outcome)
    })
}

/// Refuses a backup of another application's database: of one with another history, or with none of the tables.
/// A backup of the same application from another machine or path is welcome, and so is an empty one.
///
/// # Errors
/// [`ErrorKind::ForeignDatabase`].
pub fn refuse_foreign(catalog: &Catalog, backup: &Backup) -> Result<()> {
    let read = || State::read(&open_immutable(&backup.database)?);
    let Ok(state) = read() else {
        // What cannot be read is refused with a better reason by the restore itself.
        return Ok(());
    };
    let is_ours = match state.history.as_ref().and_then(|history| history.applied.first()) {
        Some(first) => catalog
            .migrations()
            .first()
            .is_some_and(|known| known.name == first.name),
        None => {
            let known: Vec<Snapshot> = expected::schemas(catalog)?;
            state.schema.is_empty()
                || state.schema.of_kind(ObjectKind::Table).any(|table| {
                    known
                        .iter()
                        .any(|schema| schema.get(ObjectKind::Table, &table.name).is_some())
                })
        }
    };
    if is_ours {
        return Ok(());
    }
    Err(Error::unchanged(
        ErrorKind::ForeignDatabase,
        format!(
            "{} is not a backup of a database of the {}",
            backup.database.display(),
            catalog.application()
        ),
    )
    .with_hint(Hint::BackupList))
}

/// [`restore`] without its last word, for a rollback that has more to do, and decides on what it loses.
pub(crate) fn put_back(
    settings: &Settings,
    backup: &Backup,
    options: &RestoreOptions,
    decision: Option<Decision<'_>>,
    observer: &dyn Observer,
) -> Result<RestoreOutcome> {
    refuse_invalid(settings, backup, options, observer)?;
    let wanted = match &backup.manifest {
        Some(manifest) => manifest.database.contents.clone(),
        None => read_contents(&open_immutable(&backup.database)?)?,
    };
    let part = CompanionPart::new(settings, backup, options.companion)?;
    let present = Present::of(settings)?;
    // What cannot be merged is refused before anything is changed.
    let (companion, entries) = part.foresee(None)?;

    let mut outcome = RestoreOutcome {
        dry_run: options.dry_run,
        backup: backup.clone(),
        secured: Secured::Nothing,
        placement: present.placement(),
        tables: Vec::new(),
        companion,
        entries,
        written_since: false,
        lock_ms: None,
    };
    if let (Placement::InPlace, Some(message)) = (present.placement(), in_place::long_wait(&wanted)) {
        observer.warn(message);
    }
    if options.dry_run {
        let seen = match present {
            Present::Database => contents_now(settings, &part)?,
            Present::Missing | Present::Damaged => None,
        };
        let (now, foreseen) = seen.unzip();
        outcome.tables = table_rows(now.as_ref(), &wanted);
        (outcome.companion, outcome.entries) = foreseen.unwrap_or((companion, entries));
        return Ok(outcome);
    }

    check_space(settings, backup, &part)?;
    remove_abandoned(&folder_of(&settings.database));
    let put = put_database(settings, backup, &wanted, &part, options, decision, observer)?;
    outcome.tables = table_rows(put.now.as_ref(), &wanted);
    outcome.secured = put.secured;
    outcome.written_since = put.written_since;
    outcome.lock_ms = put.lock_held.map(millis);
    outcome.placement = match put.lock_held {
        Some(_) => Placement::InPlace,
        None => Placement::NewFile,
    };
    let before = match &outcome.secured {
        Secured::Backup { backup } => Some(backup.database.as_path()),
        Secured::Damaged { .. } | Secured::Nothing => None,
    };
    let secured_companion = match &outcome.secured {
        Secured::Backup { backup } => backup.companion.as_deref(),
        Secured::Damaged { .. } | Secured::Nothing => None,
    };
    let published = part.publish(before, secured_companion).map_err(|error| {
        let rest = "The companion file may still be as it was. Run the restore again.";
        after_replacing(error, settings, &backup.database, rest).with_hint(again(&backup.database))
    })?;
    let aside;
    (outcome.companion, outcome.entries, aside) = published;
    if let Some(aside) = aside {
        let (companion, aside) = (settings.companion.display(), aside.display());
        let message = format!("{companion} was written to meanwhile: what was replaced is in {aside}");
        observer.warn(message);
    }
    Ok(outcome)
}

/// Secures what is at the database's path and puts the backup there.
fn put_database(
    settings: &Settings,
    backup: &Backup,
    wanted: &Contents,
    companion: &CompanionPart<'_>,
    options: &RestoreOptions,
    decision: Option<Decision<'_>>,
    observer: &dyn Observer,
) -> Result<Put> {
    let from = backup.database.as_path();
    let ready = || {
        let merged = in_place::merged_copy(from, companion, &folder_of(&settings.database))?;
        replace::ready(settings, merged.as_ref().map_or(from, WholeFile::path), observer)
    };
    let mut present = Present::of(settings)?;
    if present == Present::Missing {
        let file = ready()?;
        let files = secure::copy_raw(settings, &SIDECARS)?;
        let is_put = replace::put_where_none_is(settings, file)
            .map_err(|error| in_doubt(error, settings, (from, from), None))?;
        if is_put {
            return Ok(Put::new_file(&files));
        }
        // A server made a database meanwhile.
        present = Present::of(settings)?;
    }
    if present == Present::Database {
        let mut facts = options.present.clone();
        if facts.reason.is_empty() {
            BEFORE_RESTORE.clone_into(&mut facts.reason);
        }
        if let Some(put) = in_place::put(settings, from, wanted, companion, &facts, decision, observer)? {
            return Ok(put);
        }
    }
    let mut files = secure::copy_raw(settings, &SIDECARS)?;
    if let Some(put) = in_place::put_over_damage(settings, from, wanted, companion, &mut files, observer)? {
        return Ok(put);
    }
    let file = ready()?;
    replace::put_over_damaged(settings, file, &files).map_err(|error| match error.truth() {
        Some(_) => error,
        None => in_doubt(error, settings, (from, from), None),
    })?;
    Ok(Put::new_file(&files))
}

/// What stands at the database's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Present {
    Missing,
    /// Perhaps with damaged pages.
    Database,
    /// A regular file that is no database.
    Damaged,
}

impl Present {
    fn of(settings: &Settings) -> Result<Self> {
        match inspect(&settings.database) {
            Ok(FileState::Missing) => Ok(Self::Missing),
            Ok(FileState::Empty | FileState::Database { .. }) => Ok(Self::Database),
            Err(error) if error.kind() == ErrorKind::NotADatabase && settings.database.is_file() => {
                Ok(Self::Damaged)
            }
            Err(error) => Err(error),
        }
    }

    fn placement(self) -> Placement {
        match self {
            Self::Database | Self::Damaged => Placement::InPlace,
            Self::Missing => Placement::NewFile,
        }
    }
}

fn refuse_invalid(
    settings: &Settings,
    backup: &Backup,
    options: &RestoreOptions,
    observer: &dyn Observer,
) -> Result<()> {
    let same = |one: &Path, other: &Path| match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    };
    if same(&settings.database, &backup.database) {
        return Err(Error::unchanged(
            ErrorKind::Usage,
            format!(
                "{} is the database itself, not a backup",
                backup.database.display()
            ),
        )
        .with_hint(Hint::BackupList));
    }
    // Without a manifest, nothing but the copy itself can tell whether it is sound.
    let full = backup.manifest.is_none();
    let of_companion = |problem: &Problem| Some(&problem.file) == backup.companion.as_ref();
    let problems: Vec<_> = verify(settings, backup, full, observer)?
        .into_iter()
        .filter(|problem| !(options.accept_without_manifest && problem.kind == ProblemKind::ManifestMissing))
        .filter(|problem| !(options.companion == Keep::Present && of_companion(problem)))
        .collect();
    if problems.is_empty() {
        return Ok(());
    }
    let hint = match problems.iter().all(of_companion) {
        true => Hint::Restore(backup.database.clone(), Some(Keep::Present)),
        false => Hint::BackupList,
    };
    let problems: Vec<_> = problems.into_iter().map(|problem| problem.message).collect();
    Err(Error::unchanged(
        ErrorKind::BackupInvalid,
        format!(
            "the backup {} cannot be restored: {}",
            backup.database.display(),
            problems.join("; ")
        ),
    )
    .with_hint(hint))
}

/// Everything that can be known to fail is tried before anything is changed.
fn check_space(settings: &Settings, backup: &Backup, companion: &CompanionPart<'_>) -> Result<()> {
    let length = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
    let folder = folder_of(&settings.database);
    // The new pages in the log and then in the file, or the old ones in the journal.
    let (new, old) = (length(&backup.database), length(&settings.database));
    let copies = u64::from(companion.changes_tables) + 1;
    let put = (copies * new + new.max(old)).saturating_mul(65) / 64 + (1 << 20);
    let companion = backup.companion.as_deref().map_or(0, length);
    let secure = space_needed(settings)?;

    make_folder(&settings.backup_dir)?;
    let space = DiskSpace {
        beside_database: put + companion,
        backup: secure,
        ..DiskSpace::default()
    };
    space.require(settings, "the restore")?;
    let companion_folder = folder_of(&settings.companion);
    for folder in [&folder, &settings.backup_dir, &companion_folder] {
        drop(WholeFile::create_in(folder)?);
    }
    Ok(())
}

/// What the present database holds, and what becomes of the companion beside it; `None` when it is damaged.
fn contents_now(
    settings: &Settings,
    companion: &CompanionPart<'_>,
) -> Result<Option<(Contents, (CompanionChange, EntryCounts))>> {
    let seen = with_reader(&settings.database, settings.busy_timeout, |reader| {
        Ok((read_contents(reader)?, companion.foresee(Some(reader))?))
    });
    match seen {
        Ok(seen) => Ok(Some(seen)),
        Err(error) if is_damage(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn table_rows(now: Option<&Contents>, backup: &Contents) -> Vec<TableRows> {
    let tables: BTreeSet<&String> = now
        .iter()
        .flat_map(|contents| contents.tables.keys())
        .chain(backup.tables.keys())
        .collect();
    tables
        .into_iter()
        .map(|table| TableRows {
            table: table.clone(),
            now: now.and_then(|contents| contents.tables.get(table).copied()),
            backup: backup.tables.get(table).copied(),
        })
        .collect()
}

fn again(copy: &Path) -> Hint {
    Hint::Restore(copy.into(), None)
}
