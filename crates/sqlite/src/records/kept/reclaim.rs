//! Takes back what rollbacks kept: what fits comes back, what no longer fits is listed and stays.

use std::{collections::BTreeSet, path::PathBuf};

use rusqlite::{Connection, config::DbConfig, params};
use serde::Serialize;

use crate::catalog::data::key_text;
use crate::files::{database_file::in_real_place, lock::MigrationLock};
use crate::records::{
    recorded_position::recorded_position, runs::Run, schema_reader::SchemaReader, unfinished::Unfinished,
};
use crate::sqlite::disk_space::{DiskSpace, Sizes};
use crate::sqlite::rollback_journal::{RollbackJournal, remove_left};
use crate::sqlite::{ask::Ask, connection, pace::Pace, sqlite_error::SqliteContext};
use bridge_migrate_core::{Activity, Error, ErrorKind, Hint, Observer, Result, Settings, clock::timestamp};

use super::file::{KeptFile, contents};
use super::place::{Fate, Parents, Place};
use super::{Kept, left, path_of, read, record, require_files};

/// Rows that an outcome lists; more are only counted.
const LISTED: usize = 1000;

/// Rows that are tried in one transaction because they may refer to each other, in all tries.
const TOGETHER: usize = 20_000;

/// What to take back.
#[derive(Debug, Clone, Default)]
pub struct ReclaimOptions {
    /// Only what is in these files, which need not be on record. Empty: everything that is kept.
    pub files: Vec<String>,
    /// Rows that do not fit wait no longer. They stay in their file until that is pruned.
    pub give_up: bool,
}

/// What came back of a table or column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Back {
    /// The table, or the column as `table.column`.
    pub subject: String,
    /// How many rows or values.
    pub rows: u64,
}

/// A row, or all that is left of a file, that does not fit and stays kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stays {
    /// The file.
    pub file: String,
    /// The table, or the column as `table.column`.
    pub subject: String,
    /// The row's key; `None` for all that is left.
    pub key: Option<String>,
    /// How many rows or values.
    pub rows: u64,
    /// Why.
    pub why: String,
}

/// What taking back did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Reclaimed {
    /// The run's name; `None` when there was nothing to take back.
    pub run: Option<String>,
    /// What was written.
    pub back: Vec<Back>,
    /// Rows and values that were there already, as they were.
    pub already: u64,
    /// The first thousand rows that stay.
    pub stays: Vec<Stays>,
    /// How many rows and values stay.
    pub stay_count: u64,
    /// How many of these were given up.
    pub given_up: u64,
}

impl Reclaimed {
    /// How many rows and values were written.
    pub fn back_count(&self) -> u64 {
        self.back.iter().map(|back| back.rows).sum()
    }

    fn note_back(&mut self, kept: &Kept, rows: u64) {
        let subject = kept.subject();
        match self.back.iter_mut().find(|back| back.subject == subject) {
            Some(back) => back.rows += rows,
            None if rows > 0 => self.back.push(Back { subject, rows }),
            None => {}
        }
    }

    fn note_stay(&mut self, kept: &Kept, key: Option<String>, rows: u64, why: String) {
        self.stay_count += rows;
        if self.stays.len() < LISTED {
            self.stays.push(Stays {
                file: kept.file.clone(),
                subject: kept.subject(),
                key,
                rows,
                why,
            });
        }
    }
}

/// Takes back what is kept.
///
/// # Errors
/// [`ErrorKind::Usage`] when a file is not there; and what SQLite refuses, but for rows that do not fit.
pub fn reclaim(settings: &Settings, options: &ReclaimOptions, observer: &dyn Observer) -> Result<Reclaimed> {
    let settings = &in_real_place(settings)?;
    Unfinished::refuse(settings)?;
    require_files(settings, &options.files)?;
    let nothing_left = |connection: &Connection| {
        Ok::<_, Error>(options.files.is_empty() && left(connection, settings)?.is_empty())
    };
    let is_done = connection::with_reader(&settings.database, settings.busy_timeout, |reader| {
        nothing_left(reader)
    })?;
    if is_done {
        remove_left(settings, "kept reclaim", observer)?;
        return Ok(Reclaimed::default());
    }
    let _lock = MigrationLock::take(settings, "kept reclaim", observer)?;
    let writer = connection::open_writer(&settings.database, settings.busy_timeout)?;
    let _rollback_journal = RollbackJournal::keep(&writer);
    if nothing_left(&writer)? {
        return Ok(Reclaimed::default());
    }
    let at = recorded_position(&writer)?;
    let run = Run::begin(settings, "kept reclaim", at.version, at.version);
    run.with_log(settings, observer, |run, log| {
        take_back(settings, &writer, options, run, log)
    })
}

/// What taking everything back needs on disk.
pub(crate) fn disk_space(settings: &Settings, connection: &Connection) -> Result<DiskSpace> {
    let file = Sizes::new(connection)?.file;
    let bytes: u64 = left(connection, settings)?
        .iter()
        .filter_map(|kept| path_of(settings, &kept.file))
        .collect::<BTreeSet<PathBuf>>()
        .iter()
        .filter_map(|path| path.metadata().ok())
        .map(|metadata| metadata.len())
        .sum();
    Ok(DiskSpace {
        // What comes back and its indexes; the pages that it comes back into, in the journal or the log.
        beside_database: bytes
            .saturating_mul(3)
            .saturating_add(file)
            .saturating_add(1 << 20),
        ..DiskSpace::default()
    })
}

/// What [`reclaim`] does, under the lock that the caller holds and as a part of its run.
pub(crate) fn take_back(
    settings: &Settings,
    writer: &Connection,
    ReclaimOptions { files, give_up }: &ReclaimOptions,
    run: &Run,
    observer: &dyn Observer,
) -> Result<Reclaimed> {
    let position = recorded_position(writer)?;
    let at = position.version;
    disk_space(settings, writer)?.require(settings, "taking back what was kept")?;
    let all = wanted(writer, settings, files)?;
    let mut pass = Pass::new(settings, writer, at, &all);
    let mut pace = Pace::new(settings);
    let schemas = SchemaReader::new(writer);
    let total = all.iter().map(|kept| kept.left).sum();
    let mut visited = 0;
    loop {
        let before = pass.progress();
        let mut orphans = Vec::new();
        (pass.outcome.stays, pass.outcome.stay_count) = (Vec::new(), 0);
        for kept in wanted(writer, settings, files)? {
            // Checked as a whole before the write lock is taken.
            let file = KeptFile::open(settings, &kept);
            let mut orphans_here = BTreeSet::new();
            let mut next = Some(i64::MIN);
            while let Some(first) = next {
                let transaction = schemas.begin(settings.busy_timeout)?;
                let done = pass.batch(&kept, &file, &Take::From(first, pace.rows()))?;
                run.record(writer, settings, at)?;
                let held = transaction.commit()?;
                run.committed_at.set(Some(position));
                visited += done.visited;
                orphans_here.extend(done.stay);
                next = done.next;
                observer.progress(Activity::Rows, &kept.subject(), visited.min(total), Some(total));
                if next.is_some() {
                    pace.after_batch(writer, held)?;
                }
            }
            observer.finished(Activity::Rows, &kept.subject());
            if !orphans_here.is_empty() {
                orphans.push((kept, file, orphans_here));
            }
        }
        if pass.gives_up {
            break;
        }
        // What a row refers to may have come back after it.
        if !orphans.is_empty() && pass.progress() != before {
            continue;
        }
        if !orphans.is_empty() {
            let transaction = schemas.begin(settings.busy_timeout)?;
            if pass.together(orphans)? {
                run.record(writer, settings, at)?;
                transaction.commit()?;
                continue;
            }
        }
        pass.gives_up = *give_up && pass.outcome.stay_count > 0;
        if !pass.gives_up {
            break;
        }
    }
    let mut outcome = pass.outcome;
    outcome.run = run.committed_at.get().map(|_| run.name.clone());
    Ok(outcome)
}

/// Takes back what is kept of one migration, or of these of its tables, in the transaction that the caller has begun.
/// Returns how many rows.
pub(crate) fn take_back_at_once(
    settings: &Settings,
    writer: &Connection,
    version: u32,
    only: Option<&[&str]>,
) -> Result<u64> {
    let mut kept = left(writer, settings)?;
    kept.retain(|kept| {
        kept.version == version && only.is_none_or(|tables| tables.contains(&kept.table.as_str()))
    });
    let mut pass = Pass::new(settings, writer, version, &kept);
    for kept in &kept {
        let all = Take::From(i64::MIN, u64::MAX);
        pass.batch(kept, &KeptFile::open(settings, kept), &all)?;
    }
    Ok(pass.outcome.back_count())
}

/// What is to be taken back: all that is on record, or what the named files hold, recorded or not.
fn wanted(writer: &Connection, settings: &Settings, files: &[String]) -> Result<Vec<Kept>> {
    if files.is_empty() {
        return left(writer, settings);
    }
    let all = read(writer, settings)?;
    let mut wanted = Vec::new();
    for file in files {
        if all.iter().any(|kept| kept.file == *file) {
            wanted.extend(
                all.iter()
                    .filter(|kept| kept.file == *file && kept.left > 0)
                    .cloned(),
            );
            continue;
        }
        let held = contents(settings, file).map_err(|why| {
            Error::new(
                ErrorKind::BackupInvalid,
                format!("{file} is not a kept file: {why}"),
            )
            .with_hint(Hint::KeptList)
        })?;
        let kept_at = timestamp(settings.clock.now());
        wanted.extend(held.into_iter().map(|kept| Kept {
            kept_at: kept_at.clone(),
            ..kept
        }));
    }
    Ok(wanted)
}

/// One way through what is kept, in the transactions of the caller.
struct Pass<'a> {
    settings: &'a Settings,
    writer: &'a Connection,
    at: u32,
    /// The tables of which something is to be taken back, in lower case.
    tables: BTreeSet<String>,
    /// Whether rows that do not fit are done with, too.
    gives_up: bool,
    outcome: Reclaimed,
}

/// Which rows of a file a batch takes.
enum Take<'a> {
    /// So many from this one on, each where what it refers to is there.
    From(i64, u64),
    /// These, which may refer to each other.
    Together(&'a BTreeSet<i64>),
}

struct Batch {
    /// Where the next one begins; `None` at the end.
    next: Option<i64>,
    visited: u64,
    /// Rows that stay: those that refer to a table of which more is kept, or of these that were taken together all.
    stay: BTreeSet<i64>,
}

/// Rows of a file, and the file.
type Orphans = (Kept, std::result::Result<KeptFile, String>, BTreeSet<i64>);

impl<'a> Pass<'a> {
    fn new(settings: &'a Settings, writer: &'a Connection, at: u32, wanted: &[Kept]) -> Self {
        Self {
            settings,
            writer,
            at,
            tables: wanted.iter().map(|kept| kept.table.to_lowercase()).collect(),
            gives_up: false,
            outcome: Reclaimed::default(),
        }
    }

    fn progress(&self) -> u64 {
        self.outcome.back_count() + self.outcome.already
    }

    /// Puts back rows that refer to each other, which fit together or not at all, in the transaction that the caller has
    /// begun. Says whether there were any; otherwise nothing is left of it.
    fn together(&mut self, mut orphans: Vec<Orphans>) -> Result<bool> {
        let doing = "take back what was kept";
        let before = self.outcome.clone();
        let mut tried = 0;
        loop {
            let rows: usize = orphans.iter().map(|(.., rows)| rows.len()).sum();
            tried += rows;
            if rows == 0 || tried > TOGETHER {
                return Ok(false);
            }
            self.writer
                .execute_batch("SAVEPOINT kept_together")
                .while_doing(doing)?;
            for (kept, file, rows) in &mut orphans {
                let written = self.batch(kept, file, &Take::Together(rows))?;
                rows.retain(|at| !written.stay.contains(at));
            }
            for (kept, file, rows) in &mut orphans {
                for at in self.without_parent(kept, file, rows)? {
                    rows.remove(&at);
                }
            }
            if orphans.iter().map(|(.., rows)| rows.len()).sum::<usize>() == rows {
                self.writer
                    .execute_batch("RELEASE kept_together")
                    .while_doing(doing)?;
                return Ok(true);
            }
            // Without those that do not fit, others may not.
            self.writer
                .execute_batch("ROLLBACK TO kept_together; RELEASE kept_together")
                .while_doing(doing)?;
            self.outcome.clone_from(&before);
        }
    }

    /// Those of these rows of which something that they refer to is not there.
    fn without_parent(
        &self,
        kept: &Kept,
        file: &std::result::Result<KeptFile, String>,
        rows: &BTreeSet<i64>,
    ) -> Result<Vec<i64>> {
        let mut missing = Vec::new();
        if let (Ok(file), Some(first)) = (file, rows.first())
            && let Ok(place) = self.place(kept, file)
        {
            file.each_from(*first, |at, row| -> Result<bool, rusqlite::Error> {
                if rows.contains(&at) && place.missing_parent(row)?.is_some() {
                    missing.push(at);
                }
                Ok(rows.last().is_some_and(|last| at < *last))
            })
            .while_doing("take back what was kept")?;
        }
        Ok(missing)
    }

    fn place<'f>(&self, kept: &Kept, file: &'f KeptFile) -> std::result::Result<Place<'f>, String>
    where
        'a: 'f,
    {
        let revocations = self.settings.companion_format.revocations();
        Place::find(self.writer, kept, file, revocations)
    }

    /// Puts rows of the file back, and records which came back.
    fn batch(
        &mut self,
        kept: &Kept,
        file: &std::result::Result<KeptFile, String>,
        take: &Take<'_>,
    ) -> Result<Batch> {
        // What was dropped is what triggers had made of it: they must not do so again.
        self.triggers(false)?;
        let done = self.batch_without_triggers(kept, file, take);
        self.triggers(true)?;
        done
    }

    fn triggers(&self, on: bool) -> Result<()> {
        self.writer
            .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, on)
            .map(drop)
            .while_doing("take back what was kept")
    }

    fn batch_without_triggers(
        &mut self,
        kept: &Kept,
        file: &std::result::Result<KeptFile, String>,
        take: &Take<'_>,
    ) -> Result<Batch> {
        let mut batch = Batch {
            next: None,
            visited: 0,
            stay: BTreeSet::new(),
        };
        // As the database is now, under the write lock.
        let now = recorded_position(self.writer)?.version;
        if now != self.at {
            return Err(Error::new(
                ErrorKind::Busy,
                format!("another program changed the history: it is at V{now:03}"),
            )
            .with_hint(Hint::KeptList));
        }
        // A file that no rollback on record made goes on record when somebody asks for it.
        if kept.run.is_empty() {
            record(self.writer, kept)?;
        }
        let on_record = read(self.writer, self.settings)?
            .into_iter()
            .find(|other| (&other.file, &other.data) == (&kept.file, &kept.data));
        let Some(kept) = on_record else {
            // Somebody else pruned it.
            return Ok(batch);
        };
        let file = match (&kept.problem, file) {
            (None, Ok(file)) => Ok(file),
            (Some(why), _) | (None, Err(why)) => Err(why.clone()),
        };
        let (place, file) = match file.and_then(|file| Ok((self.place(&kept, file)?, file))) {
            Ok(found) => found,
            Err(why) => {
                self.outcome.note_stay(&kept, None, kept.left, why);
                return Ok(batch);
            }
        };
        let doing = || format!("take back {}", kept.subject());
        let changes = self.writer.total_changes();
        let (mut written, mut already, mut undone) = (0, 0, 0);
        let mut done_with: Vec<(i64, i64)> = Vec::new();
        let returned = self.returned(&kept)?;
        let is_back = |at: i64| {
            let next = returned.partition_point(|(first, _)| *first <= at);
            next.checked_sub(1)
                .and_then(|index| returned.get(index))
                .is_some_and(|(_, last)| at <= *last)
        };
        let (first, limit, parents) = match take {
            Take::From(first, limit) => (*first, *limit, Parents::AreThere),
            Take::Together(rows) => {
                let first = rows.first().copied().unwrap_or(i64::MAX);
                (first, u64::MAX, Parents::Follow)
            }
        };
        file.each_from(first, |at, row| -> Result<bool, rusqlite::Error> {
            if batch.visited == limit {
                batch.next = Some(at);
                return Ok(false);
            }
            if matches!(take, Take::Together(rows) if !rows.contains(&at)) {
                return Ok(true);
            }
            batch.visited += 1;
            if is_back(at) {
                return Ok(true);
            }
            let why = match place.put_back(row, parents)? {
                Fate::Back => {
                    written += 1;
                    None
                }
                Fate::Already => {
                    already += 1;
                    None
                }
                Fate::Stays(why) => {
                    if parents == Parents::Follow {
                        batch.stay.insert(at);
                    }
                    Some(why)
                }
                Fate::Orphan(parent) => {
                    undone += 1;
                    if self.tables.contains(&parent.to_lowercase()) {
                        batch.stay.insert(at);
                    }
                    Some(format!("it refers to a row of {parent} that is not there"))
                }
            };
            if let Some(why) = why {
                let key = key_of(row, file.keys);
                self.outcome.note_stay(&kept, Some(key), 1, why);
                if !self.gives_up {
                    return Ok(true);
                }
                self.outcome.given_up += 1;
            }
            match done_with.last_mut() {
                Some((_, last)) if *last + 1 == at => *last = at,
                _ => done_with.push((at, at)),
            }
            Ok(true)
        })
        .while_doing(doing())?;
        // Nothing else may have changed: what a constraint or a rule of the table would replace is not ours to give.
        let changed = self.writer.total_changes() - changes - undone;
        if changed != written {
            return Err(Error::new(
                ErrorKind::ConservationViolated,
                format!(
                    "taking back {written} rows of {} changed {changed}",
                    kept.subject()
                ),
            )
            .with_truth("The transaction was rolled back.")
            .with_hint(Hint::KeptList));
        }
        let mut insert = self
            .writer
            .prepare_cached(
                "INSERT INTO migration_kept_back (file, data, first, last) VALUES (?1, ?2, ?3, ?4)",
            )
            .while_doing(doing())?;
        for (first, last) in done_with {
            insert
                .execute(params![kept.file, kept.data, first, last])
                .while_doing(doing())?;
        }
        self.outcome.note_back(&kept, written);
        self.outcome.already += already;
        Ok(batch)
    }

    /// The rows of the file that came back before, as ranges in their order.
    fn returned(&self, kept: &Kept) -> Result<Vec<(i64, i64)>> {
        self.writer
            .rows(
                "SELECT first, last FROM migration_kept_back WHERE file = ?1 AND data = ?2 ORDER BY first",
                params![kept.file, kept.data],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .while_doing("read what came back before")
    }
}

/// The key of a row in the file, as text.
fn key_of(row: &rusqlite::Row<'_>, keys: usize) -> String {
    let rowid = row.get(1).unwrap_or_default();
    let parts: Vec<String> = (2..keys + 2)
        .filter_map(|index| row.get_ref(index).ok())
        .map(|value| key_text(value, rowid))
        .collect();
    match parts.is_empty() {
        true => format!("row {rowid}"),
        false => parts.join(", "),
    }
}
