//! The companion file's part of a restore: what it holds afterwards, and the tables that hold the same.
//!
//! The tables are brought into agreement before they take the database's place, in the state that nobody can change
//! any more; the file follows. Its owner may rewrite it meanwhile: what it wrote into the file that lost its name is
//! merged, too.

use std::io::{Read, Seek, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{cell::RefCell, fs::File};

use rusqlite::{Connection, config::DbConfig};
use serde::Serialize;

use super::secure;
use crate::backup::{Backup, COMPANION_LIMIT, file_name, read_companion};
use crate::catalog::companion_rows::{self, put, take};
use crate::records::transaction::WriteTransaction;
use crate::sqlite::connection::{open_immutable, open_writer};
use crate::sqlite::sqlite_error::SqliteContext;
use bridge_migrate_core::{
    EntryCounts, Error, ErrorKind, Hint, IoContext, Keep, Merged, Result, Settings, Side, TableRows,
    folder_of, regular_file,
    whole_file::{Publication, WholeFile},
};

/// How often the file is merged again because its owner rewrote it meanwhile.
const ROUNDS: usize = 20;
/// How long a rewrite may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// What a restore means for the companion file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CompanionChange {
    /// It is as in the backup.
    Same,
    /// It is replaced by the backup's.
    Replaced,
    /// It has entries of both.
    Merged,
    /// There is none, and the backup's is put there.
    Created,
    /// It stays as it is.
    Kept,
    /// The backup has none; the present one, if any, stays.
    NotInBackup,
}

/// The companion's part of one restore.
#[derive(Debug)]
pub(crate) struct CompanionPart<'a> {
    settings: &'a Settings,
    backup: &'a Backup,
    keep: Keep,
    /// The backup's file, if it is whole.
    then: Option<Vec<u8>>,
    /// What its tables hold, those of the backup.
    rows: Vec<TableRows>,
    /// Whether tables of the backup are to be brought into agreement, so that a copy of it is put back instead.
    pub(super) changes_tables: bool,
    /// What was written to the tables.
    settled: RefCell<Option<Merged>>,
}

impl<'a> CompanionPart<'a> {
    pub(crate) fn new(settings: &'a Settings, backup: &'a Backup, keep: Keep) -> Result<Self> {
        let then = match &backup.companion {
            Some(path) => match regular_file::read(path, COMPANION_LIMIT).on_file("read", path) {
                Ok(bytes) => Some(bytes).filter(|bytes| settings.companion_format.check(bytes).is_ok()),
                Err(_) if keep == Keep::Present => None,
                Err(error) => return Err(error),
            },
            None => None,
        };
        let tables = settings.companion_format.tables();
        let rows = companion_rows::read(&open_immutable(&backup.database)?, tables)?;
        let has_tables = !tables.is_empty() && rows.len() == tables.len();
        Ok(Self {
            settings,
            backup,
            keep,
            then,
            rows,
            changes_tables: keep != Keep::Backup && has_tables,
            settled: RefCell::new(None),
        })
    }

    /// The present file; one that is not whole counts as none where the backup's is wanted in any case.
    ///
    /// # Errors
    /// [`ErrorKind::CompanionInvalid`] when nobody can tell what was revoked since the backup.
    pub(crate) fn today(&self) -> Result<Option<Vec<u8>>> {
        match read_companion(self.settings.companion_format, &self.settings.companion) {
            Err(error) if error.kind() == ErrorKind::CompanionInvalid => match self.keep {
                Keep::Backup => Ok(None),
                Keep::Present | Keep::Merge => Err(error
                    .with_truth("What was revoked since the backup is not known. Nothing was changed.")
                    .with_hint(Hint::Restore(self.backup.database.clone(), Some(Keep::Backup)))),
            },
            read => read,
        }
    }

    /// What the companion's tables hold in a database.
    fn read(&self, database: &Connection) -> Result<Vec<TableRows>> {
        companion_rows::read(database, self.settings.companion_format.tables())
    }

    /// What is left of the backup, with the file `then`, and of the present rows and file.
    fn merge(&self, then: Option<&[u8]>, rows: Option<&[TableRows]>, file: Option<&[u8]>) -> Result<Merged> {
        let backup = Side {
            file: then,
            database: Some(&self.rows),
        };
        let present = Side { file, database: rows };
        self.settings
            .companion_format
            .merge(self.settings.inputs(), self.keep, &backup, &present)
    }

    /// What becomes of the file and its entries.
    pub(crate) fn foresee(&self, present: Option<&Connection>) -> Result<(CompanionChange, EntryCounts)> {
        let today = self.today()?;
        let rows = present.map(|present| self.read(present)).transpose()?;
        let merged = self.merge(self.then.as_deref(), rows.as_deref(), today.as_deref())?;
        Ok((
            self.change(today.as_deref(), merged.file.as_deref()),
            merged.counts,
        ))
    }

    /// Writes into `source`, a copy of the backup that nobody else knows, what its tables are to hold. `before` is a
    /// copy of the present database, if there is one that can be read.
    pub(super) fn settle(&self, source: &Connection, before: Option<&Path>) -> Result<()> {
        if !self.changes_tables {
            return Ok(());
        }
        let before = before
            .map(|before| self.read(&open_immutable(before)?))
            .transpose()?;
        let file = self.today()?;
        let merged = self.merge(self.then.as_deref(), before.as_deref(), file.as_deref())?;
        let doing = "merge the companion's tables";
        source
            .query_row("PRAGMA journal_mode = MEMORY", [], |_| Ok(()))
            .while_doing(doing)?;
        let transaction = source.unchecked_transaction().while_doing(doing)?;
        write_rows(&transaction, &merged)?;
        transaction.commit().while_doing(doing)?;
        self.settled.replace(Some(merged));
        Ok(())
    }

    /// What becomes of the file when it was `today` and will be `left`.
    pub(super) fn change(&self, today: Option<&[u8]>, left: Option<&[u8]>) -> CompanionChange {
        let then = self.then.as_deref();
        match (left, today) {
            (Some(_), None) if self.settings.companion.exists() => CompanionChange::Replaced,
            (Some(_), None) => CompanionChange::Created,
            _ if left == today && self.backup.companion.is_none() => CompanionChange::NotInBackup,
            _ if left == today && left == then => CompanionChange::Same,
            _ if left == today => CompanionChange::Kept,
            _ if left == then => CompanionChange::Replaced,
            _ => CompanionChange::Merged,
        }
    }

    /// Puts the file in its place, and says what became of it. `before` is as in [`settle`](Self::settle).
    /// The last of the answer is where the file that was replaced is kept, if that was not what `secured` has.
    pub(super) fn publish(
        &self,
        before: Option<&Path>,
        secured: Option<&Path>,
    ) -> Result<(CompanionChange, EntryCounts, Option<PathBuf>)> {
        let before = before
            .map(|before| self.read(&open_immutable(before)?))
            .transpose()?;
        let before = before.as_deref();
        let old = regular_file::open(&self.settings.companion).ok();
        let today = self.today()?;
        let merged = self.merge(self.then.as_deref(), before, today.as_deref())?;
        let outcome = (
            self.change(today.as_deref(), merged.file.as_deref()),
            merged.counts,
        );
        let read = || self.today();
        let merge = |then: Option<&[u8]>, file: Option<&[u8]>| {
            self.merge(then.or(self.then.as_deref()), before, file)
        };
        let (last, replaced) = rewrite(self.settings, self.keep, (old, today, merged), read, merge)?;
        let aside = match (&replaced, secured) {
            (Some(replaced), Some(secured)) if self.keep == Keep::Backup => {
                self.keep_aside(replaced, secured)?
            }
            _ => None,
        };
        let is_settled = |settled: &Merged| (&settled.put, &settled.taken) == (&last.put, &last.taken);
        if self
            .settled
            .borrow()
            .as_ref()
            .is_some_and(|settled| !is_settled(settled))
        {
            // The file changed since the tables took their place.
            let writer = open_writer(&self.settings.database, self.settings.busy_timeout)?;
            let transaction = WriteTransaction::begin(&writer, self.settings.busy_timeout)?;
            write_rows(&writer, &last)?;
            transaction.commit()?;
        }
        let (change, counts) = outcome;
        Ok((change, counts, aside))
    }

    /// Keeps what was in the file that was replaced, if its owner wrote to it after it was secured.
    fn keep_aside(&self, replaced: &File, secured: &Path) -> Result<Option<PathBuf>> {
        let then = regular_file::read(secured, COMPANION_LIMIT).on_file("read", secured)?;
        match last_words(self.settings, replaced)? {
            Some(bytes) if bytes != then => secure::keep_replaced(self.settings, &bytes).map(Some),
            _ => Ok(None),
        }
    }
}

/// Writes into the companion file what only the tables say and it can hold, such as that an entry of it was revoked.
/// Says whether there was anything.
pub(crate) fn agree(settings: &Settings, database: &Connection) -> Result<bool> {
    let format = settings.companion_format;
    let rows = companion_rows::read(database, format.tables())?;
    let read = || read_companion(format, &settings.companion);
    let merge = |then: Option<&[u8]>, file: Option<&[u8]>| {
        let side = |file| Side {
            file,
            database: Some(&rows),
        };
        format.merge(settings.inputs(), Keep::Merge, &side(then.or(file)), &side(file))
    };
    let old = regular_file::open(&settings.companion).ok();
    let file = read()?;
    let merged = merge(None, file.as_deref())?;
    if merged.file == file {
        return Ok(false);
    }
    rewrite(settings, Keep::Merge, (old, file, merged), read, merge)?;
    Ok(true)
}

/// Puts what is left of the file in its place, and says what that was in the end, and which file lost its name last.
/// `from` is the open file, what was in it and what is left of that. Its owner may rewrite it meanwhile: what `look` then
/// finds, or what is in the file that lost its name, is merged, too; with what was put there, if anything was.
fn rewrite(
    settings: &Settings,
    keep: Keep,
    from: (Option<File>, Option<Vec<u8>>, Merged),
    read: impl Fn() -> Result<Option<Vec<u8>>>,
    merge: impl Fn(Option<&[u8]>, Option<&[u8]>) -> Result<Merged>,
) -> Result<(Merged, Option<File>)> {
    let (mut old, mut seen, mut last) = from;
    // One that is not whole is there and counts as none.
    let replaces = keep == Keep::Backup;
    for _ in 0..ROUNDS {
        let Some(file) = last.file.clone() else { break };
        if seen.as_ref() == Some(&file) {
            break;
        }
        match put_file(settings, &file, replaces || seen.is_some())? {
            Put::Over(replaced) => old = replaced.or(old),
            Put::New => {}
            Put::Not => {
                // Its owner made one in the meantime.
                old = regular_file::open(&settings.companion).ok();
                seen = read()?;
                last = merge(None, seen.as_deref())?;
                continue;
            }
        }
        let written = match &old {
            Some(old) if keep == Keep::Merge => last_words(settings, old)?,
            _ => break,
        };
        if written.is_none() || written == seen {
            break;
        }
        last = merge(Some(&file), written.as_deref())?;
        seen = Some(file);
        old = regular_file::open(&settings.companion).ok();
    }
    Ok((last, old))
}

/// What is in the file that lost its name: whoever had opened it may have written into it until then, and may
/// still be writing. `None` when it does not become whole.
fn last_words(settings: &Settings, mut old: &File) -> Result<Option<Vec<u8>>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut bytes = Vec::new();
        old.rewind()
            .and_then(|()| old.take(COMPANION_LIMIT).read_to_end(&mut bytes))
            .on_file("read", &settings.companion)?;
        if settings.companion_format.check(&bytes).is_ok() {
            return Ok(Some(bytes));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        std::thread::sleep(PAUSE);
    }
}

/// What became of a file that was to be put in its place.
enum Put {
    /// It is in the place of another: of this one, where that can be told.
    Over(Option<File>),
    /// It is where none was.
    New,
    /// There is a file where none was.
    Not,
}

fn put_file(settings: &Settings, bytes: &[u8], replaces: bool) -> Result<Put> {
    // The file that a link leads to is replaced, not the link.
    let target: PathBuf = settings
        .companion
        .canonicalize()
        .unwrap_or_else(|_| settings.companion.clone());
    let whole = WholeFile::create_in(&folder_of(&target))?;
    whole.file().write_all(bytes).on_file("write", whole.path())?;
    let (file, ()) = whole.verified(|whole| {
        let written = regular_file::read(whole.path(), COMPANION_LIMIT).on_file("read", whole.path())?;
        match settings.companion_format.check(&written) {
            Ok(()) if written == bytes => Ok(()),
            _ => Err(Error::new(
                ErrorKind::Io,
                format!("{} does not read as it was written", whole.path().display()),
            )),
        }
    })?;
    match target.metadata() {
        Ok(old) => {
            file.take_owner(&old);
            file.take_mode(&old)?;
        }
        // It holds secrets: for its owner only, who is the database's.
        Err(_) => {
            if let Ok(database) = settings.database.metadata() {
                file.take_owner(&database);
            }
        }
    }
    if replaces && target.exists() {
        return file.publish_in_exchange(&target).map(Put::Over);
    }
    match file.publish_new(file_name(&target)?)? {
        Publication::Done(published) => {
            published.keep();
            Ok(Put::New)
        }
        Publication::Taken(_) => Ok(Put::Not),
    }
}

/// Triggers stay silent: the rows are what they made of them already.
fn write_rows(connection: &Connection, merged: &Merged) -> Result<()> {
    let doing = "merge the companion's tables";
    let triggers = |on| connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, on);
    triggers(false).while_doing(doing)?;
    let written = merged
        .put
        .iter()
        .try_for_each(|rows| put(connection, rows).map(drop))
        .and_then(|()| {
            merged
                .taken
                .iter()
                .try_for_each(|rows| take(connection, rows).map(drop))
        });
    triggers(true).and(written).while_doing(doing)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// What a server does that rewrites the file by a rename, between our look at it and our rename.
    #[test]
    fn a_file_renamed_into_place_since_it_was_read_is_merged_and_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::new(folder.path().join("collab.db"));
        settings.companion = folder.path().join("tokens.json");
        let write = |text: &str| {
            let other = folder.path().join("other");
            std::fs::write(&other, text).unwrap();
            std::fs::rename(other, &settings.companion).unwrap();
        };
        // Merging is adding here.
        let merged = |file: &[u8]| Merged {
            file: Some([file, b" ours"].concat()),
            ..Merged::default()
        };
        write("theirs");
        let old = regular_file::open(&settings.companion).ok();
        write("newer");
        let from = (old, Some(b"theirs".to_vec()), merged(b"theirs"));
        let read = || read_companion(settings.companion_format, &settings.companion);
        let merge = |_: Option<&[u8]>, file: Option<&[u8]>| {
            let file = file.unwrap_or_default();
            Ok(match file.ends_with(b"ours") {
                true => Merged {
                    file: Some(file.into()),
                    ..Merged::default()
                },
                false => merged(file),
            })
        };
        rewrite(&settings, Keep::Merge, from, read, merge).unwrap();
        assert_eq!(
            std::fs::read_to_string(&settings.companion).unwrap(),
            "newer ours"
        );
        // A backup's takes its place whatever was there; that is handed out to be kept.
        let old = regular_file::open(&settings.companion).ok();
        write("newest");
        let from = (old, None, merged(b"backup's"));
        let (_, replaced) = rewrite(&settings, Keep::Backup, from, read, merge).unwrap();
        assert_eq!(std::io::read_to_string(replaced.unwrap()).unwrap(), "newest");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
