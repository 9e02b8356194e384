//! Records of runs and applied steps, written in the transactions of the steps themselves.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

use crate::files::database_file::{FileState, inspect};
use crate::records::{
    cause_of::cause_of, failed_run::with_what_is_left, recorded_position::recorded_position, run_log::RunLog,
    transaction::WriteTransaction, way_back::WayBack,
};
use crate::schema::tool_tables;
use crate::sqlite::ask::Ask;
use crate::sqlite::connection::{open_writer, with_reader};
use crate::sqlite::sqlite_error::{SqliteContext, sqlite_error};
use bridge_migrate_core::clock::{file_stamp, timestamp};
use bridge_migrate_core::{
    Cause, Error, ErrorKind, Event, Hint, Migration, Observer, Position, Result, Settings,
};

/// What a step did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct StepOutcome {
    /// The migration's number.
    pub version: u32,
    /// The migration's name.
    pub name: String,
    /// From the first begin to the last commit, in milliseconds.
    pub duration_ms: u64,
    /// Rows that it changed.
    pub rows_changed: u64,
    /// Rows that it left as they were because they could not be converted.
    pub rows_skipped: u64,
    /// The longest time that one of its transactions held the write lock, in milliseconds.
    pub max_lock_ms: u64,
}

/// One run of the tool that changes a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    /// Its name: eight hexadecimal digits.
    pub name: String,
    /// What it does.
    pub command: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// The version it started from.
    pub from: u32,
    /// The version it goes to.
    pub to: u32,
    /// The manifest of the backup that it began with.
    pub backup: Option<PathBuf>,
    /// What of the schema differed from what the history implies, and was let pass.
    pub allowed_drift: Vec<String>,
    /// Where the database stands, once a run of many transactions has committed one: on a disk that gives up in the
    /// middle nothing can be looked up.
    pub(crate) committed_at: Cell<Option<Position>>,
}

impl Run {
    /// A run that begins now.
    pub(crate) fn begin(settings: &Settings, command: &str, from: u32, to: u32) -> Self {
        Self {
            name: format!("{:08x}", settings.clock.nonce()),
            command: command.to_owned(),
            started_at: settings.clock.now(),
            from,
            to,
            backup: None,
            allowed_drift: Vec::new(),
            committed_at: Cell::new(None),
        }
    }

    /// Does `work` as this run: its log has the beginning, all that happens, and the end with the cause of a failure;
    /// the error says where the database stands if something had been committed.
    pub(crate) fn with_log<T>(
        mut self,
        settings: &Settings,
        observer: &dyn Observer,
        work: impl FnOnce(&mut Self, &RunLog<'_>) -> Result<T>,
    ) -> Result<T> {
        let log = RunLog::create(settings, &self, observer);
        log.observe(&Event::RunStarted {
            run: self.name.clone(),
            command: self.command.clone(),
            database: settings.database.clone(),
            from: self.from,
            to: self.to,
            time_zone: settings.time_zone.to_string(),
            host: gethostname::gethostname().to_string_lossy().into_owned(),
            tool: settings.tool.clone(),
        });
        let outcome = work(&mut self, &log).map_err(|error| with_what_is_left(error, settings, &self));
        let failure = outcome.as_ref().err();
        log.observe(&Event::RunFinished {
            version: match failure {
                None => self.to,
                Some(error) => error.reached().map_or(self.from, |reached| reached.version),
            },
            run: self.name,
            error: failure.map(Error::kind),
            cause: failure.map(|error| cause_of(error, settings)),
        });
        outcome
    }

    /// Puts a run on record whose work is done and is not in the database, with the version that is there now: what
    /// cannot be written does not undo it. A database that is not managed has no records.
    pub(crate) fn record_afterwards(&mut self, settings: &Settings, observer: &dyn Observer) {
        let mut write = || {
            if !matches!(inspect(&settings.database)?, FileState::Database { .. }) {
                return Ok(());
            }
            let (version, has_records) = with_reader(&settings.database, settings.busy_timeout, |reader| {
                let version = recorded_position(reader)?.version;
                Ok((version, tool_tables::exists(reader, tool_tables::RUNS)?))
            })?;
            self.to = version;
            if !has_records {
                return Ok(());
            }
            let writer = open_writer(&settings.database, settings.busy_timeout)?;
            let transaction = WriteTransaction::begin(&writer, settings.busy_timeout)?;
            self.record(&writer, settings, self.to)?;
            transaction.commit()?;
            Ok(())
        };
        let written: Result<()> = write();
        if let Err(error) = written {
            observer.warn(format!("the history does not have this run: {error}"));
        }
    }

    /// `migration_YYYYMMDD_HHMMSS_<run>.log`.
    pub(crate) fn log_file_name(&self) -> String {
        format!("migration_{}_{}.log", file_stamp(self.started_at), self.name)
    }

    /// Writes or updates the run's row, so that it is true as of the transaction that holds it.
    pub(crate) fn record(&self, connection: &Connection, settings: &Settings, reached: u32) -> Result<()> {
        connection
            .execute(
                "INSERT INTO migration_runs (run, command, started_at, finished_at, from_version, to_version, \
                 reached_version, host, pid, tool, time_zone, backup) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) \
                 ON CONFLICT (run) DO UPDATE SET finished_at = ?4, reached_version = ?7",
                params![
                    self.name,
                    self.command,
                    timestamp(self.started_at),
                    (reached == self.to).then(|| timestamp(settings.clock.now())),
                    self.from,
                    self.to,
                    reached,
                    gethostname::gethostname().to_string_lossy(),
                    std::process::id(),
                    settings.tool,
                    settings.time_zone.to_string(),
                    self.backup.as_deref().map(Path::to_string_lossy),
                ],
            )
            .while_doing("record the run")?;
        if !self.allowed_drift.is_empty() {
            tool_tables::create_allowed(connection)?;
        }
        for difference in &self.allowed_drift {
            connection
                .execute(
                    "INSERT INTO migration_allowed_drift (run, difference) SELECT ?1, ?2 WHERE NOT EXISTS \
                     (SELECT 1 FROM migration_allowed_drift WHERE run = ?1 AND difference = ?2)",
                    [&self.name, difference],
                )
                .while_doing("record the drift that was allowed")?;
        }
        Ok(())
    }
}

/// A run as the database records it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordedRun {
    /// Its name.
    pub run: String,
    /// What it did.
    pub command: String,
    /// When it began, in UTC.
    pub started_at: String,
    /// When it reached its end, in UTC; `None` when it stopped on the way.
    pub finished_at: Option<String>,
    /// The version it started from.
    pub from: u32,
    /// The version it was to go to.
    pub to: u32,
    /// The version it reached.
    pub reached: u32,
    /// The machine.
    pub host: String,
    /// The program.
    pub tool: String,
    /// The manifest of the backup that it began with: its restore point.
    pub backup: Option<String>,
    /// What of the schema differed from what the history implied, and was let pass.
    pub allowed_drift: Vec<String>,
    /// Why it failed, as its log says; the database does not record that.
    pub failure: Option<Cause>,
}

/// The time zone in which the data step of `version` began that a run did not finish.
pub(crate) fn zone_of_unfinished(connection: &Connection, version: u32) -> Result<Option<String>> {
    if !tool_tables::exists(connection, tool_tables::RUNS)? {
        return Ok(None);
    }
    connection
        .value(
            "SELECT time_zone FROM migration_runs WHERE command = 'migrate' AND finished_at IS NULL \
             AND from_version < ?1 AND to_version >= ?1 ORDER BY started_at DESC, rowid DESC LIMIT 1",
            [version],
        )
        .optional()
        .while_doing("read how an interrupted step began")
}

/// An applied migration as the database records it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordedStep {
    /// The migration's number.
    pub version: u32,
    /// The migration's name.
    pub name: String,
    /// The release that it belongs to.
    pub release: String,
    /// What servers it can live with.
    pub phase: String,
    /// The run that applied it.
    pub run: String,
    /// Whether it was found rather than applied.
    pub adopted: bool,
    /// When, in UTC.
    pub applied_at: String,
    /// From begin to commit of its last transaction, in milliseconds.
    pub duration_ms: u64,
    /// The longest time that one of its transactions held the write lock, in milliseconds.
    pub max_lock_ms: u64,
    /// Rows that it changed.
    pub rows_changed: u64,
    /// Rows that it left as they were because they could not be converted.
    pub rows_skipped: u64,
    /// The fingerprint of the schema that should be there after it.
    pub fingerprint: String,
    /// How it goes back.
    pub way_back: String,
    /// The statements that take it back, when statements do.
    pub down_sql: String,
    /// What going back does and loses.
    pub rollback: String,
}

/// Records an applied migration with all that an older program needs to take it back.
pub(crate) fn record_step(
    connection: &Connection,
    settings: &Settings,
    run: &Run,
    migration: &Migration,
    adopted: bool,
    measures: &StepOutcome,
    fingerprint: &str,
) -> Result<()> {
    connection
        .execute(
            "INSERT INTO migration_steps (version, name, release, phase, run, adopted, applied_at, duration_ms, \
             max_lock_ms, rows_changed, rows_skipped, fingerprint, way_back, down_sql, rollback) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
            params![
                migration.version,
                migration.name,
                migration.release.to_string(),
                migration.phase.to_string(),
                run.name,
                adopted,
                timestamp(settings.clock.now()),
                measures.duration_ms,
                measures.max_lock_ms,
                measures.rows_changed,
                measures.rows_skipped,
                fingerprint,
                WayBack::recorded(migration, connection)?.to_string(),
                migration.down,
                migration.rollback,
            ],
        )
        .while_doing("record the step")?;
    Ok(())
}

/// Corrects the measures that the run's steps recorded in their own transactions, before these were committed.
pub(crate) fn amend_steps(
    connection: &Connection,
    settings: &Settings,
    run: &Run,
    applied: &[StepOutcome],
) -> Result<()> {
    if applied.is_empty() {
        return Ok(());
    }
    let transaction = WriteTransaction::begin(connection, settings.busy_timeout)?;
    for step in applied {
        connection
            .execute(
                "UPDATE migration_steps SET duration_ms = ?3, max_lock_ms = ?4 WHERE version = ?1 AND run = ?2",
                params![step.version, run.name, step.duration_ms, step.max_lock_ms],
            )
            .while_doing("record how long a step took")?;
    }
    transaction.commit()?;
    Ok(())
}

/// The version of a database by its own records; 0 where it has none or they cannot be read.
///
/// # Errors
/// [`ErrorKind::Busy`] when others keep it locked: whoever waited for that need not wait again.
pub(crate) fn version_of(settings: &Settings) -> Result<u32> {
    let position = with_reader(&settings.database, settings.busy_timeout, |reader| {
        recorded_position(reader)
    });
    match position {
        Err(error) if error.kind() == ErrorKind::Busy => Err(error),
        position => Ok(position.map_or(0, |position| position.version)),
    }
}

/// All recorded runs, oldest first.
///
/// # Errors
/// When SQLite cannot read them.
pub fn read_runs(connection: &Connection) -> Result<Vec<RecordedRun>> {
    newest_runs(connection, i64::MAX)
}

/// The run that began last.
pub(crate) fn last_run(connection: &Connection) -> Result<Option<RecordedRun>> {
    Ok(newest_runs(connection, 1)?.pop())
}

/// The last runs, up to `limit` of them, oldest first.
fn newest_runs(connection: &Connection, limit: i64) -> Result<Vec<RecordedRun>> {
    if !tool_tables::exists(connection, tool_tables::RUNS)? {
        return Ok(Vec::new());
    }
    let doing = "read the runs";
    let read = |row: &rusqlite::Row<'_>| {
        Ok(RecordedRun {
            run: row.get(0)?,
            command: row.get(1)?,
            started_at: row.get(2)?,
            finished_at: row.get(3)?,
            from: row.get(4)?,
            to: row.get(5)?,
            reached: row.get(6)?,
            host: row.get(7)?,
            tool: row.get(8)?,
            backup: row.get(9)?,
            allowed_drift: Vec::new(),
            failure: None,
        })
    };
    let newest = "SELECT run, command, started_at, finished_at, from_version, to_version, reached_version, host, tool, \
             backup FROM migration_runs ORDER BY started_at DESC, rowid DESC LIMIT ?1";
    let mut runs = connection
        .rows(newest, [limit], read)
        .map_err(|source| unreadable(doing, source))?;
    runs.reverse();
    if tool_tables::exists(connection, tool_tables::ALLOWED)? {
        let allowed = "SELECT difference FROM migration_allowed_drift WHERE run = ?1 ORDER BY rowid";
        for run in &mut runs {
            run.allowed_drift = connection
                .rows(allowed, [&run.run], |row| row.get(0))
                .map_err(|source| unreadable(doing, source))?;
        }
    }
    Ok(runs)
}

/// All recorded steps, in the order of their numbers.
///
/// # Errors
/// When SQLite cannot read them.
pub fn read_steps(connection: &Connection) -> Result<Vec<RecordedStep>> {
    if !tool_tables::exists(connection, tool_tables::STEPS)? {
        return Ok(Vec::new());
    }
    let read = |row: &rusqlite::Row<'_>| {
        Ok(RecordedStep {
            version: row.get(0)?,
            name: row.get(1)?,
            release: row.get(2)?,
            phase: row.get(3)?,
            run: row.get(4)?,
            adopted: row.get(5)?,
            applied_at: row.get(6)?,
            duration_ms: row.get(7)?,
            max_lock_ms: row.get(8)?,
            rows_changed: row.get(9)?,
            rows_skipped: row.get(10)?,
            fingerprint: row.get(11)?,
            way_back: row.get(12)?,
            down_sql: row.get(13)?,
            rollback: row.get(14)?,
        })
    };
    let all = "SELECT version, name, release, phase, run, adopted, applied_at, duration_ms, max_lock_ms, rows_changed, \
             rows_skipped, fingerprint, way_back, down_sql, rollback FROM migration_steps ORDER BY version";
    connection
        .rows(all, [], read)
        .map_err(|source| unreadable("read the applied steps", source))
}

/// What SQLite gives but is not what the tool wrote, such as text of another type or encoding, is damage of the
/// history; what SQLite refuses is told by its own code.
pub(crate) fn unreadable(doing: &str, source: rusqlite::Error) -> Error {
    if source.sqlite_error_code().is_some() {
        return sqlite_error(doing, source);
    }
    Error::new(ErrorKind::HistoryDamaged, format!("cannot {doing}"))
        .with_truth("A row of the tool's own tables is not what the tool wrote.")
        .with_hint(Hint::Verify)
        .with_source(source)
}

/// The fingerprint of the schema that should be there after the last recorded step.
pub(crate) fn last_fingerprint(connection: &Connection) -> Result<Option<String>> {
    connection
        .value(
            "SELECT fingerprint FROM migration_steps ORDER BY version DESC LIMIT 1",
            [],
        )
        .optional()
        .while_doing("read the fingerprint of the last step")
}
