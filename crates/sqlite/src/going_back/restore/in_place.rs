//! Writes a backup's pages into the live file, as one transaction, and secures what they overwrite in the same.
//!
//! What is secured must be what is overwritten, and servers write until the lock is taken. So the live file is copied
//! beforehand, while they go on, and the copy is brought up to date under the lock, which takes little more than
//! reading both. It is checked while the pages are written, and the last page, which commits, waits for that: at any
//! moment of a crash, the old content is in the file or in a complete backup.

use std::io::{Seek, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::secure::{self, Copied};
use super::{Secured, again, companion::CompanionPart, in_doubt::in_doubt, same_pages::same_pages};
use crate::backup::{
    BackupFacts, Contents, Draft, differing_rows, lossy_name, read_contents, take_log_into_file,
};
use crate::files::raw_file::{file_at, read_at};
use crate::records::{failed_run::after_replacing, transaction::moved};
use crate::sqlite::connection::{
    begin_reading, open_immutable, open_over_damage, open_writer, percent_encoded, see_content,
};
use crate::sqlite::sqlite_error::{SqliteContext, is_damage, sqlite_error};
use crate::sqlite::{ask::Ask, page_check::check_pages};
use bridge_migrate_core::disk::{require_space, size};
use bridge_migrate_core::{
    Activity, Error, ErrorKind, Hint, IoContext, Observer, Result, Settings, Silent, beside::Beside,
    folder_of, regular_file, whole_file::WholeFile,
};

/// The page cache in KiB: as large as flat memory allows.
const CACHE_KIB: i64 = 24 * 1024;
/// What is secured and written in a second: measured on a small server's disk that others use, too. An idle one takes
/// four times as much, but whoever was not warned does not stop the servers.
const BYTES_PER_SECOND: u64 = 60_000_000;
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
    /// Where the state before went.
    pub(super) secured: Secured,
    /// What that held, if it can be read.
    pub(super) now: Option<Contents>,
    /// Whether another process wrote after the restore.
    pub(super) written_since: bool,
    /// How long other processes were kept out; `None` when it is a new file.
    pub(super) lock_held: Option<Duration>,
}

impl Put {
    /// A new file was put in place; `files` are what was there.
    pub(super) fn new_file(files: &[Copied]) -> Self {
        Self {
            secured: secure::as_secured(files),
            now: None,
            written_since: false,
            lock_held: None,
        }
    }
}

/// A decision on the state that is to be overwritten, made when nobody can change it any more.
pub(crate) struct Decision<'a> {
    /// Reads the copy of it at this path; on a thread of its own, since all who wait for the lock wait for this.
    pub(crate) look: &'a (dyn Fn(&Path) -> Result<()> + Sync),
    /// Refuses by an error; then nothing was changed.
    pub(crate) decide: &'a mut dyn FnMut() -> Result<()>,
}

/// A warning, where others will be kept out for longer than servers wait.
pub(super) fn long_wait(wanted: &Contents) -> Option<String> {
    let bytes = u64::from(wanted.page_size).saturating_mul(wanted.page_count);
    let seconds = bytes / BYTES_PER_SECOND;
    (seconds >= SERVERS_WAIT_SECONDS).then(|| {
        format!(
            "while {} are put back, other processes may wait for {seconds} s, and servers give up after \
             {SERVERS_WAIT_SECONDS} s: stop them first",
            size(bytes)
        )
    })
}

/// Secures the live file's content in a backup, puts the pages of `backup` into the file, and checks the result.
/// `None` when it is damaged, so that no backup can be made of it; then nothing was changed.
pub(super) fn put(
    settings: &Settings,
    backup: &Path,
    wanted: &Contents,
    companion: &CompanionPart<'_>,
    facts: &BackupFacts,
    decision: Option<Decision<'_>>,
    observer: &dyn Observer,
) -> Result<Option<Put>> {
    let opened = Draft::of_what_is_written_to(settings, facts, observer).and_then(|draft| {
        let live = open_writer(&settings.database, settings.busy_timeout)?;
        // What is in the file when the lock is taken, nobody waits for then.
        take_log_into_file(&live);
        Ok((
            Pages::new(settings, backup, wanted, companion, live, observer)?,
            draft,
        ))
    });
    let (mut pages, draft) = match opened {
        Err(error) if is_damage(&error) => return Ok(None),
        opened => opened?,
    };
    let written = pages.write(|write| {
        draft.catch_up()?;
        companion.settle(write.source, Some(draft.path()))?;
        let path = draft.path().to_owned();
        let look = decision.as_ref().map(|decision| decision.look);
        let (checked, looked, written) = std::thread::scope(|scope| {
            let checked = Beside::begin(scope, || draft.check(&Silent));
            let looked = look.map(|look| Beside::begin(scope, move || look(&path)));
            // Nothing that is written now counts before the last page.
            let written = write.all_but_the_last();
            (checked.join(), looked.map(|looked| looked.join()), written)
        });
        let ended = |_| Error::new(ErrorKind::Io, "the check of the securing backup ended early");
        let checked = checked.map_err(ended)??;
        written?;
        if let Some(looked) = looked {
            looked.map_err(ended)??;
        }
        if let Some(decision) = decision {
            (decision.decide)()?;
        }
        let (secured, manifest) = checked.publish(observer)?;
        let path = secured.database.clone();
        Ok(Before {
            copy: Some(path),
            secured: Secured::Backup {
                backup: Box::new(secured),
            },
            now: Some(manifest.database.contents),
        })
    });
    match written {
        Err(error) if is_damage(&error) => Ok(None),
        written => pages.finish(written?).map(Some),
    }
}

/// [`put`] for a file that is damaged: its bytes are secured as they are. `files` are copies that were just made.
/// `None` when SQLite cannot even lock it.
pub(super) fn put_over_damage(
    settings: &Settings,
    backup: &Path,
    wanted: &Contents,
    companion: &CompanionPart<'_>,
    files: &mut Vec<Copied>,
    observer: &dyn Observer,
) -> Result<Option<Put>> {
    let opened = open_over_damage(&settings.database, settings.busy_timeout)
        .and_then(|live| Pages::new(settings, backup, wanted, companion, live, observer));
    let mut pages = match opened {
        Err(error) if is_damage(&error) => return Ok(None),
        opened => opened?,
    };
    let written = pages.write(|write| {
        // Somebody wrote, or SQLite took back what somebody had left unfinished.
        if !secure::is_still(settings, files)? {
            files.extend(secure::copy_raw(settings, &["-wal"])?);
        }
        companion.settle(write.source, None)?;
        write.all_but_the_last()?;
        Ok(Before {
            copy: None,
            secured: secure::as_secured(files),
            now: None,
        })
    });
    match written {
        Err(error) if is_damage(&error) => Ok(None),
        written => pages.finish(written?).map(Some),
    }
}

/// The state before, secured.
struct Before {
    /// A copy of the database.
    copy: Option<PathBuf>,
    secured: Secured,
    now: Option<Contents>,
}

/// What was committed, and what it replaced.
struct Written {
    before: Before,
    lock_held: Duration,
}

/// The pages of a backup on their way into the live file.
struct Pages<'a> {
    settings: &'a Settings,
    backup: &'a Path,
    wanted: &'a Contents,
    observer: &'a dyn Observer,
    live: Connection,
    /// Which file that is.
    file: Option<(u64, u64)>,
    version_before: i64,
    /// How much longer the lock may be waited for.
    patience: Duration,
    /// What is put in the backup's place where SQLite could not take its pages as they are, or where the companion's
    /// tables are not to be as in the backup.
    substitute: Option<WholeFile>,
    /// Whether the substitute is written to.
    merges: bool,
}

impl<'a> Pages<'a> {
    fn new(
        settings: &'a Settings,
        backup: &'a Path,
        wanted: &'a Contents,
        companion: &CompanionPart<'_>,
        live: Connection,
        observer: &'a dyn Observer,
    ) -> Result<Self> {
        let file = file_at(&settings.database);
        let folder = folder_of(&settings.database);
        let doing = || format!("restore {}", settings.database.display());
        // Each time the cache is full, the journal is put on disk while everybody waits.
        live.pragma_update(None, "cache_size", -CACHE_KIB)
            .while_doing(doing())?;
        let waiting = Instant::now();
        let live_page_size = page_size(&live).while_doing(doing())?;
        let patience = settings.busy_timeout.saturating_sub(waiting.elapsed());
        live.busy_timeout(patience).while_doing(doing())?;
        let substitute = if wanted.page_count == 0 {
            // Without a page, the first step of all would be the last.
            Some(one_page(live_page_size, &folder)?)
        } else if journal_mode(&live)? == "wal"
            && live_page_size != page_size(&open_immutable(backup)?).while_doing(doing())?
        {
            // SQLite cannot change the page size of a database in write-ahead mode.
            Some(with_page_size(backup, live_page_size, &folder)?)
        } else if companion.changes_tables {
            Some(without_wal(backup, &folder)?)
        } else {
            None
        };
        let version_before = data_version(&live)?;
        Ok(Self {
            settings,
            backup,
            wanted,
            observer,
            live,
            file,
            version_before,
            patience,
            substitute,
            merges: companion.changes_tables,
        })
    }

    fn source(&self) -> &Path {
        self.substitute.as_ref().map_or(self.backup, |whole| whole.path())
    }

    /// The one transaction. The journal or log makes it all or nothing, also when the process is killed.
    ///
    /// Once nobody else can write, `secure` secures what is there and has all pages but the last written: it is the
    /// last that commits them.
    fn write(&mut self, secure: impl FnOnce(&Write<'_, '_>) -> Result<Before>) -> Result<Written> {
        let (settings, backup) = (self.settings, self.backup);
        let path = self.source().to_owned();
        let (still, writable);
        let source: &Connection = if self.merges {
            writable = open_writer(&path, Duration::ZERO)?;
            &writable
        } else {
            still = open_immutable(&path)?;
            &still
        };
        let doing = format!("restore {}", settings.database.display());
        let page_size = page_size(source).while_doing(&doing)?;
        let write = Write {
            backup: Backup::new(source, &mut self.live).while_doing(&doing)?,
            source,
            page_size: page_size.into(),
            subject: lossy_name(&settings.database),
            doing,
            observer: self.observer,
        };
        let secured = write
            .lock(self.patience)
            .and_then(|locked_at| Ok((locked_at, secure(&write)?)))
            .and_then(|secured| match file_at(&settings.database) == self.file {
                true => Ok(secured),
                false => Err(moved(&settings.database)),
            });
        let (locked_at, before) = secured.map_err(|error| match error.truth() {
            Some(_) => error,
            None => error.with_truth("The database is as it was."),
        })?;
        let committed = write.the_last();
        drop(write);
        let lock_held = locked_at.elapsed();
        committed.map_err(|error| in_doubt(error, settings, (backup, &path), before.copy.as_deref()))?;
        Ok(Written { before, lock_held })
    }

    /// Settles what was written and checks it.
    fn finish(&self, written: Written) -> Result<Put> {
        let checked = see_content(&self.live)
            .while_doing("look at the restored database")
            .and_then(|()| settle(&self.live, journal_mode_in_header(self.backup)?, self.settings))
            .and_then(|()| self.check());
        let written_since = checked.map_err(|error| match error.kind() {
            // Then it is not the content of the backup that is there.
            ErrorKind::VerificationFailed | ErrorKind::Corrupt | ErrorKind::NotADatabase => error,
            _ => {
                let rest =
                    "It could not be checked, and the companion file is as it was. Run the restore again.";
                after_replacing(error, self.settings, self.backup, rest).with_hint(again(self.backup))
            }
        })?;
        Ok(Put {
            secured: written.before.secured,
            now: written.before.now,
            written_since,
            lock_held: Some(written.lock_held),
        })
    }

    /// Compares what is there now with what was put: by bytes where nobody wrote since, else by SQLite's check.
    /// Says whether somebody wrote since.
    fn check(&self) -> Result<bool> {
        let database = &self.settings.database;
        let doing = || format!("check the restored {}", database.display());
        let snapshot = begin_reading(&self.live).while_doing(doing())?;
        if same_pages(database, self.source())? {
            return Ok(false);
        }
        let written_since = data_version(&snapshot)? != self.version_before;
        let mut wrong = check_pages(&snapshot, false, 1).while_doing(doing())?.lines;
        if !written_since {
            let wanted = match self.merges {
                true => &read_contents(&open_immutable(self.source())?)?,
                false => self.wanted,
            };
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
        .with_hint(Hint::BackupList))
    }
}

/// SQLite's writing of the pages. Dropped before the last was written, all is as before.
struct Write<'a, 'b> {
    backup: Backup<'a, 'b>,
    source: &'a Connection,
    page_size: u64,
    subject: String,
    doing: String,
    observer: &'a dyn Observer,
}

impl Write<'_, '_> {
    /// Keeps other writers out, and in rollback-journal mode readers, too.
    fn lock(&self, timeout: Duration) -> Result<Instant> {
        let started = Instant::now();
        loop {
            match self.backup.step(0) {
                Ok(StepResult::Done | StepResult::More) => return Ok(Instant::now()),
                Ok(_) if started.elapsed() < timeout => std::thread::sleep(PAUSE),
                Ok(_) => {
                    return Err(Error::new(
                        ErrorKind::Busy,
                        format!("cannot {}: other processes keep it locked", self.doing),
                    )
                    .with_truth(format!(
                        "Waited {} s; the database is as it was.",
                        started.elapsed().as_secs()
                    )));
                }
                Err(source) => return Err(sqlite_error(&self.doing, source)),
            }
        }
    }

    fn all_but_the_last(&self) -> Result<()> {
        while self.backup.progress().remaining > 1 {
            let pages = STEP_PAGES.min(self.backup.progress().remaining - 1);
            self.step(pages)?;
            let progress = self.backup.progress();
            let bytes = |pages: i32| u64::try_from(pages).unwrap_or_default() * self.page_size;
            self.observer.progress(
                Activity::Copy,
                &self.subject,
                bytes(progress.pagecount - progress.remaining),
                Some(bytes(progress.pagecount)),
            );
        }
        Ok(())
    }

    fn the_last(&self) -> Result<()> {
        self.step(-1)?;
        self.observer.finished(Activity::Copy, &self.subject);
        Ok(())
    }

    fn step(&self, pages: i32) -> Result<()> {
        match self.backup.step(pages) {
            Ok(StepResult::Done | StepResult::More) => Ok(()),
            Ok(_) => Err(Error::new(ErrorKind::Busy, format!("cannot {}", self.doing))),
            Err(source) => Err(sqlite_error(&self.doing, source)),
        }
    }
}

/// Brings the log into the file and the journal mode back to the backup's, if nobody else has it open.
fn settle(live: &Connection, wanted: &str, settings: &Settings) -> Result<()> {
    let wait = |time| {
        live.busy_timeout(time)
            .while_doing("settle the restored database")
    };
    let mut mode = journal_mode(live)?;
    // The content is in place; whether others let it settle must not take long.
    wait(Duration::from_millis(100))?;
    if wanted == "wal" {
        // What was put may have been a copy that is not in this mode.
        let changed = live.value("PRAGMA journal_mode = WAL", []);
        mode = changed.unwrap_or(mode);
    }
    if mode == "wal" {
        // Blocked by readers, this is done by whoever closes the database last.
        let _ = live.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if wanted != "wal" {
            let _ = live.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()));
        }
    }
    wait(settings.busy_timeout)
}

/// A copy of the backup with what the companion's tables are to hold; `None` where they are to be as they are.
pub(super) fn merged_copy(
    backup: &Path,
    companion: &CompanionPart<'_>,
    folder: &Path,
) -> Result<Option<WholeFile>> {
    if !companion.changes_tables {
        return Ok(None);
    }
    let whole = without_wal(backup, folder)?;
    companion.settle(&open_writer(whole.path(), Duration::ZERO)?, None)?;
    if journal_mode_in_header(backup)? == "wal" {
        write_journal_mode(&whole, 2)?;
    }
    Ok(Some(whole))
}

/// A database of one page, which holds nothing, made in `folder`.
fn one_page(page_size: u32, folder: &Path) -> Result<WholeFile> {
    let doing = "make an empty database";
    let whole = WholeFile::create_in(folder)?;
    let empty = open_writer(whole.path(), Duration::ZERO)?;
    empty
        .pragma_update(None, "page_size", page_size)
        .while_doing(doing)?;
    // A database has its first page with the first thing that is written to it.
    empty.pragma_update(None, "user_version", 0).while_doing(doing)?;
    Ok(whole)
}

/// A copy of the backup with another page size and the same row ids, made in `folder`.
fn with_page_size(backup: &Path, page_size: u32, folder: &Path) -> Result<WholeFile> {
    let doing = || format!("change the page size of a copy of {}", backup.display());
    let bytes = backup.metadata().on_file("look at", backup)?.len();
    // Two copies; then one, and the log, where small pages have the same header as large ones. What cannot be brought
    // into the file beside the copy is when that is gone.
    require_space(
        folder,
        2 * bytes + bytes / 20 + (1 << 20),
        "two copies of the backup",
    )?;
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
    write_journal_mode(&whole, 1)?;
    Ok(whole)
}

fn write_journal_mode(whole: &WholeFile, mode: u8) -> Result<()> {
    let mut target = whole.file();
    target
        .seek(SeekFrom::Start(JOURNAL_MODE_AT))
        .and_then(|_| target.write_all(&[mode, mode]))
        .on_file("write", whole.path())
}

fn page_size(connection: &Connection) -> rusqlite::Result<u32> {
    connection.setting("page_size")
}

/// Changes when another connection commits, never by this connection's own commits.
fn data_version(connection: &Connection) -> Result<i64> {
    connection
        .setting("data_version")
        .while_doing("see whether others write")
}

fn journal_mode(connection: &Connection) -> Result<String> {
    connection
        .setting("journal_mode")
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
        assert_eq!(warned(70_000), None);
        insta::assert_snapshot!(
            warned(732_422).unwrap(),
            @"while 2.7 GiB are put back, other processes may wait for 50 s, and servers give up after 5 s: stop them first"
        );
    }
}
