//! The migration lock: a file that the kernel keeps locked for one process at a time, and who holds it.
//!
//! The kernel frees it when the process ends, however it ends, so there is never a stale lock to remove.

use std::convert::Infallible;
use std::fs::{File, TryLockError};
use std::io::{ErrorKind as Io, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::ErrorCode;

use crate::files::{database_file::with_suffix, kernel_locks, raw_file::Standing};
use bridge_migrate_core::clock::{self, for_people, timestamp};
use bridge_migrate_core::regular_file::{
    foreign_file, give_to_owner_of_folder, has_name, open_ours, open_ours_to_read,
};
use bridge_migrate_core::{Error, ErrorKind, Event, Hint, Holder, IoContext, Observer, Result, Settings};

/// How long to sleep between tries at first: short enough that a crowd of servers at start passes quickly.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
/// How long to sleep between tries in the end: a crowd that waits must leave the processors to whoever works.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// A pause is this part of the wait so far, within the two limits.
const PAUSES_IN_A_WAIT: u32 = 20;
/// How often to ask whether the wait became needless while the lock stays in the same hands.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// A lock file holds a line of JSON; more than this is not ours.
const MAX_HOLDER_BYTES: u64 = 4096;
/// How that line begins.
const HOLDER_BEGINS: &[u8] = b"{\"pid\":";

/// The lock, held until dropped.
#[derive(Debug)]
#[must_use = "the lock is free again when this value is dropped"]
pub struct MigrationLock {
    file: File,
    waited: Duration,
    /// The file's name, and the database as it was, where this process made the file.
    made: Option<(PathBuf, Standing)>,
}

/// How a wait for the lock ended.
pub(crate) enum Taken<T> {
    /// This process holds it.
    Lock(MigrationLock),
    /// Another one holds it, and there is nothing left to wait for.
    Needless(T),
}

impl MigrationLock {
    /// Takes the lock for `command`, waiting up to the lock timeout of the settings.
    ///
    /// # Errors
    /// [`ErrorKind::Locked`] after the timeout; [`ErrorKind::Permission`] when the lock file cannot be
    /// made in the database's folder; [`ErrorKind::ForeignFile`] when what has its name is not a lock file.
    pub fn take(settings: &Settings, command: &str, observer: &dyn Observer) -> Result<Self> {
        match Self::take_unless(settings, command, observer, || Ok(None::<Infallible>))? {
            Taken::Lock(lock) => Ok(lock),
            Taken::Needless(never) => match never {},
        }
    }

    /// Takes the lock for `command`, unless the wait becomes needless: `answer` is asked while another process
    /// holds the lock, and what it finds is returned instead. It is asked when the lock changes hands, and every
    /// second: whoever asked at each try would keep the processors from the holder, and all the more the more wait.
    ///
    /// # Errors
    /// Those of [`MigrationLock::take`], and of `answer`.
    pub(crate) fn take_unless<T>(
        settings: &Settings,
        command: &str,
        observer: &dyn Observer,
        mut answer: impl FnMut() -> Result<Option<T>>,
    ) -> Result<Taken<T>> {
        clock::checked(&*settings.clock)?;
        let path = lock_path(&settings.database);
        let made = (!path.exists()).then(|| {
            let with = |suffix| with_suffix(&settings.database, suffix);
            (path.clone(), Standing::of(["", "-wal", "-journal"].map(with)))
        });
        let mut file = open_ours(&path, 0o644)?;
        let started = Instant::now();
        let mut last_asked: Option<(Option<Holder>, Instant)> = None;
        loop {
            match file.try_lock() {
                Ok(()) if has_name(&file, &path) => break,
                // It was removed meanwhile; who comes next locks the file that has the name now.
                Ok(()) => {
                    file = open_ours(&path, 0o644)?;
                    continue;
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(source)) => {
                    return Err(Error::io("take the migration lock", &path, source));
                }
            }
            let holder = read_holder(&file);
            if last_asked.is_none() {
                observer.observe(&Event::Waiting {
                    holder: holder.clone(),
                });
            }
            let is_answered = last_asked
                .as_ref()
                .is_some_and(|(of, at)| *of == holder && at.elapsed() < ASK_AGAIN);
            if !is_answered {
                if let Some(answer) = answer()? {
                    return Ok(Taken::Needless(answer));
                }
                last_asked = Some((holder.clone(), Instant::now()));
            }
            if started.elapsed() >= settings.lock_timeout {
                let holder = holder.or_else(|| current_holder(&settings.database));
                return Err(locked(settings.lock_timeout, holder));
            }
            let pause = started.elapsed() / PAUSES_IN_A_WAIT;
            std::thread::sleep(pause.clamp(SHORTEST_PAUSE, LONGEST_PAUSE));
        }
        if !is_ours(&file).on_file("read", &path)? {
            return Err(foreign_file(&path, "what is in it is no record of a lock"));
        }
        give_to_owner_of_folder(&file, &path);
        take_mode_of(&settings.database, &file);
        let holder = Holder {
            pid: std::process::id(),
            host: gethostname::gethostname().to_string_lossy().into_owned(),
            since: timestamp(settings.clock.now()),
            command: command.to_owned(),
            tool: settings.tool.clone(),
        };
        match write_holder(&mut file, Some(&holder)) {
            // The kernel holds the lock all the same, and tells by whom.
            Err(error) if matches!(error.kind(), Io::StorageFull | Io::QuotaExceeded) => {}
            written => written.on_file("write the migration lock", &path)?,
        }
        Ok(Taken::Lock(Self {
            file,
            waited: started.elapsed(),
            made,
        }))
    }

    /// How long the lock was waited for.
    pub fn waited(&self) -> Duration {
        self.waited
    }
}

impl Drop for MigrationLock {
    fn drop(&mut self) {
        // A failure here leaves stale text in a file that nobody holds, which readers ignore.
        let _ = write_holder(&mut self.file, None);
        // Who did nothing leaves nothing. Whoever waits for this file finds that it lost its name.
        if let Some((path, database)) = &self.made
            && cfg!(unix)
            && database.is_unchanged()
            && has_name(&self.file, path)
        {
            let _ = std::fs::remove_file(path);
        }
        let _ = self.file.unlock();
    }
}

/// `collab.db.migrate.lock` beside the database.
pub fn lock_path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".migrate.lock");
    PathBuf::from(name)
}

/// Who holds the lock of `database` now; `None` when nobody does. Changes nothing.
pub fn current_holder(database: &Path) -> Option<Holder> {
    let path = lock_path(database);
    let file = open_ours_to_read(&path).ok()?;
    match file.try_lock_shared() {
        // Dropping the file frees the shared lock.
        Ok(()) => None,
        Err(_) => Some(read_holder(&file).unwrap_or_else(|| {
            // Stopped before it could say who it is, or killed while it did.
            let pid = kernel_locks::holders(&path).first().copied();
            Holder {
                pid: pid.unwrap_or_default(),
                ..unknown_holder()
            }
        })),
    }
}

/// A failure because the database is locked, with who keeps it so: another process that migrates, or whoever holds
/// SQLite's own lock. Other failures stay as they are.
pub fn with_who_locks(error: Error, settings: &Settings) -> Error {
    let is_refused_lock = std::error::Error::source(&error)
        .and_then(|source| source.downcast_ref::<rusqlite::Error>())
        .and_then(rusqlite::Error::sqlite_error_code)
        .is_some_and(|code| matches!(code, ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked));
    if !is_refused_lock || error.reached().is_some() {
        return error;
    }
    let database = settings
        .database
        .canonicalize()
        .unwrap_or_else(|_| settings.database.clone());
    match current_holder(&database) {
        Some(holder) => locked(settings.busy_timeout, Some(holder)).with_source(error),
        None => match kernel_locks::holders(&database).as_slice() {
            [] => error,
            [pid, ..] => {
                let truth = format!("Process {pid} keeps the database locked; this process changed nothing.");
                error.with_truth(truth).with_hint(Hint::Process(*pid))
            }
        },
    }
}

/// Who migrates the database, or keeps it locked otherwise, as a sentence.
pub(crate) fn who_is_in_the_way(database: &Path, is_locked: bool) -> String {
    match current_holder(database) {
        Some(holder) => format!(
            "Process {} on {} is migrating since {}.",
            holder.pid,
            holder.host,
            for_people(&holder.since)
        ),
        None => match kernel_locks::holders(database).first().filter(|_| is_locked) {
            Some(pid) => format!("Process {pid} keeps the database locked."),
            None => "No process holds the migration lock.".to_owned(),
        },
    }
}

fn locked(waited: Duration, holder: Option<Holder>) -> Error {
    let holder = holder.unwrap_or_else(unknown_holder);
    let error = Error::new(
        ErrorKind::Locked,
        format!(
            "process {} on {} has held the migration lock since {} ({})",
            holder.pid,
            holder.host,
            for_people(&holder.since),
            holder.command
        ),
    )
    .with_truth(format!(
        "Waited {} s; this process changed nothing.",
        waited.as_secs()
    ));
    match holder.pid {
        0 => error,
        pid => error.with_hint(Hint::Process(pid)),
    }
}

fn unknown_holder() -> Holder {
    let unknown = || "unknown".to_owned();
    Holder {
        pid: 0,
        host: unknown(),
        since: unknown(),
        command: unknown(),
        tool: unknown(),
    }
}

fn read_holder(file: &File) -> Option<Holder> {
    serde_json::from_str(std::str::from_utf8(&read_record(file).ok()?).ok()?).ok()
}

fn read_record(mut file: &File) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(MAX_HOLDER_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether the file holds nothing, or what a holder wrote: after a power cut a part of it, and zeros.
fn is_ours(file: &File) -> std::io::Result<bool> {
    let bytes = read_record(file)?;
    let zeros = bytes.iter().rev().take_while(|byte| **byte == 0).count();
    let written = bytes.get(..bytes.len() - zeros).unwrap_or_default();
    Ok(bytes.len() as u64 <= MAX_HOLDER_BYTES
        && (written.starts_with(HOLDER_BEGINS) || HOLDER_BEGINS.starts_with(written)))
}

/// Whoever may write the database may migrate it, and whoever may read it may see who does. Nobody else can hold the
/// lock: opening the file is enough for that.
fn take_mode_of(database: &Path, file: &File) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let (Ok(database), Ok(own)) = (database.metadata(), file.metadata()) else {
            return;
        };
        let mode = database.mode() & 0o664 | 0o600;
        if own.mode() & 0o7777 != mode {
            // Only the file's owner may: for others it is good enough as it is, since they could open it.
            let _ = file.set_permissions(PermissionsExt::from_mode(mode));
        }
    }
    #[cfg(not(unix))]
    let _ = (database, file);
}

fn write_holder(file: &mut File, holder: Option<&Holder>) -> std::io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    if let Some(holder) = holder {
        let mut line = serde_json::to_string(holder)?;
        line.push('\n');
        file.write_all(line.as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bridge_migrate_core::Silent;

    #[cfg(unix)]
    #[test]
    fn whoever_waited_for_a_lock_file_that_was_removed_takes_the_one_that_has_its_name_now() {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::new(folder.path().join("a.db"));
        let path = lock_path(&settings.database);
        let first = MigrationLock::take(&settings, "migrate", &Silent).unwrap();
        settings.lock_timeout = Duration::from_millis(300);
        let (mut first, mut second) = (Some(first), None);
        // While the first is waited for, its file is removed, another process locks a new one, and the first ends.
        let waited = MigrationLock::take_unless(&settings, "rollback", &Silent, || {
            if let Some(first) = first.take() {
                std::fs::remove_file(&path).unwrap();
                second = Some(MigrationLock::take(&settings, "migrate", &Silent).unwrap());
                drop(first);
            }
            Ok(None::<Infallible>)
        });
        let Err(refused) = waited else {
            panic!("two processes hold the lock of one database");
        };
        assert_eq!(refused.kind(), ErrorKind::Locked);
        drop(second);
        assert!(MigrationLock::take(&settings, "rollback", &Silent).is_ok());
    }

    /// Each look into the database by each of many waiters takes time from the holder.
    #[test]
    fn whoever_waits_looks_into_the_database_only_when_the_lock_changes_hands() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::new(folder.path().join("a.db"));
        let mut held = MigrationLock::take(&settings, "migrate", &Silent).unwrap();
        let started = Instant::now();
        let mut asked = Vec::new();
        let taken = MigrationLock::take_unless(&settings, "migrate", &Silent, || {
            asked.push(started.elapsed());
            Ok((asked.len() == 3).then_some("done"))
        });
        assert!(matches!(taken, Ok(Taken::Needless("done"))));
        // At once, and then every second.
        assert!(
            asked[1] - asked[0] >= ASK_AGAIN && asked[2] - asked[1] >= ASK_AGAIN,
            "{asked:?}"
        );

        let started = Instant::now();
        let mut asked = 0;
        let taken = MigrationLock::take_unless(&settings, "migrate", &Silent, || {
            asked += 1;
            // Another process takes it over from the one that was seen.
            let mut other = unknown_holder();
            other.pid = asked;
            write_holder(&mut held.file, Some(&other)).unwrap();
            Ok((asked == 3).then_some("done"))
        });
        assert!(matches!(taken, Ok(Taken::Needless("done"))));
        assert!(started.elapsed() < ASK_AGAIN, "{:?}", started.elapsed());
    }
}
