//! The one place where databases are opened, and what each way of opening promises.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags, Transaction};
use tempfile::TempDir;

use crate::error::{Error, ErrorKind, Hint, IoContext, Result, SqliteContext, shell_quote};
use crate::raw_file::{RawFile, read_at, read_start};
use crate::regular_file;

/// First bytes of every SQLite database (<https://sqlite.org/fileformat2.html#magic_header_string>).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Length of a database's header.
const HEADER_BYTES: usize = 100;
/// The page cache in KiB. A larger one makes rebuilds slower, and memory is promised to stay flat.
const CACHE_KIB: i64 = 4096;

/// How long servers may take to come or go while a reader opens.
const SETTLED_WITHIN: Duration = Duration::from_millis(500);
/// A database that was not written for so long has no server at work on it.
const QUIET: Duration = Duration::from_secs(2);

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
pub const SIDECARS: [&str; 3] = ["-wal", "-shm", "-journal"];

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
pub fn resolve(path: &Path) -> Result<PathBuf> {
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
        .with_hint(Hint::shell(format!("ls -l {}", shell_quote(path)))));
    }
    let folder = crate::settings::folder_of(path);
    let real_folder = folder.canonicalize().map_err(|source| {
        let error = Error::io("find the folder", &folder, source);
        match error.kind() {
            ErrorKind::Missing => error.with_hint(Hint::shell(format!("mkdir -p {}", shell_quote(&folder)))),
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
/// # Errors
/// [`ErrorKind::NotADatabase`] for a folder, a device, a pipe or a file with another content;
/// [`ErrorKind::Permission`] when it cannot be read.
pub fn inspect(path: &Path) -> Result<FileState> {
    inspect_with(path, read_start::<HEADER_BYTES>)
}

fn inspect_with(path: &Path, read_header: impl FnOnce(&Path) -> Result<Vec<u8>>) -> Result<FileState> {
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(FileState::Missing),
        Err(error) => return Err(Error::io("look at", path, error)),
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
    if header.len() < HEADER_BYTES || !header.starts_with(MAGIC) {
        return Err(not_a_database(path, "its first bytes are not those of SQLite"));
    }
    // Byte 19 is the read version: 2 means write-ahead log.
    Ok(FileState::Database {
        wal: header.get(19) == Some(&2),
    })
}

fn not_a_database(path: &Path, why: &str) -> Error {
    Error::new(
        ErrorKind::NotADatabase,
        format!("{} is not an SQLite database: {why}", path.display()),
    )
    .with_truth("Nothing was changed.")
    .with_hint(Hint::shell(format!("file {}", shell_quote(path))))
}

/// A connection that reads and writes, with foreign keys off as the application has them.
///
/// # Errors
/// When the file cannot be opened or written, or is no database.
pub fn open_writer(path: &Path, busy_timeout: Duration) -> Result<Connection> {
    let doing = || format!("open {} for writing", path.display());
    let connection =
        open(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|source| cannot_open(path, source))?;
    configure(&connection, busy_timeout).while_doing(doing())?;
    if connection.is_readonly("main").while_doing(doing())? {
        return Err(Error::new(
            ErrorKind::Permission,
            format!("{} is read-only for this user", path.display()),
        )
        .with_truth("Nothing was changed.")
        .with_hint(Hint::shell(format!("ls -l {}", shell_quote(path)))));
    }
    // With the default, FULL, a power cut soon after a commit can bring the rollback journal back, and with it
    // the state before: a step that was reported and logged as done would be gone.
    connection
        .pragma_update(None, "synchronous", "EXTRA")
        .while_doing(doing())?;
    // SQLite ignores this pragma inside a transaction, and its bundled build has foreign keys on.
    connection
        .pragma_update(None, "foreign_keys", false)
        .while_doing(doing())?;
    let on: bool = connection
        .pragma_query_value(None, "foreign_keys", |row| row.get(0))
        .while_doing(doing())?;
    if on {
        return Err(Error::new(
            ErrorKind::Sqlite,
            "SQLite does not let foreign keys be turned off",
        ));
    }
    Ok(connection)
}

/// Like [`open_writer`], and makes the file when there is none.
///
/// # Errors
/// As [`open_writer`].
pub fn create_writer(path: &Path, busy_timeout: Duration) -> Result<Connection> {
    // SQLite takes an empty file for an empty database. It is closed before SQLite opens it: closing it later would
    // drop SQLite's locks.
    match regular_file::create_new(path, 0o644).map(drop) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error).on_file("create", path),
        _ => open_writer(path, busy_timeout),
    }
}

fn cannot_open(path: &Path, source: rusqlite::Error) -> Error {
    let error = Error::sqlite(format_args!("open {}", path.display()), source);
    if error.kind() == ErrorKind::Corrupt {
        return error.with_truth("It is damaged; nothing was changed.");
    }
    error.with_hint(Hint::shell(format!(
        "ls -ld {} {}",
        shell_quote(&crate::settings::folder_of(path)),
        shell_quote(path)
    )))
}

fn configure(connection: &Connection, busy_timeout: Duration) -> rusqlite::Result<()> {
    connection.busy_timeout(busy_timeout)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    // Otherwise SQLite may plan a statement again for each value that it is given, at ten times the cost of running it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // Views and triggers of the database must not reach anything but the database.
    connection.pragma_update(None, "trusted_schema", false)
}

/// A connection that reads and changes not one byte of the database or its folder.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
    // Dropped after the connection: fields are dropped in the order of their declaration.
    private_copy: Option<TempDir>,
}

impl Reader {
    /// Whether this reads a private copy, because a crash left a journal or a log beside the database.
    #[must_use]
    pub fn is_private_copy(&self) -> bool {
        self.private_copy.is_some()
    }
}

impl std::ops::Deref for Reader {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

/// Opens a database that exists for reading only.
///
/// A database in write-ahead mode that nobody has open is read as it stands, since SQLite would otherwise
/// make files beside it. One that a crash left with a journal to roll back, or with a log but no index of
/// it, is read from a private copy.
///
/// # Errors
/// When the file cannot be opened, or is no database.
pub fn open_reader(path: &Path, busy_timeout: Duration) -> Result<Reader> {
    until_settled(path, busy_timeout, || {
        match try_open_in_place(path, busy_timeout)? {
            Some(reader) => Ok(reader),
            None => open_private_copy(path, busy_timeout),
        }
    })
}

/// Like [`open_reader`], but `None` where that would take a private copy: many processes at once must not each make
/// one.
pub(crate) fn open_in_place(path: &Path, busy_timeout: Duration) -> Result<Option<Reader>> {
    until_settled(path, busy_timeout, || try_open_in_place(path, busy_timeout))
}

/// Has SQLite finish what a crash left undone beside the database, as the next program that writes would.
///
/// # Errors
/// As [`open_writer`].
pub(crate) fn recover(path: &Path, busy_timeout: Duration) -> Result<()> {
    let writer = open_writer(path, busy_timeout)?;
    writer
        .query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
        .map_err(|source| cannot_open(path, source))
}

/// A read transaction that holds its lock: BEGIN takes none, reading does.
///
/// Between the two looks that SQLite takes, at who writes and at the journal, a writer may begin: then its journal looks
/// like one that a crash left, and who may not write is refused. Another look tells the two apart.
pub(crate) fn begin_reading(connection: &Connection) -> rusqlite::Result<Transaction<'_>> {
    let mut looks = 0;
    loop {
        let transaction = connection.unchecked_transaction()?;
        let read = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()));
        match read {
            Ok(()) => return Ok(transaction),
            Err(error) if looks < JOURNAL_LOOKS && needs_rollback(&error) => {
                looks += 1;
                drop(transaction);
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(error),
        }
    }
}

/// How often one looks again at a journal that looks as if a crash had left it.
const JOURNAL_LOOKS: u32 = 10;

fn needs_rollback(error: &rusqlite::Error) -> bool {
    error
        .sqlite_error()
        .is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_READONLY_ROLLBACK)
}

/// Looks again when servers came or went in the middle of a look at a database in write-ahead mode.
///
/// Whoever closes it as the last removes the log and its index, and whoever opens it as the first makes them anew;
/// a reader that changes nothing cannot repair what it finds then, while another look finds things settled.
///
/// # Errors
/// Those of `look`, after half a second of looking.
pub(crate) fn until_settled<T>(
    path: &Path,
    busy_timeout: Duration,
    mut look: impl FnMut() -> Result<T>,
) -> Result<T> {
    let started = Instant::now();
    loop {
        match look() {
            Err(error)
                if (is_refused_rollback(&error)
                    || matches!(inspect(path), Ok(FileState::Database { wal: true }))
                        && matches!(
                            error.kind(),
                            ErrorKind::Permission | ErrorKind::Missing | ErrorKind::Corrupt
                        ))
                    && started.elapsed() < busy_timeout.min(SETTLED_WITHIN) =>
            {
                std::thread::sleep(Duration::from_millis(1));
            }
            seen => return seen,
        }
    }
}

/// Whether a statement in the middle of a look met what [`begin_reading`] tells of.
fn is_refused_rollback(error: &Error) -> bool {
    std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<rusqlite::Error>())
        .is_some_and(needs_rollback)
}

fn try_open_in_place(path: &Path, busy_timeout: Duration) -> Result<Option<Reader>> {
    let state = inspect(path)?;
    let exists = |suffix| {
        with_suffix(path, suffix)
            .metadata()
            .is_ok_and(|metadata| metadata.len() > 0)
    };
    let query = match state {
        FileState::Missing => {
            return Err(Error::new(
                ErrorKind::Missing,
                format!("there is no database at {}", path.display()),
            )
            .with_hint(Hint::tool(["migrate"])));
        }
        FileState::Database { wal: true } if !exists("-wal") => {
            // What is taken for immutable is read without locks: a server's write in the middle would look like
            // damage. Beside a server at work, the log and its index come and go anyhow.
            if !is_quiet(path)
                && let Ok(reader) = open_beside_servers(path, busy_timeout)
            {
                return Ok(Some(reader));
            }
            "?mode=ro&immutable=1"
        }
        // Reads the index of the log without writing to it, and makes one in memory if it is stale.
        FileState::Database { wal: true } if exists("-shm") => "?mode=ro&readonly_shm=1",
        FileState::Database { wal: true } => return Ok(None),
        // SQLite takes a log beside a database in any mode for its own, and would make an index of it.
        FileState::Database { wal: false } if with_suffix(path, "-wal").exists() => return Ok(None),
        FileState::Empty | FileState::Database { wal: false } => "?mode=ro",
    };
    let opened = open_uri(path, query, busy_timeout).and_then(|reader| {
        begin_reading(&reader)?;
        Ok(reader)
    });
    match opened {
        Ok(reader) => Ok(Some(reader)),
        Err(error) if exists("-journal") && is_hot_journal(&error) => Ok(None),
        Err(error) if exists("-wal") && is_torn_index(&error) => Ok(None),
        Err(error) => Err(cannot_open(path, error)),
    }
}

/// Whether nobody wrote to the file lately.
fn is_quiet(path: &Path) -> bool {
    path.metadata()
        .ok()
        .and_then(|metadata| metadata.modified().ok())
        .and_then(|modified| modified.elapsed().ok())
        .is_some_and(|age| age >= QUIET)
}

/// Opens a database in write-ahead mode under SQLite's locks. Makes an empty log and removes it when closed; the
/// database itself does not change.
fn open_beside_servers(path: &Path, busy_timeout: Duration) -> rusqlite::Result<Reader> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    configure(&connection, busy_timeout)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(Reader {
        connection,
        private_copy: None,
    })
}

/// Opens a finished copy that nobody writes, such as a backup.
///
/// # Errors
/// When the file cannot be opened, or is no database.
pub fn open_still(path: &Path) -> Result<Reader> {
    let state = inspect_with(path, |path| {
        let mut header = [0; HEADER_BYTES];
        let file = regular_file::open(path).on_file("open", path)?;
        let read = read_at(&file, 0, &mut header).on_file("read", path)?;
        Ok(header.get(..read).unwrap_or_default().to_vec())
    })?;
    if state == FileState::Missing {
        return Err(Error::io("open", path, std::io::ErrorKind::NotFound.into()));
    }
    open_uri(path, "?mode=ro&immutable=1", Duration::ZERO).map_err(|source| cannot_open(path, source))
}

/// An empty database in memory, from which no statement reaches a file.
///
/// # Errors
/// When SQLite is out of memory.
pub fn open_scratch() -> Result<Connection> {
    let doing = "open a database in memory";
    let connection = Connection::open_in_memory().while_doing(doing)?;
    connection
        .pragma_update(None, "foreign_keys", false)
        .while_doing(doing)?;
    // What a migration says is run here before anybody has read it: ATTACH and VACUUM INTO would make files.
    connection
        .set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)
        .while_doing(doing)?;
    Ok(connection)
}

fn is_hot_journal(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode;
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::SystemIoFailure)
    )
}

/// Whether a process that was killed while it wrote left an index of the log that only a writer can repair.
fn is_torn_index(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode;
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::FileLockingProtocolFailed | ErrorCode::ReadOnly | ErrorCode::CannotOpen)
    )
}

fn open_uri(path: &Path, query: &str, busy_timeout: Duration) -> rusqlite::Result<Reader> {
    let uri = PathBuf::from(format!("file:{}{query}", percent_encoded(path)));
    let connection = open(
        &uri,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI,
    )?;
    configure(&connection, busy_timeout)?;
    Ok(Reader {
        connection,
        private_copy: None,
    })
}

fn open_private_copy(path: &Path, busy_timeout: Duration) -> Result<Reader> {
    let folder = tempfile::Builder::new()
        .prefix("bridge-migrate-")
        .tempdir()
        .map_err(|source| Error::io("make a temporary folder in", &std::env::temp_dir(), source))?;
    let copy = folder.path().join("copy.db");
    File::create(&copy)
        .and_then(|target| RawFile::open(path)?.copy_all(&target))
        .on_file("copy", path)?;
    for suffix in ["-wal", "-journal"] {
        let sidecar = with_suffix(path, suffix);
        if sidecar.exists() {
            regular_file::open(&sidecar)
                .and_then(|mut from| std::io::copy(&mut from, &mut File::create(with_suffix(&copy, suffix))?))
                .on_file("copy", &sidecar)?;
        }
    }
    let connection =
        open(&copy, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|source| cannot_open(path, source))?;
    configure(&connection, busy_timeout).while_doing(format_args!("open {}", path.display()))?;
    Ok(Reader {
        connection,
        private_copy: Some(folder),
    })
}

#[allow(
    clippy::disallowed_methods,
    reason = "this is the place that the ban points to"
)]
fn open(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

/// The path as part of a `file:` URI; any byte can stand in a path.
pub(crate) fn percent_encoded(path: &Path) -> String {
    let mut uri = String::new();
    for &byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' | b':' => {
                uri.push(char::from(byte))
            }
            b'\\' if cfg!(windows) => uri.push('/'),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    if cfg!(windows) && !uri.starts_with('/') {
        format!("/{uri}")
    } else {
        uri
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]
mod tests {
    use super::*;

    #[test]
    fn no_statement_reaches_a_file_from_a_scratch_database() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("made.db");
        for statement in ["ATTACH ?1 AS other", "VACUUM INTO ?1"] {
            let ran = open_scratch().unwrap().execute(statement, [file.to_str()]);
            assert!(ran.is_err() && !file.exists(), "{statement}");
        }
    }

    /// How often one looks at a database in this mode when the first looks fail, and what one sees in the end.
    fn looks(mode: &str, failures: u32, kind: ErrorKind) -> (u32, Result<()>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let connection = create_writer(&path, Duration::ZERO).unwrap();
        connection.pragma_update(None, "journal_mode", mode).unwrap();
        connection.execute_batch("CREATE TABLE t (x)").unwrap();
        let mut looks = 0;
        let seen = until_settled(&path, Duration::from_secs(1), || {
            looks += 1;
            if looks <= failures {
                Err(Error::new(kind, "the index of the log is being made"))
            } else {
                Ok(())
            }
        });
        (looks, seen)
    }

    #[test]
    fn a_look_that_met_a_server_coming_or_going_is_repeated_and_no_other() {
        let (count, seen) = looks("wal", 2, ErrorKind::Permission);
        assert_eq!((count, seen.is_ok()), (3, true));
        for (mode, kind) in [("delete", ErrorKind::Permission), ("wal", ErrorKind::Divergent)] {
            let (count, seen) = looks(mode, 2, kind);
            assert_eq!((count, seen.is_ok()), (1, false), "{mode}");
        }
        let (count, seen) = looks("wal", u32::MAX, ErrorKind::Permission);
        assert!(count > 1 && seen.is_err(), "{count}");
    }
}
