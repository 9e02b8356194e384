//! The private copy that a rehearsal works on: database and companion in a folder of their own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use tempfile::TempDir;

use crate::backup::{self, BackupFacts, file_name};
use crate::clock::Clock;
use crate::disk::place_for_copy;
use crate::error::{Error, IoContext, Result};
use crate::event::Observer;
use crate::regular_file::{self, make_folder};
use crate::settings::Settings;

/// How the folders' names begin.
const PREFIX: &str = ".bridge-migrate-rehearsal-";
/// The file in the folder that the rehearsal's process holds locked.
const OWNER: &str = "owner.lock";
/// A younger folder may belong to a process that has not locked it yet.
const MIN_ABANDONED_AGE: Duration = Duration::from_secs(60);

/// A copy of the database and its companion. Dropping it removes it.
#[derive(Debug)]
pub(super) struct Copy {
    /// For everything that is done to the copy: nothing in it leads to the original.
    pub(super) settings: Settings,
    /// How long writers of the original had to wait.
    pub(super) source_lock: Duration,
    /// Length of the copied database in bytes.
    pub(super) bytes: u64,
    folder: TempDir,
    _owner: File,
}

impl Copy {
    /// Copies the database that `settings` name; the copy and what is done to it may need `bytes`.
    pub(super) fn make(settings: &Settings, bytes: u64, observer: &dyn Observer) -> Result<Self> {
        let _ = make_folder(&settings.backup_dir);
        let parent = place_for_copy(&settings.backup_dir, bytes, "the rehearsal")?;
        remove_abandoned(&parent);
        let mut builder = tempfile::Builder::new();
        builder.prefix(PREFIX);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        let folder = builder
            .tempdir_in(&parent)
            .map_err(|source| Error::io("make a folder in", &parent, source))?;
        let owner_path = folder.path().join(OWNER);
        let owner = regular_file::create_new(&owner_path, 0o600).on_file("make", &owner_path)?;
        owner
            .try_lock()
            .map_err(|_| Error::io("lock", &owner_path, std::io::ErrorKind::WouldBlock.into()))?;

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
            _owner: owner,
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
        let _ = std::fs::remove_file(self.folder.path().join(OWNER));
        let _kept = self.folder.keep();
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

/// Removes the copies that killed rehearsals left: they hold a database's content.
fn remove_abandoned(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) && is_abandoned(&entry.path()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn is_abandoned(folder: &Path) -> bool {
    let is_old = folder
        .symlink_metadata()
        .ok()
        .filter(std::fs::Metadata::is_dir)
        .and_then(|metadata| metadata.modified().ok())
        .and_then(|modified| SystemTime::now().duration_since(modified).ok())
        .is_some_and(|age| age >= MIN_ABANDONED_AGE);
    // A folder without the file was left on purpose.
    is_old && regular_file::open(&folder.join(OWNER)).is_ok_and(|owner| owner.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_old_folders_whose_process_is_gone_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        let make = |name: &str, with_owner: bool| {
            let folder = parent.path().join(format!("{PREFIX}{name}"));
            std::fs::create_dir(&folder).unwrap();
            if with_owner {
                File::create(folder.join(OWNER)).unwrap();
            }
            folder
        };
        let old = |folder: &Path| {
            let then = SystemTime::now() - MIN_ABANDONED_AGE - Duration::from_secs(1);
            File::open(folder).unwrap().set_modified(then).unwrap();
        };
        let dead = make("dead", true);
        let alive = make("alive", true);
        let kept = make("kept", false);
        let young = make("young", true);
        let owner = File::open(alive.join(OWNER)).unwrap();
        owner.try_lock().unwrap();
        for folder in [&dead, &alive, &kept] {
            old(folder);
        }
        remove_abandoned(parent.path());
        assert!(!dead.exists());
        assert!(alive.exists() && kept.exists() && young.exists());
    }
}
