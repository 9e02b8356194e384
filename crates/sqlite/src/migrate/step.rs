//! One step of a run: begin → re-read history → statements and data → checks → records → commit.
//!
//! On a fresh database, all steps of the run between one begin and one commit.

pub(crate) mod batches;
pub(crate) mod checks;

use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::capture::batches::Work;
use crate::capture::beside::{self, Prepared};
use crate::catalog::companion_rows::add_missing;
use crate::migrate::refinery_step::{self, Mode};
use crate::plan::drift;
use crate::plan::{Plan, Step};
use crate::records::history::History;
use crate::records::runs::{self, Run, StepOutcome};
use crate::records::schema_reader::SchemaReader;
use crate::records::transaction::WriteTransaction;
use crate::records::{kept, schema_version};
use crate::schema::{script::Rebuild, tool_tables, trial::refuse_unfit};
use crate::sqlite::pace::let_writers_in;
use bridge_migrate_core::{
    Catalog, Error, ErrorKind, Event, Migration, Observer, Result, RowChange, RowChangeKind, Settings,
    TableRows,
};
use checks::{Before, Change};

/// What every step of a run works with.
pub(crate) struct StepContext<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) settings: &'a Settings,
    pub(crate) connection: &'a Connection,
    pub(crate) schemas: SchemaReader<'a>,
    pub(crate) observer: &'a dyn Observer,
    pub(crate) plan: &'a Plan,
    pub(crate) run: &'a Run,
    /// Whether what earlier rollbacks dropped is put back.
    pub(crate) reclaim: bool,
}

/// A failure of a step, and whether batches of it are committed.
pub(crate) struct StepFailure {
    pub(crate) error: Error,
    pub(crate) committed_batches: bool,
}

impl From<Error> for StepFailure {
    fn from(error: Error) -> Self {
        Self {
            error,
            committed_batches: false,
        }
    }
}

impl StepContext<'_> {
    /// Applies one migration, in a transaction of its own or in one for each batch.
    pub(crate) fn apply(&self, step: &Step) -> std::result::Result<StepOutcome, StepFailure> {
        let migration = self.migration(step)?;
        let is_first = self
            .plan
            .steps
            .first()
            .is_some_and(|first| first.version == step.version);
        if let (false, Some(rebuild)) = (is_first, Rebuild::of(migration)) {
            refuse_unfit(self.connection, &step.stem, &rebuild)?;
        }
        self.report_start(step);
        let outcome = match &migration.data {
            Some(data) => self.apply_in_batches(step, migration, data)?,
            None => self.apply_at_once(step, migration)?,
        };
        self.report_end(&outcome);
        Ok(outcome)
    }

    /// Applies all migrations in one transaction: whoever looks sees a database that has nothing in it yet, or one
    /// that is complete.
    ///
    /// For a fresh database only, where no step has rows to move and no server waits for the lock with a write.
    pub(crate) fn apply_together(&self, steps: &[Step]) -> Result<Vec<StepOutcome>> {
        let Some(first) = steps.first() else {
            return Ok(Vec::new());
        };
        let mut imported = Vec::new();
        for step in steps {
            imported.push(self.imported(self.migration(step)?)?);
        }
        let transaction = self.begin(first)?;
        let mut done = Vec::new();
        for (step, imported) in steps.iter().zip(&imported) {
            let migration = self.migration(step)?;
            self.report_start(step);
            done.push(match &migration.data {
                Some(data) => self.run_batches(step, migration, data)?,
                None => {
                    let nothing = Prepared::nothing(self.work(step, &|| Ok(())));
                    (self.run_at_once(step, migration, imported, &nothing)?, Vec::new())
                }
            });
        }
        let held = transaction.commit()?;
        let mut applied = Vec::new();
        for (step, (mut outcome, mut batches)) in steps.iter().zip(done) {
            if let Some(data) = &self.migration(step)?.data {
                for batch in &mut batches {
                    self.report(step, data, batch, held);
                }
            }
            outcome.max_lock_ms = millis(held);
            self.report_end(&outcome);
            applied.push(outcome);
        }
        Ok(applied)
    }

    fn migration(&self, step: &Step) -> Result<&Migration> {
        self.catalog
            .get(step.version)
            .ok_or_else(|| Error::new(ErrorKind::CatalogInvalid, format!("there is no {}", step.stem)))
    }

    fn report_start(&self, step: &Step) {
        self.observer.observe(&Event::StepStarted {
            version: step.version,
            name: step.name.clone(),
            down: false,
            resumed: step.resumes_at.is_some(),
        });
    }

    fn report_end(&self, outcome: &StepOutcome) {
        self.observer.observe(&Event::StepFinished {
            version: outcome.version,
            name: outcome.name.clone(),
            down: false,
            duration_ms: outcome.duration_ms,
            rows_changed: outcome.rows_changed,
            max_lock_ms: outcome.max_lock_ms,
        });
    }

    /// Reads what the migration imports, before the lock is taken: the file may be retried for a second.
    fn imported(&self, migration: &Migration) -> Result<Vec<TableRows>> {
        match &migration.import {
            Some(import) => import.read(self.settings.inputs()),
            None => Ok(Vec::new()),
        }
    }

    /// What the step needs of large tables is made beside the servers first; its own transaction makes it true.
    fn apply_at_once(
        &self,
        step: &Step,
        migration: &Migration,
    ) -> std::result::Result<StepOutcome, StepFailure> {
        let imported = self.imported(migration)?;
        step.load.require(self.settings, &step.stem)?;
        let started = Instant::now();
        let check = || self.require_before(step);
        let work = self.work(step, &check);
        let failed = |error| StepFailure {
            error,
            committed_batches: matches!(self.progress(step), Ok(Some(_))),
        };
        let prepared = beside::prepare(work, &step.progress(), &step.online).map_err(failed)?;
        let run = || {
            let transaction = self.begin(step)?;
            prepared.require_current()?;
            let outcome = self.run_at_once(step, migration, &imported, &prepared)?;
            Ok((outcome, transaction.commit()?))
        };
        let (mut outcome, held) = run().map_err(failed)?;
        if held > Duration::from_millis(50) {
            let_writers_in(held);
        }
        (outcome.duration_ms, outcome.max_lock_ms) =
            (millis(started.elapsed()), millis(prepared.clean_up(held)));
        Ok(outcome)
    }

    fn work<'b>(&'b self, step: &'b Step, check: &'b dyn Fn() -> Result<()>) -> Work<'b> {
        Work {
            connection: self.connection,
            settings: self.settings,
            schemas: &self.schemas,
            observer: self.observer,
            version: step.version,
            stem: &step.stem,
            check,
        }
    }

    /// Has refinery run the step's statements, if it has any, and write its history row.
    fn apply_by_refinery(&self, step: &Step, run: &dyn Fn(&str) -> Result<()>) -> Result<()> {
        refinery_step::run(
            self.connection,
            self.catalog,
            self.settings,
            step.version,
            Mode::Apply(run),
        )
    }

    /// Runs the step in the present transaction, and measures it up to its end.
    fn run_at_once(
        &self,
        step: &Step,
        migration: &Migration,
        imported: &[TableRows],
        prepared: &Prepared<'_>,
    ) -> Result<StepOutcome> {
        let started = Instant::now();
        let before = Before::read(
            self.connection,
            &self.schemas,
            step.forecast(migration),
            &prepared.tables(),
        )?;
        tool_tables::create(self.connection)?;
        self.apply_by_refinery(step, &|sql| prepared.run(sql))?;
        prepared.record()?;
        // What was there before comes first: an import only adds what is missing.
        let rows_changed = self.reclaim(migration)? + add_missing(self.connection, imported)?;
        let took = millis(started.elapsed() + before.took);
        let outcome = StepOutcome {
            version: step.version,
            name: step.name.clone(),
            duration_ms: took,
            max_lock_ms: took,
            rows_changed,
            rows_skipped: 0,
        };
        self.record(step, migration, &outcome)?;
        // After everything that is written, the records too.
        before.check(
            self.connection,
            &self.schemas,
            &self.change(step, &declared(migration)),
        )?;
        Ok(outcome)
    }

    /// Puts back what earlier rollbacks of the migration kept, where that has to come before an import; what was revoked
    /// stays so even if nobody asks. The rest comes back after the last step, within the lock budget.
    fn reclaim(&self, migration: &Migration) -> Result<u64> {
        if migration.import.is_none() {
            return Ok(0);
        }
        let revocations = self.settings.companion_format.revocations();
        let only = (!self.reclaim).then_some(revocations);
        kept::take_back_at_once(self.settings, self.connection, migration.version, only)
    }

    /// Takes the write lock and makes sure that the database is still where the plan left it.
    fn begin(&self, step: &Step) -> Result<WriteTransaction<'_>> {
        let transaction = self.schemas.begin(self.settings.busy_timeout)?;
        self.require_before(step)?;
        Ok(transaction)
    }

    /// Refuses when the step is not the next one any more.
    fn require_before(&self, step: &Step) -> Result<()> {
        let history = History::read(self.connection)?.unwrap_or_default();
        if history.version() + 1 != step.version {
            return Err(Error::new(
                ErrorKind::Busy,
                format!(
                    "another program changed the history: it is at V{:03}, and {} was to be applied",
                    history.version(),
                    step.stem
                ),
            ));
        }
        history.check(self.catalog)
    }

    /// What the step may change.
    fn change<'b>(&'b self, step: &'b Step, row_changes: &'b [RowChange]) -> Change<'b> {
        Change {
            stem: &step.stem,
            schema_before: &step.schema_before,
            schema_after: &step.schema_after,
            managed: &self.plan.managed,
            row_changes,
        }
    }

    /// Writes every record of an applied migration.
    fn record(&self, step: &Step, migration: &Migration, outcome: &StepOutcome) -> Result<()> {
        let fingerprint = drift::fingerprint(self.connection, &step.schema_after, &*self.schemas.read()?)?;
        runs::record_step(
            self.connection,
            self.settings,
            self.run,
            migration,
            false,
            outcome,
            &fingerprint,
        )?;
        if self.catalog.ends_release(migration.version) {
            let now = self.settings.clock.now();
            schema_version::record(self.connection, migration.release, &migration.stem(), now)?;
        }
        self.run.record(self.connection, self.settings, migration.version)
    }
}

/// The row counts that may differ: those that the migration declares, and what it imports.
fn declared(migration: &Migration) -> Vec<RowChange> {
    let mut row_changes = migration.row_changes.clone();
    if let Some(import) = &migration.import {
        row_changes.extend(import.tables().iter().map(|table| RowChange {
            table: table.name.to_owned(),
            kind: RowChangeKind::Adds,
        }));
    }
    row_changes
}

/// Whole milliseconds, rounded up, so that something that took time never shows as 0.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros().div_ceil(1000)).unwrap_or(u64::MAX)
}
