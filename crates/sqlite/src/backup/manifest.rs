//! The manifest: what a backup consists of, and what it held when it was verified.

use crate::files::json_file;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::contents::Contents;
use bridge_migrate_core::{Error, ErrorKind, Hint, Result, digest::FileDigest, whole_file::VerifiedFile};

/// The form of manifest that this program writes and reads.
pub(super) const FORMAT: u32 = 1;
/// Why a restore makes a backup: the state that it replaces is secured in it.
pub const BEFORE_RESTORE: &str = "before restore";
/// Why a rollback makes a backup: the state that it takes back is secured in it.
pub const BEFORE_ROLLBACK: &str = "before rollback";
/// A manifest holds a line per table; more than this is none.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// What a backup consists of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The manifest's form, 1.
    pub format: u32,
    /// When the copy was begun, in UTC.
    pub created_at: String,
    /// Name and version of the program.
    pub tool: String,
    /// Why the backup was made.
    pub reason: String,
    /// The run that it belongs to, if any.
    pub run: Option<String>,
    /// The name of the database file that was copied.
    pub source: String,
    /// The part of the files' names that they share.
    pub stamp: String,
    /// The last migration that was applied, if known; 0 means none.
    pub version: Option<u32>,
    /// The release of the database, if known.
    pub release: Option<String>,
    /// The copy of the database.
    pub database: DatabaseEntry,
    /// The copy of the companion file, if there was one.
    pub companion: Option<CompanionEntry>,
}

/// The copy of the database.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatabaseEntry {
    /// Its file's name.
    pub file: String,
    /// Its length and digest.
    #[serde(flatten)]
    pub digest: FileDigest,
    /// What it holds.
    #[serde(flatten)]
    pub contents: Contents,
}

/// The copy of the companion file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompanionEntry {
    /// Its file's name.
    pub file: String,
    /// Its length and digest.
    #[serde(flatten)]
    pub digest: FileDigest,
}

/// Whether a backup for this reason secures the state before a restore or a rollback.
pub(super) fn is_securing(reason: &str) -> bool {
    [BEFORE_RESTORE, BEFORE_ROLLBACK].contains(&reason)
}

impl Manifest {
    /// Writes the manifest into `folder`, without a name yet.
    pub(super) fn write_in(&self, folder: &Path) -> Result<VerifiedFile> {
        json_file::write(folder, self, Self::read)
    }

    /// Reads a manifest; `None` when there is none.
    ///
    /// # Errors
    /// [`ErrorKind::BackupInvalid`] when it is malformed or of a later form.
    pub(super) fn read(path: &Path) -> Result<Option<Self>> {
        json_file::read(path, MAX_BYTES, FORMAT, |why| {
            Error::unchanged(
                ErrorKind::BackupInvalid,
                format!("the manifest {} {why}", path.display()),
            )
            .with_hint(Hint::BackupList)
        })
    }
}
