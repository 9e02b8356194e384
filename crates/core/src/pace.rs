//! How large the next of many transactions may be, and how long the write lock stays free after one.

use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::error::{Result, SqliteContext};
use crate::transaction::let_writers_in;

/// Rows of the first batch, before anything is known about the machine.
const FIRST_BATCH: u64 = 256;
/// The largest batch: what it collects in memory stays within a few MiB.
const LARGEST_BATCH: u64 = 32_768;

/// How long others are taken to be writing after they were last seen to.
const WRITERS_STAY: Duration = Duration::from_secs(2);
/// Batches may follow each other for so long before the lock is left free.
const BUSY_AT_MOST: Duration = Duration::from_millis(50);

/// How long a batch may take, and how long the lock stays free after it.
#[derive(Debug)]
pub(crate) struct Pace {
    budget: Duration,
    rows: u64,
    last_version: Option<i64>,
    last_foreign_write: Option<Instant>,
    busy: Duration,
}

impl Pace {
    /// The pace of batches that hold the write lock for at most `budget` each.
    pub(crate) fn new(budget: Duration) -> Self {
        Self {
            budget,
            rows: FIRST_BATCH,
            last_version: None,
            last_foreign_write: None,
            busy: Duration::ZERO,
        }
    }

    /// Rows of the next batch.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Adapts the size of the next batch to how long the lock was held, and lets other writers in.
    ///
    /// Nobody seen writing: a third of the budget, since somebody may be waiting unseen. Somebody writing: a
    /// tenth, after which the lock stays free for longer than it was held.
    pub(crate) fn after_batch(&mut self, connection: &Connection, held: Duration) -> Result<()> {
        let version: i64 = connection
            .pragma_query_value(None, "data_version", |row| row.get(0))
            .while_doing("look for other writers")?;
        if self.last_version.is_some_and(|last| last != version) {
            self.last_foreign_write = Some(Instant::now());
        }
        self.last_version = Some(version);
        let is_contended = self
            .last_foreign_write
            .is_some_and(|last| last.elapsed() < WRITERS_STAY);
        let goal = if is_contended {
            self.budget / 10
        } else {
            self.budget / 3
        };
        let ratio = (goal.as_secs_f64() / held.as_secs_f64().max(1e-6)).clamp(0.25, 16.0);
        // The product is at most sixteen times the largest batch: far within what both types hold.
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss
        )]
        let rows = (self.rows as f64 * ratio) as u64;
        self.rows = rows.clamp(16, LARGEST_BATCH);
        self.busy += held;
        if is_contended || self.busy >= BUSY_AT_MOST {
            let_writers_in(held);
            self.busy = Duration::ZERO;
        }
        if is_contended {
            std::thread::sleep(held.min(self.budget / 5));
        }
        Ok(())
    }
}
