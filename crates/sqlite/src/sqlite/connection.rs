//! The one place where databases are opened, and what each way of opening promises.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, Transaction, config::DbConfig, limits::Limit};

use crate::files::database_file::{
    FileState, HEADER_BYTES, bytes_with_sidecars, has_bytes, has_hot_journal, inspect, inspect_with,
    with_suffix,
};
use crate::files::raw_file::{RawFile, Standing, read_at};
use crate::files::{kernel_locks as kernel, private_folder::PrivateFolder};
use crate::sqlite::ask::Ask;
use crate::sqlite::sqlite_error::{SqliteContext, sqlite_error};
use bridge_migrate_core::{Error, ErrorKind, Hint, IoContext, Result, folder_of, regular_file};

/// The page cache in KiB. A larger one makes rebuilds slower, and memory is promised to stay flat.
const CACHE_KIB: i64 = 4096;

/// How long servers may take to come or go while a reader opens.
const SETTLED_WITHIN: Duration = Duration::from_millis(500);
/// For how long and how often a look is repeated whose file others change each time.
const CHANGING_FOR: Duration = Duration::from_secs(3);
const CHANGED_LOOKS: u32 = 5;
/// How long to wait for a server that comes and goes to be there.
const SERVER_COMES_WITHIN: Duration = Duration::from_millis(20);

/// A connection that reads and writes, with foreign keys off as the application has them.
///
/// # Errors
/// When the file cannot be opened or written, or is no database.
pub fn open_writer(path: &Path, busy_timeout: Duration) -> Result<Connection> {
    open_for_writing(path, busy_timeout, false)
}

/// Like [`open_writer`], for a file of which nothing will stay: SQLite takes it for empty, and so can lock it and write
/// to it however damaged it is, until [`see_content`] is called
/// (<https://sqlite.org/c3ref/c_dbconfig_defensive.html#sqlitedbconfigresetdatabase>).
///
/// # Errors
/// When the file cannot be opened or written.
pub(crate) fn open_over_damage(path: &Path, busy_timeout: Duration) -> Result<Connection> {
    open_for_writing(path, busy_timeout, true)
}

/// Has a connection from [`open_over_damage`] see what is in the file now.
pub(crate) fn see_content(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_RESET_DATABASE, false)
        .map(drop)
}

fn open_for_writing(path: &Path, busy_timeout: Duration, is_taken_for_empty: bool) -> Result<Connection> {
    let doing = || format!("open {} for writing", path.display());
    let connection = open_writable(path)?;
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_RESET_DATABASE, is_taken_for_empty)
        .while_doing(doing())?;
    configure(&connection, busy_timeout).while_doing(doing())?;
    // With the default, FULL, a power cut soon after a commit can bring the rollback journal back, and with it
    // the state before: a step that was reported and logged as done would be gone.
    connection
        .pragma_update(None, "synchronous", "EXTRA")
        .while_doing(doing())?;
    // SQLite ignores this pragma inside a transaction, and its bundled build has foreign keys on.
    connection
        .pragma_update(None, "foreign_keys", false)
        .while_doing(doing())?;
    let on: bool = connection.setting("foreign_keys").while_doing(doing())?;
    if on {
        return Err(Error::new(
            ErrorKind::Sqlite,
            "SQLite does not let foreign keys be turned off",
        ));
    }
    Ok(connection)
}

/// Whether this user may write the database, asked without a statement: the first one would recover what a crash left.
///
/// # Errors
/// As [`open_writer`].
pub(crate) fn ask_to_write(path: &Path) -> Result<()> {
    open_writable(path).map(drop)
}

fn open_writable(path: &Path) -> Result<Connection> {
    let connection =
        open(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|source| cannot_open(path, source))?;
    let is_readonly = connection
        .is_readonly("main")
        .while_doing(format_args!("open {} for writing", path.display()))?;
    if is_readonly {
        return Err(Error::unchanged(
            ErrorKind::Permission,
            format!("{} is read-only for this user", path.display()),
        )
        .with_hint(Hint::LookAtFile(path.into())));
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
    let error = sqlite_error(format_args!("open {}", path.display()), source);
    if error.kind() == ErrorKind::Corrupt {
        return error.with_truth("It is damaged; nothing was changed.");
    }
    error.with_hint(Hint::LookAtPlace(path.into()))
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
    is_wal: bool,
    /// The file as it was before it was opened without locks; `None` where SQLite's locks make it stand still.
    unlocked: Option<Standing>,
    // Dropped after the connection: fields are dropped in the order of their declaration.
    private_copy: Option<PrivateFolder>,
}

impl Reader {
    /// Whether this reads a private copy, because a crash left a journal or a log beside the database.
    pub fn is_private_copy(&self) -> bool {
        self.private_copy.is_some()
    }

    /// Whether the database keeps a write-ahead log; SQLite tells `delete` of one that nobody has open.
    pub(crate) fn is_wal(&self) -> bool {
        self.is_wal
    }

    /// What `look` finds; `None` when what it read may be of different moments.
    fn look<T>(self, look: &mut impl FnMut(&Self) -> Result<T>) -> Result<Option<T>> {
        let seen = look(&self);
        let is_changed = self
            .unlocked
            .as_ref()
            .is_some_and(|before| !before.is_unchanged());
        if is_changed { Ok(None) } else { seen.map(Some) }
    }
}

impl std::ops::Deref for Reader {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

/// What `look` finds in a database that exists, read without changing one byte of it or its folder.
///
/// A database in write-ahead mode that nobody has open is read as it stands, without locks, since SQLite would
/// otherwise make files beside it; when it was changed in the meantime, `look` is called again. A database that a crash
/// left with a journal to roll back, or with a log but no index of it, is read from a private copy beside it, which is
/// gone afterwards; in a process of several threads, so is every log that nobody has open.
///
/// # Errors
/// Those of `look`; when the file cannot be opened, or is no database; [`ErrorKind::Busy`] when others change it
/// during each look.
pub fn with_reader<T>(
    path: &Path,
    busy_timeout: Duration,
    mut look: impl FnMut(&Reader) -> Result<T>,
) -> Result<T> {
    until_settled(path, busy_timeout, || {
        let reader = match open_in_place(path, busy_timeout)? {
            Opened::InPlace(reader) => Some(reader),
            Opened::NeedsCopy => open_private_copy(path, busy_timeout)?,
            Opened::Unsettled => None,
        };
        match reader {
            Some(reader) => reader.look(&mut look),
            None => Ok(None),
        }
    })
}

/// Like [`with_reader`], but `None` where that would take a private copy: many processes at once must not each make
/// one.
pub(crate) fn with_reader_in_place<T>(
    path: &Path,
    busy_timeout: Duration,
    mut look: impl FnMut(&Reader) -> Result<T>,
) -> Result<Option<T>> {
    until_settled(path, busy_timeout, || match open_in_place(path, busy_timeout)? {
        Opened::InPlace(reader) => Ok(reader.look(&mut look)?.map(Some)),
        Opened::NeedsCopy => Ok(Some(None)),
        Opened::Unsettled => Ok(None),
    })
}

/// Has SQLite finish what a crash left undone beside the database, as the next program that writes would. What it made
/// of it stays for as long as the connection is open.
///
/// # Errors
/// As [`open_writer`].
pub(crate) fn recover(path: &Path, busy_timeout: Duration) -> Result<Connection> {
    let writer = open_writer(path, busy_timeout)?;
    match writer.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())) {
        Ok(()) => Ok(writer),
        Err(source) => Err(cannot_open(path, source)),
    }
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

/// Looks again when servers came or went in the middle of a look, or wrote what it read (`None`).
///
/// Whoever closes a database in write-ahead mode as the last removes the log and its index, and whoever opens it as the
/// first makes them anew; a reader that changes nothing cannot repair what it finds then, while another look finds
/// things settled.
fn until_settled<T>(
    path: &Path,
    busy_timeout: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let started = Instant::now();
    let mut changed = 0;
    // Since the first of the looks that failed one after the other: what came before took as long as it took.
    let mut failing = None;
    loop {
        match look() {
            Ok(Some(seen)) => return Ok(seen),
            Ok(None) => {
                failing = None;
                changed += 1;
                if changed >= CHANGED_LOOKS && started.elapsed() >= busy_timeout.max(CHANGING_FOR) {
                    return Err(Error::new(
                        ErrorKind::Busy,
                        format!(
                            "other processes changed {} during each look at it",
                            path.display()
                        ),
                    )
                    .with_truth("Nothing was changed by this one."));
                }
                // While a server has it open, its log is there, and a look under SQLite's locks cannot be disturbed.
                let waiting = Instant::now();
                loop {
                    std::thread::sleep(Duration::from_millis(1));
                    if has_bytes(path, "-wal") || waiting.elapsed() >= SERVER_COMES_WITHIN {
                        break;
                    }
                }
            }
            Err(error)
                if (is_refused_rollback(&error)
                    || matches!(inspect(path), Ok(FileState::Database { wal: true }))
                        && matches!(
                            error.kind(),
                            ErrorKind::Permission | ErrorKind::Missing | ErrorKind::Corrupt
                        ))
                    && failing.get_or_insert_with(Instant::now).elapsed()
                        < busy_timeout.min(SETTLED_WITHIN) =>
            {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(error),
        }
    }
}

/// Whether a statement in the middle of a look met what [`begin_reading`] tells of.
fn is_refused_rollback(error: &Error) -> bool {
    std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<rusqlite::Error>())
        .is_some_and(needs_rollback)
}

/// How a database can be read where it is.
enum Opened {
    InPlace(Reader),
    /// Not without changing something.
    NeedsCopy,
    /// Perhaps in a moment.
    Unsettled,
}

fn open_in_place(path: &Path, busy_timeout: Duration) -> Result<Opened> {
    // First, so that what is written between this and the rest is seen to be.
    let standing = Standing::of([path.to_owned()]);
    let state = inspect(path)?;
    let exists = |suffix| with_suffix(path, suffix).exists();
    let is_wal = state == (FileState::Database { wal: true });
    let mut unlocked = None;
    let query = match state {
        FileState::Missing => {
            return Err(Error::new(
                ErrorKind::Missing,
                format!("there is no database at {}", path.display()),
            )
            .with_hint(Hint::Migrate));
        }
        // A restore that was killed may have put the header of another mode over its journal.
        FileState::Database { wal: true } if has_hot_journal(path) => return Ok(Opened::NeedsCopy),
        FileState::Database { wal: true }
            if exists("-wal")
                && exists("-shm")
                && let Some(query) = with_index_of_log(path) =>
        {
            query
        }
        FileState::Database { wal: true } if has_bytes(path, "-wal") => return Ok(Opened::NeedsCopy),
        FileState::Database { wal: true } => {
            if !standing.is_settled() {
                return Ok(Opened::Unsettled);
            }
            unlocked = Some(standing);
            IMMUTABLE
        }
        // SQLite takes a log beside a database in any mode for its own: it would make an index of it, or remove it.
        FileState::Empty | FileState::Database { wal: false } if exists("-wal") => {
            return Ok(Opened::NeedsCopy);
        }
        FileState::Empty | FileState::Database { wal: false } => "?mode=ro",
    };
    let opened = open_uri(path, query, busy_timeout).and_then(|connection| {
        begin_reading(&connection)?;
        Ok(connection)
    });
    match opened {
        Ok(connection) => Ok(Opened::InPlace(Reader {
            connection,
            is_wal,
            unlocked,
            private_copy: None,
        })),
        Err(_) if unlocked.as_ref().is_some_and(|before| !before.is_unchanged()) => Ok(Opened::Unsettled),
        Err(error) if has_bytes(path, "-journal") && is_hot_journal(&error) => Ok(Opened::NeedsCopy),
        Err(error) if has_bytes(path, "-wal") && is_torn_index(&error) => Ok(Opened::NeedsCopy),
        Err(error) => Err(cannot_open(path, error)),
    }
}

/// How to read a log with the index that lies beside it; `None` where that would change the index, or harm others.
///
/// SQLite has one index for a file in each process. If this one opens it for reading only, no other connection of the
/// process can write for as long as it is open, nor ever again if it was opened meanwhile. Where other threads may do
/// that, the index is opened as every reader does that leaves its mark in it; but not while nobody else has the log
/// open, when SQLite would make it anew.
fn with_index_of_log(path: &Path) -> Option<&'static str> {
    match (kernel::is_only_thread(), kernel::has_open_log(path)) {
        (Some(false), Some(false)) => None,
        (Some(false), Some(true)) => Some("?mode=ro"),
        // Reads the index without writing to it, and makes one in memory if it is stale.
        _ => Some("?mode=ro&readonly_shm=1"),
    }
}

/// Has SQLite read without locks, and without looking for a journal or a log: right only while nobody writes.
const IMMUTABLE: &str = "?mode=ro&immutable=1";

/// Opens a finished copy that nobody writes, such as a backup.
///
/// # Errors
/// When the file cannot be opened, or is no database.
pub fn open_immutable(path: &Path) -> Result<Connection> {
    let state = inspect_with(path, |path| {
        let mut header = [0; HEADER_BYTES];
        let file = regular_file::open(path).on_file("open", path)?;
        let read = read_at(&file, 0, &mut header).on_file("read", path)?;
        Ok(header.get(..read).unwrap_or_default().to_vec())
    })?;
    if state == FileState::Missing {
        return Err(Error::io("open", path, std::io::ErrorKind::NotFound.into()));
    }
    open_uri(path, IMMUTABLE, Duration::ZERO).map_err(|source| cannot_open(path, source))
}

/// An empty database in memory, from which no statement reaches a file.
///
/// # Errors
/// When SQLite is out of memory.
pub(crate) fn open_scratch() -> Result<Connection> {
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

fn open_uri(path: &Path, query: &str, busy_timeout: Duration) -> rusqlite::Result<Connection> {
    let uri = PathBuf::from(format!("file:{}{query}", percent_encoded(path)));
    let connection = open(
        &uri,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI,
    )?;
    configure(&connection, busy_timeout)?;
    Ok(connection)
}

/// `None` when others wrote while it was copied.
fn open_private_copy(path: &Path, busy_timeout: Duration) -> Result<Option<Reader>> {
    let sidecars = ["-wal", "-journal"];
    let mut files = vec![path.to_owned()];
    files.extend(sidecars.map(|suffix| with_suffix(path, suffix)));
    let standing = Standing::of(files);
    if !standing.is_settled() {
        return Ok(None);
    }
    let folder = PrivateFolder::make(
        &[&folder_of(path)],
        bytes_with_sidecars(path),
        "a copy to read from",
    )?;
    let copy = folder.path().join("copy.db");
    let copied = copy_with_sidecars(path, &copy, sidecars);
    if !standing.is_unchanged() {
        return Ok(None);
    }
    copied?;
    let connection =
        open(&copy, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|source| cannot_open(path, source))?;
    configure(&connection, busy_timeout).while_doing(format_args!("open {}", path.display()))?;
    let mode: String = connection
        .setting("journal_mode")
        .map_err(|source| cannot_open(path, source))?;
    Ok(Some(Reader {
        connection,
        is_wal: mode == "wal",
        unlocked: None,
        private_copy: Some(folder),
    }))
}

fn copy_with_sidecars(path: &Path, copy: &Path, sidecars: [&str; 2]) -> Result<()> {
    File::create(copy)
        .and_then(|target| RawFile::open(path)?.copy_all(&target))
        .on_file("copy", path)?;
    for suffix in sidecars {
        let sidecar = with_suffix(path, suffix);
        if sidecar.exists() {
            regular_file::open(&sidecar)
                .and_then(|mut from| std::io::copy(&mut from, &mut File::create(with_suffix(copy, suffix))?))
                .on_file("copy", &sidecar)?;
        }
    }
    Ok(())
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
                Ok(Some(()))
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
