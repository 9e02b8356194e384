//! The room that a run needs on disk: beside the database for its work, in the backup folder for its backup.

use std::path::PathBuf;

use crate::disk::{require_space, same_file_system};
use crate::error::Result;
use crate::settings::{Settings, folder_of};

/// Bytes that a run needs at most, about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Room {
    /// Beside the database: what it grows by, and SQLite's journals.
    pub beside_database: u64,
    /// In the backup folder.
    pub backup: u64,
}

/// What a folder has to have room for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) folder: PathBuf,
    pub(crate) bytes: u64,
    what_for: String,
}

impl Room {
    /// All of it.
    pub fn total(self) -> u64 {
        self.beside_database.saturating_add(self.backup)
    }

    /// What each folder needs; one that is not there yet will be made on the disk of the one above it. On one file
    /// system both add up. `run` names it: `the migration`.
    pub(crate) fn shares(self, settings: &Settings, run: &str) -> Vec<Share> {
        let folder = folder_of(&settings.database);
        let share = |folder, bytes, what_for: &str| Share {
            folder,
            bytes,
            what_for: what_for.to_owned(),
        };
        if self.backup == 0 {
            return vec![share(folder, self.beside_database, run)];
        }
        let backups = std::path::absolute(&settings.backup_dir).unwrap_or(settings.backup_dir.clone());
        let backups = backups
            .ancestors()
            .find(|above| above.is_dir())
            .unwrap_or(&backups);
        if same_file_system(&folder, backups) {
            return vec![share(folder, self.total(), &format!("{run} and its backup"))];
        }
        vec![
            share(folder, self.beside_database, run),
            share(backups.to_owned(), self.backup, &format!("the backup of {run}")),
        ]
    }

    /// Refuses when a folder has no room for its share.
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

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Room = Room {
        beside_database: 10,
        backup: 5,
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
        let shares = ROOM.shares(&settings, "the migration");
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
        let shares = Room { backup: 0, ..ROOM }.shares(&settings, "the migration");
        assert_eq!(shares.len(), 1);
        assert_eq!(
            (shares[0].bytes, shares[0].what_for.as_str()),
            (10, "the migration")
        );
    }
}
