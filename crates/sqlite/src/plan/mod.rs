//! A plan is a value: what a run would do, made without writing, shown and executed alike.

pub(crate) mod adoption;
pub(crate) mod drift;
pub mod receipt;
use serde::Serialize;
use std::path::{Path, PathBuf};

use naming::{Phase, Release};
use rusqlite::Connection;

use crate::capture::online::{self, Online, OnlineKind, REBUILT_ROWS_PER_MS};
use crate::plan::adoption::{Adoption, AdoptionOptions};
use crate::plan::drift::refuse_written_records;
use crate::records::kept::{self, Kept};
use crate::records::state::{Progress, State};
use crate::records::{runs, way_back::WayBack};
use crate::schema::effects::{Effects, Forecast, Writes};
use crate::schema::refusal::{refusal, rename_away};
use crate::schema::{Difference, Object, ObjectKind, Snapshot, dropped, expected, tool_tables};
use crate::sqlite::disk_space::{DiskSpace, Load, Sizes};
use crate::sqlite::{ask::Ask, count::count_rows, quote::identifier, sqlite_error::SqliteContext};
use bridge_migrate_core::{Catalog, DataStep, Error, ErrorKind, Hint, Migration, Position, Result, Settings};

/// How fast a step that holds the lock reads the rows of a table, in rows per millisecond. Measured at 10,000
/// for messages of 400 bytes that the page cache holds; a disk that has to be asked is slower.
const SCANNED_ROWS_PER_MS: u64 = 3_000;

/// What a plan is asked for.
#[derive(Debug, Clone, Copy)]
pub struct PlanOptions {
    /// Where to go.
    pub target: naming::Target,
    /// Only the leading steps of this phase.
    pub phase: Option<Phase>,
    /// What adoption may accept.
    pub adoption: AdoptionOptions,
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self {
            target: naming::Target::Latest,
            phase: None,
            adoption: AdoptionOptions::default(),
        }
    }
}

/// What a run would do.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Plan {
    /// The database.
    pub database: PathBuf,
    /// How the database comes under management, if it is not yet.
    pub start: Start,
    /// Where it stands, after an adoption.
    pub from: Position,
    /// Where it goes.
    pub to: Position,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// What a timestamp without an offset means.
    pub time_zone: String,
    /// What the steps, their journals and the backup need on disk.
    pub disk_space: DiskSpace,
    /// The application's own objects at the version that the plan starts from.
    pub managed: Snapshot,
    /// What of the schema differs from what the history implies.
    pub drift: Vec<Difference>,
    /// What rollbacks kept and has not come back.
    pub kept: Vec<Kept>,
}

/// How a database is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// It is managed already.
    Managed,
    /// There is nothing in it yet, or no file.
    Fresh,
    /// It will be adopted.
    Adopt(Box<Adoption>),
}

/// One migration that a run would apply.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Step {
    /// The migration's number.
    pub version: u32,
    /// The migration's name.
    pub name: String,
    /// The release that it belongs to.
    #[serde(serialize_with = "bridge_migrate_core::serial::text")]
    pub release: Release,
    /// What servers it can live with.
    #[serde(serialize_with = "bridge_migrate_core::serial::text")]
    pub phase: Phase,
    /// What it does, in a sentence.
    pub summary: String,
    /// Its statements; empty for a data step.
    pub sql: String,
    /// What its data step or import does.
    pub data: Option<String>,
    /// Tables that it copies and replaces.
    pub rebuilds: Vec<String>,
    /// Rows that it reads or writes.
    pub rows: u64,
    /// Rows that an interrupted run has done already.
    pub resumes_at: Option<u64>,
    /// What it makes beside the servers first, in batches, each within the lock budget.
    pub online: Vec<Online>,
    /// Whether it works in batches, each within the lock budget.
    pub batched: bool,
    /// How long it holds the write lock at a stretch, in milliseconds, about.
    pub lock_ms: u64,
    /// Why it holds the lock longer than the budget, if it does.
    pub over_budget: Option<String>,
    /// What going back does and loses.
    pub rollback: String,
    /// `V005__normalize_timestamps`.
    #[serde(skip)]
    pub stem: String,
    /// What the statements touch.
    #[serde(skip)]
    pub effects: Effects,
    /// The schema on which `effects` were found: what will be there before the step.
    #[serde(skip)]
    pub found: Snapshot,
    /// The schema before the step, as the catalog has it.
    #[serde(skip)]
    pub schema_before: Snapshot,
    /// The schema after it, likewise.
    #[serde(skip)]
    pub schema_after: Snapshot,
    /// What it needs on disk.
    #[serde(skip)]
    pub(crate) load: Load,
}

impl Step {
    /// Where it stands while nothing of it is done.
    pub(crate) fn progress(&self) -> Progress {
        Progress {
            version: self.version,
            name: self.name.clone(),
            release: self.release.to_string(),
            way_back: WayBack::Prepared.to_string(),
            ..Progress::default()
        }
    }

    pub(crate) fn forecast<'a>(&'a self, migration: &'a Migration) -> Forecast<'a> {
        Forecast {
            writes: Writes::of(migration),
            on: &self.found,
            effects: &self.effects,
        }
    }
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && !matches!(self.start, Start::Adopt(_))
    }
}

/// Plans the way up. Reads only; `connection` is `None` when there is no database file yet.
///
/// # Errors
/// When the target is unknown or lies behind the database, when history or schema contradict the catalog,
/// or when a step could not run on this schema.
pub(crate) fn plan(
    catalog: &Catalog,
    settings: &Settings,
    connection: Option<&Connection>,
    options: PlanOptions,
) -> Result<Plan> {
    let state = match connection {
        Some(connection) => State::read(connection)?,
        None => State::fresh(),
    };
    let start = if state.is_fresh() {
        Start::Fresh
    } else if let Some(history) = &state.history {
        history.check(catalog)?;
        Start::Managed
    } else {
        Start::Adopt(Box::new(Adoption::find(
            catalog,
            &expected::schemas(catalog)?,
            &state,
            options.adoption,
            &settings.database,
        )?))
    };
    let from = match &start {
        Start::Adopt(adoption) => adoption.version,
        Start::Managed | Start::Fresh => state.version(),
    };
    if let Some(progress) = state.progress.as_ref().filter(|progress| progress.down) {
        return Err(Error::new(
            ErrorKind::Usage,
            format!(
                "a rollback of V{:03} was interrupted and has to be completed first",
                progress.version
            ),
        )
        .with_truth(format!("The database is at {}.", Position::of(catalog, from)))
        .with_hint(Hint::Rollback(progress.version.saturating_sub(1))));
    }
    if let (Some(progress), Some(connection)) = (&state.progress, connection) {
        refuse_other_zone(
            settings,
            connection,
            catalog.get(progress.version),
            Position::of(catalog, from),
        )?;
    }
    let to = catalog.resolve(options.target, from)?;
    if to < from {
        return Err(Error::unchanged(
            ErrorKind::Usage,
            format!(
                "V{to:03} lies behind the database, which is at {}",
                Position::of(catalog, from)
            ),
        )
        .with_hint(Hint::RollbackAsked(options.target)));
    }
    let managed = expected::schema_at(catalog, from)?;
    let mut live = state.schema.clone();
    if let Start::Adopt(adoption) = &start {
        live = with_objects(&live, &adoption.created);
    }
    let drift = match connection {
        Some(connection) => {
            tool_tables::refuse_foreign(connection)?;
            drift::find(catalog, connection, &state)?
        }
        None => Vec::new(),
    };
    let mut scratch = expected::replay(&live)?;
    let mut last = expected::read_again(&scratch, &live)?;
    // Objects of the operators' own that only their SQLite can make.
    let elsewhere = live.without(|object| last.get(object.kind, &object.name).is_some());
    // Nearly always what is found is what should be there.
    let should_be = if live == managed {
        Vec::new()
    } else {
        expected::schemas(catalog)?
    };
    let at = |version: u32, found: &Snapshot| {
        let index = usize::try_from(version).unwrap_or(usize::MAX);
        should_be.get(index).unwrap_or(found).clone()
    };
    let mut steps = Vec::new();
    for migration in catalog
        .migrations()
        .iter()
        .filter(|m| m.version > from && m.version <= to)
    {
        if options.phase.is_some_and(|phase| phase != migration.phase) {
            break;
        }
        let effects = Effects::of(&mut scratch, Writes::of(migration)).map_err(|source| {
            // A migration that cannot run on its own catalog's schema is to blame, before any database.
            expected::schemas(catalog).err().unwrap_or_else(|| {
                let makes = at(migration.version, &last).without(|object| {
                    let is_there = |schema: &Snapshot| schema.get(object.kind, &object.name).is_some();
                    is_there(&at(migration.version - 1, &last)) || !is_there(&last)
                });
                in_the_way(&migration.stem(), &drift, &makes, &settings.database).with_source(source)
            })
        })?;
        let found = with_objects(&last, elsewhere.iter());
        refuse_written_records(&effects, &found, &settings.database)?;
        let after = expected::read_again(&scratch, &last)?;
        let schemas = [at(migration.version - 1, &last), at(migration.version, &after)];
        last = after;
        let mut rows = 0;
        let mut large = online::Found::default();
        if let Some(connection) = connection {
            // Tables that only come into being on the way have no rows yet.
            let is_there = |table: &String| state.schema.get(ObjectKind::Table, table).is_some();
            for table in tables_read(migration, &effects)
                .iter()
                .filter(|table| is_there(table))
            {
                rows += count_rows(connection, table)?;
            }
            let sizes = Sizes::new(connection)?;
            large = online::find(&found, &migration.up, settings, &sizes, &|table| {
                if is_there(&table.to_owned()) {
                    count_rows(connection, table)
                } else {
                    Ok(0)
                }
            })?;
        }
        if rows > 0 && migration.reads_times() {
            settings.time_zone.get()?;
        }
        let progress = state
            .progress
            .as_ref()
            .filter(|progress| progress.version == migration.version);
        steps.push(step(
            migration,
            settings,
            effects,
            found,
            schemas,
            (rows, progress.map(|progress| progress.visited)),
            large,
        ));
    }
    let to = steps.last().map_or(from, |step| step.version);
    let disk_space = disk_space(catalog, settings, connection, &start, &mut steps)?;
    Ok(Plan {
        database: settings.database.clone(),
        start,
        from: Position::of(catalog, from),
        to: Position::of(catalog, to),
        steps,
        time_zone: settings.time_zone.to_string(),
        disk_space,
        managed,
        drift,
        kept: match connection {
            Some(connection) => kept::left(connection, settings)?,
            None => Vec::new(),
        },
    })
}

/// A data step that began in one zone must not go on in another: half of its rows would mean other times.
fn refuse_other_zone(
    settings: &Settings,
    connection: &Connection,
    migration: Option<&Migration>,
    at: Position,
) -> Result<()> {
    let Some(migration) = migration.filter(|migration| migration.reads_times()) else {
        return Ok(());
    };
    let version = migration.version;
    let Some(began) = runs::zone_of_unfinished(connection, version)? else {
        return Ok(());
    };
    let zone = &settings.time_zone;
    let now = zone.get()?.to_string();
    let (began, name) = match began.as_str() {
        name if name == now => return Ok(()),
        // Only the operator can know which it was.
        NOT_RESOLVED if zone.is_named() => return Ok(()),
        NOT_RESOLVED => ("its machine's time zone, which is not on record".to_owned(), None),
        name => (
            format!("the time zone {name}, and this is {now}"),
            Some(name.to_owned()),
        ),
    };
    Err(Error::new(
        ErrorKind::Usage,
        format!("V{version:03} was interrupted: it began in {began}"),
    )
    .with_truth(format!(
        "The database is at {at}, and V{version:03} is done in part. Nothing was changed."
    ))
    .with_hint(Hint::MigrateIn(name)))
}

/// What older programs recorded of the machine's zone.
const NOT_RESOLVED: &str = "local";

fn with_objects<'a>(schema: &'a Snapshot, objects: impl IntoIterator<Item = &'a Object>) -> Snapshot {
    schema.iter().chain(objects).cloned().collect()
}

/// The refusal of a plan whose statements SQLite does not take on this schema; `makes` has what the migration makes and
/// whose name is taken.
fn in_the_way(stem: &str, drift: &[Difference], makes: &Snapshot, database: &Path) -> Error {
    let what = format!("{stem} cannot run on this schema");
    if !drift.is_empty() {
        return refusal(&format!("{what}, which somebody changed"), drift, database);
    }
    let tables: Vec<&str> = makes
        .of_kind(ObjectKind::Table)
        .map(|table| &*table.name)
        .collect();
    if !tables.is_empty() {
        return Error::new(ErrorKind::SchemaMismatch, what)
            .with_truth(format!(
                "There are tables already with names of those that it makes: {}. Nothing was changed.",
                tables.join(", ")
            ))
            .with_hint(rename_away(tables, database));
    }
    Error::new(ErrorKind::SchemaMismatch, what)
        .with_truth("An object of the operators' own is probably in its way. Nothing was changed.")
        .with_hint(Hint::SchemaDiff)
}

/// The tables whose rows a step reads or writes one by one.
fn tables_read(migration: &Migration, effects: &Effects) -> Vec<String> {
    match &migration.data {
        Some(step) => vec![step.table().to_owned()],
        None => effects.indexed.union(&effects.dropped).cloned().collect(),
    }
}

fn step(
    migration: &Migration,
    settings: &Settings,
    effects: Effects,
    found: Snapshot,
    [schema_before, schema_after]: [Snapshot; 2],
    (rows, resumes_at): (u64, Option<u64>),
    large: online::Found,
) -> Step {
    let batched = migration.data.is_some();
    let budget = u64::try_from(settings.lock_budget.as_millis()).unwrap_or(u64::MAX);
    let rebuilds = effects.rebuilt(&found, &schema_after);
    let lock_ms = if batched {
        budget.min(rows / SCANNED_ROWS_PER_MS + 1)
    } else if rebuilds.is_empty() {
        rows / SCANNED_ROWS_PER_MS + 1
    } else {
        rows / REBUILT_ROWS_PER_MS + 1
    };
    // What is made beside the servers holds the lock for a moment.
    let online = large.online;
    let lock_ms = match large.plain.iter().map(|plain| plain.lock_ms).sum() {
        0 if online.is_empty() => lock_ms,
        0 => lock_ms.min(budget),
        plain_ms => plain_ms,
    };
    let why = large
        .plain
        .into_iter()
        .map(|plain| plain.why)
        .collect::<Vec<_>>()
        .join("; ");
    let over_budget = (lock_ms > budget).then(|| {
        if !why.is_empty() {
            why
        } else if rebuilds.is_empty() {
            let tables: Vec<&str> = effects.indexed.iter().map(String::as_str).collect();
            format!("it builds an index over {rows} rows of {}", tables.join(", "))
        } else {
            format!("it rebuilds {} with {rows} rows", rebuilds.join(", "))
        }
    });
    let data = migration.data.as_ref().map(DataStep::describe).or_else(|| {
        migration
            .import
            .as_ref()
            .map(|import| format!("import: {}", import.describe()))
    });
    Step {
        version: migration.version,
        name: migration.name.clone(),
        release: migration.release,
        phase: migration.phase,
        summary: migration.summary.clone(),
        sql: migration.up.clone(),
        data,
        rebuilds,
        rows,
        resumes_at,
        online,
        batched,
        lock_ms,
        over_budget,
        rollback: migration.rollback.clone(),
        stem: migration.stem(),
        effects,
        found,
        schema_before,
        schema_after,
        load: Load::default(),
    }
}

/// What the run needs at most, and each step; nothing for a fresh database, which fills a few pages.
fn disk_space(
    catalog: &Catalog,
    settings: &Settings,
    connection: Option<&Connection>,
    start: &Start,
    steps: &mut [Step],
) -> Result<DiskSpace> {
    let (Some(connection), false) = (connection, matches!(start, Start::Fresh) || steps.is_empty()) else {
        return Ok(DiskSpace::default());
    };
    let sizes = Sizes::new(connection)?;
    let companion = settings
        .companion
        .metadata()
        .map_or(0, |companion| companion.len());
    for step in &mut *steps {
        let migration = catalog.get(step.version);
        step.load = match migration.and_then(|migration| migration.data.as_ref()) {
            Some(data) => load_of_data(connection, &sizes, data, step.rows)?,
            None => load_of_statements(&sizes, step, companion),
        };
    }
    let loads: Vec<Load> = steps.iter().map(|step| step.load).collect();
    DiskSpace::of(&loads, settings, sizes.file.saturating_add(companion))
}

/// Each row is written once. A journaled step keeps key, old and new value of each; one that fills a column fills it
/// with keys, and its index.
fn load_of_data(connection: &Connection, sizes: &Sizes<'_>, data: &DataStep, rows: u64) -> Result<Load> {
    let (table, column) = (data.table(), data.column());
    let length = |column: &str| -> Result<u64> {
        // A column that only comes into being on the way has no values yet.
        if !connection
            .column_exists(Some("main"), table, column)
            .unwrap_or(false)
        {
            return Ok(0);
        }
        let sum = format!(
            "SELECT CAST(total(octet_length({})) AS INTEGER) FROM {}",
            identifier(column),
            identifier(table)
        );
        connection
            .value(&sum, [])
            .while_doing(format_args!("read how long the values of {table}.{column} are"))
    };
    let keys = length(data.key())?;
    let grown = if data.is_journaled() {
        let record = 96 + table.len() as u64 + column.len() as u64;
        let journal = rows.saturating_mul(record) + keys + 2 * length(column)?;
        journal.saturating_add(sizes.growth(table, rows, 12))
    } else {
        (3 * keys).saturating_add(sizes.growth(table, rows, 24))
    };
    Ok(Load {
        changed: sizes.table(table) + sizes.indexes_of(table, column),
        grown,
        ..Load::default()
    })
}

fn load_of_statements(sizes: &Sizes<'_>, step: &Step, companion: u64) -> Load {
    let mut load = Load {
        // An import of the companion, and its indexes.
        grown: if step.data.is_some() { 3 * companion } else { 0 },
        ..Load::default()
    };
    let all = |table: &str| sizes.table(table) + sizes.indexes(table);
    for table in &step.rebuilds {
        load.changed += all(table);
        load.grown += all(table);
    }
    for dropped in dropped::find(&step.schema_before, &step.schema_after) {
        load.changed += all(dropped.table());
        load.temporary += sizes.table(dropped.table());
    }
    for table in &step.effects.indexed {
        let index = sizes.table(table).min(step.rows.saturating_mul(64));
        load.grown += index;
        // What is sorted.
        load.temporary += index;
    }
    for online in &step.online {
        load.temporary += online.temporary_bytes();
        if online.kind == OnlineKind::Rebuild {
            // The copy lies beside the table, whose pages are free for others afterwards.
            load.grown += online.bytes;
            load.changed += online.bytes;
        }
    }
    load
}
