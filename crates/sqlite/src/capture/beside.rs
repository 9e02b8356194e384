//! What a step makes beside the servers: prepared in batches, made true within the step's own transaction, and cleaned up
//! after it, in batches again.
//!
//! Where it stands is in `migration_progress`, as for a data step, and changes in the transactions whose work it tells of. So
//! a run that is killed goes on, and a rollback gives up what is only prepared.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use rusqlite::Connection;

use super::batches::{Batch, Batches, Ended, Work, micros};
use super::dirty_rows::DirtyRows;
use super::index::{self, IndexBuild};
use super::online::Online;
use super::schema_cookie;
use super::shadow::{Shadow, Stage, empty, retire};
use crate::files::database_file::{FileState, inspect};
use crate::records::schema_reader::SchemaReader;
use crate::records::state::Progress;
use crate::schema::script::{self, Rebuild};
use crate::schema::statement::run_each;
use crate::schema::tool_tables::{DIRTY, OLD, SHADOW};
use crate::sqlite::ask::Ask;
use crate::sqlite::connection;
use crate::sqlite::sqlite_error::{SqliteContext, sqlite_error};
use bridge_migrate_core::{Activity, Error, ErrorKind, Observer, Result, Settings, clock::timestamp};

/// How often the work begins anew when somebody changes the schema under it.
const ATTEMPTS: u32 = 3;
/// Where a step stands whose preparation does not go on.
const GIVING_UP: &str = "give up";

/// What a step has ready beside the servers.
pub(crate) struct Prepared<'a> {
    work: Work<'a>,
    progress: Progress,
    /// The schema's, since something was made for this.
    cookie: Option<i64>,
    units: Vec<Unit<'a>>,
}

/// What is ready of one table.
struct Unit<'a> {
    online: &'a Online,
    number: u32,
    /// Of a table that is made anew.
    shadow: Option<Shadow<'a>>,
    /// While servers' writes are followed.
    dirty: Option<DirtyRows>,
    /// Of an index, once it is built.
    index: RefCell<Option<IndexBuild<'a>>>,
    is_true: Cell<bool>,
}

/// Where the work stands, as the progress keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct At {
    /// The unit that is being prepared; those before it are ready.
    place: usize,
    cookie: i64,
    stage: Stage,
}

impl At {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (Some("beside"), Some(place), Some(cookie), Some(name)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return None;
        };
        let numbers: Vec<i64> = words
            .map(str::parse)
            .collect::<std::result::Result<_, _>>()
            .ok()?;
        Some(Self {
            place: place.parse().ok()?,
            cookie: cookie.parse().ok()?,
            stage: match (name, numbers.as_slice()) {
                ("copy", &[next, end]) => Stage::Copy { next, end },
                ("compare", &[next]) => Stage::Compare { next },
                ("ready", []) => Stage::Ready,
                _ => return None,
            },
        })
    }
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "beside {} {} ", self.place, self.cookie)?;
        match self.stage {
            Stage::Copy { next, end } => write!(f, "copy {next} {end}"),
            Stage::Compare { next } => write!(f, "compare {next}"),
            Stage::Ready => f.write_str("ready"),
        }
    }
}

/// Prepares everything that is `online`, or goes on with it; `start` is the progress of a step of which nothing is done yet.
///
/// # Errors
/// When a row does not fit what its table is to be: what was prepared is given up then. Otherwise it stays, and a later run
/// goes on.
pub(crate) fn prepare<'a>(work: Work<'a>, start: &Progress, online: &'a [Online]) -> Result<Prepared<'a>> {
    if !online.is_empty() && !left_over(work.connection, OLD)?.is_empty() {
        // Of a step whose cleaning failed: its names are needed again.
        clean_up(work)?;
    }
    for _ in 0..ATTEMPTS {
        let mut prepared = Prepared {
            work,
            progress: start.clone(),
            cookie: None,
            units: units(work, online),
        };
        match prepared.go_on() {
            Ok(true) => {
                work.observer.finished(Activity::Rows, work.stem);
                return Ok(prepared);
            }
            Ok(false) => give_up(work)?,
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::Sqlite | ErrorKind::ConservationViolated | ErrorKind::NotConvertible
                ) =>
            {
                give_up(work)?;
                return Err(error);
            }
            Err(error) => return Err(error),
        }
    }
    Err(changed(work))
}

fn units<'a>(work: Work<'a>, online: &'a [Online]) -> Vec<Unit<'a>> {
    let units = (1..).zip(online).map(|(number, online)| Unit {
        online,
        number,
        shadow: online
            .swap
            .as_ref()
            .map(|swap| Shadow::new(work.connection, swap, number)),
        dirty: None,
        index: RefCell::default(),
        is_true: Cell::new(false),
    });
    units.collect()
}

fn changed(work: Work<'_>) -> Error {
    Error::new(
        ErrorKind::Busy,
        format!(
            "another program changes the schema again and again while {} is prepared",
            work.stem
        ),
    )
}

impl Prepared<'_> {
    /// Nothing: statements run as they are.
    pub(crate) fn nothing(work: Work<'_>) -> Prepared<'_> {
        Prepared {
            work,
            progress: Progress::default(),
            cookie: None,
            units: Vec::new(),
        }
    }

    /// Prepares what is not ready. `false` when the schema is not the one that the work began on.
    fn go_on(&mut self) -> Result<bool> {
        let connection = self.work.connection;
        let mut at = None;
        if let Some(found) = Progress::read(connection)?.filter(|found| found.version == self.work.version) {
            at = At::parse(&found.cursor).filter(|at| at.place < self.units.len());
            let Some(at) = at else { return Ok(false) };
            self.cookie = Some(at.cookie);
            self.progress = found;
            for unit in self.units.iter_mut().take(at.place + 1) {
                // What an index is built with was temporary.
                if unit.online.index.is_some() {
                    return Ok(false);
                }
                if unit.shadow.is_none() {
                    continue;
                }
                unit.dirty = DirtyRows::find(connection, &unit.online.table, unit.number)?;
                if unit.dirty.is_none() {
                    return Ok(false);
                }
            }
        }
        for place in 0..self.units.len() {
            if self
                .units
                .get(place)
                .is_some_and(|unit| unit.online.index.is_some())
            {
                if !self.build(place)? {
                    return Ok(false);
                }
                continue;
            }
            let stage = match at {
                Some(at) if at.place > place => continue,
                Some(at) if at.place == place => Some(at.stage),
                _ => self.begin(place)?,
            };
            let Some(stage) = stage else { return Ok(false) };
            if !self.make_ready(place, stage)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes what a unit is prepared in, and says where it begins; `None` when the schema changed.
    fn begin(&mut self, place: usize) -> Result<Option<Stage>> {
        let work = self.work;
        let Some(unit) = self.units.get_mut(place) else {
            return Ok(None);
        };
        let Some(shadow) = &unit.shadow else {
            return Ok(Some(Stage::Ready));
        };
        let (before, progress) = (self.cookie, &mut self.progress);
        let (batches, made) = Batches::begin(work, || {
            if !is_as_it_was(work, before)? {
                return Ok(None);
            }
            let dirty = DirtyRows::install(work.connection, &unit.online.table, unit.number)?;
            let dirty = dirty.map_err(|why| Error::new(ErrorKind::SchemaMismatch, why))?;
            let stage = shadow.create()?;
            save(work, progress, place, stage)?;
            Ok(Some((dirty, stage)))
        })?;
        self.cookie = Some(batches.cookie());
        Ok(made.map(|(dirty, stage)| {
            unit.dirty = Some(dirty);
            stage
        }))
    }

    /// Builds the index of a unit. `false` when the schema changed.
    fn build(&mut self, place: usize) -> Result<bool> {
        let work = self.work;
        let Some(Unit {
            online,
            number,
            index: built,
            ..
        }) = self.units.get(place)
        else {
            return Ok(false);
        };
        let Some(index) = &online.index else {
            return Ok(true);
        };
        let (before, progress) = (self.cookie, &mut self.progress);
        let (mut batches, begun) = Batches::begin(work, || {
            if !is_as_it_was(work, before)? {
                return Ok(None);
            }
            let begun = IndexBuild::begin(work.connection, *number, index, &index.table, None)?;
            save(work, progress, place, Stage::Ready)?;
            Ok(Some(
                begun.map_err(|why| Error::new(ErrorKind::SchemaMismatch, why))?,
            ))
        })?;
        let Some(mut build) = begun else { return Ok(false) };
        batches.total = Some(online.rows.saturating_mul(2));
        let ended = build.run(&mut batches)?;
        progress.max_lock_us = progress.max_lock_us.max(micros(batches.longest()));
        self.cookie = Some(batches.cookie());
        built.replace(Some(build));
        Ok(ended == Ended::Complete)
    }

    /// Runs the batches of a unit. `false` when the schema changed.
    fn make_ready(&mut self, place: usize, mut stage: Stage) -> Result<bool> {
        let work = self.work;
        let Some(Unit {
            shadow: Some(shadow),
            dirty: Some(dirty),
            online,
            ..
        }) = self.units.get(place)
        else {
            return Ok(true);
        };
        let progress = &mut self.progress;
        let mut batches = Batches::resume(work, self.cookie.unwrap_or_default());
        batches.total = Some(online.rows.saturating_mul(2));
        let ended = batches.run(|rows| {
            let drained = shadow.drain(dirty, stage, rows)?;
            let (next, visited) = shadow.advance(stage, rows)?;
            stage = next;
            progress.visited += visited;
            save(work, progress, place, stage)?;
            Ok(Batch {
                visited,
                changed: visited,
                is_last: stage == Stage::Ready && drained.all,
            })
        })?;
        progress.max_lock_us = progress.max_lock_us.max(micros(batches.longest()));
        Ok(ended == Ended::Complete)
    }

    /// The tables whose rows are not counted within the step's transaction: their copies were compared before.
    pub(crate) fn tables(&self) -> Vec<&str> {
        self.units.iter().map(|unit| unit.online.table.as_str()).collect()
    }

    /// Refuses, in a transaction that has just begun, when the schema changed since: nothing that was prepared is certain then.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`], and a later run begins anew.
    pub(crate) fn require_current(&self) -> Result<()> {
        match is_as_it_was(self.work, self.cookie)? {
            true => Ok(()),
            false => Err(changed(self.work)),
        }
    }

    /// Runs a migration's text in the present transaction: what is prepared comes in where its statements are.
    ///
    /// # Errors
    /// When SQLite refuses a statement, or what is prepared does not fit any more.
    pub(crate) fn run(&self, sql: &str) -> Result<()> {
        let Work { connection, stem, .. } = self.work;
        let refused = |source| sqlite_error(format_args!("run the statements of {stem}"), source);
        if self.units.is_empty() {
            return script::run(connection, sql).map_err(refused);
        }
        if Rebuild::parse(sql).is_ok_and(|rebuild| rebuild.is_some()) {
            self.units
                .iter()
                .try_for_each(|unit| unit.make_true(connection))?;
        } else {
            run_each(connection, sql, &refused, &mut |statement| {
                let stands_for =
                    |unit: &&Unit<'_>| unit.online.statements.iter().any(|text| text == statement);
                let Some(unit) = self.units.iter().find(stands_for) else {
                    return Ok(false);
                };
                if unit
                    .online
                    .statements
                    .last()
                    .is_some_and(|last| last == statement)
                {
                    unit.make_true(connection)?;
                }
                Ok(true)
            })?;
        }
        Ok(())
    }

    /// Records, in the step's transaction, that all that is left is to empty what it replaced.
    pub(crate) fn record(&self) -> Result<()> {
        let connection = self.work.connection;
        if self.units.is_empty() {
            return Ok(());
        }
        if left_over(connection, OLD)?.is_empty() {
            return Progress::clear(connection, self.progress.version);
        }
        let progress = Progress {
            cursor: Progress::CLEANING.to_owned(),
            ..self.progress.clone()
        };
        progress.write(connection, &timestamp(self.work.settings.clock.now()))
    }

    /// Empties what the step replaced, which is committed: what cannot be emptied now, a later run empties. Returns how
    /// long the write lock was held at most, in its transaction (`held`), before and after it.
    pub(crate) fn clean_up(&self, held: Duration) -> Duration {
        let Self { work, .. } = *self;
        let before = Duration::from_micros(self.progress.max_lock_us).max(held);
        if self.units.is_empty() {
            return before;
        }
        match clean_up(Work {
            check: &|| Ok(()),
            ..work
        }) {
            Ok(after) => before.max(after),
            Err(error) => {
                work.observer
                    .warn(format!("what {} replaced is not emptied yet: {error}", work.stem));
                before
            }
        }
    }
}

impl Unit<'_> {
    fn make_true(&self, connection: &Connection) -> Result<()> {
        if self.is_true.replace(true) {
            return Ok(());
        }
        if let Some(index) = self.index.borrow().as_ref() {
            return index.finish();
        }
        match (&self.shadow, &self.dirty) {
            (Some(shadow), Some(dirty)) => {
                shadow.drain(dirty, Stage::Ready, u64::MAX)?;
                DirtyRows::left_over(self.number).remove(connection)?;
                shadow.exchange()
            }
            _ => retire(connection, &self.online.table, self.number),
        }
    }
}

/// Whether the schema is the one that something was made on, if anything was.
fn is_as_it_was(work: Work<'_>, cookie: Option<i64>) -> Result<bool> {
    Ok(match cookie {
        Some(cookie) => schema_cookie(work.connection)? == cookie,
        None => true,
    })
}

/// Records where the work stands, in its transaction.
fn save(work: Work<'_>, progress: &mut Progress, place: usize, stage: Stage) -> Result<()> {
    let cookie = schema_cookie(work.connection)?;
    progress.cursor = At { place, cookie, stage }.to_string();
    progress.write(work.connection, &timestamp(work.settings.clock.now()))
}

/// Empties what steps have replaced or dropped, whose transactions are committed. Returns how long the write lock was held
/// at most.
///
/// # Errors
/// When the lock cannot be had. What is left is emptied by a later run.
pub(crate) fn clean_up(work: Work<'_>) -> Result<Duration> {
    let longest = empty_all(work, OLD)?;
    finish(
        work,
        "DELETE FROM migration_progress WHERE cursor = ?1",
        Progress::CLEANING,
    )?;
    Ok(longest)
}

/// Whether an earlier run left something to be emptied, reading only.
///
/// # Errors
/// When SQLite cannot read.
pub(crate) fn is_to_be_finished(settings: &Settings) -> Result<bool> {
    connection::with_reader(&settings.database, settings.busy_timeout, |reader| {
        Ok(Progress::read_cleaning(reader)?.is_some())
    })
}

/// Empties what an earlier run left to be emptied. The migration lock must be held.
///
/// # Errors
/// As [`clean_up`].
pub(crate) fn finish_earlier(settings: &Settings, observer: &dyn Observer) -> Result<()> {
    if !matches!(inspect(&settings.database)?, FileState::Database { .. }) {
        return Ok(());
    }
    let connection = connection::open_writer(&settings.database, settings.busy_timeout)?;
    // What cannot be read is refused with what it means when the plan is made.
    let Ok(Some(step)) = Progress::read_cleaning(&connection) else {
        return Ok(());
    };
    clean_up(Work {
        connection: &connection,
        settings,
        schemas: &SchemaReader::new(&connection),
        observer,
        version: step.version,
        stem: &format!("V{:03}__{}", step.version, step.name),
        check: &|| Ok(()),
    })
    .map(drop)
}

/// Takes back what is only prepared. Servers are free of it at once; what was copied goes in batches.
///
/// # Errors
/// When the lock cannot be had. What is left is taken back by a later run.
pub(crate) fn give_up(work: Work<'_>) -> Result<()> {
    finish(
        work,
        "UPDATE migration_progress SET cursor = ?1 WHERE cursor GLOB 'beside *'",
        GIVING_UP,
    )?;
    empty_all(work, SHADOW)?;
    finish(
        work,
        "DELETE FROM migration_progress WHERE cursor = ?1",
        GIVING_UP,
    )
}

/// Removes every capture, and changes the progress, in one transaction.
fn finish(work: Work<'_>, sql: &str, cursor: &str) -> Result<()> {
    Batches::begin(work, || {
        for set in left_over(work.connection, DIRTY)? {
            if let Some(number) = set.strip_prefix(DIRTY).and_then(|number| number.parse().ok()) {
                index::abandon(work.connection, number)?;
            }
        }
        work.connection
            .run(sql, [cursor])
            .while_doing("record where the step stands")
    })
    .map(drop)
}

fn empty_all(work: Work<'_>, prefix: &str) -> Result<Duration> {
    let mut longest = Duration::ZERO;
    for table in left_over(work.connection, prefix)? {
        loop {
            let mut batches = Batches::resume(work, schema_cookie(work.connection)?);
            let ended = batches.run(|rows| {
                Ok(Batch {
                    is_last: empty(work.connection, &table, rows)?,
                    ..Batch::default()
                })
            })?;
            longest = longest.max(batches.longest());
            if ended == Ended::Complete {
                break;
            }
        }
    }
    Ok(longest)
}

/// The tables of that prefix and a number.
pub(crate) fn left_over(connection: &Connection, prefix: &str) -> Result<Vec<String>> {
    connection
        .rows(
            "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name GLOB ?1 || '[0-9]*' ORDER BY name",
            [prefix],
            |row| row.get(0),
        )
        .while_doing("look for what was replaced")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_work_stands_is_read_as_it_was_written() {
        for stage in [
            Stage::Copy {
                next: i64::MIN,
                end: 7,
            },
            Stage::Compare { next: -3 },
            Stage::Ready,
        ] {
            let at = At {
                place: 2,
                cookie: 41,
                stage,
            };
            assert_eq!(At::parse(&at.to_string()), Some(at));
        }
        for text in [
            "",
            "scan 3",
            "beside 0 1",
            "beside 0 1 copy 2",
            "beside x 1 ready",
            "clean",
        ] {
            assert_eq!(At::parse(text), None, "{text}");
        }
    }
}
