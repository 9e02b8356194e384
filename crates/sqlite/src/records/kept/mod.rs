//! What rollbacks dropped and kept: which files, what is in them, and how much of it has come back.
//!
//! A file is written once and never changed. The database records it in the transaction that dropped the rows, and
//! records rows that came back in the transaction that brought them. So both are true of each other after a kill,
//! and after a restore of another state of the database, too.

mod file;
mod place;
mod prune;
mod reclaim;

use std::path::PathBuf;

use rusqlite::{Connection, params};
use serde::Serialize;

use crate::files::database_file::in_real_place;
use crate::records::history::History;
use crate::schema::tool_tables::{self, CREATE_KEPT};
use crate::sqlite::{ask::Ask, connection, sqlite_error::SqliteContext};
use bridge_migrate_core::{Error, ErrorKind, Hint, IoContext, Result, Settings, regular_file::if_there};

pub use prune::{PruneOptions, Pruned, prune};
pub use reclaim::{Back, ReclaimOptions, Reclaimed, Stays, reclaim};
pub(crate) use reclaim::{disk_space, take_back, take_back_at_once};

/// Rows of a table, or values of a column, that one rollback dropped and kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// The file's name in the backup folder.
    pub file: String,
    /// The table in the file that holds them.
    #[serde(skip)]
    pub(crate) data: String,
    /// The rollback; empty for one that is not on record here, of which somebody named the file.
    pub run: String,
    /// When, in UTC.
    pub kept_at: String,
    /// The migration that had made the place for them.
    pub version: u32,
    /// Its name.
    pub name: String,
    /// The table.
    pub table: String,
    /// The column, when only its values were dropped.
    pub column: Option<String>,
    /// How many rows or values the file holds.
    pub rows: u64,
    /// How many of them neither came back nor were given up.
    pub left: u64,
    /// Why none of these can come back at present.
    pub problem: Option<String>,
}

impl Kept {
    /// The record in a row of `migration_kept`, or in one that a file's `contents` make of it.
    fn of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            file: row.get(0)?,
            data: row.get(1)?,
            run: row.get(2)?,
            kept_at: row.get(3)?,
            version: row.get(4)?,
            name: row.get(5)?,
            table: row.get(6)?,
            column: row.get(7)?,
            rows: row.get(8)?,
            left: row.get(9)?,
            problem: None,
        })
    }

    /// `table` or `table.column`.
    pub fn subject(&self) -> String {
        match &self.column {
            Some(column) => format!("{}.{column}", self.table),
            None => self.table.clone(),
        }
    }
}

/// Everything that was kept, as `kept list` shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct KeptList {
    /// What rollbacks of this database kept, newest first.
    pub kept: Vec<Kept>,
    /// Files that no rollback in this database's records made: it was interrupted, or another state was restored.
    pub others: Vec<String>,
}

/// Lists what was kept, reading only.
///
/// # Errors
/// When the database or the backup folder cannot be read.
pub fn list(settings: &Settings) -> Result<KeptList> {
    let settings = &in_real_place(settings)?;
    let kept = connection::with_reader(&settings.database, settings.busy_timeout, |reader| {
        read(reader, settings)
    })?;
    let mut others = files(settings)?;
    others.retain(|file| kept.iter().all(|kept| kept.file != *file));
    Ok(KeptList { kept, others })
}

/// What has not come back, newest first.
pub(crate) fn left(connection: &Connection, settings: &Settings) -> Result<Vec<Kept>> {
    let mut kept = read(connection, settings)?;
    kept.retain(|kept| kept.left > 0);
    Ok(kept)
}

/// Everything on record, newest first.
fn read(connection: &Connection, settings: &Settings) -> Result<Vec<Kept>> {
    if !tool_tables::exists(connection, tool_tables::KEPT)? {
        return Ok(Vec::new());
    }
    let mut kept: Vec<Kept> = connection
        .rows(
            "SELECT file, data, run, kept_at, version, name, table_name, column_name, rows, \
             max(0, rows - (SELECT coalesce(sum(last - first + 1), 0) FROM migration_kept_back AS b \
             WHERE b.file = k.file AND b.data = k.data)) \
                          FROM migration_kept AS k ORDER BY kept_at DESC, version, file, data",
            [],
            Kept::of,
        )
        .while_doing("read what rollbacks kept")?;
    if kept.iter().any(|kept| kept.left > 0) {
        let history = History::read(connection)?.unwrap_or_default();
        for kept in &mut kept {
            kept.problem = problem(kept, &history, settings);
        }
    }
    Ok(kept)
}

fn problem(kept: &Kept, history: &History, settings: &Settings) -> Option<String> {
    let folder = settings.backup_dir.display();
    match path_of(settings, &kept.file) {
        None => return Some("the record of its file is damaged".to_owned()),
        Some(path) if !path.exists() => return Some(format!("its file is not in {folder}")),
        Some(_) => {}
    }
    match history
        .applied
        .iter()
        .find(|applied| applied.version == kept.version)
    {
        None => Some(format!("V{:03} is not applied", kept.version)),
        Some(applied) if applied.name != kept.name => Some(format!(
            "V{:03} is another migration now: {}",
            kept.version, applied.name
        )),
        Some(_) => None,
    }
}

/// Where a file is. Its name may have been written by anybody, and must not lead out of the folder.
fn path_of(settings: &Settings, file: &str) -> Option<PathBuf> {
    let is_name = std::path::Path::new(file).file_name() == Some(file.as_ref()) && file.contains(".kept.");
    is_name.then(|| settings.backup_dir.join(file))
}

/// The names of all files with what rollbacks of a database of this name dropped, newest first.
fn files(settings: &Settings) -> Result<Vec<String>> {
    let name = settings.database.file_name().unwrap_or_default();
    let prefix = format!("{}.kept.", name.to_string_lossy());
    let folder = &settings.backup_dir;
    let mut files = Vec::new();
    let entries = if_there(std::fs::read_dir(folder)).on_file("read", folder)?;
    for entry in entries.into_iter().flatten() {
        let name = entry.on_file("read", folder)?.file_name();
        if let Some(name) = name.to_str().filter(|name| name.starts_with(&prefix)) {
            files.push(name.to_owned());
        }
    }
    files.sort_unstable_by(|a, b| b.cmp(a));
    Ok(files)
}

/// Puts on record what a file holds. Runs in the transaction that drops it.
pub(crate) fn record(connection: &Connection, kept: &Kept) -> Result<()> {
    connection
        .execute_batch(CREATE_KEPT)
        .and_then(|()| {
            connection.execute(
                "INSERT OR IGNORE INTO migration_kept \
                 (file, data, run, kept_at, version, name, table_name, column_name, rows) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                params![
                    kept.file,
                    kept.data,
                    kept.run,
                    kept.kept_at,
                    kept.version,
                    kept.name,
                    kept.table,
                    kept.column,
                    kept.rows,
                ],
            )
        })
        .while_doing("record what was kept")?;
    Ok(())
}

/// Refuses names of files that are not there, of which a slip of the keyboard must not pass for success.
fn require_files<'a>(settings: &Settings, wanted: impl IntoIterator<Item = &'a String>) -> Result<()> {
    for file in wanted {
        if path_of(settings, file).is_none_or(|path| !path.exists()) {
            return Err(Error::unchanged(
                ErrorKind::Usage,
                format!(
                    "there is no kept file {file} in {}",
                    settings.backup_dir.display()
                ),
            )
            .with_hint(Hint::KeptList));
        }
    }
    Ok(())
}
