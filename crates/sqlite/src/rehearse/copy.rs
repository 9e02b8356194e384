//! The private copy that a rehearsal works on: database and companion in a folder of their own.

use std::path::{Path, PathBuf};
use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};

use crate::backup::{self, BackupFacts, file_name};
use crate::files::private_folder::PrivateFolder;
use bridge_migrate_core::{
    IoContext, Observer, Result, Settings, clock::Clock, folder_of, regular_file::make_folder,
};

/// A copy of the database and its companion. Dropping it removes it.
#[derive(Debug)]
pub(super) struct Copy {
    /// For everything that is done to the copy: nothing in it leads to the original.
    pub(super) settings: Settings,
    /// How long writers of the original had to wait.
    pub(super) source_lock: Duration,
    /// Length of the copied database in bytes.
    pub(super) bytes: u64,
    folder: PrivateFolder,
}

impl Copy {
    /// Copies the database that `settings` name; the copy and what is done to it may need `bytes`.
    pub(super) fn make(settings: &Settings, bytes: u64, observer: &dyn Observer) -> Result<Self> {
        let _ = make_folder(&settings.backup_dir);
        let folders = [&*settings.backup_dir, &folder_of(&settings.database)];
        let folder = PrivateFolder::make(&folders, bytes, "the rehearsal")?;
        let of_copy = Settings {
            database: folder.path().join(file_name(&settings.database)?),
            companion: folder.path().join(file_name(&settings.companion)?),
            backup_dir: folder.path().join("backups"),
            log_dir: folder.path().join("logs"),
            clock: Arc::new(StandingClock {
                now: settings.clock.now(),
                chance: Arc::clone(&settings.clock),
            }),
            ..settings.clone()
        };
        let source = Settings {
            backup_dir: of_copy.backup_dir.clone(),
            ..settings.clone()
        };
        let facts = BackupFacts {
            reason: "rehearsal".to_owned(),
            ..BackupFacts::default()
        };
        let made = backup::create(&source, &facts, observer)?;
        let rename = |from: &Path, to: &Path| std::fs::rename(from, to).on_file("rename", from);
        rename(&made.backup.database, &of_copy.database)?;
        if let Some(companion) = &made.backup.companion {
            rename(companion, &of_copy.companion)?;
        }
        std::fs::remove_file(&made.backup.manifest_path).on_file("remove", &made.backup.manifest_path)?;
        Ok(Self {
            settings: of_copy,
            source_lock: made.lock_held,
            bytes: made.manifest.database.digest.bytes,
            folder,
        })
    }

    /// Removes backups and other files that runs on the copy made, but for `keep`.
    pub(super) fn remove_backups(&self, keep: Option<&Path>) {
        let Ok(entries) = std::fs::read_dir(&self.settings.backup_dir) else {
            return;
        };
        for entry in entries.flatten() {
            if Some(entry.path().as_path()) != keep {
                // What stays goes with the folder.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// Leaves the folder for good, and says where the copy is.
    pub(super) fn keep(self) -> PathBuf {
        self.folder.keep();
        self.settings.database
    }
}

/// A clock that stands still: what a migration makes of the time, such as when it imported something, must not
/// tell its two runs apart.
#[derive(Debug)]
struct StandingClock {
    now: DateTime<Utc>,
    chance: Arc<dyn Clock>,
}

impl Clock for StandingClock {
    fn now(&self) -> DateTime<Utc> {
        self.now
    }

    fn nonce(&self) -> u32 {
        self.chance.nonce()
    }
}
