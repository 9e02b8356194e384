//! How large the next of many transactions may be, and how long the write lock stays free after one.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::sqlite::{ask::Ask, disk_space::BatchSpace, open_watch::OpenWatch, sqlite_error::SqliteContext};
use bridge_migrate_core::{Result, Settings};

/// Rows of the first batch, before anything is known about the machine.
const FIRST_BATCH: u64 = 256;
/// The largest batch: what it collects in memory stays within a few MiB.
pub(crate) const LARGEST_BATCH: u64 = 32_768;

/// How long others are taken to be there after they were last seen.
const OTHERS_STAY: Duration = Duration::from_secs(2);
/// Batches may follow each other for so long before the lock is left free, when others use the database.
const BUSY_BESIDE_OTHERS: Duration = Duration::from_millis(50);
/// The same when nobody opens it. Somebody with an old connection may still be waiting: not for so long that the
/// 5 s of a server's patience were near.
const BUSY_ALONE: Duration = Duration::from_secs(1);

/// How much of the budget to hold a lock for when others may be waiting unseen.
pub(crate) fn beside_others(budget: Duration) -> Duration {
    budget / 3
}

/// Who else uses the database, as far as can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Others {
    /// They commit.
    Write,
    /// They open the database, or may do so unseen.
    Come,
    /// Nobody opens it.
    None,
}

/// How long a batch may take, and how long the lock stays free after it.
#[derive(Debug)]
pub(crate) struct Pace {
    budget: Duration,
    rows: u64,
    database: PathBuf,
    /// Begun when the lock is first left free: a short step does not need it, and to end it takes the system some
    /// milliseconds.
    watch: Option<OpenWatch>,
    last_opened: Option<Instant>,
    last_version: Option<i64>,
    last_foreign_write: Option<Instant>,
    busy: Duration,
    space: BatchSpace,
}

impl Pace {
    /// The pace of batches that hold the write lock for at most the lock budget each.
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            budget: settings.lock_budget,
            rows: FIRST_BATCH,
            database: settings.database.clone(),
            watch: None,
            last_opened: None,
            last_version: None,
            last_foreign_write: None,
            busy: Duration::ZERO,
            space: BatchSpace::new(settings),
        }
    }

    /// Rows of the next batch.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Adapts the size of the next batch to how long the lock was held and to the disk space, and lets other writers
    /// in.
    ///
    /// Nobody there: more than half of the budget, since somebody may come. Somebody there: a third, since they may
    /// be waiting unseen. Somebody writing: a tenth, after which the lock stays free for longer than it was held.
    ///
    /// # Errors
    /// [`ErrorKind::DiskFull`](bridge_migrate_core::ErrorKind::DiskFull) where the next batch would fill the disk.
    pub(crate) fn after_batch(&mut self, connection: &Connection, held: Duration) -> Result<()> {
        let others = self.others(connection)?;
        let (goal, busy_at_most) = match others {
            Others::Write => (self.budget / 10, Duration::ZERO),
            Others::Come => (beside_others(self.budget), BUSY_BESIDE_OTHERS),
            Others::None => (self.budget * 3 / 5, BUSY_ALONE),
        };
        let ratio = (goal.as_secs_f64() / held.as_secs_f64().max(1e-6)).clamp(0.25, 16.0);
        // The product is at most sixteen times the largest batch: far within what both types hold.
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss
        )]
        let rows = (self.rows as f64 * ratio) as u64;
        let rows = rows.clamp(16, LARGEST_BATCH);
        self.rows = self.space.rows_of_next(connection, self.rows, rows)?;
        self.busy += held;
        if self.busy >= busy_at_most {
            self.watch.get_or_insert_with(|| OpenWatch::of(&self.database));
            let_writers_in(if others == Others::None { self.busy } else { held });
            self.busy = Duration::ZERO;
        }
        if others == Others::Write {
            std::thread::sleep(held.min(self.budget / 5));
        }
        Ok(())
    }

    fn others(&mut self, connection: &Connection) -> Result<Others> {
        let version: i64 = connection
            .setting("data_version")
            .while_doing("look for other writers")?;
        if self.last_version.is_some_and(|last| last != version) {
            self.last_foreign_write = Some(Instant::now());
        }
        self.last_version = Some(version);
        let was_opened = self.watch.as_ref().and_then(OpenWatch::was_opened);
        if was_opened == Some(true) {
            self.last_opened = Some(Instant::now());
        }
        let lately = |at: Option<Instant>| at.is_some_and(|at| at.elapsed() < OTHERS_STAY);
        Ok(if lately(self.last_foreign_write) {
            Others::Write
        } else if was_opened.is_none() || lately(self.last_opened) {
            Others::Come
        } else {
            Others::None
        })
    }
}

/// Lets writers in that wait for the lock, after it was held for so long.
///
/// SQLite's busy handler tries again after 1, 2, 5, 10, 15, 20, 25, 25, 25, 50, 50 and then every 100 ms. A
/// writer that has waited for up to 100 ms tries at least every 25 ms; one that has waited for longer, every
/// 100 ms. A lock that is free for less than that may be missed, again and again, until the writer gives up.
pub(crate) fn let_writers_in(held: Duration) {
    let pause = if held <= Duration::from_millis(100) {
        25
    } else {
        105
    };
    std::thread::sleep(Duration::from_millis(pause));
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::sqlite::connection::create_writer;

    const BUDGET: Duration = Duration::from_millis(100);
    /// The 5 s that a server waits.
    const PATIENCE: Duration = Duration::from_secs(5);

    struct Run {
        _folder: tempfile::TempDir,
        database: PathBuf,
        connection: Connection,
        pace: Pace,
    }

    impl Run {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let database = folder.path().join("collab.db");
            let connection = create_writer(&database, PATIENCE).unwrap();
            connection.execute_batch("CREATE TABLE t (x)").unwrap();
            Self {
                pace: Pace::new(&Settings {
                    lock_budget: BUDGET,
                    ..Settings::new(&database)
                }),
                _folder: folder,
                database,
                connection,
            }
        }

        /// A batch that holds the lock for so long.
        fn batch(&mut self, holds: Duration) {
            self.connection
                .execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (1)")
                .unwrap();
            let began = Instant::now();
            thread::sleep(holds);
            self.connection.execute_batch("COMMIT").unwrap();
            let held = began.elapsed();
            self.pace.after_batch(&self.connection, held).unwrap();
        }

        fn others(&mut self) -> Others {
            self.pace.others(&self.connection).unwrap()
        }
    }

    #[test]
    fn a_call_is_noticed_when_it_opens_the_database_and_again_when_it_commits() {
        let mut run = Run::new();
        assert_eq!(
            run.others(),
            Others::Come,
            "nothing is known before the lock was left free"
        );
        run.batch(BUSY_BESIDE_OTHERS);
        let alone = if cfg!(target_os = "linux") {
            Others::None
        } else {
            Others::Come
        };
        assert_eq!(run.others(), alone);
        let server = create_writer(&run.database, PATIENCE).unwrap();
        assert_eq!(run.others(), Others::Come);
        server.execute_batch("INSERT INTO t VALUES (2)").unwrap();
        assert_eq!(run.others(), Others::Write);
    }

    #[test]
    fn batches_grow_while_they_are_short_and_shrink_when_they_hold_the_lock_for_long() {
        let mut run = Run::new();
        for (held, rows) in [(BUDGET / 48, 16 * FIRST_BATCH), (BUDGET, 16 * FIRST_BATCH / 3)] {
            run.pace.after_batch(&run.connection, held).unwrap();
            assert_eq!(run.pace.rows(), rows, "after {held:?}");
        }
    }

    #[test]
    fn a_connection_that_was_open_before_gets_the_lock_though_nobody_sees_it_wait() {
        let mut run = Run::new();
        let old = create_writer(&run.database, PATIENCE).unwrap();
        run.batch(BUSY_BESIDE_OTHERS);
        let server = thread::spawn(move || old.execute_batch("INSERT INTO t VALUES (2)"));
        while !server.is_finished() {
            run.batch(Duration::from_millis(60));
        }
        server.join().unwrap().unwrap();
    }
}
