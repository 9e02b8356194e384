//! Which file a database's path means, and what stands there, without SQLite.

use std::path::{Path, PathBuf};

use crate::files::raw_file::{read_at, read_start};
use bridge_migrate_core::regular_file::{self, if_there};
use bridge_migrate_core::{Catalog, Error, ErrorKind, Hint, IoContext as _, Result, Settings};

/// First bytes of every SQLite database (<https://sqlite.org/fileformat2.html#magic_header_string>).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Length of a database's header.
pub(crate) const HEADER_BYTES: usize = 100;

/// What stands at a database's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    /// Nothing.
    Missing,
    /// A file of no bytes, which SQLite takes for an empty database.
    Empty,
    /// An SQLite database.
    Database {
        /// Whether its header says write-ahead log.
        wal: bool,
    },
}

/// The sidecars that SQLite keeps beside a database while it is in use or after a crash.
pub(crate) const SIDECARS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// `path` with `suffix` added to its file name.
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The real place of a database: symbolic links are followed, so that every name of a file leads to the
/// same lock, sidecars and backups.
///
/// # Errors
/// When the folder does not exist, or the path is a link to nothing.
pub(crate) fn resolve(path: &Path) -> Result<PathBuf> {
    if let Ok(real) = path.canonicalize() {
        return Ok(real);
    }
    if path
        .symlink_metadata()
        .is_ok_and(|metadata| metadata.is_symlink())
    {
        return Err(Error::new(
            ErrorKind::Missing,
            format!("{} is a link to a file that does not exist", path.display()),
        )
        .with_hint(Hint::LookAtFile(path.into())));
    }
    let folder = bridge_migrate_core::folder_of(path);
    let real_folder = folder.canonicalize().map_err(|source| {
        let error = Error::io("find the folder", &folder, source);
        match error.kind() {
            ErrorKind::Missing => error.with_hint(Hint::MakeFolder(folder)),
            _ => error,
        }
    })?;
    match path.file_name() {
        Some(name) => Ok(real_folder.join(name)),
        None => Err(not_a_database(path, "it is a folder")),
    }
}

/// Looks at a database's path without SQLite.
///
/// What stands beside a journal or a log that SQLite would bring in is a database whatever its first bytes are: a power
/// cut in the middle of a transaction leaves them zero, or cut short, and only SQLite can tell.
///
/// # Errors
/// [`ErrorKind::NotADatabase`] for a folder, a device, a pipe or a file with another content;
/// [`ErrorKind::Permission`] when it cannot be read.
pub fn inspect(path: &Path) -> Result<FileState> {
    inspect_with(path, read_start::<HEADER_BYTES>)
}

pub(crate) fn inspect_with(
    path: &Path,
    read_header: impl FnOnce(&Path) -> Result<Vec<u8>>,
) -> Result<FileState> {
    let Some(metadata) = if_there(path.metadata()).on_file("look at", path)? else {
        return Ok(FileState::Missing);
    };
    if metadata.is_dir() {
        return Err(not_a_database(path, "it is a folder"));
    }
    if !metadata.is_file() {
        return Err(not_a_database(path, "it is not a regular file"));
    }
    if metadata.len() == 0 {
        return Ok(FileState::Empty);
    }
    let header = read_header(path)?;
    let is_whole = header.len() == HEADER_BYTES && header.starts_with(MAGIC);
    if !is_whole && !has_hot_journal(path) && !has_bytes(path, "-wal") {
        return Err(not_a_database(path, "its first bytes are not those of SQLite"));
    }
    // Byte 19 is the read version: 2 means write-ahead log.
    Ok(FileState::Database {
        wal: if is_whole {
            header.get(19) == Some(&2)
        } else {
            has_bytes(path, "-wal")
        },
    })
}

pub(crate) fn has_bytes(path: &Path, suffix: &str) -> bool {
    bytes(&with_suffix(path, suffix)) > 0
}

fn bytes(path: &Path) -> u64 {
    path.metadata().map_or(0, |metadata| metadata.len())
}

/// Length of the database and of what stands beside it.
pub(crate) fn bytes_with_sidecars(path: &Path) -> u64 {
    let sidecars = SIDECARS.map(|suffix| bytes(&with_suffix(path, suffix)));
    bytes(path) + sidecars.iter().sum::<u64>()
}

/// Whether a rollback journal lies there that is not ended: SQLite ends one by removing, emptying or zeroing it. One
/// that cannot be read may be.
pub(crate) fn has_hot_journal(path: &Path) -> bool {
    let mut first = [0];
    has_bytes(path, "-journal")
        && regular_file::open(&with_suffix(path, "-journal"))
            .and_then(|journal| read_at(&journal, 0, &mut first))
            .map_or(true, |_| first != [0])
}

fn not_a_database(path: &Path, why: &str) -> Error {
    Error::unchanged(
        ErrorKind::NotADatabase,
        format!("{} is not an SQLite database: {why}", path.display()),
    )
    .with_hint(Hint::FileType(path.into()))
}

/// The settings with the real place of the database, and the catalog's format of the companion.
///
/// # Errors
/// When the path names no file, or nothing that can be looked at.
pub fn for_catalog(catalog: &Catalog, settings: &Settings) -> Result<Settings> {
    Ok(Settings {
        companion_format: catalog.companion(),
        ..in_real_place(settings)?
    })
}

/// [`for_catalog`], for what has no use for the companion.
pub(crate) fn in_real_place(settings: &Settings) -> Result<Settings> {
    let mut settings = settings.clone();
    let real: PathBuf = resolve(&settings.database)?;
    settings.database = real;
    // What is written in its place must not take the place of the link.
    if settings.companion.is_symlink()
        && let Ok(real) = settings.companion.canonicalize()
    {
        settings.companion = real;
    }
    Ok(settings)
}
