//! Write transactions: begun at once, measured while they hold the lock.

use std::time::{Duration, Instant};
use std::{ffi::c_int, path::Path};

use rusqlite::{Connection, ErrorCode, ffi};

use crate::schema::tool_tables;
use crate::sqlite::sqlite_error::{SqliteContext, sqlite_error};
use bridge_migrate_core::{Error, ErrorKind, Result};

/// A write transaction. Rolled back when dropped before [`WriteTransaction::commit`].
#[derive(Debug)]
#[must_use = "a transaction that is dropped is rolled back"]
pub(crate) struct WriteTransaction<'a> {
    connection: &'a Connection,
    timeout: Duration,
    locked_at: Instant,
    open: bool,
}

impl<'a> WriteTransaction<'a> {
    /// Takes the write lock now, waiting for other writers up to `timeout`, and refuses to write what would change other
    /// rows through the tool's own tables.
    pub(crate) fn begin(connection: &'a Connection, timeout: Duration) -> Result<Self> {
        let transaction = Self::begin_unchecked(connection, timeout)?;
        tool_tables::refuse_foreign(connection)?;
        Ok(transaction)
    }

    /// Only takes the lock.
    ///
    /// SQLite's own busy handler does the waiting; this loop covers the answers after which it does not
    /// wait, such as a busy recovery of a log.
    pub(crate) fn begin_unchecked(connection: &'a Connection, timeout: Duration) -> Result<Self> {
        let started = Instant::now();
        loop {
            match connection.execute_batch("BEGIN IMMEDIATE") {
                Ok(()) => {
                    return Ok(Self {
                        connection,
                        timeout,
                        locked_at: Instant::now(),
                        open: true,
                    });
                }
                Err(error)
                    if matches!(
                        error.sqlite_error_code(),
                        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
                    ) && started.elapsed() < timeout =>
                {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(error) => {
                    let error = sqlite_error("take the write lock of the database", error);
                    return Err(match error.kind() {
                        ErrorKind::Busy => error.with_truth(format!(
                            "Another program has been writing for {} s.",
                            timeout.as_secs()
                        )),
                        _ => error,
                    });
                }
            }
        }
    }

    /// Makes everything durable and tells how long the write lock was held.
    ///
    /// # Errors
    /// [`ErrorKind::ForeignFile`] when another file has the database's name by now: nothing is written then.
    pub(crate) fn commit(mut self) -> Result<Duration> {
        if has_lost_its_name(self.connection) {
            return Err(moved(self.connection.path().unwrap_or_default().as_ref()));
        }
        let started = Instant::now();
        loop {
            match self.connection.execute_batch("COMMIT") {
                Ok(()) => break,
                // Readers of a rollback-journal database hold a commit up; the transaction stays whole.
                Err(error)
                    if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                        && started.elapsed() < self.timeout =>
                {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(error) => return Err(error).while_doing("commit"),
            }
        }
        self.open = false;
        Ok(self.locked_at.elapsed())
    }
}

/// Whether the file that is open was removed, or another one has its name. In write-ahead mode SQLite would write to it
/// all the same, and its log would lie beside the other one.
fn has_lost_its_name(connection: &Connection) -> bool {
    let mut is_moved: c_int = 0;
    // SAFETY: the handle is open while the connection is borrowed, the name ends with a zero, and SQLite writes one `int`
    // to where the last argument leads (https://sqlite.org/c3ref/c_fcntl_begin_atomic_write.html), before it returns.
    #[allow(unsafe_code, reason = "there is no statement that asks this")]
    let asked = unsafe {
        ffi::sqlite3_file_control(
            connection.handle(),
            c"main".as_ptr(),
            ffi::SQLITE_FCNTL_HAS_MOVED,
            (&raw mut is_moved).cast(),
        )
    };
    // What is in memory has no name to lose.
    asked == ffi::SQLITE_OK && is_moved != 0
}

/// A refusal to write to a file that is not the one at the database's path any more.
pub(crate) fn moved(database: &Path) -> Error {
    Error::new(
        ErrorKind::ForeignFile,
        format!(
            "{} was moved or removed, or another file took its place, while it was written to",
            database.display()
        ),
    )
    .with_truth("What was not committed until then was not written.")
}

impl Drop for WriteTransaction<'_> {
    fn drop(&mut self) {
        if self.open && !self.connection.is_autocommit() {
            // When even this fails, SQLite rolls back when the connection closes.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }
}
