//! What an operator asks first: where the database stands. Reads only.

use serde::Serialize;
use std::path::PathBuf;

use naming::{Phase, Release};

use crate::backup::{self, Backup};
use crate::files::database_file::{FileState, for_catalog, inspect};
use crate::files::{kernel_locks, lock};
use crate::plan::adoption::{Adoption, AdoptionOptions};
use crate::plan::drift;
use crate::records::kept::{self, Kept};
use crate::records::run_log::failure_of;
use crate::records::runs::{self, RecordedRun};
use crate::records::state::{Progress, State};
use crate::schema::{Difference, expected};
use crate::sqlite::connection::{self, Reader};
use crate::sqlite::sqlite_error::SqliteContext;
use bridge_migrate_core::{Catalog, ErrorKind, Hint, Holder, Position, Result, Settings};

/// Where a database stands.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Status {
    /// The database.
    pub database: PathBuf,
    /// Whether there is anything in it.
    pub presence: Presence,
    /// Its version and release; for a database that is not managed, 0 and what `schema_version` says.
    pub position: Position,
    /// Migrations that `migrate` would apply.
    pub pending: Vec<Pending>,
    /// What of the schema differs from what the history implies.
    pub drift: Vec<Difference>,
    /// A data step or a way back that was interrupted.
    pub interrupted: Option<Progress>,
    /// One that the holder of the lock is at work on.
    pub running: Option<Progress>,
    /// Who holds the migration lock.
    pub lock: Option<Holder>,
    /// The last run that changed the database.
    pub last_run: Option<RecordedRun>,
    /// The newest complete backup, also one that secures a state and so is not the `latest`.
    pub last_backup: Option<Backup>,
    /// What rollbacks kept and has not come back.
    pub kept: Vec<Kept>,
}

/// How the tool sees a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// There is no file.
    Missing,
    /// There is a file without tables.
    Empty,
    /// It is not managed, and `migrate` would adopt it at this version.
    Adoptable(Box<Adoption>),
    /// It is not managed, and its schema is not that of any version.
    Unrecognized {
        /// Why, in words.
        why: String,
        /// The command that leads on.
        hint: Hint,
    },
    /// It is managed.
    Managed,
    /// Another program keeps everybody out: nothing in it is known. Which process, if the kernel tells.
    Locked(Option<u32>),
}

/// A migration that is not applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pending {
    /// Its number.
    pub version: u32,
    /// Its name.
    pub name: String,
    /// The release that it belongs to.
    #[serde(serialize_with = "bridge_migrate_core::serial::text")]
    pub release: Release,
    /// What servers it can live with.
    #[serde(serialize_with = "bridge_migrate_core::serial::text")]
    pub phase: Phase,
}

/// Reads where the database stands. Not one byte of the database or its folder changes.
///
/// # Errors
/// When the file cannot be read or is no database; [`ErrorKind::Newer`] and [`ErrorKind::Divergent`] when
/// the history contradicts the catalog.
pub fn status(catalog: &Catalog, settings: &Settings) -> Result<Status> {
    let settings = &match for_catalog(catalog, settings) {
        Ok(settings) => settings,
        // A folder that does not exist yet holds no database.
        Err(error) if error.kind() == ErrorKind::Missing && !settings.database.is_symlink() => {
            settings.clone()
        }
        Err(error) => return Err(error),
    }
    // Whoever asks wants to know now, and be it who is in the way.
    .without_waiting();
    let last_backup =
        backup::newest_first(settings)?.find(|backup| backup.state == backup::Completeness::Complete);
    let read = || -> Result<Status> {
        let found = match read_file(catalog, settings) {
            Err(error) if error.kind() == ErrorKind::Busy => Status {
                presence: Presence::Locked(kernel_locks::holders(&settings.database).first().copied()),
                pending: Vec::new(),
                ..unseen(catalog, settings)
            },
            found => found?,
        };
        // Looked at last: whoever made the progress that was found still holds it, or has ended since.
        let lock = lock::current_holder(&settings.database);
        Ok(Status { lock, ..found })
    };
    let was_held = lock::current_holder(&settings.database).is_some();
    let mut found = read()?;
    if was_held && found.lock.is_none() && found.interrupted.is_some() {
        found = read()?;
    }
    if let (Some(holder), Some(progress)) = (&found.lock, &found.interrupted)
        && is_at_work_on(holder, progress)
    {
        found.running = found.interrupted.take();
    }
    if let Some(run) = &mut found.last_run {
        run.failure = failure_of(settings, &run.run);
    }
    Ok(Status { last_backup, ..found })
}

/// Whether the holder of the lock is the one that goes on with the step. One that cannot be known is taken for it.
fn is_at_work_on(holder: &Holder, progress: &Progress) -> bool {
    let command = if progress.down { "rollback" } else { "migrate" };
    holder.pid == 0 || holder.command == command
}

/// What is true of a database that is not there.
fn unseen(catalog: &Catalog, settings: &Settings) -> Status {
    Status {
        database: settings.database.clone(),
        presence: Presence::Missing,
        position: Position {
            version: 0,
            release: None,
        },
        pending: pending(catalog, 0),
        drift: Vec::new(),
        interrupted: None,
        running: None,
        lock: None,
        last_run: None,
        last_backup: None,
        kept: Vec::new(),
    }
}

/// What the database itself tells.
fn read_file(catalog: &Catalog, settings: &Settings) -> Result<Status> {
    let status = unseen(catalog, settings);
    match inspect(&settings.database)? {
        FileState::Missing => Ok(status),
        FileState::Empty => Ok(Status {
            presence: Presence::Empty,
            ..status
        }),
        FileState::Database { .. } => {
            connection::with_reader(&settings.database, settings.busy_timeout, |reader| {
                read_inside(catalog, settings, reader, status.clone())
            })
        }
    }
}

fn read_inside(
    catalog: &Catalog,
    settings: &Settings,
    reader: &Reader,
    mut status: Status,
) -> Result<Status> {
    // Of one moment, and with one lock instead of one for each read.
    let moment = reader
        .unchecked_transaction()
        .while_doing("read where the database stands")?;
    let state = State::read(&moment)?;
    if let Some(history) = &state.history {
        history.check(catalog)?;
        status.presence = Presence::Managed;
        status.position = Position::of(catalog, history.version());
        status.pending = pending(catalog, history.version());
        status.drift = drift::find(catalog, &moment, &state)?;
        status.last_run = runs::last_run(&moment)?;
        status.interrupted = state.progress;
        status.kept = kept::left(&moment, settings)?;
    } else if state.is_fresh() {
        status.presence = Presence::Empty;
    } else {
        let expected = expected::schemas(catalog)?;
        status.position.release = state
            .schema_version
            .as_deref()
            .and_then(|text| Release::parse(text).ok());
        status.presence = match Adoption::find(
            catalog,
            &expected,
            &state,
            AdoptionOptions::default(),
            &settings.database,
        ) {
            Ok(adoption) => {
                status.pending = pending(catalog, adoption.version);
                Presence::Adoptable(Box::new(adoption))
            }
            Err(error) if error.kind() == ErrorKind::SchemaMismatch => Presence::Unrecognized {
                why: error.message().to_owned(),
                hint: error.hint().clone(),
            },
            Err(error) => return Err(error),
        };
    }
    Ok(status)
}

fn pending(catalog: &Catalog, version: u32) -> Vec<Pending> {
    catalog
        .migrations()
        .iter()
        .filter(|migration| migration.version > version)
        .map(|migration| Pending {
            version: migration.version,
            name: migration.name.clone(),
            release: migration.release,
            phase: migration.phase,
        })
        .collect()
}
