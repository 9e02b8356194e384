//! Errors as data: what kind, what was being done, what is true now, and what to do next.

use std::{fmt, path::Path};

use serde::{Deserialize, Serialize};

use crate::hint::Hint;

/// Result of every fallible call of the engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as scripts tell failures apart. The serialised names are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument names something that does not exist or contradicts another.
    Usage,
    /// A target names no migration or release of the catalog.
    UnknownTarget,
    /// The database file does not exist where one is needed.
    Missing,
    /// The file is a directory, a pipe, or not an SQLite database.
    NotADatabase,
    /// A well-formed SQLite database that belongs to another application.
    ForeignDatabase,
    /// The database, a backup or a page of it is damaged.
    Corrupt,
    /// What has the name of a file of ours is a link, a pipe, or somebody else's.
    ForeignFile,
    /// The file or folder cannot be read or written by this user.
    Permission,
    /// The disk has, or would run, out of space.
    DiskFull,
    /// Other input or output failure of the operating system.
    Io,
    /// SQLite refused a statement.
    Sqlite,
    /// There was not enough memory: nothing is known of what was looked at.
    OutOfMemory,
    /// Another connection holds SQLite's own lock past the busy timeout.
    Busy,
    /// Another process holds the migration lock past the timeout.
    Locked,
    /// The database has migrations that this catalog does not know.
    Newer,
    /// A row of the history is not what the tool wrote.
    HistoryDamaged,
    /// An applied migration is not the one in the catalog.
    Divergent,
    /// The schema differs from what the history or the catalog implies.
    SchemaMismatch,
    /// Somebody changed the schema of a managed database, or put something on the tool's own tables.
    Drift,
    /// The conservation ledger found rows that no migration declared.
    ConservationViolated,
    /// A step would leave foreign-key violations that were not there before.
    ForeignKeyViolated,
    /// The companion file (the token file) is malformed or too large.
    CompanionInvalid,
    /// Values of a data step cannot be converted, and strictness was asked for.
    NotConvertible,
    /// A backup is incomplete, altered or of another database.
    BackupInvalid,
    /// A way back is not available.
    NotReversible,
    /// An answer is needed before something is lost.
    ConfirmationNeeded,
    /// No rehearsal receipt, or one that does not match.
    ReceiptInvalid,
    /// A wait ended before the database was there.
    Timeout,
    /// Verification found problems.
    VerificationFailed,
    /// A catalog that contradicts itself: a defect of the program that carries it.
    CatalogInvalid,
}

/// Where a run stood when it failed after committing steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reached {
    /// The last migration that is committed.
    pub version: u32,
    /// The release that the database now has, if a whole release is applied.
    #[serde(serialize_with = "crate::serial::optional_text")]
    pub release: Option<naming::Release>,
}

/// Where in the data a failure happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The table.
    pub table: String,
    /// The row's id and its key as text, where one row is to blame.
    pub row: Option<(i64, String)>,
}

/// A failure of the engine.
#[derive(Debug)]
pub struct Error(Box<Parts>);

#[derive(Debug)]
struct Parts {
    kind: ErrorKind,
    message: String,
    truth: Option<String>,
    hint: Hint,
    other_way: Option<(Hint, &'static str)>,
    reached: Option<Reached>,
    place: Option<Place>,
    source: Option<Box<dyn std::error::Error + Send + Sync + 'static>>,
}

impl Error {
    /// An error with a message that says what was being done and what is wrong.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            kind,
            message: message.into(),
            truth: None,
            hint: Hint::default(),
            other_way: None,
            reached: None,
            place: None,
            source: None,
        }))
    }

    /// An error that stopped what was asked before anything was changed.
    pub fn unchanged(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::new(kind, message).with_truth("Nothing was changed.")
    }

    /// Adds what is true now, as a sentence.
    #[must_use]
    pub fn with_truth(mut self, truth: impl Into<String>) -> Self {
        self.0.truth = Some(truth.into());
        self
    }

    /// Replaces what to do next.
    #[must_use]
    pub fn with_hint(mut self, hint: Hint) -> Self {
        self.0.hint = hint;
        self
    }

    /// Adds what could be done instead, and what that does, as the end of a sentence: `goes back without it.`
    #[must_use]
    pub fn with_other_way(mut self, way: Hint, does: &'static str) -> Self {
        self.0.other_way = Some((way, does));
        self
    }

    /// Adds the failure beneath this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Says that steps had been committed before the failure.
    #[must_use]
    pub fn with_reached(mut self, reached: Reached) -> Self {
        self.0.reached = Some(reached);
        self
    }

    /// Says in which table, and at which row, it happened; what is known already stays.
    #[must_use]
    pub fn at(mut self, table: &str, row: Option<(i64, String)>) -> Self {
        self.0.place.get_or_insert_with(|| Place {
            table: table.to_owned(),
            row,
        });
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What was being done and what is wrong, without what lies beneath.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What is true now, as a sentence.
    pub fn truth(&self) -> Option<&str> {
        self.0.truth.as_deref()
    }

    /// What to do next.
    pub fn hint(&self) -> &Hint {
        &self.0.hint
    }

    /// What could be done instead, and what that does.
    pub fn other_way(&self) -> Option<&(Hint, &'static str)> {
        self.0.other_way.as_ref()
    }

    /// Where the database stands, if steps had been committed before the failure.
    pub fn reached(&self) -> Option<&Reached> {
        self.0.reached.as_ref()
    }

    /// Where in the data it happened, where that is known.
    pub fn place(&self) -> Option<&Place> {
        self.0.place.as_ref()
    }

    /// A failure of a file operation, told apart by what the operating system said.
    pub fn io(doing: &str, path: &Path, source: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let (kind, hint) = match source.kind() {
            Io::NotFound => (ErrorKind::Missing, Hint::LookAtPlace(path.into())),
            Io::PermissionDenied | Io::ReadOnlyFilesystem => {
                (ErrorKind::Permission, Hint::LookAtPlace(path.into()))
            }
            Io::StorageFull | Io::QuotaExceeded => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
                let folder = folder.unwrap_or(Path::new(".")).into();
                (ErrorKind::DiskFull, Hint::FreeSpace(Some(folder)))
            }
            Io::OutOfMemory => (ErrorKind::OutOfMemory, Hint::MemoryLimit),
            // Beyond the limit that the shell sets, or what the file system can hold.
            Io::FileTooLarge => (ErrorKind::Io, Hint::FileSizeLimit),
            _ => (ErrorKind::Io, Hint::LookAtPlace(path.into())),
        };
        Self::new(kind, format!("cannot {doing} {}", path.display()))
            .with_hint(hint)
            .with_source(source)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// Turns a failure of the operating system into an [`Error`] that names the file.
pub trait IoContext<T> {
    /// Says what was being done, as a verb, and to which file.
    ///
    /// # Errors
    /// When `self` is an error.
    fn on_file(self, doing: &str, path: &Path) -> Result<T>;
}

impl<T> IoContext<T> for std::io::Result<T> {
    fn on_file(self, doing: &str, path: &Path) -> Result<T> {
        self.map_err(|source| Error::io(doing, path, source))
    }
}
