//! `undo`: puts single records back that a journaled data step changed.

mod prune;
pub(crate) mod records;

use std::time::Duration;

use rusqlite::Connection;
use serde::Serialize;

use crate::files::{database_file::in_real_place, lock::MigrationLock};
use crate::migrate::step::checks::conserving;
use crate::records::runs::{self, Run};
use crate::records::{
    recorded_position::recorded_position, schema_reader::SchemaReader, state::Progress,
    unfinished::Unfinished, way_back::WayBack,
};
use crate::schema::tool_tables;
use crate::sqlite::disk_space::{DiskSpace, Load, Sizes};
use crate::sqlite::{
    ask::Ask, connection, pace::Pace, rollback_journal::RollbackJournal, sqlite_error::SqliteContext,
};
use bridge_migrate_core::{Activity, Error, ErrorKind, Hint, Observer, Position, Result, Settings};
use records::{Fate, JournalReader, Journaled, Record, Selection, journaled};

pub use prune::{Pruned, prune};

/// Records that a dry run reads at once.
const READ_AT_ONCE: u64 = 10_000;
/// Records and conflicts that an outcome lists; more are only counted.
const LISTED: usize = 1000;

/// What an undo is asked for.
#[derive(Debug, Clone, Default)]
pub struct UndoOptions {
    /// Only the records with these keys.
    pub keys: Vec<String>,
    /// Only the records whose row meets this condition, an SQL expression over the table.
    pub condition: Option<String>,
    /// Tells what would happen and changes nothing.
    pub dry_run: bool,
    /// Puts records back even when they were edited since.
    pub force: bool,
}

/// A record that was put back, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reverted {
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
    /// The record's key, as text.
    pub key: String,
    /// The value before the undo.
    pub from: String,
    /// The value after it.
    pub to: String,
}

/// A record that was left as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// The table.
    pub table: String,
    /// The record's key, as text.
    pub key: String,
    /// Why it was left.
    pub why: String,
}

/// What an undo did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct UndoOutcome {
    /// The migration's number.
    pub version: u32,
    /// The migration's name.
    pub name: String,
    /// The run's name; `None` for a dry run.
    pub run: Option<String>,
    /// The first thousand records that were put back.
    pub reverted: Vec<Reverted>,
    /// How many were put back.
    pub reverted_count: u64,
    /// The first thousand records that were left.
    pub conflicts: Vec<Conflict>,
    /// How many were left.
    pub conflict_count: u64,
    /// Records of the migration that could still be put back.
    pub remaining: u64,
}

/// Puts records back that migration `version` changed.
///
/// # Errors
/// [`ErrorKind::NotReversible`] when the migration keeps no journal or it was pruned;
/// [`ErrorKind::Usage`] when it is not applied, a key is unknown, or the condition is not an expression.
pub fn undo(
    settings: &Settings,
    version: u32,
    options: &UndoOptions,
    observer: &dyn Observer,
) -> Result<UndoOutcome> {
    let settings = &in_real_place(settings)?;
    if options.dry_run {
        return connection::with_reader(&settings.database, settings.busy_timeout, |reader| {
            Undo::prepare(reader, version, options)?.preview()
        });
    }
    let _lock = MigrationLock::take(settings, "undo", observer)?;
    Unfinished::refuse(settings)?;
    let writer = connection::open_writer(&settings.database, settings.busy_timeout)?;
    let undo = Undo::prepare(&writer, version, options)?;
    DiskSpace::of(&[undo.load()?], settings, 0)?.require(settings, "the undo")?;
    Run::begin(settings, "undo", undo.at.version, undo.at.version).with_log(settings, observer, |run, log| {
        let _rollback_journal = RollbackJournal::keep(&writer);
        undo.run(settings, run, log)
    })
}

struct Undo<'a> {
    connection: &'a Connection,
    options: &'a UndoOptions,
    journal: JournalReader<'a>,
    journaled: u64,
    name: String,
    at: Position,
}

impl<'a> Undo<'a> {
    fn prepare(connection: &'a Connection, version: u32, options: &'a UndoOptions) -> Result<Self> {
        tool_tables::refuse_foreign(connection)?;
        let at = recorded_position(connection)?;
        let steps = runs::read_steps(connection)?;
        let Some(step) = steps.into_iter().find(|step| step.version == version) else {
            return Err(Error::new(
                ErrorKind::Usage,
                format!("V{version:03} is not applied to this database"),
            )
            .with_truth(format!("It is at V{:03}. Nothing was changed.", at.version))
            .with_hint(Hint::History));
        };
        let WayBack::Journal { table, column, key } = WayBack::parse(&step.way_back) else {
            return Err(Error::unchanged(
                ErrorKind::NotReversible,
                format!(
                    "V{version:03}__{} keeps no old values: single records cannot be put back",
                    step.name
                ),
            )
            .with_hint(Hint::RollbackDryRun(version - 1)));
        };
        refuse_half_back(connection, version)?;
        let selection = Selection::new(connection, &table, &options.keys, options.condition.as_deref())?;
        let of = Journaled {
            version,
            table,
            column,
            key,
        };
        let journal = JournalReader::new(connection, of, selection)?;
        // Pruning takes all of them, but it may have been interrupted.
        let journaled = journaled(connection, version)?;
        if journaled < step.rows_changed {
            return Err(Error::new(
                ErrorKind::NotReversible,
                format!(
                    "the journal of V{version:03}__{} was pruned: its old values are gone",
                    step.name
                ),
            )
            .with_truth("Nothing was changed. A backup from before the migration has the old values.")
            .with_hint(Hint::BackupList));
        }
        journal.refuse_unknown_keys(&options.keys)?;
        Ok(Self {
            connection,
            options,
            journal,
            journaled,
            name: step.name,
            at,
        })
    }

    /// What putting back writes at most. A key leads to a row, its indexes and its record.
    fn load(&self) -> Result<Load> {
        let sizes = Sizes::new(self.connection)?;
        let (table, column) = (self.journal.table(), self.journal.column());
        let all = sizes.table(table) + sizes.indexes_of(table, column) + sizes.table(tool_tables::JOURNAL);
        let of_a_key = 64 << 10;
        let (changed, rows) = match self.options.keys.len() as u64 {
            0 => (all, self.journaled),
            keys => (all.min(keys * of_a_key), keys),
        };
        Ok(Load {
            changed,
            grown: sizes.growth(table, self.journaled, 24).min(rows * of_a_key),
            ..Load::default()
        })
    }

    fn outcome(&self, run: Option<String>) -> UndoOutcome {
        UndoOutcome {
            version: self.journal.version(),
            name: self.name.clone(),
            run,
            ..UndoOutcome::default()
        }
    }

    fn preview(&self) -> Result<UndoOutcome> {
        let mut outcome = self.outcome(None);
        let mut before = i64::MAX;
        while let Some(window) = self.journal.window(before, READ_AT_ONCE)? {
            before = window.oldest;
            for record in &window.records {
                self.note(
                    &mut outcome,
                    record,
                    self.journal.fate(record, self.options.force)?,
                )?;
            }
        }
        outcome.remaining = self.journal.remaining()?;
        Ok(outcome)
    }

    fn run(&self, settings: &Settings, run: &Run, observer: &dyn Observer) -> Result<UndoOutcome> {
        let mut outcome = self.outcome(Some(run.name.clone()));
        let subject = format!("V{:03}__{}", self.journal.version(), self.name);
        let mut pace = Pace::new(settings);
        let schemas = SchemaReader::new(self.connection);
        let mut before = i64::MAX;
        let mut visited = 0;
        // Read without the write lock: few records may be selected of many. What becomes of each is decided with it.
        while let Some(window) = self.journal.window(before, pace.rows())? {
            before = window.oldest;
            visited += window.visited;
            if window.records.is_empty() {
                continue;
            }
            let held = self.put_back(settings, run, &schemas, &window.records, &mut outcome)?;
            run.committed_at.set(Some(self.at));
            observer.progress(
                Activity::Rows,
                &subject,
                visited,
                Some(self.journaled.max(visited)),
            );
            pace.after_batch(self.connection, held)?;
        }
        observer.finished(Activity::Rows, &subject);
        if run.committed_at.get().is_none() {
            // A run that found nothing to put back is on record, too.
            let transaction = schemas.begin(settings.busy_timeout)?;
            run.record(self.connection, settings, self.at.version)?;
            transaction.commit()?;
        }
        outcome.remaining = self.journal.remaining()?;
        Ok(outcome)
    }

    /// Puts the records back in one transaction, and tells how long it held the write lock.
    fn put_back(
        &self,
        settings: &Settings,
        run: &Run,
        schemas: &SchemaReader<'_>,
        records: &[Record],
        outcome: &mut UndoOutcome,
    ) -> Result<Duration> {
        let transaction = schemas.begin(settings.busy_timeout)?;
        conserving(
            self.connection,
            schemas,
            "the undo",
            self.journal.writes(),
            || {
                for record in records {
                    let fate = self.journal.fate(record, self.options.force)?;
                    self.note(outcome, record, fate)?;
                    if let Fate::Revert(rowid) = fate {
                        self.journal.revert(record, rowid)?;
                        self.connection
                            .run(
                                "UPDATE migration_affected_records SET undone_by = ?2 WHERE seq = ?1",
                                rusqlite::params![record.seq, run.name],
                            )
                            .while_doing("record what was undone")?;
                    }
                }
                run.record(self.connection, settings, self.at.version)
            },
        )?;
        transaction.commit()
    }

    fn note(&self, outcome: &mut UndoOutcome, record: &Record, fate: Fate) -> Result<()> {
        match fate {
            Fate::Revert(rowid) => {
                outcome.reverted_count += 1;
                if outcome.reverted.len() < LISTED {
                    outcome.reverted.push(self.journal.describe(record, rowid)?);
                }
            }
            Fate::Stay(why) => {
                outcome.conflict_count += 1;
                if outcome.conflicts.len() < LISTED {
                    outcome.conflicts.push(self.journal.conflict(record, why));
                }
            }
        }
        Ok(())
    }
}

/// A rollback that was interrupted has taken a part of the records with it; the rest goes with them.
fn refuse_half_back(connection: &Connection, version: u32) -> Result<()> {
    match Progress::read(connection)? {
        Some(progress) if progress.down && progress.version == version => Err(Error::unchanged(
            ErrorKind::NotReversible,
            format!("a rollback of V{version:03} was interrupted and has to be completed first"),
        )
        .with_hint(Hint::Rollback(version.saturating_sub(1)))),
        _ => Ok(()),
    }
}
