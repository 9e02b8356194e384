//! One migration's way back after the other: what each would do to the schema, how long it holds the lock, and
//! what it would lose.

use rusqlite::Connection;

use crate::capture::online::{self, Online, REBUILT_ROWS_PER_MS};
use crate::catalog::companion_rows;
use crate::going_back::undo::records::journaled;
use crate::plan::drift::refuse_written_records;
use crate::records::state::{Progress, State};
use crate::records::{runs::RecordedStep, way_back::WayBack};
use crate::schema::effects::{Effects, Forecast, Writes};
use crate::schema::script::{Rebuild, Taken};
use crate::schema::{ObjectKind, Snapshot, expected, tool_tables, trial::refuse_unfit};
use crate::sqlite::count::count_rows;
use crate::sqlite::disk_space::{Load, Sizes};
use bridge_migrate_core::{Catalog, Error, ErrorKind, Hint, Loss, Result, Settings};

use super::losses::{self};
use crate::schema::dropped::{self, Dropped};

/// How fast SQLite drops a column, which rewrites every row of its table, in rows per millisecond. Measured at 200
/// for messages of 400 bytes with three indexes, on a disk that keeps up.
const REWRITTEN_ROWS_PER_MS: u64 = 200;

/// One migration's way back.
#[derive(Debug)]
pub struct StepBack {
    /// What the database recorded of it.
    pub recorded: RecordedStep,
    /// `V005__normalize_timestamps`.
    pub stem: String,
    /// How it goes back.
    pub way_back: WayBack,
    /// Whether only a part of it was applied.
    pub partial: bool,
    /// Rows that it reads or writes.
    pub rows: u64,
    /// How long it holds the write lock at a stretch, in milliseconds, about.
    pub lock_ms: u64,
    /// Why it holds the lock longer than the budget, if it does.
    pub over_budget: Option<String>,
    /// What it makes beside the servers first, in batches, each within the lock budget.
    pub online: Vec<Online>,
    pub(crate) dropped: Vec<Dropped>,
    /// Of what is dropped, what goes to a file: not what can be computed again.
    pub(crate) kept: Vec<Dropped>,
    /// What it writes at most.
    pub(crate) load: Load,
    pub(crate) effects: Effects,
    pub(crate) schema_before: Snapshot,
    pub(crate) schema_after: Snapshot,
    /// The application's own objects, as opposed to the operators'.
    pub(crate) managed: Snapshot,
}

impl StepBack {
    /// The version that the database is at while the step has not gone back.
    pub(crate) fn at(&self) -> u32 {
        self.recorded.version - u32::from(self.partial)
    }

    /// Where it stands while nothing of it is done.
    pub(super) fn progress(&self) -> Progress {
        Progress {
            version: self.recorded.version,
            name: self.recorded.name.clone(),
            release: self.recorded.release.clone(),
            way_back: self.recorded.way_back.clone(),
            down: true,
            ..Progress::default()
        }
    }

    pub(crate) fn forecast(&self) -> Forecast<'_> {
        Forecast {
            writes: writes(&self.way_back, &self.recorded.down_sql)
                .unwrap_or(Writes::Statements { sql: "", fills: &[] }),
            on: &self.schema_before,
            effects: &self.effects,
        }
    }
}

/// What going back writes; `None` when that is not known.
fn writes<'a>(way_back: &'a WayBack, down_sql: &'a str) -> Option<Writes<'a>> {
    match way_back {
        WayBack::Statements | WayBack::Prepared => Some(Writes::Statements {
            sql: down_sql,
            fills: &[],
        }),
        WayBack::Journal { table, column, .. } | WayBack::Clear { table, column } => {
            Some(Writes::Column { table, column })
        }
        WayBack::Unknown(_) => None,
    }
}

/// What has to go back to reach `to`, newest first; a data step that was interrupted comes before all others.
pub(super) fn to_take_back(state: &State, recorded: Vec<RecordedStep>, to: u32) -> Vec<RecordedStep> {
    let at = state.version();
    let mut steps: Vec<_> = recorded
        .into_iter()
        .filter(|step| step.version > to && step.version <= at)
        .collect();
    let interrupted = state.progress.as_ref().filter(|progress| progress.version > at);
    steps.extend(interrupted.map(half_done));
    steps.reverse();
    steps
}

/// What is known of a data step whose batches are there in part.
fn half_done(progress: &Progress) -> RecordedStep {
    RecordedStep {
        version: progress.version,
        name: progress.name.clone(),
        release: progress.release.clone(),
        phase: String::new(),
        run: String::new(),
        adopted: false,
        applied_at: String::new(),
        duration_ms: 0,
        max_lock_ms: 0,
        rows_changed: progress.changed,
        rows_skipped: progress.skipped,
        fingerprint: String::new(),
        way_back: progress.way_back.clone(),
        down_sql: String::new(),
        rollback: String::new(),
    }
}

/// Runs the stored statements on an empty copy of the schema, to see what each would do.
pub(super) fn plan(
    catalog: &Catalog,
    settings: &Settings,
    connection: &Connection,
    state: &State,
    applied: &[RecordedStep],
) -> Result<Vec<StepBack>> {
    tool_tables::refuse_foreign(connection)?;
    let mut scratch = expected::replay(&state.schema)?;
    let derived = derived_columns(catalog, applied);
    let sizes = Sizes::new(connection)?;
    let known = expected::schemas(catalog)?;
    let mut steps = Vec::new();
    for recorded in applied {
        let stem = format!("V{:03}__{}", recorded.version, recorded.name);
        let way_back = WayBack::parse(&recorded.way_back);
        let schema_before = expected::read(&scratch)?;
        let partial = recorded.version > state.version();
        let Some(writes) = writes(&way_back, &recorded.down_sql) else {
            return Err(Error::new(
                ErrorKind::NotReversible,
                format!("{stem} goes back in a way that this program does not know (`{way_back}`)"),
            )
            .with_truth("A newer program applied it, and can take it back.")
            .with_hint(Hint::BackupList));
        };
        if matches!(way_back, WayBack::Journal { .. }) {
            require_journal(connection, state, recorded, &stem)?;
        }
        let rebuild = Rebuild::parse(&recorded.down_sql).ok().flatten();
        if let Some(rebuild) = rebuild.as_ref().filter(|_| way_back == WayBack::Statements) {
            let table = |schema: &Snapshot| schema.get(ObjectKind::Table, rebuild.table()).cloned();
            // Later ones find another table than the one that is there.
            if table(&state.schema).is_some_and(|now| Some(now) == table(&schema_before)) {
                refuse_unfit(connection, &stem, rebuild)?;
            }
        }
        let effects = Effects::of(&mut scratch, writes).map_err(|source| changed(&stem, source))?;
        refuse_written_records(&effects, &schema_before, &settings.database)?;
        let schema_after = expected::read(&scratch)?;
        let mut dropped = dropped::find(&schema_before, &schema_after);
        // What it takes under another name stays.
        dropped.retain(|dropped| {
            let taken = rebuild.iter().flat_map(Rebuild::taken).filter_map(Taken::old);
            let mut olds = taken.map(|old| old.to_ascii_lowercase());
            let column = dropped.column().map(str::to_ascii_lowercase);
            column.is_none_or(|column| !olds.any(|old| old == column))
        });
        let kept = dropped
            .iter()
            .filter(|dropped| !is_derived(dropped, &derived))
            .cloned()
            .collect();
        let large = online::find(&schema_before, &recorded.down_sql, settings, &sizes, &|table| {
            rows_of(connection, state, table)
        })?;
        let mut step = StepBack {
            recorded: recorded.clone(),
            stem,
            partial,
            rows: 0,
            lock_ms: 0,
            over_budget: None,
            online: large.online,
            dropped,
            kept,
            load: Load::default(),
            effects,
            // A program that does not know the version takes all objects for the application's own.
            managed: usize::try_from(recorded.version)
                .ok()
                .and_then(|version| known.get(version))
                .unwrap_or(&schema_before)
                .clone(),
            schema_before,
            schema_after,
            way_back,
        };
        let why = large.plain.into_iter().map(|plain| plain.why).collect();
        estimate(settings, connection, state, &mut step, why)?;
        step.load = load_of(connection, state, &step)?;
        steps.push(step);
    }
    Ok(steps)
}

/// A dropped column rewrites its table, and SQLite keeps the pages once more to take the statement back. Of what goes
/// to a file, a row takes what it took.
fn load_of(connection: &Connection, state: &State, step: &StepBack) -> Result<Load> {
    let sizes = Sizes::new(connection)?;
    let mut load = Load::default();
    match &step.way_back {
        WayBack::Journal { table, column, .. } | WayBack::Clear { table, column } => {
            load.changed = sizes.table(table) + sizes.indexes_of(table, column);
            if let WayBack::Journal { .. } = &step.way_back {
                load.changed += sizes.table(tool_tables::JOURNAL);
                load.grown = sizes.growth(table, step.rows, 24);
            }
        }
        WayBack::Statements | WayBack::Prepared | WayBack::Unknown(_) => {
            for table in step.effects.rebuilt(&step.schema_before, &step.schema_after) {
                let size = sizes.table(&table) + sizes.indexes(&table);
                load.changed += size;
                load.grown += size;
            }
            for dropped in &step.dropped {
                let (table, size) = (dropped.table(), sizes.table(dropped.table()));
                match dropped {
                    Dropped::Table(_) => load.changed += size + sizes.indexes(table),
                    Dropped::Column { column, .. } => {
                        load.changed = load.changed.max(size + sizes.indexes_of(table, column));
                        load.temporary = load.temporary.max(size);
                    }
                }
            }
            for dropped in &step.kept {
                let table = dropped.table();
                // What only comes into being on the way back has nothing to keep.
                if state.schema.get(ObjectKind::Table, table).is_none() {
                    continue;
                }
                let rows = count_rows(connection, table)?.max(1);
                let lost = losses::of_dropping(connection, dropped)?.map_or(0, |loss| loss.count);
                let size = u128::from(sizes.table(table)) * u128::from(lost) / u128::from(rows);
                load.kept += u64::try_from(size).unwrap_or(u64::MAX) + lost.saturating_mul(64) + (64 << 10);
            }
        }
    }
    Ok(load)
}

/// The rows of a table, none of one that only comes into being on the way back.
fn rows_of(connection: &Connection, state: &State, table: &str) -> Result<u64> {
    match state.schema.get(ObjectKind::Table, table) {
        Some(_) => count_rows(connection, table),
        None => Ok(0),
    }
}

/// Dropping a column rewrites the table, each time; dropping a table and reading what it holds costs far less.
fn estimate(
    settings: &Settings,
    connection: &Connection,
    state: &State,
    step: &mut StepBack,
    why: Vec<String>,
) -> Result<()> {
    let budget = u64::try_from(settings.lock_budget.as_millis()).unwrap_or(u64::MAX);
    let rows_of = |table: &str| rows_of(connection, state, table);
    match &step.way_back {
        WayBack::Journal { .. } => {
            step.rows = losses::journal_size(connection, step.recorded.version)?;
            step.lock_ms = budget.min(step.rows / REWRITTEN_ROWS_PER_MS + 1);
        }
        WayBack::Clear { table, .. } => {
            step.rows = rows_of(table)?;
            step.lock_ms = budget.min(step.rows / REWRITTEN_ROWS_PER_MS + 1);
        }
        WayBack::Statements | WayBack::Prepared | WayBack::Unknown(_) => {
            let mut rewritten = Vec::new();
            let mut locked = 0;
            for dropped in &step.dropped {
                let rows = rows_of(dropped.table())?;
                step.rows += rows;
                let is_online = step
                    .online
                    .iter()
                    .any(|online| online.table.eq_ignore_ascii_case(dropped.table()));
                match dropped {
                    // What goes to a file is copied under the lock.
                    _ if is_online => {
                        let kept = step.kept.iter().filter(|kept| *kept == dropped);
                        for kept in kept {
                            locked += losses::of_dropping(connection, kept)?.map_or(0, |loss| loss.count);
                        }
                    }
                    Dropped::Table(_) => locked += rows,
                    Dropped::Column { table, column } => {
                        locked += rows;
                        rewritten.push(format!("dropping {table}.{column} rewrites {rows} rows"));
                    }
                }
            }
            step.lock_ms = locked / REWRITTEN_ROWS_PER_MS + 1;
            for table in step.effects.rebuilt(&step.schema_before, &step.schema_after) {
                step.rows = rows_of(&table)?;
                if step.online.is_empty() {
                    step.lock_ms = step.rows / REBUILT_ROWS_PER_MS + 1;
                    rewritten = vec![format!("it rebuilds {table} with {} rows", step.rows)];
                }
            }
            rewritten.extend(why);
            step.over_budget = (step.lock_ms > budget).then(|| {
                if rewritten.is_empty() {
                    format!("{locked} rows are copied to a file and dropped")
                } else {
                    rewritten.join(", ")
                }
            });
        }
    }
    Ok(())
}

/// A rollback that was interrupted has taken part of the journal with it: that part went back.
fn require_journal(
    connection: &Connection,
    state: &State,
    recorded: &RecordedStep,
    stem: &str,
) -> Result<()> {
    let is_under_way = state
        .progress
        .as_ref()
        .is_some_and(|progress| progress.down && progress.version == recorded.version);
    if is_under_way || journaled(connection, recorded.version)? >= recorded.rows_changed {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::NotReversible,
        format!("the journal of {stem} was pruned: its old values are gone"),
    )
    .with_hint(Hint::BackupList))
}

fn changed(stem: &str, source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(
        ErrorKind::SchemaMismatch,
        format!("the stored way back of {stem} does not fit the schema any more"),
    )
    .with_truth("Somebody changed the schema since.")
    .with_hint(Hint::SchemaDiff)
    .with_source(source)
}

/// Tables that an import filled, and what of them the companion file does not have.
#[derive(Debug)]
pub(super) struct Imported {
    version: u32,
    tables: Vec<&'static str>,
    items: Vec<String>,
}

impl Imported {
    /// What the migrations in `applied` imported. Where the file cannot be read nothing is said: all rows count.
    pub(super) fn by(
        catalog: &Catalog,
        settings: &Settings,
        connection: &Connection,
        applied: &[RecordedStep],
    ) -> Vec<Self> {
        applied
            .iter()
            .filter_map(|step| {
                let import = catalog.get(step.version)?.import.as_ref()?;
                let rows = companion_rows::read(connection, import.tables()).ok()?;
                Some(Self {
                    version: step.version,
                    tables: import.tables().iter().map(|table| table.name).collect(),
                    items: import.only_in_database(&rows, settings.inputs()).ok()?,
                })
            })
            .collect()
    }

    pub(super) fn has(&self, table: &str) -> bool {
        self.tables.iter().any(|known| known.eq_ignore_ascii_case(table))
    }

    pub(super) fn loss(&self, settings: &Settings, kept: bool) -> Option<Loss> {
        let file = settings.companion.file_name().unwrap_or_default();
        let loss = Loss::for_good(
            &self.tables.join(", "),
            self.items.len() as u64,
            &format!("entries not in {}", file.to_string_lossy()),
        );
        (loss.count > 0).then(|| Loss {
            kept,
            items: self.items.clone(),
            ..loss
        })
    }
}

/// What dropping would lose. Of tables that an import fills, that is what the companion file does not have.
pub(super) fn losses(
    settings: &Settings,
    connection: &Connection,
    steps: &[StepBack],
    imported: &[Imported],
) -> Result<Vec<Loss>> {
    let mut losses = Vec::new();
    for step in steps {
        for dropped in &step.kept {
            let is_imported =
                matches!(dropped, Dropped::Table(table) if imported.iter().any(|i| i.has(table)));
            if !is_imported {
                losses.extend(losses::of_dropping(connection, dropped)?);
            }
        }
        let of_step = imported
            .iter()
            .filter(|imported| imported.version == step.recorded.version);
        losses.extend(of_step.filter_map(|imported| imported.loss(settings, true)));
    }
    Ok(losses)
}

/// Columns that data steps fill and can fill again, as `table.column`.
fn derived_columns(catalog: &Catalog, applied: &[RecordedStep]) -> Vec<String> {
    let known = catalog.migrations().iter().map(WayBack::of);
    let recorded = applied.iter().map(|step| WayBack::parse(&step.way_back));
    known
        .chain(recorded)
        .filter_map(|way_back| match way_back {
            WayBack::Clear { table, column } => Some(format!("{table}.{column}")),
            _ => None,
        })
        .collect()
}

fn is_derived(dropped: &Dropped, derived: &[String]) -> bool {
    match dropped {
        Dropped::Column { table, column } => derived
            .iter()
            .any(|known| known.eq_ignore_ascii_case(&format!("{table}.{column}"))),
        Dropped::Table(_) => false,
    }
}
