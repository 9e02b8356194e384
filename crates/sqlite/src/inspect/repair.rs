//! `repair`: puts right what only the tool wrote, and says which command helps where that is not enough.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use naming::Release;
use rusqlite::Connection;
use serde::Serialize;

use crate::backup::{self, BackupFacts};
use crate::files::{database_file::for_catalog, lock::MigrationLock};
use crate::records::runs::{self, Run};
use crate::records::{
    history::History, kept, recorded_position::recorded_position, schema_version,
    transaction::WriteTransaction, unfinished::Unfinished,
};
use crate::schema::tool_tables;
use crate::sqlite::{ask::Ask, connection, sqlite_error::SqliteContext};
use bridge_migrate_core::whole_file::{abandoned, remove_abandoned};
use bridge_migrate_core::{Catalog, Error, ErrorKind, Hint, Observer, Position, Result, Settings, folder_of};

/// Something that is not as the tool left it, and that it can put right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Defect {
    /// The table or file.
    pub subject: String,
    /// What is wrong with it.
    pub why: String,
    /// What puts it right.
    pub what: String,
}

/// Something that another command is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// The table or file.
    pub subject: String,
    /// What is wrong with it.
    pub why: String,
    /// The command.
    pub hint: Hint,
}

/// What a repair found, and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repaired {
    /// The run's name; `None` when nothing was put right.
    pub run: Option<String>,
    /// What is put right, or would be.
    pub repairs: Vec<Defect>,
    /// What other commands are for.
    pub elsewhere: Vec<Elsewhere>,
    /// The backup that secured the state before.
    pub secured: Option<PathBuf>,
}

/// Says what a repair would put right, reading only; with `apply` does it, after a backup.
///
/// # Errors
/// When the database cannot be read, or belongs to a program that knows more; and what SQLite refuses.
pub fn repair(
    catalog: &Catalog,
    settings: &Settings,
    apply: bool,
    observer: &dyn Observer,
) -> Result<Repaired> {
    let settings = &for_catalog(catalog, settings)?;
    let find = || {
        connection::with_reader(&settings.database, settings.busy_timeout, |reader| {
            find(catalog, settings, reader)
        })
    };
    let found = find()?;
    if !apply || found.repairs.is_empty() {
        return Ok(found);
    }
    let _lock = MigrationLock::take(settings, "repair", observer)?;
    // Whoever held the lock before may have put it right.
    let found = find()?;
    if found.repairs.is_empty() {
        return Ok(found);
    }
    let writer = connection::open_writer(&settings.database, settings.busy_timeout)?;
    let at = recorded_position(&writer)?;
    let run = Run::begin(settings, "repair", at.version, at.version);
    let name = run.name.clone();
    let secured = run.with_log(settings, observer, |run, observer| {
        put_right(catalog, settings, &writer, run, at, observer)
    })?;
    Ok(Repaired {
        secured: Some(secured),
        run: Some(name),
        ..found
    })
}

fn put_right(
    catalog: &Catalog,
    settings: &Settings,
    writer: &Connection,
    run: &mut Run,
    at: Position,
    observer: &dyn Observer,
) -> Result<PathBuf> {
    let facts = BackupFacts {
        version: Some(at.version),
        release: at.release.map(|release| release.to_string()),
        run: Some(run.name.clone()),
        reason: "before repair".to_owned(),
    };
    let secured = backup::create(settings, &facts, observer)?.backup;
    run.backup = Some(secured.manifest_path.clone());
    let transaction = WriteTransaction::begin(writer, settings.busy_timeout)?;
    let doing = "put right what the tool wrote";
    let version = History::read(writer)?.unwrap_or_default().version();
    if version != at.version {
        return Err(Error::new(
            ErrorKind::Busy,
            format!("another program changed the history: it is at V{version:03}"),
        )
        .with_hint(Hint::Repair));
    }
    if let Some(Ok(wrong)) = releases(catalog, writer, version)? {
        tool_tables::create(writer)?;
        for release in &wrong.extra {
            schema_version::remove(writer, *release)?;
        }
        for (release, stem, applied_at) in &wrong.complete {
            schema_version::record(writer, *release, stem, *applied_at)?;
        }
    }
    for (stale, _) in stale_progress(writer, version)? {
        writer
            .execute("DELETE FROM migration_progress WHERE rowid = ?1", [stale])
            .while_doing(doing)?;
    }
    run.record(writer, settings, at.version)?;
    transaction.commit()?;
    for folder in folders(settings) {
        remove_abandoned(&folder);
    }
    if let Some((_, true)) = note(settings, version)? {
        Unfinished::forget(settings)?;
    }
    Ok(secured.database)
}

fn find(catalog: &Catalog, settings: &Settings, reader: &Connection) -> Result<Repaired> {
    let mut found = Repaired::default();
    let history = History::read(reader)?;
    if let Some(history) = &history {
        history.check(catalog)?;
    }
    let version = history.as_ref().map_or(0, History::version);
    if history.is_some() {
        match releases(catalog, reader, version)? {
            None => {}
            Some(Ok(wrong)) => found.repairs.push(Defect {
                subject: tool_tables::SCHEMA_VERSION.to_owned(),
                why: wrong.why,
                what: "its rows are written as the history has them".to_owned(),
            }),
            Some(Err(error)) => found.elsewhere.push(Elsewhere {
                subject: tool_tables::SCHEMA_VERSION.to_owned(),
                why: error.message().to_owned(),
                hint: error.hint().clone(),
            }),
        }
        for (_, why) in stale_progress(reader, version)? {
            found.repairs.push(Defect {
                subject: tool_tables::PROGRESS.to_owned(),
                why,
                what: "the row is removed".to_owned(),
            });
        }
        interrupted(reader, version, &mut found)?;
        for kept in kept::left(reader, settings)? {
            let gone = settings.backup_dir.join(&kept.file);
            if !gone.exists() {
                found.elsewhere.push(Elsewhere {
                    subject: kept.subject(),
                    why: kept.problem.unwrap_or_default(),
                    hint: Hint::KeptPrune {
                        files: Vec::new(),
                        older_than: None,
                        confirmed: false,
                    },
                });
            }
        }
    }
    for file in folders(settings).iter().flat_map(|folder| abandoned(folder)) {
        found.repairs.push(Defect {
            subject: file.display().to_string(),
            why: "a killed run left it half written".to_owned(),
            what: "it is removed".to_owned(),
        });
    }
    match note(settings, version) {
        Ok(None) => {}
        Ok(Some((note, true))) => found.repairs.push(Defect {
            subject: Unfinished::path(settings).display().to_string(),
            why: format!(
                "it notes a rollback to V{:03} that never began, and whose restore point is gone",
                note.to
            ),
            what: "it is removed".to_owned(),
        }),
        Ok(Some((note, false))) => found.elsewhere.push(Elsewhere {
            subject: Unfinished::path(settings).display().to_string(),
            why: format!("a rollback to V{:03} was interrupted", note.to),
            hint: if backup_is_there(&note, settings) {
                note.completed_by()
            } else {
                Hint::BackupList
            },
        }),
        Err(error) => found.elsewhere.push(Elsewhere {
            subject: Unfinished::path(settings).display().to_string(),
            why: error.message().to_owned(),
            // What the tool did not write is not removed: whoever wrote it may want it.
            hint: Hint::SetAside(Unfinished::path(settings)),
        }),
    }
    Ok(found)
}

/// The note of an unfinished rollback, and whether it stands for nothing: the database was never replaced, and what
/// was to replace it is gone.
fn note(settings: &Settings, version: u32) -> Result<Option<(Unfinished, bool)>> {
    Ok(Unfinished::read(settings)?.map(|note| {
        let is_void = note.from == version && !backup_is_there(&note, settings);
        (note, is_void)
    }))
}

fn folders(settings: &Settings) -> Vec<PathBuf> {
    let mut folders = vec![folder_of(&settings.database)];
    if !folders.contains(&settings.backup_dir) {
        folders.push(settings.backup_dir.clone());
    }
    folders
}

/// How `schema_version` differs from what the history says.
struct WrongReleases {
    why: String,
    /// Releases that are complete, with the migration that completed each, and when.
    complete: Vec<(Release, String, DateTime<Utc>)>,
    /// Releases of this program with a row, and not complete.
    extra: Vec<Release>,
}

/// What is wrong with `schema_version`; an error where the table is not one that the tool can write.
fn releases(
    catalog: &Catalog,
    connection: &Connection,
    version: u32,
) -> Result<Option<Result<WrongReleases>>> {
    let steps = runs::read_steps(connection)?;
    let complete: Vec<(Release, String, DateTime<Utc>)> = catalog
        .migrations()
        .iter()
        .filter(|migration| migration.version <= version && catalog.ends_release(migration.version))
        .map(|migration| {
            let step = steps.iter().find(|step| step.version == migration.version);
            let applied_at = step.and_then(|step| step.applied_at.parse().ok());
            (
                migration.release,
                migration.stem(),
                applied_at.unwrap_or(DateTime::UNIX_EPOCH),
            )
        })
        .collect();
    let implied = complete.last().map(|(release, ..)| release.to_string());
    let (mut says, mut rows) = (None, Vec::new());
    let exists = tool_tables::exists(connection, tool_tables::SCHEMA_VERSION)?;
    if exists {
        says = match schema_version::current(connection) {
            Ok(says) => says,
            Err(error) if error.kind() == ErrorKind::SchemaMismatch => return Ok(Some(Err(error))),
            Err(error) => return Err(error),
        };
        rows = connection
            .rows("SELECT CAST(version AS TEXT) FROM schema_version", [], |row| {
                row.get::<_, Option<String>>(0)
            })
            .while_doing("read schema_version")?;
    }
    let has = |release: Release| rows.iter().flatten().any(|row| *row == release.to_string());
    let extra: Vec<Release> = catalog
        .releases()
        .iter()
        .copied()
        .filter(|release| has(*release) && complete.iter().all(|(complete, ..)| complete != release))
        .collect();
    let missing: Vec<String> = complete
        .iter()
        .filter(|(release, ..)| !has(*release))
        .map(|(release, ..)| release.to_string())
        .collect();
    let why = if !exists && !complete.is_empty() {
        "the table is missing".to_owned()
    } else if !missing.is_empty() {
        format!("it has no row for {}, which the history has", missing.join(", "))
    } else if !extra.is_empty() {
        let extra: Vec<String> = extra.iter().map(Release::to_string).collect();
        format!("it has a row for {}, which the history has not", extra.join(", "))
    } else if implied.is_some() && says != implied {
        "its last row is not that of the release that the history says".to_owned()
    } else {
        return Ok(None);
    };
    Ok(Some(Ok(WrongReleases { why, complete, extra })))
}

/// Rows of progress that no migration can go on from: the row's id, and why.
fn stale_progress(connection: &Connection, version: u32) -> Result<Vec<(i64, String)>> {
    if !tool_tables::exists(connection, tool_tables::PROGRESS)? {
        return Ok(Vec::new());
    }
    let rows: Vec<(i64, i64, bool)> = connection
        .rows("SELECT rowid, CAST(version AS INTEGER), direction = 'down' FROM migration_progress ORDER BY version", [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .while_doing("read where an interrupted step stopped")?;
    let version = i64::from(version);
    Ok(rows
        .into_iter()
        .filter(|(_, of, down)| if *down { *of != version } else { *of != version + 1 })
        .map(|(rowid, of, down)| {
            let doing = if down { "going back" } else { "applying" };
            (
                rowid,
                format!(
                    "it says that {doing} V{of:03} was interrupted, and the database is at V{version:03}"
                ),
            )
        })
        .collect())
}

/// Work that stopped on the way and that its own command goes on with.
fn interrupted(connection: &Connection, version: u32, found: &mut Repaired) -> Result<()> {
    let Some(progress) = crate::records::state::Progress::read(connection)? else {
        return Ok(());
    };
    let hint = match (progress.down, progress.version) {
        (true, of) if of == version => Hint::Rollback(of.saturating_sub(1)),
        (false, of) if of == version + 1 => Hint::Migrate,
        _ => return Ok(()),
    };
    found.elsewhere.push(Elsewhere {
        subject: format!("V{:03}__{}", progress.version, progress.name),
        why: format!("it was interrupted after {} rows", progress.visited),
        hint,
    });
    Ok(())
}

/// Whether the copy that was to be put back is there.
fn backup_is_there(note: &Unfinished, settings: &Settings) -> bool {
    backup::find(settings, note.backup.as_os_str()).is_ok()
}
