//! Writes a backup's pages into the live file, as one transaction.

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::again;
use super::in_doubt::in_doubt;
use super::same_pages::same_pages;
use crate::backup::{Contents, differing_rows, lossy_name, read_contents};
use crate::connection::{begin_reading, open_still, open_writer, percent_encoded};
use crate::disk::{require_space, size};
use crate::error::{Error, ErrorKind, Hint, IoContext, Result, SqliteContext};
use crate::event::{Activity, Event, Observer};
use crate::failed_run::after_replacing;
use crate::raw_file::read_at;
use crate::regular_file;
use crate::settings::{Settings, folder_of};
use crate::whole_file::WholeFile;

/// The page cache in KiB: as large as flat memory allows.
const CACHE_KIB: i64 = 24 * 1024;
/// What is written in a second, its old pages into the journal included: measured on a small server's disk.
const BYTES_PER_SECOND: u64 = 250_000_000;
/// For how long the Bridge's servers wait for a lock before a call of theirs fails.
const SERVERS_WAIT_SECONDS: u64 = 5;
/// Pages between two progress events.
const STEP_PAGES: i32 = 2048;
/// Where the header says which journal is used: 1 for rollback, 2 for write-ahead.
const JOURNAL_MODE_AT: u64 = 18;
/// Between two tries for the lock.
const PAUSE: Duration = Duration::from_millis(5);

/// How it went.
#[derive(Debug)]
pub(super) struct Put {
    /// Whether another process wrote around the restore.
    pub(super) written_since: bool,
    /// How long other processes were kept out.
    pub(super) lock_held: Duration,
}

/// A warning, where others will be kept out for longer than servers wait.
pub(super) fn long_wait(wanted: &Contents) -> Option<String> {
    let bytes = u64::from(wanted.page_size).saturating_mul(wanted.page_count);
    let seconds = bytes / BYTES_PER_SECOND;
    (seconds >= SERVERS_WAIT_SECONDS).then(|| {
        format!(
            "while {} are put back, other processes wait for about {seconds} s, and servers give up after \
             {SERVERS_WAIT_SECONDS} s: stop them first",
            size(bytes)
        )
    })
}

/// Puts the pages of `backup` into the live file and checks the result. `before` is a copy of what is there now.
pub(super) fn put(
    settings: &Settings,
    backup: &Path,
    before: Option<&Path>,
    wanted: &Contents,
    observer: &dyn Observer,
) -> Result<Put> {
    let database = &settings.database;
    let doing = || format!("restore {}", database.display());
    let mut live = open_writer(database, settings.busy_timeout)?;
    let source = open_still(backup)?;
    // Each time the cache is full, the journal is put on disk while everybody waits.
    live.pragma_update(None, "cache_size", -CACHE_KIB)
        .while_doing(doing())?;
    let live_page_size = page_size(&live).while_doing(doing())?;
    let backup_mode = journal_mode_in_header(backup)?;
    // SQLite cannot change the page size of a database in write-ahead mode.
    let converted =
        if journal_mode(&live)? == "wal" && live_page_size != page_size(&source).while_doing(doing())? {
            Some(with_page_size(backup, live_page_size, &folder_of(database))?)
        } else {
            None
        };
    let version_before = data_version(&live)?;
    let written = match &converted {
        Some(converted) => {
            let source = open_still(converted.path())?;
            write_pages(settings, &source, &mut live, observer)
        }
        None => write_pages(settings, &source, &mut live, observer),
    };
    let lock_held = written.map_err(|error| match error.kind() {
        // It never got as far as a commit.
        ErrorKind::Busy => error,
        _ => in_doubt(error, settings, backup, before),
    })?;
    let written_since = settle(&live, backup_mode)
        .and_then(|()| {
            check(
                &live,
                database,
                backup,
                wanted,
                version_before,
                converted.is_none(),
            )
        })
        .map_err(|error| match error.kind() {
            // Then it is not the content of the backup that is there.
            ErrorKind::VerificationFailed | ErrorKind::Corrupt | ErrorKind::NotADatabase => error,
            _ => {
                let rest =
                    "It could not be checked, and the companion file is as it was. Run the restore again.";
                after_replacing(error, settings, backup, rest).with_hint(again(backup))
            }
        })?;
    Ok(Put {
        written_since,
        lock_held,
    })
}

/// The one transaction, and how long it kept others out. The journal or log makes it all or nothing, also when
/// the process is killed.
fn write_pages(
    settings: &Settings,
    source: &Connection,
    live: &mut Connection,
    observer: &dyn Observer,
) -> Result<Duration> {
    let subject = lossy_name(&settings.database);
    let doing = || format!("restore {}", settings.database.display());
    let page_size = u64::from(page_size(source).while_doing(doing())?);
    let started = Instant::now();
    let mut locked_at = None;
    let backup = Backup::new(source, live).while_doing(doing())?;
    loop {
        let step_started = Instant::now();
        match backup.step(STEP_PAGES) {
            Ok(StepResult::Done) => {
                locked_at.get_or_insert(step_started);
                break;
            }
            Ok(StepResult::More) => {
                locked_at.get_or_insert(step_started);
                let progress = backup.progress();
                let bytes = |pages: i32| u64::try_from(pages).unwrap_or_default() * page_size;
                observer.observe(&Event::Progress {
                    activity: Activity::Copy,
                    subject: subject.clone(),
                    done: bytes(progress.pagecount - progress.remaining),
                    total: Some(bytes(progress.pagecount)),
                });
            }
            // The first step takes the lock; afterwards nobody else can.
            Ok(_) if locked_at.is_none() && started.elapsed() < settings.busy_timeout => {
                std::thread::sleep(PAUSE)
            }
            Ok(_) => {
                return Err(Error::new(
                    ErrorKind::Busy,
                    format!("cannot {}: other processes keep it locked", doing()),
                )
                .with_truth(format!(
                    "Waited {} s; the database is as it was.",
                    started.elapsed().as_secs()
                ))
                .with_hint(Hint::tool(["status"])));
            }
            Err(source) => return Err(Error::sqlite(doing(), source)),
        }
    }
    drop(backup);
    let lock_held = locked_at.map_or(Duration::ZERO, |at| at.elapsed());
    observer.observe(&Event::ProgressFinished {
        activity: Activity::Copy,
        subject,
    });
    Ok(lock_held)
}

/// Brings the log into the file and the journal mode back to the backup's, if nobody else has it open.
fn settle(live: &Connection, wanted: &str) -> Result<()> {
    let doing = "settle the restored database";
    // The content is in place; whether others let it settle must not take long.
    live.busy_timeout(Duration::from_millis(100)).while_doing(doing)?;
    if journal_mode(live)? == "wal" {
        // Blocked by readers, this is done by whoever closes the database last.
        let _ = live.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if wanted != "wal" {
            let _ = live.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()));
        }
    }
    Ok(())
}

/// Compares what is there now with the backup: by bytes where nobody wrote since, else by SQLite's check.
/// Says whether somebody wrote since.
fn check(
    live: &Connection,
    database: &Path,
    backup: &Path,
    wanted: &Contents,
    version_before: i64,
    same_page_size: bool,
) -> Result<bool> {
    let doing = || format!("check the restored {}", database.display());
    let snapshot = begin_reading(live).while_doing(doing())?;
    let written_since = data_version(&snapshot)? != version_before;
    if same_page_size && same_pages(database, backup)? {
        return Ok(written_since);
    }
    let damage: String = snapshot
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .while_doing(doing())?;
    let mut wrong: Vec<String> = (damage != "ok").then_some(damage).into_iter().collect();
    if !written_since {
        wrong.extend(differing_rows(wanted, &read_contents(&snapshot)?));
    }
    if wrong.is_empty() {
        return Ok(written_since);
    }
    Err(Error::new(
        ErrorKind::VerificationFailed,
        format!(
            "the restored {} is not as in the backup: {}",
            database.display(),
            wrong.join("; ")
        ),
    )
    .with_truth("The state before the restore is in the newest backup.")
    .with_hint(Hint::tool(["backup", "list"])))
}

/// A copy of the backup with another page size and the same row ids, made in `folder`.
fn with_page_size(backup: &Path, page_size: u32, folder: &Path) -> Result<WholeFile> {
    let doing = || format!("change the page size of a copy of {}", backup.display());
    let bytes = backup.metadata().on_file("look at", backup)?.len();
    require_space(folder, 2 * bytes, "two copies of the backup")?;
    let plain = without_wal(backup, folder)?;
    // What SQLite takes for immutable keeps its page size.
    let source = open_writer(plain.path(), Duration::ZERO)?;
    let whole = WholeFile::create_in(folder)?;
    source
        .pragma_update(None, "page_size", page_size)
        .while_doing(doing())?;
    // Unlike plain VACUUM, this keeps the row ids of tables without an integer key.
    let target = format!("file:{}", percent_encoded(whole.path()));
    source.execute("VACUUM INTO ?1", [target]).while_doing(doing())?;
    Ok(whole)
}

/// A copy whose header says rollback journal: SQLite keeps the page size of what is in write-ahead mode. The
/// header is all there is to change, since a backup has no log.
fn without_wal(backup: &Path, folder: &Path) -> Result<WholeFile> {
    let whole = WholeFile::create_in(folder)?;
    let mut target = whole.file();
    regular_file::open(backup)
        .and_then(|mut source| std::io::copy(&mut source, &mut target))
        .on_file("copy", backup)?;
    target
        .seek(SeekFrom::Start(JOURNAL_MODE_AT))
        .and_then(|_| target.write_all(&[1, 1]))
        .on_file("write", whole.path())?;
    Ok(whole)
}

fn page_size(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "page_size", |row| row.get(0))
}

/// Changes when another connection commits, never by this connection's own commits.
fn data_version(connection: &Connection) -> Result<i64> {
    connection
        .pragma_query_value(None, "data_version", |row| row.get(0))
        .while_doing("see whether others write")
}

fn journal_mode(connection: &Connection) -> Result<String> {
    connection
        .pragma_query_value(None, "journal_mode", |row| row.get(0))
        .while_doing("read the journal mode")
}

fn journal_mode_in_header(backup: &Path) -> Result<&'static str> {
    let mut mode = [0];
    regular_file::open(backup)
        .and_then(|file| read_at(&file, JOURNAL_MODE_AT, &mut mode))
        .on_file("read", backup)?;
    Ok(if mode == [2] { "wal" } else { "delete" })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn whoever_restores_much_is_warned_before_servers_give_up() {
        let warned = |page_count| {
            long_wait(&Contents {
                page_size: 4096,
                page_count,
                application_id: 0,
                user_version: 0,
                tables: BTreeMap::new(),
            })
        };
        assert_eq!(warned(300_000), None);
        insta::assert_snapshot!(
            warned(732_422).unwrap(),
            @"while 2.7 GiB are put back, other processes wait for about 12 s, and servers give up after 5 s: stop them first"
        );
    }
}
