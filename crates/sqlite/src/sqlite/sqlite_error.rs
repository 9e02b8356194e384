//! SQLite's failures as errors.

use std::fmt;

use bridge_migrate_core::{Error, ErrorKind, Hint, Result};

/// Turns a failure of SQLite into an [`Error`] that says what was being done.
pub trait SqliteContext<T> {
    /// Says what was being done, as a verb phrase: `read the history`.
    ///
    /// # Errors
    /// When `self` is an error.
    fn while_doing(self, doing: impl fmt::Display) -> Result<T>;
}

impl<T> SqliteContext<T> for rusqlite::Result<T> {
    fn while_doing(self, doing: impl fmt::Display) -> Result<T> {
        self.map_err(|source| sqlite_error(doing, source))
    }
}

/// A failure of SQLite, told apart by its result code.
pub(crate) fn sqlite_error(doing: impl fmt::Display, source: rusqlite::Error) -> Error {
    use rusqlite::ErrorCode;
    let (kind, hint) = match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => (ErrorKind::NotADatabase, Hint::BackupList),
        Some(ErrorCode::DatabaseCorrupt) => (ErrorKind::Corrupt, Hint::BackupList),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (ErrorKind::Busy, Hint::Status),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            (ErrorKind::Permission, Hint::Status)
        }
        Some(ErrorCode::DiskFull) => (ErrorKind::DiskFull, Hint::FreeSpace(None)),
        Some(_) if is_out_of_memory(&source) => (ErrorKind::OutOfMemory, Hint::MemoryLimit),
        Some(ErrorCode::SystemIoFailure) => (ErrorKind::Io, Hint::Verify),
        _ => (ErrorKind::Sqlite, Hint::Status),
    };
    Error::new(kind, format!("cannot {doing}"))
        .with_hint(hint)
        .with_source(source)
}

/// SQLite reports some allocations that fail as failures of its input and output.
fn is_out_of_memory(source: &rusqlite::Error) -> bool {
    use rusqlite::ffi::{SQLITE_IOERR_NOMEM, SQLITE_NOMEM};
    source
        .sqlite_error()
        .is_some_and(|error| [SQLITE_NOMEM, SQLITE_IOERR_NOMEM].contains(&error.extended_code))
}

/// Whether the file is to blame: nothing can be read there again.
pub(crate) fn is_damage(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotADatabase)
}
