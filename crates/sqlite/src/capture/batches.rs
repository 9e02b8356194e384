//! One batch after another, each a transaction within the lock budget, while the schema stays as it is.

use std::time::Duration;

use rusqlite::Connection;

use crate::capture::schema_cookie;
use crate::records::schema_reader::SchemaReader;
use crate::sqlite::pace::Pace;
use bridge_migrate_core::{Activity, Event, Observer, Result, Settings};

/// For whom batches are run.
#[derive(Clone, Copy)]
pub(crate) struct Work<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) settings: &'a Settings,
    pub(crate) schemas: &'a SchemaReader<'a>,
    pub(crate) observer: &'a dyn Observer,
    /// The migration's number and file name, for the events.
    pub(crate) version: u32,
    pub(crate) stem: &'a str,
    /// Asked in each transaction when it has begun: whether the history is still where it was.
    pub(crate) check: &'a dyn Fn() -> Result<()>,
}

/// What a batch did, when it is not committed yet.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Batch {
    /// Rows read.
    pub(crate) visited: u64,
    /// Rows written.
    pub(crate) changed: u64,
    /// Whether nothing is left for another one.
    pub(crate) is_last: bool,
}

/// How a row of batches ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Ended {
    /// With the last one.
    Complete,
    /// Before one that found another schema: a VACUUM may have given rows other ids, and what was read counts no more.
    SchemaChanged,
}

/// Batches that follow each other, on the schema that they began with.
pub(crate) struct Batches<'a> {
    work: Work<'a>,
    cookie: i64,
    pace: Pace,
    longest: Duration,
    done: u64,
    /// Of how many rows progress tells.
    pub(crate) total: Option<u64>,
}

impl<'a> Batches<'a> {
    /// Runs `prepare` in a transaction. The schema that it leaves is the one that the batches after it work on.
    ///
    /// # Errors
    /// When the lock cannot be had, the history is not where it was, or `prepare` fails: nothing is changed then.
    pub(crate) fn begin<T>(work: Work<'a>, prepare: impl FnOnce() -> Result<T>) -> Result<(Self, T)> {
        let mut batches = Self::resume(work, 0);
        let transaction = work.schemas.begin(work.settings.busy_timeout)?;
        (work.check)()?;
        let prepared = prepare()?;
        batches.cookie = schema_cookie(work.connection)?;
        let held = transaction.commit()?;
        batches.after(held)?;
        Ok((batches, prepared))
    }

    /// Batches that go on where others ended, on the schema with this cookie.
    pub(crate) fn resume(work: Work<'a>, cookie: i64) -> Self {
        Self {
            work,
            cookie,
            pace: Pace::new(work.settings),
            longest: Duration::ZERO,
            done: 0,
            total: None,
        }
    }

    /// The schema cookie that each batch compares with, for a run that goes on.
    pub(crate) fn cookie(&self) -> i64 {
        self.cookie
    }

    /// How long the write lock was held at most, so far.
    pub(crate) fn longest(&self) -> Duration {
        self.longest
    }

    /// Runs `batch`, given how many rows it may take, in one transaction after another, until one is the last.
    ///
    /// # Errors
    /// Those of `batch`, which is rolled back then; when the history is not where it was; when the disk has no room for
    /// another batch.
    pub(crate) fn run(&mut self, mut batch: impl FnMut(u64) -> Result<Batch>) -> Result<Ended> {
        let Work {
            connection,
            settings,
            schemas,
            observer,
            version,
            stem,
            check,
        } = self.work;
        loop {
            let transaction = schemas.begin(settings.busy_timeout)?;
            check()?;
            if schema_cookie(connection)? != self.cookie {
                return Ok(Ended::SchemaChanged);
            }
            let done = batch(self.pace.rows())?;
            let held = transaction.commit()?;
            observer.observe(&Event::BatchCommitted {
                version,
                visited: done.visited,
                changed: done.changed,
                lock_us: micros(held),
            });
            self.done += done.visited;
            observer.progress(
                Activity::Rows,
                stem,
                self.done,
                self.total.map(|total| total.max(self.done)),
            );
            self.after(held)?;
            if done.is_last {
                return Ok(Ended::Complete);
            }
        }
    }

    fn after(&mut self, held: Duration) -> Result<()> {
        self.longest = self.longest.max(held);
        self.pace.after_batch(self.work.connection, held)
    }
}

pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
