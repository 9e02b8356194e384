//! A data step: batch after batch, each a transaction within the lock budget, the last with the history row.

use std::time::{Duration, Instant};

use crate::capture::{batches::micros, schema_cookie};
use crate::catalog::data::{self, Batch, BatchOutcome};
use crate::catalog::journal::Journal;
use crate::plan::Step;
use crate::records::runs::StepOutcome;
use crate::records::state::Progress;
use crate::records::way_back::WayBack;
use crate::schema::tool_tables;
use crate::sqlite::pace::{LARGEST_BATCH, Pace};
use bridge_migrate_core::{
    Activity, DataStep, Error, ErrorKind, Event, Hint, Migration, Observer, Result, SkippedRow,
    clock::timestamp,
};

use super::checks::Before;
use super::{StepContext, StepFailure, millis};

/// How often a step begins again in one run, because the schema changed between two batches.
const AT_MOST_AGAIN: u32 = 16;

/// Passes over a table that begin again when the schema changed: rows may have other ids then.
pub(crate) struct Passes<'a> {
    stem: &'a str,
    observer: &'a dyn Observer,
    again: u32,
}

impl<'a> Passes<'a> {
    pub(crate) fn new(stem: &'a str, observer: &'a dyn Observer) -> Self {
        Self {
            stem,
            observer,
            again: 0,
        }
    }

    /// Tells that a committed batch was the first of another pass.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] when that happened too often: it would never end beside whoever does it.
    pub(crate) fn begun_again(&mut self) -> Result<()> {
        self.again += 1;
        if self.again > AT_MOST_AGAIN {
            return Err(Error::new(
                ErrorKind::Busy,
                format!(
                    "the schema changed {} times while {} went through its rows, which begins again each time",
                    self.again, self.stem
                ),
            )
            .with_hint(Hint::Again));
        }
        self.observer.warn(format!(
            "the schema changed, perhaps by VACUUM, which gives rows other ids: {} goes through its rows from the first \
             again, and what is done stays",
            self.stem
        ));
        Ok(())
    }
}

/// What a batch did, when it is not committed yet.
pub(super) struct BatchDone {
    /// Whether it was the first of a pass that begins again.
    again: bool,
    /// Where the step stands after it.
    progress: Progress,
    outcome: BatchOutcome,
    skipped: Vec<(String, &'static str)>,
}

impl BatchDone {
    /// Whether it ended the step and wrote the history.
    fn is_last(&self) -> bool {
        self.outcome.cursor.is_none()
    }

    /// Of the whole step up to here.
    fn step_outcome(&self, started: Instant) -> StepOutcome {
        StepOutcome {
            version: self.progress.version,
            name: self.progress.name.clone(),
            duration_ms: millis(started.elapsed()),
            max_lock_ms: self.progress.max_lock_us.div_ceil(1000),
            rows_changed: self.progress.changed,
            rows_skipped: self.progress.skipped,
        }
    }
}

impl StepContext<'_> {
    /// Each batch is a transaction.
    pub(super) fn apply_in_batches(
        &self,
        step: &Step,
        migration: &Migration,
        data_step: &DataStep,
    ) -> std::result::Result<StepOutcome, StepFailure> {
        let started = Instant::now();
        let mut committed_batches = self.progress(step)?.is_some();
        let mut longest_lock_us = 0;
        let mut pace = Pace::new(self.settings);
        let mut passes = Passes::new(&step.stem, self.observer);
        loop {
            let failed = |error| StepFailure {
                error,
                committed_batches,
            };
            let done = self
                .commit_batch(step, migration, data_step, longest_lock_us, started, &mut pace)
                .map_err(failed)?;
            if done.is_last() {
                self.observer.finished(Activity::Rows, &step.stem);
                return Ok(done.step_outcome(started));
            }
            committed_batches = true;
            if done.again {
                passes.begun_again().map_err(|error| StepFailure {
                    error,
                    committed_batches,
                })?;
            }
            self.observer.progress(
                Activity::Rows,
                &step.stem,
                done.progress.visited,
                Some(step.rows.max(done.progress.visited)),
            );
            longest_lock_us = done.progress.max_lock_us;
        }
    }

    /// All batches follow each other in the present transaction; they are reported when that is committed.
    pub(super) fn run_batches(
        &self,
        step: &Step,
        migration: &Migration,
        data_step: &DataStep,
    ) -> Result<(StepOutcome, Vec<BatchDone>)> {
        let started = Instant::now();
        let mut batches = Vec::new();
        loop {
            let done = self.run_batch(step, migration, data_step, LARGEST_BATCH, 0, started)?;
            let outcome = done.is_last().then(|| done.step_outcome(started));
            batches.push(done);
            if let Some(outcome) = outcome {
                return Ok((outcome, batches));
            }
        }
    }

    /// Where the step stopped, or stands between two batches.
    pub(super) fn progress(&self, step: &Step) -> Result<Option<Progress>> {
        Ok(Progress::read(self.connection)?.filter(|progress| progress.version == step.version))
    }

    /// Runs one batch in its own transaction.
    fn commit_batch(
        &self,
        step: &Step,
        migration: &Migration,
        data_step: &DataStep,
        longest_lock_us: u64,
        started: Instant,
        pace: &mut Pace,
    ) -> Result<BatchDone> {
        let transaction = self.begin(step)?;
        let mut done = self.run_batch(step, migration, data_step, pace.rows(), longest_lock_us, started)?;
        let held = transaction.commit()?;
        done.progress.max_lock_us = done.progress.max_lock_us.max(micros(held));
        self.report(step, data_step, &mut done, held);
        if !done.is_last() {
            pace.after_batch(self.connection, held)?;
        }
        Ok(done)
    }

    /// Runs one batch in the present transaction. The last one also writes the history.
    fn run_batch(
        &self,
        step: &Step,
        migration: &Migration,
        data_step: &DataStep,
        limit: u64,
        longest_lock_us: u64,
        started: Instant,
    ) -> Result<BatchDone> {
        let batch_started = Instant::now();
        tool_tables::create(self.connection)?;
        // Read under the write lock, like the history: if the lock file was removed, two processes may take turns.
        let progress = self.progress(step)?;
        let progress = progress.as_ref();
        let cookie = schema_cookie(self.connection)?;
        let cursor = progress.and_then(|progress| progress.cursor_on(cookie));
        let again = progress.is_some() && cursor.is_none();
        // A pass that begins again meets what it met before.
        let of_pass = progress.filter(|_| !again);
        let before = Before::read(self.connection, &self.schemas, step.forecast(migration), &[])?;
        let changes_before = self.connection.total_changes();
        let mut batch = Batch {
            connection: self.connection,
            cursor,
            limit,
            time_zone: &self.settings.time_zone,
            journal: Journal::new(
                self.connection,
                step.version,
                data_step.table(),
                data_step.column(),
                data_step.key(),
            ),
            skipped: Vec::new(),
        };
        let outcome =
            data::forward(data_step, &mut batch).map_err(|error| error.at(data_step.table(), None))?;
        let skipped = std::mem::take(&mut batch.skipped);
        let changed = self.connection.total_changes() - changes_before;
        check_changes(step, &before, data_step, &outcome, changed)?;

        let next = Progress {
            version: step.version,
            name: step.name.clone(),
            release: step.release.to_string(),
            way_back: WayBack::recorded(migration, self.connection)?.to_string(),
            down: false,
            cursor: String::new(),
            visited: outcome.visited + of_pass.map_or(0, |progress| progress.visited),
            changed: outcome.changed + progress.map_or(0, |progress| progress.changed),
            skipped: skipped.len() as u64 + of_pass.map_or(0, |progress| progress.skipped),
            max_lock_us: progress
                .map_or(0, |progress| progress.max_lock_us)
                .max(longest_lock_us)
                .max(micros(batch_started.elapsed())),
        };
        let mut done = BatchDone {
            again,
            progress: next,
            outcome,
            skipped,
        };
        if done.is_last() {
            Progress::clear(self.connection, step.version)?;
            // Its text is a comment.
            self.apply_by_refinery(step, &|_| Ok(()))?;
        }
        if let Some(cursor) = &done.outcome.cursor {
            // A run that is killed in its first step has a restore point, too.
            self.run
                .record(self.connection, self.settings, step.version - 1)?;
            done.progress.cursor = Progress::cursor_with(schema_cookie(self.connection)?, cursor);
            done.progress
                .write(self.connection, &timestamp(self.settings.clock.now()))?;
        }
        if done.is_last() {
            self.record(step, migration, &done.step_outcome(started))?;
        }
        let change = self.change(step, &migration.row_changes);
        before.check(self.connection, &self.schemas, &change)?;
        Ok(done)
    }

    /// Tells what a batch did, which is committed now.
    pub(super) fn report(&self, step: &Step, data_step: &DataStep, done: &mut BatchDone, held: Duration) {
        self.observer.observe(&Event::BatchCommitted {
            version: step.version,
            visited: done.outcome.visited,
            changed: done.outcome.changed,
            lock_us: micros(held),
        });
        for (key, why) in std::mem::take(&mut done.skipped) {
            self.observer.observe(&Event::RowSkipped(SkippedRow {
                version: step.version,
                table: data_step.table().to_owned(),
                key,
                why: why.to_owned(),
            }));
        }
    }
}

/// The rows that SQLite says it changed must be the rows that the step says it changed. Triggers of the
/// operators' own make SQLite's number larger; then the counts of the ledger decide alone.
fn check_changes(
    step: &Step,
    before: &Before<'_>,
    data_step: &DataStep,
    outcome: &BatchOutcome,
    counted: u64,
) -> Result<()> {
    let has_triggers = !before.effects.recounted().is_empty() || before.effects.updated.len() > 1;
    let declared = outcome.changed * if data_step.is_journaled() { 2 } else { 1 };
    if has_triggers || counted == declared {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::ConservationViolated,
        format!(
            "a batch of {} changed {counted} rows where it declares {declared}",
            step.stem
        ),
    )
    .with_truth("The batch was rolled back.")
    .with_hint(Hint::Log))
}
