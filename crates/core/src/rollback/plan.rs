//! The plan of a rollback: each migration's way back, what each way loses, and the choice among them.

use rusqlite::Connection;

use crate::backup::{self, Backup};
use crate::catalog::Catalog;
use crate::effects::Effects;
use crate::error::{Error, ErrorKind, Hint, Result};
use crate::expected;
use crate::history::History;
use crate::position::Position;
use crate::runs::{self, RecordedStep};
use crate::schema::Snapshot;
use crate::settings::Settings;
use crate::state::{Progress, State};
use crate::way_back::WayBack;

use super::dropped::{self, Dropped};
use super::losses::{self, Loss};
use super::{RollbackOptions, Strategy};

/// What a rollback would do.
#[derive(Debug)]
pub struct RollbackPlan {
    /// Where the database stands.
    pub from: Position,
    /// Where it goes.
    pub to: Position,
    /// How: never [`Strategy::Auto`].
    pub strategy: Strategy,
    /// The migrations to take back, newest first; none when a restore point is put back.
    pub steps: Vec<StepBack>,
    /// What is lost, or is only in a file afterwards.
    pub loses: Vec<Loss>,
    /// Every way, with what it would lose or why it is closed.
    pub alternatives: Vec<Alternative>,
    /// The backup that the restore strategy puts back.
    pub restore_point: Option<Backup>,
}

/// One migration's way back.
#[derive(Debug)]
pub struct StepBack {
    /// What the database recorded of it.
    pub recorded: RecordedStep,
    /// `V005__normalize_timestamps`.
    pub stem: String,
    /// How it goes back.
    pub way_back: WayBack,
    /// Rows that it reads or writes.
    pub rows: u64,
    pub(crate) dropped: Vec<Dropped>,
    pub(crate) effects: Effects,
    pub(crate) schema_before: Snapshot,
    pub(crate) schema_after: Snapshot,
}

/// A way back and what speaks for or against it.
#[derive(Debug)]
pub struct Alternative {
    /// The way.
    pub strategy: Strategy,
    /// What it would lose; the reason when it is closed.
    pub loses: std::result::Result<Vec<Loss>, String>,
}

pub(super) fn plan(
    catalog: &Catalog,
    settings: &Settings,
    connection: &Connection,
    options: RollbackOptions,
) -> Result<RollbackPlan> {
    let state = State::read(connection)?;
    let Some(history) = &state.history else {
        return Err(Error::new(
            ErrorKind::Usage,
            "the database is not managed: there is nothing to roll back",
        )
        .with_truth("Nothing was changed.")
        .with_hint(Hint::tool(["status"])));
    };
    let recorded = runs::read_steps(connection)?;
    check_records(catalog, history, &recorded)?;
    let from = position(catalog, &recorded, history.version());
    let to = position(
        catalog,
        &recorded,
        target(catalog, &recorded, options, from.version)?,
    );
    let adopted = recorded
        .iter()
        .filter(|step| step.adopted)
        .map(|step| step.version)
        .max()
        .unwrap_or(0);
    if to.version < adopted {
        return Err(Error::new(
            ErrorKind::NotReversible,
            format!("the database was adopted at V{adopted:03}: what was there before cannot be taken back"),
        )
        .with_truth(format!("It is at {from}. Nothing was changed."))
        .with_hint(Hint::tool([
            "rollback",
            "--to",
            &adopted.to_string(),
            "--dry-run",
        ])));
    }
    let down = if to.version == from.version {
        Ok(Vec::new())
    } else {
        unless_unreadable(steps_down(connection, &state, &recorded, to.version))?
    };
    let point = restore_point(settings, connection, to.version);
    let mut alternatives = Vec::new();
    let down_losses = match &down {
        Ok(steps) => {
            unless_unreadable(losses_of(connection, steps, &recorded))?.map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    };
    let undo_losses = match &down {
        Ok(steps)
            if steps
                .iter()
                .all(|step| matches!(step.way_back, WayBack::Journal { .. })) =>
        {
            down_losses.clone()
        }
        Ok(_) => Err("a migration on the way changes the schema: only `down` takes it back".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    let restore_losses = match &point {
        Ok(point) => losses::of_restoring(connection, point).map_err(|error| error.to_string()),
        Err(why) => Err(why.clone()),
    };
    let strategy = match options.strategy {
        Strategy::Auto => choose(&down_losses, &restore_losses),
        asked => asked,
    };
    for (strategy, loses) in [
        (Strategy::Down, down_losses),
        (Strategy::Undo, undo_losses),
        (Strategy::Restore, restore_losses),
    ] {
        alternatives.push(Alternative { strategy, loses });
    }
    let chosen = alternatives
        .iter()
        .find(|alternative| alternative.strategy == strategy);
    let loses = match chosen.map(|alternative| &alternative.loses) {
        Some(Ok(loses)) => loses.clone(),
        Some(Err(why)) => return Err(closed(strategy, why, down.err(), from)),
        None => Vec::new(),
    };
    let is_restore = strategy == Strategy::Restore;
    Ok(RollbackPlan {
        from,
        to,
        strategy,
        steps: if is_restore {
            Vec::new()
        } else {
            down.unwrap_or_default()
        },
        loses,
        alternatives,
        restore_point: point.ok().filter(|_| is_restore),
    })
}

/// A way that could not be looked at just now is not closed: another one, which loses more, must not be taken
/// instead.
fn unless_unreadable<T>(looked: Result<T>) -> Result<Result<T>> {
    match looked {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::Io | ErrorKind::Busy | ErrorKind::Permission | ErrorKind::DiskFull
            ) =>
        {
            Err(error)
        }
        looked => Ok(looked),
    }
}

/// The way that loses less for good; what goes to a file is not lost for good.
fn choose(
    down: &std::result::Result<Vec<Loss>, String>,
    restore: &std::result::Result<Vec<Loss>, String>,
) -> Strategy {
    let weight = |losses: &[Loss]| {
        losses
            .iter()
            .filter(|loss| !loss.kept)
            .map(|loss| loss.count)
            .sum::<u64>()
    };
    match (down, restore) {
        (Ok(down), Ok(restore)) if weight(restore) < weight(down) => Strategy::Restore,
        (Ok(_), _) => Strategy::Down,
        (Err(_), Ok(_)) => Strategy::Restore,
        (Err(_), Err(_)) => Strategy::Down,
    }
}

fn closed(strategy: Strategy, why: &str, source: Option<Error>, from: Position) -> Error {
    let name = match strategy {
        Strategy::Auto | Strategy::Down => "down",
        Strategy::Undo => "undo",
        Strategy::Restore => "restore",
    };
    let kind = source.as_ref().map_or(ErrorKind::NotReversible, Error::kind);
    let error = Error::new(kind, format!("the way back `{name}` is closed: {why}"))
        .with_truth(format!("The database is at {from}. Nothing was changed."));
    match source {
        Some(source) if strategy != Strategy::Restore => {
            let hint = source.hint().clone();
            error.with_hint(hint).with_source(source)
        }
        _ => error.with_hint(Hint::tool(["backup", "list"])),
    }
}

/// The records must cover the history: they hold the ways back.
fn check_records(catalog: &Catalog, history: &History, recorded: &[RecordedStep]) -> Result<()> {
    for applied in &history.applied {
        let is_recorded = recorded
            .iter()
            .any(|step| step.version == applied.version && step.name == applied.name);
        if !is_recorded {
            return Err(Error::new(
                ErrorKind::HistoryDamaged,
                format!(
                    "V{:03}__{} is in the history but its way back is not recorded",
                    applied.version, applied.name
                ),
            )
            .with_truth("Nothing was changed.")
            .with_hint(Hint::tool(["backup", "list"])));
        }
    }
    // What this program knows must be what was applied; what is newer is taken from the records.
    let known = History {
        applied: history
            .applied
            .iter()
            .filter(|applied| applied.version <= catalog.last_version())
            .cloned()
            .collect(),
    };
    known.check(catalog)
}

fn position(catalog: &Catalog, recorded: &[RecordedStep], version: u32) -> Position {
    if version <= catalog.last_version() {
        return Position::of(catalog, version);
    }
    // Beyond the catalog the records tell: a release is complete when a later one began, or at the end.
    let release = recorded
        .iter()
        .find(|step| step.version == version)
        .and_then(|step| naming::Release::parse(&step.release).ok());
    Position { version, release }
}

fn target(
    catalog: &Catalog,
    recorded: &[RecordedStep],
    options: RollbackOptions,
    current: u32,
) -> Result<u32> {
    use naming::Target;
    let last_recorded = |release: naming::Release| {
        recorded
            .iter()
            .filter(|step| step.release == release.to_string())
            .map(|step| step.version)
            .max()
    };
    let version = match options.target {
        Target::Version(version) if version <= current => version,
        Target::Release(release) if last_recorded(release).is_some() => {
            last_recorded(release).unwrap_or(current)
        }
        target => catalog.resolve(target, current)?,
    };
    if version > current {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("V{version:03} lies ahead of the database, which is at V{current:03}"),
        )
        .with_truth("Nothing was changed.")
        .with_hint(Hint::tool(["migrate", "--to", &options.target.to_string()])));
    }
    Ok(version)
}

/// Runs the stored statements on an empty copy of the schema, to see what each would do.
fn steps_down(
    connection: &Connection,
    state: &State,
    recorded: &[RecordedStep],
    to: u32,
) -> Result<Vec<StepBack>> {
    let mut scratch = expected::replay(&state.schema)?;
    let mut steps = Vec::new();
    for recorded in recorded.iter().rev().filter(|step| step.version > to) {
        let stem = format!("V{:03}__{}", recorded.version, recorded.name);
        let way_back = WayBack::parse(&recorded.way_back);
        let schema_before = expected::read(&scratch)?;
        let effects = match &way_back {
            WayBack::Statements => Effects::of_statements(&mut scratch, &recorded.down_sql)
                .map_err(|source| changed(&stem, source))?,
            WayBack::Journal { table, column } => {
                require_journal(connection, recorded, &stem)?;
                Effects::of_update(&mut scratch, table, column)?
            }
            WayBack::Clear { table, column } => Effects::of_update(&mut scratch, table, column)?,
            WayBack::Unknown(text) => {
                return Err(Error::new(
                    ErrorKind::NotReversible,
                    format!("{stem} goes back in a way that this program does not know (`{text}`)"),
                )
                .with_truth("A newer program applied it. Nothing was changed.")
                .with_hint(Hint::tool(["backup", "list"])));
            }
        };
        let schema_after = expected::read(&scratch)?;
        let rows = match &way_back {
            WayBack::Journal { .. } => losses::journal_size(connection, recorded.version)?,
            _ => 0,
        };
        steps.push(StepBack {
            recorded: recorded.clone(),
            stem,
            way_back,
            rows,
            dropped: dropped::find(&schema_before, &schema_after),
            effects,
            schema_before,
            schema_after,
        });
    }
    Ok(steps)
}

/// A rollback that was interrupted has taken part of the journal with it: that part went back.
fn require_journal(connection: &Connection, recorded: &RecordedStep, stem: &str) -> Result<()> {
    let is_under_way = Progress::read(connection)?
        .is_some_and(|progress| progress.down && progress.version == recorded.version);
    if recorded.rows_changed == 0 || is_under_way {
        return Ok(());
    }
    let any: bool = connection
        .query_row(
            "SELECT EXISTS (SELECT 1 FROM migration_affected_records WHERE migration = ?1)",
            [recorded.version],
            |row| row.get(0),
        )
        .map_err(|source| Error::sqlite("read the journal", source))?;
    if any {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::NotReversible,
        format!("the journal of {stem} was pruned: its old values are gone"),
    )
    .with_truth("Nothing was changed.")
    .with_hint(Hint::tool([
        "rollback",
        "--to",
        &(recorded.version - 1).to_string(),
        "--strategy",
        "restore",
        "--dry-run",
    ])))
}

fn changed(stem: &str, source: rusqlite::Error) -> Error {
    Error::new(
        ErrorKind::SchemaMismatch,
        format!("the stored way back of {stem} does not fit the schema any more"),
    )
    .with_truth("Somebody changed the schema since. Nothing was changed now.")
    .with_hint(Hint::tool(["schema", "diff"]))
    .with_source(source)
}

fn losses_of(connection: &Connection, steps: &[StepBack], recorded: &[RecordedStep]) -> Result<Vec<Loss>> {
    let derived: Vec<String> = recorded
        .iter()
        .filter_map(|step| match WayBack::parse(&step.way_back) {
            WayBack::Clear { table, column } => Some(format!("{table}.{column}")),
            _ => None,
        })
        .collect();
    let mut losses = Vec::new();
    for dropped in steps.iter().flat_map(|step| &step.dropped) {
        if is_derived(dropped, &derived) {
            continue;
        }
        losses.extend(losses::of_dropping(connection, dropped)?);
    }
    Ok(losses)
}

/// A column that a data step filled can be filled again: nothing is lost with it.
fn is_derived(dropped: &Dropped, derived: &[String]) -> bool {
    match dropped {
        Dropped::Column { table, column } => derived
            .iter()
            .any(|known| known.eq_ignore_ascii_case(&format!("{table}.{column}"))),
        Dropped::Table(_) => false,
    }
}

/// The backup of the newest run that went up from `version`.
fn restore_point(
    settings: &Settings,
    connection: &Connection,
    version: u32,
) -> std::result::Result<Backup, String> {
    let runs = runs::read_runs(connection).map_err(|error| error.to_string())?;
    let manifest = runs
        .into_iter()
        .rev()
        .filter(|run| run.command == "migrate" && run.from == version)
        .find_map(|run| run.backup)
        .ok_or_else(|| format!("no run that began at V{version:03} left a restore point"))?;
    let database = manifest.strip_suffix(".json").unwrap_or(&manifest).to_owned();
    let backup = backup::find(settings, database.as_ref()).map_err(|error| error.to_string())?;
    match backup.state {
        backup::State::Complete => Ok(backup),
        _ => Err(format!("the restore point {database} is not complete")),
    }
}
