//! The disk space that a run needs: beside the database for its work, in the backup folder for its backup.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::files::database_file::{FileState, inspect, with_suffix};
use crate::files::kernel_locks;
use crate::sqlite::{ask::Ask, sqlite_error::SqliteContext};
use bridge_migrate_core::disk::{available, require_space, same_file_system, size, temporary_folder};
use bridge_migrate_core::{Error, ErrorKind, Hint, Result, Settings, folder_of};

/// What is asked for besides: the tool's own rows, SQLite's index of a log, manifests, logs.
const BESIDES: u64 = 1 << 20;

/// Bytes that a run needs at most, about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskSpace {
    /// Beside the database: what it grows by, and SQLite's journals.
    pub beside_database: u64,
    /// In the backup folder.
    pub backup: u64,
    /// In the folder where SQLite keeps what it can take back of a statement, and what it sorts.
    pub temporary: u64,
}

/// What one step writes at most, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Load {
    /// Pages that it changes: their old content is in the rollback journal, or their new one in the log.
    pub(crate) changed: u64,
    /// What the database grows by.
    pub(crate) grown: u64,
    /// Files that stay in the backup folder.
    pub(crate) kept: u64,
    /// SQLite's temporary files.
    pub(crate) temporary: u64,
}

/// How much of the file each tree takes.
#[derive(Debug)]
pub(crate) struct Sizes<'a> {
    connection: &'a Connection,
    page: u64,
    /// The whole file.
    pub(crate) file: u64,
}

impl<'a> Sizes<'a> {
    pub(crate) fn new(connection: &'a Connection) -> Result<Self> {
        let pragma = |name: &str| -> Result<u64> {
            connection
                .setting(name)
                .while_doing("read the size of the database")
        };
        let page = pragma("page_size")?;
        Ok(Self {
            connection,
            page,
            file: pragma("page_count")?.saturating_mul(page),
        })
    }

    /// The pages of a table; the whole file where SQLite does not tell. None of one that is still to be made.
    pub(crate) fn table(&self, table: &str) -> u64 {
        self.trees("type = 'table' AND name = ?1 COLLATE NOCASE", &[table])
    }

    /// The pages of the table's indexes.
    pub(crate) fn indexes(&self, table: &str) -> u64 {
        self.trees("type = 'index' AND tbl_name = ?1 COLLATE NOCASE", &[table])
    }

    /// The pages of the table's indexes that may have the column.
    pub(crate) fn indexes_of(&self, table: &str, column: &str) -> u64 {
        self.trees(
            "type = 'index' AND tbl_name = ?1 COLLATE NOCASE \
             AND (sql IS NULL OR instr(lower(sql), lower(?2)) > 0)",
            &[table, column],
        )
    }

    fn trees(&self, condition: &str, values: &[&str]) -> u64 {
        let names: rusqlite::Result<Vec<String>> = self.connection.rows(
            &format!("SELECT name FROM sqlite_schema WHERE {condition}"),
            rusqlite::params_from_iter(values),
            |row| row.get(0),
        );
        let bytes = |name: &String| -> rusqlite::Result<u64> {
            self.connection.value(
                "SELECT sum(pgsize) FROM dbstat WHERE name = ?1 AND aggregate = TRUE",
                [name],
            )
        };
        names
            .and_then(|names| names.iter().map(bytes).sum())
            .unwrap_or(self.file)
    }

    /// What a table grows by at most when each row gets `bytes` more: rows that filled a page no longer fit.
    pub(crate) fn growth(&self, table: &str, rows: u64, bytes: u64) -> u64 {
        let size = self.table(table);
        let rows_in_a_page = (rows.saturating_mul(self.page) / size.max(1)).max(2);
        let split = (size / (rows_in_a_page - 1)).max(size / 8);
        split.saturating_add(rows.saturating_mul(bytes))
    }
}

/// What a folder has to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) folder: PathBuf,
    pub(crate) bytes: u64,
    what_for: String,
}

impl DiskSpace {
    /// What steps need that follow each other.
    ///
    /// In rollback-journal mode the journal of a transaction takes the place of the one before. A log begins anew when
    /// no reader needs what is in it: where readers come and go, perhaps not before the end. So of a log more is asked
    /// for than it takes where nobody reads.
    ///
    /// # Errors
    /// When the database cannot be looked at.
    pub(crate) fn of(loads: &[Load], settings: &Settings, backup: u64) -> Result<Self> {
        let sum = |part: fn(&Load) -> u64| loads.iter().map(part).fold(0, u64::saturating_add);
        let most = |part: fn(&Load) -> u64| loads.iter().map(part).max().unwrap_or(0);
        let grown = sum(|load| load.grown);
        let journal = match inspect(&settings.database)? {
            FileState::Database { wal: true } => sum(|load| load.changed).saturating_add(grown),
            _ => most(|load| load.changed),
        };
        // Each page in a journal or log has a header, and each log an index.
        let journal = journal.saturating_add(journal / 64);
        Ok(Self {
            beside_database: grown.saturating_add(journal).saturating_add(BESIDES),
            backup: backup.saturating_add(sum(|load| load.kept)),
            temporary: most(|load| load.temporary),
        })
    }

    /// All of it.
    pub fn total(self) -> u64 {
        self.beside_database
            .saturating_add(self.backup)
            .saturating_add(self.temporary)
    }

    /// What each folder needs; one that is not there yet will be made on the disk of the one above it. On one file
    /// system both add up. `run` names it: `the migration`.
    pub(crate) fn shares(self, settings: &Settings, run: &str) -> Vec<Share> {
        let folder = folder_of(&settings.database);
        let share = |folder: &Path, bytes, what_for: String| Share {
            folder: folder.to_owned(),
            bytes,
            what_for,
        };
        let backups = std::path::absolute(&settings.backup_dir).unwrap_or(settings.backup_dir.clone());
        let backups = backups
            .ancestors()
            .find(|above| above.is_dir())
            .unwrap_or(&backups);
        let temporary = temporary_folder();
        let mut bytes = self.beside_database;
        let mut what_for = run.to_owned();
        let mut others = Vec::new();
        if self.backup > 0 && same_file_system(&folder, backups) {
            bytes = bytes.saturating_add(self.backup);
            what_for.push_str(" and its backup");
        } else if self.backup > 0 {
            others.push(share(backups, self.backup, format!("the backup of {run}")));
        }
        if same_file_system(&folder, &temporary) {
            bytes = bytes.saturating_add(self.temporary);
        } else if self.temporary > 0 {
            others.push(share(
                &temporary,
                self.temporary,
                format!("SQLite's temporary files of {run}"),
            ));
        }
        let mut shares = vec![share(&folder, bytes, what_for)];
        shares.extend(others);
        shares
    }

    /// Refuses when a folder lacks the space for its share.
    ///
    /// # Errors
    /// As [`require_space`].
    pub(crate) fn require(self, settings: &Settings, run: &str) -> Result<()> {
        for share in self.shares(settings, run) {
            require_space(&share.folder, share.bytes, &share.what_for)?;
        }
        Ok(())
    }
}

impl Load {
    /// Refuses a step in one transaction where a reader of the log let the steps before it take more than was foreseen.
    /// A rollback journal takes what was foreseen.
    ///
    /// # Errors
    /// As [`require_space`].
    pub(crate) fn require(self, settings: &Settings, stem: &str) -> Result<()> {
        if !matches!(inspect(&settings.database)?, FileState::Database { wal: true }) {
            return Ok(());
        }
        let mut space = DiskSpace::of(&[self], settings, 0)?;
        space.beside_database -= BESIDES;
        space.require(settings, stem)
    }
}

/// Between two batches, the space for the next: a reader may keep a write-ahead log from beginning anew for longer than
/// any plan foresees, and a full disk would leave no space to run again.
#[derive(Debug)]
pub(crate) struct BatchSpace {
    database: PathBuf,
    patience: Duration,
    /// Of the database and its log after the last batch.
    length: u64,
    /// What the last batch added to it, or half of what the one before took.
    took: u64,
}

impl BatchSpace {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            database: settings.database.clone(),
            patience: settings.busy_timeout,
            length: 0,
            took: 0,
        }
    }

    /// How many of `rows` the next batch may have, after one of `done` rows. Where there is no space for one that takes
    /// as much as the last, it waits for the readers of the log.
    ///
    /// # Errors
    /// [`ErrorKind::DiskFull`] when there is no space in the end.
    pub(crate) fn rows_of_next(&mut self, connection: &Connection, done: u64, rows: u64) -> Result<u64> {
        const DOING: &str = "bring the log into the database";
        let size = |suffix| {
            with_suffix(&self.database, suffix)
                .metadata()
                .map_or(0, |file| file.len())
        };
        let (file, pages) = (size(""), Sizes::new(connection)?.file);
        let length = file.max(pages) + size("-wal");
        let before = std::mem::replace(&mut self.length, length);
        let added = if before == 0 {
            0
        } else {
            length.saturating_sub(before)
        };
        self.took = added.max(self.took / 2);
        // Fewer rows may take as much: they lie on as many pages.
        let more = self.took.saturating_mul(rows.max(done)) / done.max(1);
        let folder = folder_of(&self.database);
        let started = Instant::now();
        loop {
            if size("-wal") == 0 {
                // A rollback journal, or a log that begins anew, takes what was foreseen.
                return Ok(rows);
            }
            // What is only in the log still has to come into the file; the rest is for the next run's own files.
            let kept_free = pages.saturating_sub(size("")) + BESIDES / 4;
            let free = available(&folder)?;
            let space = free.saturating_sub(kept_free);
            if space >= more {
                return Ok(rows);
            }
            if space >= self.took {
                return Ok(rows.min(done));
            }
            if started.elapsed() >= self.patience {
                return Err(self.is_full(&folder, kept_free + self.took, free));
            }
            // Waits for nobody, since writers would wait meanwhile. What it cannot do is tried again.
            connection.busy_timeout(Duration::ZERO).while_doing(DOING)?;
            let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
            connection.busy_timeout(self.patience).while_doing(DOING)?;
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn is_full(&self, folder: &Path, needed: u64, free: u64) -> Error {
        let mut message = format!(
            "{} has no room for the next batch: {} needed, {} free",
            folder.display(),
            size(needed),
            size(free)
        );
        let reader = kernel_locks::log_readers(&self.database).first().copied();
        let hint = match reader {
            Some(pid) => {
                message.push_str(&format!(
                    "; process {pid} reads and keeps SQLite's log from ending"
                ));
                Hint::Process(pid)
            }
            None => Hint::FreeSpace(Some(folder.into())),
        };
        Error::new(ErrorKind::DiskFull, message).with_hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPACE: DiskSpace = DiskSpace {
        beside_database: 10,
        backup: 5,
        temporary: 0,
    };

    fn settings() -> (tempfile::TempDir, Settings) {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::new(folder.path().join("collab.db"));
        (folder, settings)
    }

    #[test]
    fn on_one_disk_both_add_up_also_where_the_backup_folder_is_still_to_be_made() {
        let (folder, mut settings) = settings();
        settings.backup_dir = folder.path().join("not/there/yet");
        let shares = SPACE.shares(&settings, "the migration");
        assert_eq!(
            shares,
            [Share {
                folder: folder.path().to_owned(),
                bytes: 15,
                what_for: "the migration and its backup".to_owned(),
            }]
        );
    }

    #[test]
    fn without_a_backup_none_is_asked_for() {
        let (_folder, settings) = settings();
        let shares = DiskSpace { backup: 0, ..SPACE }.shares(&settings, "the migration");
        assert_eq!(shares.len(), 1);
        assert_eq!(
            (shares[0].bytes, shares[0].what_for.as_str()),
            (10, "the migration")
        );
    }
}
