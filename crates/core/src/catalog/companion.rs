//! What the engine must know of the companion file, whose format only the application knows.

use std::{fmt, path::Path};

use serde::Serialize;

use super::{CompanionTable, TableRows};
use crate::clock::Clock;
use crate::error::Result;
use crate::going_back::Keep;
use crate::time_zone::Zone;

/// What the declarations of a catalog may read besides rows.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// Where the companion file is.
    pub companion: &'a Path,
    /// What a timestamp without an offset means.
    pub time_zone: &'a Zone,
    /// The time.
    pub clock: &'a dyn Clock,
}

/// The companion file's format.
pub trait Companion: fmt::Debug + Send + Sync {
    /// What people call the file, such as `token file`.
    fn name(&self) -> &'static str;

    /// Whether these are the bytes of a whole file.
    ///
    /// # Errors
    /// What is wrong with them, without a value of theirs.
    fn check(&self, bytes: &[u8]) -> std::result::Result<(), Flaw>;

    /// The tables that hold what the file holds.
    fn tables(&self) -> &'static [CompanionTable] {
        &[]
    }

    /// Of these, the tables whose rows take away what others give. One such row is as good as another with its key, and
    /// what a rollback kept of them comes back with the tables, asked for or not.
    fn revocations(&self) -> &'static [&'static str] {
        &[]
    }

    /// What a restore leaves in the file, and in the restored database.
    ///
    /// # Errors
    /// When a side cannot be read.
    fn merge(&self, _: Inputs<'_>, keep: Keep, backup: &Side<'_>, present: &Side<'_>) -> Result<Merged> {
        let side = if keep == Keep::Present { present } else { backup };
        Ok(Merged {
            file: side.file.or(present.file).map(<[u8]>::to_vec),
            ..Merged::default()
        })
    }
}

/// One of the two states between which a restore decides.
#[derive(Debug, Clone, Copy, Default)]
pub struct Side<'a> {
    /// The whole companion file; `None` when there is none.
    pub file: Option<&'a [u8]>,
    /// The rows of those of its [tables](Companion::tables) that the database has; `None` when it cannot be read.
    pub database: Option<&'a [TableRows]>,
}

/// What a restore leaves.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Merged {
    /// The companion file; `None` when there is to be none. Where nothing but the spelling differs, it is as in the
    /// present one, or else as in the backup.
    pub file: Option<Vec<u8>>,
    /// Rows that the restored database is to have. One whose key it has takes its place.
    pub put: Vec<TableRows>,
    /// Keys of rows that it is not to have.
    pub taken: Vec<TableRows>,
    /// What changes for whoever is known by an entry.
    pub counts: EntryCounts,
}

/// Entries of the companion file and its tables that a restore brings back, takes away or keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct EntryCounts {
    /// That are not valid at present, and will be.
    pub came_back: u64,
    /// That are valid at present, and will not be.
    pub went: u64,
    /// That are valid in the backup, were revoked since, and stay so.
    pub stay_revoked: u64,
    /// That came since the backup, and stay valid.
    pub kept: u64,
}

/// Why bytes are no companion file. Tells positions, never values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flaw {
    /// Perhaps it is only half written yet.
    Unfinished(String),
    /// It is whole, but something else.
    Structure(String),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Unfinished(why) | Self::Structure(why)) = self;
        f.write_str(why)
    }
}

/// The format of a catalog that declares none: any bytes but none at all, which is how a rewrite begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnyBytes;

impl Companion for AnyBytes {
    fn name(&self) -> &'static str {
        "companion file"
    }

    fn check(&self, bytes: &[u8]) -> std::result::Result<(), Flaw> {
        match bytes {
            [] => Err(Flaw::Unfinished("it is empty".to_owned())),
            _ => Ok(()),
        }
    }
}
