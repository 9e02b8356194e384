//! Takes migrations back one by one: each in one transaction, or in batches that end with one.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Row, params};

use crate::capture::{batches::Work, beside, schema_cookie};
use crate::going_back::undo::Conflict;
use crate::going_back::undo::records::{self, Fate, JournalReader, Journaled, Selection};
use crate::migrate::step::checks::{Before, Change};
use crate::migrate::{step::batches::Passes, step::millis};
use crate::records::runs::{Run, StepOutcome};
use crate::records::{
    history::History, schema_reader::SchemaReader, schema_version, state::Progress,
    transaction::WriteTransaction, way_back::WayBack,
};
use crate::sqlite::{ask::Ask, pace::Pace, quote::identifier, sqlite_error::SqliteContext};
use bridge_migrate_core::{
    Activity, Catalog, Error, ErrorKind, Event, Observer, Result, RowChange, RowChangeKind, Settings,
    clock::timestamp,
};

use super::plan::{RollbackPlan, position};
use super::{kept, steps::StepBack};
use crate::schema::dropped::Dropped;

/// Conflicts that an outcome lists.
const LISTED: usize = 1000;

/// What was done.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) reverted: Vec<StepOutcome>,
    pub(super) conflicts: Vec<Conflict>,
    pub(super) kept: Vec<PathBuf>,
}

pub(super) fn execute(
    catalog: &Catalog,
    settings: &Settings,
    connection: &Connection,
    plan: &RollbackPlan,
    run: &Run,
    observer: &dyn Observer,
) -> Result<Done> {
    let mut back = Back {
        settings,
        connection,
        schemas: SchemaReader::new(connection),
        run,
        observer,
        done: Done::default(),
        committed: false,
    };
    for step in &plan.steps {
        observer.observe(&Event::StepStarted {
            version: step.recorded.version,
            name: step.recorded.name.clone(),
            down: true,
            resumed: false,
        });
        match back.take_back(step) {
            Ok(outcome) => {
                back.committed = true;
                observer.observe(&Event::StepFinished {
                    version: outcome.version,
                    name: outcome.name.clone(),
                    down: true,
                    duration_ms: outcome.duration_ms,
                    rows_changed: outcome.rows_changed,
                    max_lock_ms: outcome.max_lock_ms,
                });
                back.done.reverted.push(outcome);
            }
            Err(error) if back.committed => {
                let version = step.at();
                let applied: Vec<_> = plan
                    .steps
                    .iter()
                    .rev()
                    .map(|step| step.recorded.clone())
                    .collect();
                let reached = position(catalog, &applied, version);
                return Err(error
                    .with_truth(format!(
                        "The database is whole, at {reached}; run the same command again to go on."
                    ))
                    .with_reached(reached.into()));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(back.done)
}

struct Back<'a> {
    settings: &'a Settings,
    connection: &'a Connection,
    schemas: SchemaReader<'a>,
    run: &'a Run,
    observer: &'a dyn Observer,
    done: Done,
    committed: bool,
}

impl Back<'_> {
    fn take_back(&mut self, step: &StepBack) -> Result<StepOutcome> {
        match &step.way_back {
            WayBack::Statements => self.run_statements(step),
            WayBack::Prepared => {
                let started = Instant::now();
                beside::give_up(self.work(step, &|| require_version(self.connection, step)))?;
                Ok(outcome(step, started, Duration::ZERO, 0))
            }
            WayBack::Journal { table, column, key } => {
                let of = Journaled {
                    version: step.recorded.version,
                    table: table.clone(),
                    column: column.clone(),
                    key: key.clone(),
                };
                let journal = JournalReader::new(self.connection, of, Selection::default())?;
                let mut before = i64::MAX;
                self.in_batches(step, &mut |back, portion| {
                    back.undo_batch(&journal, &mut before, portion.rows)
                })
            }
            WayBack::Clear { table, column } => self.in_batches(step, &mut |back, portion| {
                back.clear_batch(table, column, portion)
            }),
            WayBack::Unknown(_) => Err(Error::new(
                ErrorKind::NotReversible,
                format!("{} cannot be taken back", step.stem),
            )),
        }
    }

    fn begin(&self, step: &StepBack) -> Result<WriteTransaction<'_>> {
        let transaction = self.schemas.begin(self.settings.busy_timeout)?;
        require_version(self.connection, step)?;
        Ok(transaction)
    }

    fn work<'b>(&'b self, step: &'b StepBack, check: &'b dyn Fn() -> Result<()>) -> Work<'b> {
        Work {
            connection: self.connection,
            settings: self.settings,
            schemas: &self.schemas,
            observer: self.observer,
            version: step.recorded.version,
            stem: &step.stem,
            check,
        }
    }

    /// What the step needs of large tables is made beside the servers first; its own transaction makes it true.
    fn run_statements(&mut self, step: &StepBack) -> Result<StepOutcome> {
        step.load.require(self.settings, &step.stem)?;
        let started = Instant::now();
        let (kept, held) = {
            let check = || require_version(self.connection, step);
            let work = self.work(step, &check);
            let prepared = beside::prepare(work, &step.progress(), &step.online)?;
            let transaction = self.begin(step)?;
            prepared.require_current()?;
            let before = Before::read(
                self.connection,
                &self.schemas,
                step.forecast(),
                &prepared.tables(),
            )?;
            let kept = kept::save(self.settings, self.connection, self.run, step)?;
            prepared.run(&step.recorded.down_sql)?;
            self.remove_records(step)?;
            prepared.record()?;
            self.check(&before, step)?;
            let held = transaction.commit()?;
            (kept, prepared.clean_up(held))
        };
        self.done.kept.extend(kept);
        Ok(outcome(step, started, held, 0))
    }

    fn check(&self, before: &Before<'_>, step: &StepBack) -> Result<()> {
        let row_changes: Vec<RowChange> = step
            .dropped
            .iter()
            .filter_map(|dropped| match dropped {
                Dropped::Table(table) => Some(RowChange {
                    table: table.clone(),
                    kind: RowChangeKind::Removes,
                }),
                Dropped::Column { .. } => None,
            })
            .collect();
        before.check(
            self.connection,
            &self.schemas,
            &Change {
                stem: &step.stem,
                schema_before: &step.schema_before,
                schema_after: &step.schema_after,
                managed: &step.managed,
                row_changes: &row_changes,
            },
        )?;
        Ok(())
    }

    /// Removes every record of the migration, and the row of its release, which is no longer complete.
    fn remove_records(&self, step: &StepBack) -> Result<()> {
        let version = step.recorded.version;
        for statement in [
            "DELETE FROM refinery_schema_history WHERE version = ?1",
            "DELETE FROM migration_steps WHERE version = ?1",
        ] {
            self.connection
                .execute(statement, [version])
                .while_doing("remove the records of a migration")?;
        }
        Progress::clear(self.connection, version)?;
        // A step that was never complete did not complete its release.
        if !step.partial
            && let Ok(release) = naming::Release::parse(&step.recorded.release)
        {
            schema_version::remove(self.connection, release)?;
        }
        self.run.record(self.connection, self.settings, version - 1)
    }

    /// Runs batches until one says that nothing is left; the last also removes the records.
    fn in_batches(
        &mut self,
        step: &StepBack,
        batch: &mut dyn FnMut(&mut Self, Portion) -> Result<BatchBack>,
    ) -> Result<StepOutcome> {
        let started = Instant::now();
        let version = step.recorded.version;
        let mut pace = Pace::new(self.settings);
        let mut longest = Duration::ZERO;
        let mut passes = Passes::new(&step.stem, self.observer);
        loop {
            // The guard borrows the connection, not `self`, so that a batch may note conflicts.
            let connection = self.connection;
            let transaction = self.schemas.begin(self.settings.busy_timeout)?;
            require_version(connection, step)?;
            // Under the write lock, like the history: if the lock file was removed, two processes may take turns.
            let progress =
                Progress::read(connection)?.filter(|progress| progress.version == version && progress.down);
            let before = Before::read(connection, &self.schemas, step.forecast(), &[])?;
            let cookie = schema_cookie(connection)?;
            let portion = Portion {
                cursor: progress
                    .as_ref()
                    .and_then(|progress| progress.cursor_on(cookie).map(str::to_owned)),
                rows: pace.rows(),
            };
            // The journal is read by its own numbers, which stay.
            let again = matches!(step.way_back, WayBack::Clear { .. })
                && progress.is_some()
                && portion.cursor.is_none();
            let of_pass = progress.as_ref().filter(|_| !again);
            let done = batch(self, portion)?;
            let mut next = Progress {
                version,
                name: step.recorded.name.clone(),
                release: step.recorded.release.clone(),
                way_back: step.recorded.way_back.clone(),
                down: true,
                cursor: String::new(),
                visited: done.visited + of_pass.map_or(0, |progress| progress.visited),
                changed: done.changed + progress.as_ref().map_or(0, |progress| progress.changed),
                skipped: 0,
                max_lock_us: 0,
            };
            let is_last = done.cursor.is_none();
            if let Some(cursor) = &done.cursor {
                self.run.record(connection, self.settings, step.at())?;
                next.cursor = Progress::cursor_with(schema_cookie(connection)?, cursor);
                next.write(connection, &timestamp(self.settings.clock.now()))?;
            } else {
                self.remove_records(step)?;
            }
            self.check(&before, step)?;
            let held = transaction.commit()?;
            self.committed = true;
            longest = longest.max(held);
            self.observer.progress(
                Activity::Rows,
                &step.stem,
                next.visited,
                (step.rows > 0).then_some(step.rows.max(next.visited)),
            );
            if is_last {
                self.observer.finished(Activity::Rows, &step.stem);
                return Ok(outcome(step, started, longest, next.changed));
            }
            if again {
                passes.begun_again()?;
            }
            pace.after_batch(connection, held)?;
        }
    }

    /// Puts the newest records back. What was edited since stays: it is valid before the migration, too.
    fn undo_batch(&mut self, journal: &JournalReader<'_>, before: &mut i64, rows: u64) -> Result<BatchBack> {
        let Some(window) = journal.window(*before, rows)? else {
            // What is left of this migration is records that single undos put back before.
            let left = records::remove(self.connection, journal.version(), rows)
                .while_doing("take undone records from the journal")?;
            return Ok(BatchBack {
                cursor: (left == rows).then(|| "journal".to_owned()),
                visited: 0,
                changed: 0,
            });
        };
        // Records that single undos put back stay above, and are not read again.
        *before = window.oldest;
        let mut changed = 0;
        for record in &window.records {
            match journal.fate(record, false)? {
                Fate::Revert(rowid) => {
                    journal.revert(record, rowid)?;
                    changed += 1;
                }
                Fate::Stay(why) if self.done.conflicts.len() < LISTED => {
                    self.done.conflicts.push(journal.conflict(record, why));
                }
                Fate::Stay(_) => {}
            }
            self.connection
                .run(
                    "DELETE FROM migration_affected_records WHERE seq = ?1",
                    [record.seq],
                )
                .while_doing("take a record from the journal")?;
        }
        Ok(BatchBack {
            cursor: Some("journal".to_owned()),
            visited: window.records.len() as u64,
            changed,
        })
    }

    fn clear_batch(&self, table: &str, column: &str, portion: Portion) -> Result<BatchBack> {
        let doing = format!("clear {table}.{column}");
        let first = match portion.cursor {
            Some(cursor) => crate::catalog::data::parse_cursor(&cursor, table)?,
            None => i64::MIN,
        };
        let (table, column) = (identifier(table), identifier(column));
        let next = format!(
            "SELECT max(r), count(*) FROM \
             (SELECT _rowid_ AS r FROM {table} NOT INDEXED WHERE _rowid_ >= ?1 ORDER BY _rowid_ LIMIT ?2)"
        );
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let (last, visited): (Option<i64>, u64) = self
            .connection
            .row(&next, params![first, portion.rows], read)
            .while_doing(&doing)?;
        let Some(last) = last else {
            return Ok(BatchBack {
                cursor: None,
                visited: 0,
                changed: 0,
            });
        };
        let changed = self
            .connection
            .run(&format!(
                "UPDATE {table} NOT INDEXED SET {column} = NULL WHERE _rowid_ BETWEEN ?1 AND ?2 AND {column} IS NOT NULL"
            ), params![first, last])
            .while_doing(&doing)? as u64;
        Ok(BatchBack {
            cursor: last.checked_add(1).map(|next| next.to_string()),
            visited,
            changed,
        })
    }
}

/// Makes sure that the database is still where the plan left it.
fn require_version(connection: &Connection, step: &StepBack) -> Result<()> {
    let version = History::read(connection)?.unwrap_or_default().version();
    if version == step.at() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Busy,
        format!(
            "another program changed the history: it is at V{version:03}, and {} was to go back",
            step.stem
        ),
    ))
}

/// What a batch on the way back is to do.
struct Portion {
    /// Where the batch before stopped.
    cursor: Option<String>,
    rows: u64,
}

/// What a batch on the way back did.
struct BatchBack {
    cursor: Option<String>,
    visited: u64,
    changed: u64,
}

fn outcome(step: &StepBack, started: Instant, held: Duration, rows_changed: u64) -> StepOutcome {
    StepOutcome {
        version: step.recorded.version,
        name: step.recorded.name.clone(),
        duration_ms: millis(started.elapsed()),
        rows_changed,
        rows_skipped: 0,
        max_lock_ms: millis(held),
    }
}
