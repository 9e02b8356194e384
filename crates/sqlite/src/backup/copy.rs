//! Copies a live database, and decides how long its writers wait for that.
//!
//! In rollback-journal mode the bytes of a small file are copied while a read lock makes it stand still. A copy
//! that could hold the lock for long is made without it instead; afterwards, under the lock, either the file's
//! change counter says that nobody wrote meanwhile, or the blocks that differ are copied again, which takes
//! little more than reading. SQLite's own way of letting writers in between its steps starts over after each
//! write, so under a busy server it would end with the lock held for a whole copy.
//!
//! In write-ahead mode SQLite's backup API copies the pages of one read transaction; writers never wait.
//!
//! Whoever keeps writers out for a change of their own copies loosely beforehand, and catches up then.

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, Transaction};

use super::names::lossy_name;
use crate::files::database_file::{FileState, has_hot_journal, inspect, with_suffix};
use crate::files::raw_file::{RawFile, read_at};
use crate::sqlite::ask::Ask;
use crate::sqlite::connection::{begin_reading, open_writer, with_reader};
use crate::sqlite::sqlite_error::{SqliteContext, sqlite_error};
use bridge_migrate_core::whole_file::{WholeFile, remove_abandoned};
use bridge_migrate_core::{Activity, Error, ErrorKind, IoContext, Observer, Result, Settings, Silent};

/// Copied between two looks at the clock.
const CHUNK_BYTES: u64 = 16 * 1024 * 1024;
/// Compared at a time.
const BLOCK_BYTES: usize = 1024 * 1024;
/// Pages that the backup API copies between two progress events.
const STEP_PAGES: i32 = 2048;
/// Where the header keeps the change counter and all else that SQLite compares to see if a file changed.
const VERSION_AT: u64 = 24;
/// A file that was not written for so long gets another time of change by the next write, however coarse that time is.
const AT_REST: Duration = Duration::from_secs(2);
/// How long a look into the log may wait for those who come and go.
const LOG_TIMEOUT: Duration = Duration::from_secs(1);

/// How long writers may have to wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// The longest time to hold the lock for a plain copy.
    pub(super) hold: Duration,
    /// Bytes that nearly every disk copies in that time.
    pub(super) plain_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            hold: Duration::from_millis(100),
            plain_bytes: 16 * 1024 * 1024,
        }
    }
}

/// A copy of the database in `folder` that is nobody's backup.
///
/// # Errors
/// When the database cannot be read or `folder` cannot be written.
pub(crate) fn copy_into(settings: &Settings, folder: &Path, observer: &dyn Observer) -> Result<WholeFile> {
    remove_abandoned(folder);
    let target = WholeFile::create_in(folder)?;
    copy_database(settings, &target, Limits::default(), observer)?;
    Ok(target)
}

/// Copies the database into `target` and says how long its writers had to wait at most. Not one byte of the database
/// or its sidecars changes, not even by SQLite's own recovery or checkpoint.
pub(super) fn copy_database(
    settings: &Settings,
    target: &WholeFile,
    limits: Limits,
    observer: &dyn Observer,
) -> Result<Duration> {
    let database = &settings.database;
    let copy_read_only = || {
        with_reader(database, settings.busy_timeout, |reader| {
            copy_pages(reader, database, target, observer)
        })
    };
    if opening_would_write(database)? {
        return copy_read_only();
    }
    match open_writer(database, settings.busy_timeout) {
        Ok(connection) => {
            let copy = FileCopy {
                source: RawFile::open(database).on_file("open", database)?,
                database,
                target,
                observer,
            };
            match copy.run(&connection, settings.busy_timeout, limits)? {
                Some(held) => Ok(held),
                None => copy_pages(&connection, database, target, observer).map(|_| Duration::ZERO),
            }
        }
        // A database that this user may only read: SQLite finds its way past logs and journals.
        Err(error) if error.kind() == ErrorKind::Permission => copy_read_only(),
        Err(error) => Err(error),
    }
}

/// Copies the file into `target` as it is, and puts that on disk. While others write, that is of no one moment:
/// [`catch_up`] makes it so.
pub(super) fn copy_loosely(database: &Path, target: &WholeFile, observer: &dyn Observer) -> Result<()> {
    let copy = FileCopy {
        source: RawFile::open(database).on_file("open", database)?,
        database,
        target,
        observer,
    };
    let length = copy.source.len().on_file("look at", database)?;
    copy.copy_from(0, length, || true)?;
    copy.finished();
    // What is on disk now, nobody waits for later.
    target.file().sync_data().on_file("put on disk", target.path())
}

/// Makes `target` the database as it is now. The caller holds SQLite's write lock, so that nothing is committed
/// meanwhile; in rollback-journal mode, the exclusive one.
pub(super) fn catch_up(database: &Path, target: &WholeFile) -> Result<()> {
    let log = with_suffix(database, "-wal");
    if log.metadata().is_ok_and(|log| log.len() > 0) {
        let beside = open_writer(database, LOG_TIMEOUT)?;
        if !take_log_into_file(&beside) {
            // Readers of an older state keep it out. All that SQLite writes into an empty file is the database.
            target.file().set_len(0).on_file("empty", target.path())?;
            return copy_pages(&beside, database, target, &Silent).map(drop);
        }
    }
    let copy = FileCopy {
        source: RawFile::open(database).on_file("open", database)?,
        database,
        target,
        observer: &Silent,
    };
    copy.copy_what_differs()
}

/// Whether the file itself has all that is in the log, after an attempt to make it so.
pub(crate) fn take_log_into_file(connection: &Connection) -> bool {
    connection
        .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .is_ok_and(|(busy, in_log, in_file): (bool, i64, i64)| !busy && in_log == in_file)
}

/// Whether a connection that may write could change something by opening or closing the database: it rolls a
/// journal back, and takes a log into the file.
fn opening_would_write(database: &Path) -> Result<bool> {
    Ok(has_hot_journal(database)
        || with_suffix(database, "-wal").exists()
        || inspect(database)? == FileState::Database { wal: true })
}

/// A copy of the file's bytes.
struct FileCopy<'a> {
    source: RawFile,
    database: &'a Path,
    target: &'a WholeFile,
    observer: &'a dyn Observer,
}

/// Tells one state of a file from another: length, the bytes by which SQLite itself does, and when it was written.
///
/// A transaction that does not fit into its writer's cache writes to the file before it commits, and is taken back
/// without a change of SQLite's counter.
#[derive(Debug, PartialEq, Eq)]
struct Version {
    bytes: u64,
    counter: [u8; 16],
    /// `None` when the next write could leave the same time.
    written: Option<SystemTime>,
}

impl Version {
    /// Whether nobody wrote in between; no, when that cannot be known.
    fn is_still(&self, now: &Self) -> bool {
        self.written.is_some() && self == now
    }
}

impl FileCopy<'_> {
    /// `None` when the database is in write-ahead mode, where the bytes of the file are not all.
    fn run(
        &self,
        connection: &Connection,
        busy_timeout: Duration,
        limits: Limits,
    ) -> Result<Option<Duration>> {
        let waiting = Instant::now();
        let Some(lock) = self.lock(connection)? else {
            return Ok(None);
        };
        let started = Instant::now();
        connection
            .busy_timeout(busy_timeout.saturating_sub(started - waiting))
            .while_doing("limit the wait for the lock")?;
        let version = self.version()?;
        let mut copied = 0;
        if version.bytes <= limits.plain_bytes {
            copied = self.copy_from(0, version.bytes, || started.elapsed() < limits.hold)?;
        }
        let first_hold = release(lock, started)?;
        if copied == version.bytes {
            self.finished();
            return Ok(Some(first_hold));
        }

        self.copy_from(copied, version.bytes, || true)?;
        let Some(lock) = self.lock(connection)? else {
            self.target
                .file()
                .set_len(0)
                .on_file("empty", self.target.path())?;
            return Ok(None);
        };
        let started = Instant::now();
        if !version.is_still(&self.version()?) {
            self.copy_what_differs()?;
        }
        let second_hold = release(lock, started)?;
        self.finished();
        Ok(Some(first_hold.max(second_hold)))
    }

    /// Makes the file stand still; `None` in write-ahead mode.
    fn lock<'b>(&self, connection: &'b Connection) -> Result<Option<Transaction<'b>>> {
        let doing = || format!("read {}", self.database.display());
        let transaction = begin_reading(connection).while_doing(doing())?;
        let mode: String = transaction.setting("journal_mode").while_doing(doing())?;
        Ok((mode != "wal").then_some(transaction))
    }

    fn version(&self) -> Result<Version> {
        let mut counter = [0; 16];
        let mut read = || {
            self.source.read_at(VERSION_AT, &mut counter)?;
            self.source.metadata()
        };
        let metadata = read().on_file("read", self.database)?;
        let at_rest = |written: &SystemTime| written.elapsed().is_ok_and(|age| age >= AT_REST);
        Ok(Version {
            bytes: metadata.len(),
            counter,
            written: metadata.modified().ok().filter(at_rest),
        })
    }

    /// Copies on from `from` while `go_on` says so, and says where it stopped.
    fn copy_from(&self, from: u64, to: u64, go_on: impl Fn() -> bool) -> Result<u64> {
        let mut target = self.target.file();
        target
            .seek(SeekFrom::Start(from))
            .on_file("write", self.target.path())?;
        let mut at = from;
        while at < to && go_on() {
            let copied = self
                .source
                .copy_to(at, CHUNK_BYTES.min(to - at), target)
                .on_file("copy", self.database)?;
            if copied == 0 {
                break;
            }
            at += copied;
            self.observer
                .progress(Activity::Copy, &lossy_name(self.database), at, Some(to));
        }
        Ok(at)
    }

    /// Copies the blocks that differ from the file, which stands still.
    fn copy_what_differs(&self) -> Result<()> {
        let mut target = self.target.file();
        let length = self.source.len().on_file("look at", self.database)?;
        let mut wanted = vec![0; BLOCK_BYTES];
        let mut present = vec![0; BLOCK_BYTES];
        let mut at = 0;
        while at < length {
            let read = self
                .source
                .read_at(at, &mut wanted)
                .on_file("read", self.database)?;
            let block = wanted.get(..read).unwrap_or_default();
            if block.is_empty() {
                break;
            }
            let there = read_at(target, at, &mut present).on_file("read", self.target.path())?;
            if present.get(..there) != Some(block) {
                target
                    .seek(SeekFrom::Start(at))
                    .and_then(|_| target.write_all(block))
                    .on_file("write", self.target.path())?;
            }
            at += block.len() as u64;
        }
        target.set_len(length).on_file("write", self.target.path())
    }

    fn finished(&self) {
        finished(self.database, self.observer);
    }
}

fn release(lock: Transaction<'_>, since: Instant) -> Result<Duration> {
    lock.commit().while_doing("release the read lock")?;
    Ok(since.elapsed())
}

/// Copies page by page within one read transaction, and says how long that was open.
fn copy_pages(
    source: &Connection,
    database: &Path,
    target: &WholeFile,
    observer: &dyn Observer,
) -> Result<Duration> {
    let doing = || format!("copy {}", database.display());
    // What an earlier look copied may be of different moments.
    target.file().set_len(0).on_file("empty", target.path())?;
    let mut copy = open_writer(target.path(), Duration::ZERO)?;
    // Nobody sees the copy before it is complete, so it needs no journal, and it is synced once at the end.
    for (pragma, value) in [("journal_mode", "OFF"), ("synchronous", "OFF")] {
        copy.pragma_update(None, pragma, value).while_doing(doing())?;
    }
    let started = Instant::now();
    let snapshot = begin_reading(source).while_doing(doing())?;
    let page_size: u64 = snapshot
        .pragma_query_value(None, "page_size", |row| row.get::<_, u32>(0))
        .while_doing(doing())?
        .into();
    {
        let backup = Backup::new(&snapshot, &mut copy).while_doing(doing())?;
        loop {
            match backup.step(STEP_PAGES).while_doing(doing())? {
                StepResult::Done => break,
                StepResult::More => {}
                _ => return Err(Error::new(ErrorKind::Busy, format!("cannot {}", doing()))),
            }
            let progress = backup.progress();
            let bytes = |pages: i32| u64::try_from(pages).unwrap_or_default() * page_size;
            observer.progress(
                Activity::Copy,
                &lossy_name(database),
                bytes(progress.pagecount - progress.remaining),
                Some(bytes(progress.pagecount)),
            );
        }
    }
    drop(snapshot);
    copy.close()
        .map_err(|(_, source)| sqlite_error(doing(), source))?;
    finished(database, observer);
    Ok(started.elapsed())
}

fn finished(database: &Path, observer: &dyn Observer) {
    observer.finished(Activity::Copy, &lossy_name(database));
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;
    use crate::backup::BackupFacts;
    use crate::backup::create::create_with;
    use crate::sqlite::connection::{create_writer, open_immutable};
    use bridge_migrate_core::Event;

    const NEVER_HOLD: [Limits; 2] = [
        Limits {
            hold: Duration::from_secs(2),
            plain_bytes: 0,
        },
        Limits {
            hold: Duration::ZERO,
            plain_bytes: u64::MAX,
        },
    ];

    /// Ends the writer, also when the test fails.
    struct StopOnDrop<'a>(&'a AtomicBool);

    impl Drop for StopOnDrop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    fn database(settings: &Settings) -> Connection {
        let connection = create_writer(&settings.database, Duration::from_secs(5)).unwrap();
        connection
            .execute_batch(
                "CREATE TABLE a (x); CREATE TABLE b (x); BEGIN;
                 WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
                 INSERT INTO a SELECT hex(randomblob(200)) FROM n;
                 INSERT INTO b SELECT * FROM a; COMMIT;",
            )
            .unwrap();
        connection
    }

    #[test]
    fn a_copy_made_without_the_lock_is_the_file_when_nobody_wrote() {
        for limits in NEVER_HOLD {
            let folder = tempfile::tempdir().unwrap();
            let settings = Settings::new(folder.path().join("a.db"));
            drop(database(&settings));
            let created = create_with(&settings, &BackupFacts::default(), limits, &Silent).unwrap();
            let bytes = |path: &Path| std::fs::read(path).unwrap();
            assert!(bytes(&created.backup.database) == bytes(&settings.database));
        }
    }

    /// Begins a transaction that does not fit into its cache when the first part of a copy is made, and takes it back
    /// after the second.
    struct TakesBack<'a> {
        writer: &'a Connection,
        events: Cell<u32>,
    }

    impl Observer for TakesBack<'_> {
        fn observe(&self, event: &Event) {
            if !matches!(
                event,
                Event::Progress {
                    activity: Activity::Copy,
                    ..
                }
            ) {
                return;
            }
            self.events.set(self.events.get() + 1);
            let sql = match self.events.get() {
                1 => "PRAGMA cache_size = 10; BEGIN; UPDATE big SET x = zeroblob(8000)",
                2 => "ROLLBACK",
                _ => return,
            };
            self.writer.execute_batch(sql).unwrap();
        }
    }

    #[test]
    fn what_a_writer_takes_back_is_not_in_a_copy_made_without_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::new(folder.path().join("a.db"));
        let writer = create_writer(&settings.database, Duration::from_secs(5)).unwrap();
        writer
            .execute_batch(
                "CREATE TABLE big (x);
                 WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
                 INSERT INTO big SELECT randomblob(8000) FROM n;",
            )
            .unwrap();
        let before = std::fs::read(&settings.database).unwrap();
        assert!(before.len() as u64 > 2 * CHUNK_BYTES);
        for limits in NEVER_HOLD {
            let observer = TakesBack {
                writer: &writer,
                events: Cell::new(0),
            };
            let created = create_with(&settings, &BackupFacts::default(), limits, &observer).unwrap();
            assert!(observer.events.get() >= 2);
            assert!(std::fs::read(&settings.database).unwrap() == before);
            assert!(std::fs::read(&created.backup.database).unwrap() == before);
        }
    }

    #[test]
    fn a_copy_made_without_the_lock_is_of_one_moment_although_others_wrote() {
        for limits in NEVER_HOLD {
            let folder = tempfile::tempdir().unwrap();
            let settings = Settings::new(folder.path().join("a.db"));
            let writer = database(&settings);
            let stop = AtomicBool::new(false);
            let written = AtomicUsize::new(0);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let writer = writer;
                    while !stop.load(Ordering::Relaxed) {
                        writer
                            .execute_batch(
                                "BEGIN IMMEDIATE; INSERT INTO a VALUES (zeroblob(5000)); UPDATE a SET x = 'y' WHERE rowid = 3;
                                 INSERT INTO b VALUES (1); COMMIT;",
                            )
                            .unwrap();
                        written.fetch_add(1, Ordering::Relaxed);
                    }
                });
                let _stop = StopOnDrop(&stop);
                for _ in 0..4 {
                    let before = written.load(Ordering::Relaxed);
                    let began = Instant::now();
                    // A copy may be done before a thread gets its turn: it begins when the writer is at work.
                    while written.load(Ordering::Relaxed) == before {
                        assert!(
                            began.elapsed() < Duration::from_secs(60),
                            "the writer is kept out"
                        );
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    let created = create_with(&settings, &BackupFacts::default(), limits, &Silent).unwrap();
                    let copy = open_immutable(&created.backup.database).unwrap();
                    let count = |table: &str| -> i64 {
                        copy.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))
                            .unwrap()
                    };
                    assert_eq!(count("a"), count("b"));
                }
            });
        }
    }
}
