//! A note beside the database while a rollback puts a restore point back: the database and the companion file cannot
//! change at one instant, and a database that was just replaced knows nothing of the run that did it.

use std::{io::Write as _, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::files::database_file::with_suffix;
use bridge_migrate_core::regular_file::{self, if_there};
use bridge_migrate_core::whole_file::{WholeFile, sync_folder_of};
use bridge_migrate_core::{Error, ErrorKind, Hint, IoContext, Keep, Result, Settings, folder_of};

/// A note holds a path and two numbers.
const MAX_BYTES: u64 = 64 * 1024;

/// What was being done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unfinished {
    /// The copy of the database that is put back.
    pub(crate) backup: PathBuf,
    /// The digest of that copy, which tells it from another of its name; older programs did not note it.
    #[serde(default)]
    pub(crate) sha256: Option<String>,
    /// Which companion is wanted.
    #[serde(default)]
    pub(crate) companion: Keep,
    /// The version that the database was at.
    pub(crate) from: u32,
    /// The version that it goes back to.
    pub(crate) to: u32,
}

/// What is true while a rollback is half done.
pub(crate) fn half_done(settings: &Settings) -> String {
    format!(
        "The database has the old or the new content whole; the {} may still be the other.",
        settings.companion_format.name()
    )
}

impl Unfinished {
    pub(crate) fn path(settings: &Settings) -> PathBuf {
        with_suffix(&settings.database, ".rollback.json")
    }

    /// What an interrupted rollback left; `None` nearly always.
    pub(crate) fn read(settings: &Settings) -> Result<Option<Self>> {
        let path = Self::path(settings);
        let Some(bytes) = if_there(regular_file::read(&path, MAX_BYTES)).on_file("read", &path)? else {
            return Ok(None);
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|source| {
            Error::new(
                ErrorKind::BackupInvalid,
                format!("{} does not say what a rollback was doing", path.display()),
            )
            .with_truth("The tool did not write it so. A restore of a backup removes it.")
            .with_hint(Hint::Repair)
            .with_source(source)
        })
    }

    /// Leaves the note, on disk before anything changes.
    pub(crate) fn write(&self, settings: &Settings) -> Result<()> {
        let path = Self::path(settings);
        let text = serde_json::to_vec(self)
            .map_err(|source| Error::new(ErrorKind::Io, "cannot note the rollback").with_source(source))?;
        let whole = WholeFile::create_in(&folder_of(&path))?;
        whole.file().write_all(&text).on_file("write", &path)?;
        let (verified, ()) = whole.verified(|_| Ok(()))?;
        verified.publish_over(&path)
    }

    /// Removes the note: there is nothing to complete any more.
    pub(crate) fn forget(settings: &Settings) -> Result<()> {
        let path = Self::path(settings);
        match if_there(std::fs::remove_file(&path)).on_file("remove", &path)? {
            // A note that a power cut brings back would stop the next migration.
            Some(()) => sync_folder_of(&path),
            None => Ok(()),
        }
    }

    /// The command that completes it.
    pub(crate) fn completed_by(&self) -> Hint {
        Hint::Rollback(self.to)
    }

    /// Refuses to go on while a rollback is half done.
    pub(crate) fn refuse(settings: &Settings) -> Result<()> {
        match Self::read(settings)? {
            None => Ok(()),
            Some(unfinished) => Err(Error::new(
                ErrorKind::NotReversible,
                "a rollback by a restore point was interrupted and has to be completed first",
            )
            .with_truth(half_done(settings))
            .with_hint(unfinished.completed_by())),
        }
    }
}
