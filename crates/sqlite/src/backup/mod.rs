//! Backups: a verified copy of the database, the companion file beside it, and a manifest that says so.
//!
//! A backup is made while servers read and write. It appears under its name only when it is complete,
//! verified and on disk, and its manifest appears last: a copy without a manifest is not a backup yet.

mod check;
mod companion;
mod contents;
mod copy;
mod create;
mod list;
mod manifest;
mod names;
mod prune;
mod verify;

use std::path::PathBuf;

pub(crate) use check::unread_page;
pub use companion::{COMPANION_LIMIT, read_companion};
pub use contents::Contents;
pub(crate) use contents::read_contents;
pub(crate) use copy::{copy_into, take_log_into_file};
pub use create::{BackupFacts, Created, create};
pub(crate) use create::{Draft, space_needed};
pub use list::{find, list, load, look_at};
pub(crate) use list::{find_again, newest_first, unreadable};
pub use manifest::{BEFORE_RESTORE, BEFORE_ROLLBACK, CompanionEntry, DatabaseEntry, Manifest};
pub use names::Stamp;
pub(crate) use names::{file_name, lossy_name};
pub use prune::{PruneOptions, Pruned, prune};
use serde::Serialize;
pub(crate) use verify::differing_rows;
pub use verify::{Problem, ProblemKind, verify};

/// How far a backup can be trusted by what its folder holds; [`verify`] looks inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Completeness {
    /// The manifest and every file that it names are there, in the right length, and the companion's copy is whole.
    Complete,
    /// The manifest is malformed or missing, or a file that it names is missing or has another length, or the
    /// companion's copy is not whole: an interrupted run, a copy made by hand, damage, or an older program.
    Incomplete,
    /// A file of it cannot be looked at, so that nobody can tell: another user's, or on a disk that fails.
    Unreadable,
    /// Named like a backup but for the stamp: not made by this tool.
    Foreign,
}

/// A backup as found on disk.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Backup {
    /// When it was made, as its name says.
    pub stamp: Option<Stamp>,
    /// The copy of the database.
    pub database: PathBuf,
    /// The copy of the companion file, if the manifest says that there is one.
    pub companion: Option<PathBuf>,
    /// Where the manifest is, or would be.
    pub manifest_path: PathBuf,
    /// What the manifest says.
    pub manifest: Option<Manifest>,
    /// How far it can be trusted.
    pub state: Completeness,
    /// Why it is not complete.
    pub problem: Option<String>,
}

impl Backup {
    /// Whether it secures the state before a restore or a rollback. Such a one is never the `latest`: the same
    /// command, given again, would bring back what it had replaced.
    pub fn is_securing(&self) -> bool {
        let manifest = self.manifest.as_ref();
        manifest.is_some_and(|manifest| manifest::is_securing(&manifest.reason))
    }
}
