//! A data step: batch after batch, each a transaction within the lock budget, the last with the history row.

use std::time::{Duration, Instant};

use crate::catalog::Migration;
use crate::clock::timestamp;
use crate::data::{Batch, BatchOutcome, DataStep, SkippedRow};
use crate::error::{Error, ErrorKind, Hint, Result};
use crate::event::{Activity, Event};
use crate::journal::Journal;
use crate::pace::Pace;
use crate::plan::Step;
use crate::refinery_step::{self, Mode};
use crate::runs::StepMeasures;
use crate::state::Progress;
use crate::tool_tables;
use crate::way_back::WayBack;

use super::checks::Before;
use super::{StepContext, StepFailure, StepOutcome, millis};

impl StepContext<'_> {
    pub(super) fn apply_in_batches(
        &self,
        step: &Step,
        migration: &Migration,
        data: &dyn DataStep,
    ) -> std::result::Result<StepOutcome, StepFailure> {
        let started = Instant::now();
        let mut committed_batches = self.progress(step)?.is_some();
        let mut longest_lock_us = 0;
        let mut pace = Pace::new(&self.settings.database, self.settings.lock_budget);
        loop {
            let failed = |error| StepFailure {
                error,
                committed_batches,
            };
            let (next, outcome) = self
                .run_batch(step, migration, data, longest_lock_us, started, &mut pace)
                .map_err(failed)?;
            if let Some(outcome) = outcome {
                self.observer.observe(&Event::ProgressFinished {
                    activity: Activity::Rows,
                    subject: step.stem.clone(),
                });
                return Ok(outcome);
            }
            committed_batches = true;
            self.observer.observe(&Event::Progress {
                activity: Activity::Rows,
                subject: step.stem.clone(),
                done: next.visited,
                total: Some(step.rows.max(next.visited)),
            });
            longest_lock_us = next.max_lock_us;
        }
    }

    /// Where the step stopped, or stands between two batches.
    fn progress(&self, step: &Step) -> Result<Option<Progress>> {
        Ok(Progress::read(self.connection)?.filter(|progress| progress.version == step.version))
    }

    /// Runs one batch in its own transaction. The last one also writes the history.
    fn run_batch(
        &self,
        step: &Step,
        migration: &Migration,
        data: &dyn DataStep,
        longest_lock_us: u64,
        started: Instant,
        pace: &mut Pace,
    ) -> Result<(Progress, Option<StepOutcome>)> {
        let transaction = self.begin(step)?;
        let batch_started = Instant::now();
        tool_tables::create(self.connection)?;
        // Read under the write lock, like the history: if the lock file was removed, two processes may take turns.
        let progress = self.progress(step)?;
        let progress = progress.as_ref();
        let before = Before::read(self.connection, &self.schemas, &step.effects)?;
        let changes_before = self.connection.total_changes();
        let mut batch = Batch {
            connection: self.connection,
            cursor: progress.map(|progress| progress.cursor.as_str()),
            limit: pace.rows(),
            time_zone: &self.settings.time_zone,
            journal: Journal::new(
                self.connection,
                step.version,
                data.table(),
                data.column(),
                data.key(),
            ),
            skipped: Vec::new(),
        };
        let outcome = data.forward(&mut batch)?;
        let skipped = std::mem::take(&mut batch.skipped);
        self.check_changes(
            step,
            data,
            &outcome,
            self.connection.total_changes() - changes_before,
        )?;

        let mut next = Progress {
            version: step.version,
            name: step.name.clone(),
            release: step.release.to_string(),
            way_back: WayBack::of(migration).to_string(),
            down: false,
            cursor: outcome.cursor.clone().unwrap_or_default(),
            visited: outcome.visited + progress.map_or(0, |progress| progress.visited),
            changed: outcome.changed + progress.map_or(0, |progress| progress.changed),
            skipped: skipped.len() as u64 + progress.map_or(0, |progress| progress.skipped),
            max_lock_us: progress
                .map_or(0, |progress| progress.max_lock_us)
                .max(longest_lock_us)
                .max(micros(batch_started.elapsed())),
        };
        let is_last = outcome.cursor.is_none();
        if is_last {
            Progress::clear(self.connection, step.version)?;
            refinery_step::run(
                self.connection,
                self.catalog,
                self.settings,
                step.version,
                Mode::Apply,
            )?;
        } else {
            next.write(self.connection, &timestamp(self.settings.clock.now()))?;
            // A run that is killed in its first step has a restore point, too.
            self.run
                .record(self.connection, self.settings, step.version - 1)?;
        }
        let after = before.check(self.connection, &self.schemas, &self.change(step, migration))?;
        if is_last {
            let measures = StepMeasures {
                duration_ms: millis(started.elapsed()),
                max_lock_ms: next.max_lock_us.div_ceil(1000),
                rows_changed: next.changed,
                rows_skipped: next.skipped,
            };
            self.record(migration, measures, &after)?;
        }
        let held = transaction.commit()?;
        next.max_lock_us = next.max_lock_us.max(micros(held));
        self.report(step, data, &outcome, skipped, held);
        if !is_last {
            pace.after_batch(self.connection, held)?;
            return Ok((next, None));
        }
        let done = StepOutcome {
            version: step.version,
            name: step.name.clone(),
            duration_ms: millis(started.elapsed()),
            rows_changed: next.changed,
            rows_skipped: next.skipped,
            max_lock_ms: next.max_lock_us.div_ceil(1000),
        };
        Ok((next, Some(done)))
    }

    /// The rows that SQLite says it changed must be the rows that the step says it changed. Triggers of the
    /// operators' own make SQLite's number larger; then the counts of the ledger decide alone.
    fn check_changes(
        &self,
        step: &Step,
        data: &dyn DataStep,
        outcome: &BatchOutcome,
        counted: u64,
    ) -> Result<()> {
        let has_triggers = !step.effects.recounted().is_empty() || step.effects.updated.len() > 1;
        let declared = outcome.changed * if data.is_journaled() { 2 } else { 1 };
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
        .with_hint(Hint::tool(["log"])))
    }

    fn report(
        &self,
        step: &Step,
        data: &dyn DataStep,
        outcome: &BatchOutcome,
        skipped: Vec<SkippedRow>,
        held: Duration,
    ) {
        self.observer.observe(&Event::BatchCommitted {
            version: step.version,
            visited: outcome.visited,
            changed: outcome.changed,
            lock_us: micros(held),
        });
        for SkippedRow { key, why } in skipped {
            self.observer.observe(&Event::RowSkipped {
                version: step.version,
                table: data.table().to_owned(),
                key,
                why,
            });
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
