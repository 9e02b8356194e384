//! The manifest: what a backup consists of, and what it held when it was verified.

use std::io::{Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::contents::Contents;
use bridge_migrate_core::{
    Error, ErrorKind, Hint, IoContext, Result,
    digest::FileDigest,
    regular_file,
    whole_file::{VerifiedFile, WholeFile},
};

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
        let whole = WholeFile::create_in(folder)?;
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::io("write", whole.path(), std::io::Error::from(error)))?;
        text.push(b'\n');
        whole.file().write_all(&text).on_file("write", whole.path())?;
        let (verified, ()) = whole.verified(|whole| match Self::read(whole.path())? {
            Some(read) if read == *self => Ok(()),
            _ => Err(Error::new(
                ErrorKind::Io,
                format!("{} does not read as it was written", whole.path().display()),
            )),
        })?;
        Ok(verified)
    }

    /// Reads a manifest; `None` when there is none.
    ///
    /// # Errors
    /// [`ErrorKind::BackupInvalid`] when it is malformed or of a later form.
    pub(super) fn read(path: &Path) -> Result<Option<Self>> {
        let invalid = |why: String| {
            Error::new(
                ErrorKind::BackupInvalid,
                format!("the manifest {} {why}", path.display()),
            )
            .with_truth("Nothing was changed.")
            .with_hint(Hint::BackupList)
        };
        let file = match regular_file::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).on_file("open", path),
        };
        let mut text = Vec::new();
        file.take(MAX_BYTES)
            .read_to_end(&mut text)
            .on_file("read", path)?;
        #[derive(Deserialize)]
        struct Form {
            format: u32,
        }
        let malformed = |error: serde_json::Error| invalid(format!("is malformed: {error}"));
        let form: Form = serde_json::from_slice(&text).map_err(malformed)?;
        if form.format != FORMAT {
            return Err(invalid(format!(
                "has form {}, and this program reads form {FORMAT}",
                form.format
            )));
        }
        serde_json::from_slice(&text).map(Some).map_err(malformed)
    }
}
