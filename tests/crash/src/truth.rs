//! What must hold of a database at any moment: whole, at a named version, with every row that it should have.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bridge_migrate_core::{Catalog, Phase};
use bridge_migrate_sqlite::schema::expected;
use bridge_migrate_sqlite::schema::tool_tables;
use bridge_migrate_sqlite::schema::{Difference, Snapshot, diff, render_diff};
use rusqlite::{Connection, OptionalExtension as _};
use support::{dump, schema_1_0_0};

/// The columns of 1.0.0 that a migration changes.
const CHANGED: (&str, &str) = ("messages", "timestamp");
/// The migration that changes them, with a journal.
const NORMALIZE: u32 = 5;
/// The migration that imports the tokens.
const TOKENS: u32 = 4;
/// The migration that fills `messages.thread_id`.
const THREADS: u32 = 7;

/// What is known of a database's content at each version.
#[derive(Debug)]
pub struct Truth {
    schemas: Vec<Snapshot>,
    releases: Vec<Option<String>>,
    backfills: Vec<bool>,
    /// The schema of the database while it is not managed.
    unmanaged: usize,
    /// The operators' own objects.
    allowed: Vec<Difference>,
    rows: String,
    old: BTreeMap<i64, String>,
    new: BTreeMap<i64, String>,
    threads: BTreeMap<i64, String>,
    /// `None` where they changed since.
    tokens: Option<String>,
    is_undone: bool,
    is_pruned: bool,
    has_writers: bool,
    has_broken_records: bool,
}

/// What a database turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Standing {
    /// The last migration in the history; 0 when the database is not managed.
    pub version: u32,
    /// Whether a data step is done in part.
    pub in_part: bool,
}

impl Truth {
    /// What is true of databases between `original` (release 1.0.0 or nothing) and `last` (the last release).
    /// `is_undone` says that single records may have been put back at the last release, too.
    ///
    /// # Panics
    /// When one of the databases cannot be read.
    pub fn new(catalog: &Catalog, original: Option<&Path>, last: &Path, is_undone: bool) -> Self {
        let schemas = expected::schemas(catalog).unwrap();
        let releases = (0..=catalog.last_version())
            .map(|version| catalog.release_at(version).map(|release| release.to_string()))
            .collect();
        let backfills = (0..=catalog.last_version())
            .map(|version| {
                catalog
                    .get(version)
                    .is_some_and(|step| step.phase == Phase::Backfill)
            })
            .collect();
        let last = Connection::open(last).unwrap();
        let original = original.map(|path| Connection::open(path).unwrap());
        let unmanaged = usize::from(original.is_some());
        let mut truth = Self {
            schemas,
            releases,
            backfills,
            unmanaged,
            allowed: Vec::new(),
            rows: String::new(),
            old: BTreeMap::new(),
            new: column(&last, "messages", "timestamp"),
            threads: column(&last, "messages", "thread_id"),
            tokens: Some(tokens(&last)),
            is_undone,
            is_pruned: false,
            has_writers: false,
            has_broken_records: false,
        };
        if let Some(original) = original {
            truth.allowed = diff(&truth.schemas[1], &expected::read(&original).unwrap());
            truth.rows = rows(&original);
            truth.old = column(&original, "messages", "timestamp");
            assert_ne!(truth.old, truth.new, "nothing to migrate");
        } else {
            truth.rows = rows(&last);
        }
        truth
    }

    /// The same while servers add rows of their own, which are theirs to check.
    #[must_use]
    pub fn with_writers(mut self) -> Self {
        self.has_writers = true;
        self
    }

    /// The same while the journal is given up, which may be gone in part.
    #[must_use]
    pub fn with_pruned_journal(mut self) -> Self {
        self.is_pruned = true;
        self
    }

    /// The same where tokens were revoked and issued since.
    #[must_use]
    pub fn with_changed_tokens(mut self) -> Self {
        self.tokens = None;
        self
    }

    /// The same while `schema_version` and the progress of steps are wrong.
    #[must_use]
    pub fn with_broken_records(mut self) -> Self {
        self.has_broken_records = true;
        self
    }

    /// Checks a database that is open and was recovered.
    ///
    /// # Errors
    /// What does not hold.
    pub fn check(&self, connection: &Connection) -> Result<Standing, String> {
        let sql = |error: rusqlite::Error| format!("cannot be read: {error}");
        let integrity: String = connection
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .map_err(sql)?;
        require(integrity == "ok", || format!("integrity_check: {integrity}"))?;
        let version = self.version(connection)?;
        self.check_schema(connection, version)?;
        let in_part = self.check_records(connection, version)?;
        // Before the first migration there is no table to look at.
        if version > 0 || self.unmanaged > 0 {
            self.check_rows(connection)?;
            self.check_timestamps(connection, version, in_part)?;
        }
        if let Some(expected) = self.tokens.as_ref().filter(|_| version >= TOKENS) {
            let found = tokens(connection);
            require(found == *expected, || {
                format!("tokens: {}", first_difference(expected, &found))
            })?;
        }
        if version + 1 >= THREADS {
            self.check_threads(connection, version, in_part)?;
        }
        Ok(Standing { version, in_part })
    }

    fn version(&self, connection: &Connection) -> Result<u32, String> {
        let found: Vec<u32> = if has_table(connection, tool_tables::HISTORY) {
            numbers(
                connection,
                "SELECT version FROM refinery_schema_history ORDER BY version",
            )
        } else {
            Vec::new()
        };
        let version = u32::try_from(found.len()).unwrap();
        let is_whole = found.iter().copied().eq(1..=version) && (version as usize) < self.schemas.len();
        require(is_whole, || format!("the history is {found:?}"))?;
        Ok(version)
    }

    fn check_schema(&self, connection: &Connection, version: u32) -> Result<(), String> {
        let index = if version == 0 {
            self.unmanaged
        } else {
            version as usize
        };
        let schema = expected::read(connection).map_err(|error| format!("the schema: {error}"))?;
        let differences: Vec<Difference> = diff(&self.schemas[index], &schema)
            .into_iter()
            .filter(|difference| !self.allowed.contains(difference))
            .collect();
        require(differences.is_empty(), || {
            format!(
                "the history says V{version:03}, the schema differs:\n{}",
                render_diff(&differences)
            )
        })
    }

    /// The tool's own records tell one story; whether a data step is done in part.
    fn check_records(&self, connection: &Connection, version: u32) -> Result<bool, String> {
        if version == 0 {
            let left: Vec<&str> = [
                tool_tables::SCHEMA_VERSION,
                tool_tables::RUNS,
                tool_tables::STEPS,
                tool_tables::PROGRESS,
                tool_tables::JOURNAL,
                tool_tables::HISTORY,
            ]
            .into_iter()
            .filter(|table| has_table(connection, table))
            .collect();
            require(left.is_empty(), || format!("not managed, but there are {left:?}"))?;
            return Ok(false);
        }
        let steps = numbers(connection, "SELECT version FROM migration_steps ORDER BY version");
        require(steps.iter().copied().eq(1..=version), || {
            format!("at V{version:03} with the steps {steps:?}")
        })?;
        if self.has_broken_records {
            return Ok(false);
        }
        // The strategy's own query.
        let release: Option<String> = connection
            .query_row(
                "SELECT version FROM schema_version ORDER BY applied_at DESC LIMIT 1",
                [],
                |row| row.get(0),
            )
            .optional()
            .map_err(|error| format!("schema_version: {error}"))?;
        let expected = &self.releases[version as usize];
        require(release == *expected, || {
            format!("at V{version:03}, schema_version says {release:?} and not {expected:?}")
        })?;
        let reached: u32 = connection
            .query_row(
                "SELECT reached_version FROM migration_runs ORDER BY rowid DESC LIMIT 1",
                [],
                |row| row.get(0),
            )
            .map_err(|error| format!("migration_runs: {error}"))?;
        require(reached == version, || {
            format!("at V{version:03}, the last run says that it reached V{reached:03}")
        })?;
        let mut in_part = false;
        for (of, is_down, cursor) in progress(connection) {
            let is_next = if is_down { of == version } else { of == version + 1 };
            // What is prepared beside servers changes nothing yet, and what a step replaced is only to be emptied.
            let is_prepared = cursor == "give up" || cursor.starts_with("beside ");
            let is_data = self.backfills[of as usize];
            require(cursor == "clean" || (is_next && (is_prepared || is_data)), || {
                format!("at V{version:03} with progress of V{of:03}, down: {is_down}, at {cursor}")
            })?;
            in_part |= is_next && is_data && !is_prepared && cursor != "clean";
        }
        Ok(in_part)
    }

    fn check_rows(&self, connection: &Connection) -> Result<(), String> {
        let found = rows(connection);
        if !self.has_writers {
            return require(found == self.rows, || {
                format!(
                    "rows are not as they were: {}",
                    first_difference(&self.rows, &found)
                )
            });
        }
        let found: BTreeSet<&str> = found.lines().collect();
        match self.rows.lines().find(|line| !found.contains(line)) {
            Some(lost) => Err(format!("a row is lost or changed: {lost}")),
            None => Ok(()),
        }
    }

    /// Each timestamp is old, or it is new and the journal keeps the old one.
    fn check_timestamps(&self, connection: &Connection, version: u32, in_part: bool) -> Result<(), String> {
        let mut now = column(connection, "messages", "timestamp");
        let mut journal = if version > 0 {
            journal(connection)
        } else {
            BTreeMap::new()
        };
        if self.has_writers {
            now.retain(|rowid, _| self.old.contains_key(rowid));
            journal.retain(|rowid, _| self.old.contains_key(rowid));
        }
        for (rowid, value) in &now {
            let (old, new) = (self.old.get(rowid), self.new.get(rowid));
            let wanted = if journal.contains_key(rowid) { new } else { old };
            let is_given_up = self.is_pruned && version >= NORMALIZE && new == Some(value);
            require(wanted == Some(value) || is_given_up, || {
                let journal = if journal.contains_key(rowid) {
                    "has"
                } else {
                    "does not have"
                };
                format!("message {rowid} is {value}; the journal {journal} it; it was {old:?}, to be {new:?}")
            })?;
        }
        for (rowid, (old, new)) in &journal {
            require(
                Some(old) == self.old.get(rowid) && Some(new) == self.new.get(rowid),
                || format!("the journal says of message {rowid}: {old} → {new}"),
            )?;
        }
        let done = journal.len();
        let all = self
            .old
            .iter()
            .filter(|(rowid, old)| self.new.get(rowid) != Some(old))
            .count();
        let partly = in_part && (version == NORMALIZE - 1 || version == NORMALIZE);
        let is_right = match version {
            _ if partly => done <= all,
            _ if version < NORMALIZE => done == 0,
            _ => done == all || self.is_undone || self.is_pruned,
        };
        require(is_right, || {
            format!("at V{version:03}, {done} of {all} timestamps are changed")
        })
    }

    fn check_threads(&self, connection: &Connection, version: u32, in_part: bool) -> Result<(), String> {
        let now = column(connection, "messages", "thread_id");
        let partly = in_part && (version == THREADS - 1 || version == THREADS);
        for (rowid, value) in now.iter().filter(|(rowid, _)| self.threads.contains_key(rowid)) {
            let is_filled = self.threads.get(rowid) == Some(value);
            let is_right = match version {
                _ if partly => is_filled || value == "null",
                _ if version < THREADS => value == "null",
                _ => is_filled,
            };
            require(is_right, || {
                format!("at V{version:03}, message {rowid} is in thread {value}")
            })?;
        }
        Ok(())
    }
}

/// Everything that must be the same however often a command was interrupted: all rows of the application, and the
/// tool's records without times, names of runs and durations.
pub fn content(connection: &Connection) -> String {
    let mut text = dump::schema(connection);
    for table in dump::tables(connection) {
        let columns = dump::columns(connection, &table);
        let kept: Vec<&str> = columns
            .iter()
            .map(String::as_str)
            .filter(|column| is_lasting(&table, column))
            .collect();
        if table == tool_tables::KEPT_BACK {
            text.push_str(&came_back(connection));
        } else if table != tool_tables::RUNS {
            text.push_str(&dump::one_table(connection, &table, &kept));
        }
    }
    text
}

/// How many rows of each file came back: in how many ranges depends on the pace.
fn came_back(connection: &Connection) -> String {
    let sql =
        "SELECT data, sum(last - first + 1) FROM migration_kept_back GROUP BY file, data ORDER BY file, data";
    let mut select = connection.prepare(sql).unwrap();
    let rows = select.query_map([], |row| {
        Ok(format!(
            "{}: {} came back\n",
            row.get::<_, String>(0)?,
            row.get::<_, u64>(1)?
        ))
    });
    rows.unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

fn is_lasting(table: &str, column: &str) -> bool {
    // The token file does not say when a token was revoked: the import takes the time at which it runs.
    if table == "revoked_tokens" {
        return column != "revoked_at";
    }
    let differs = matches!(
        column,
        "applied_at"
            | "applied_on"
            | "run"
            | "duration_ms"
            | "max_lock_ms"
            | "undone_by"
            | "file"
            | "kept_at"
    );
    !(tool_tables::is_tool_table(table) && differs)
}

/// The first lines of two texts that differ.
pub fn first_difference(expected: &str, found: &str) -> String {
    let cut = |line: Option<&str>| line.unwrap_or("(end)").chars().take(300).collect::<String>();
    let (mut old, mut new) = (expected.lines(), found.lines());
    loop {
        match (old.next(), new.next()) {
            (Some(old), Some(new)) if old == new => {}
            (None, None) => return "no line differs".to_owned(),
            (old, new) => return format!("expected {}, found {}", cut(old), cut(new)),
        }
    }
}

fn require(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// The nine tables of 1.0.0 with their columns, without those that a migration changes.
fn rows(connection: &Connection) -> String {
    let mut text = String::new();
    for (table, columns) in schema_1_0_0::TABLES {
        let kept: Vec<&str> = columns
            .iter()
            .copied()
            .filter(|column| (table, *column) != CHANGED)
            .collect();
        text.push_str(&dump::one_table(connection, table, &kept));
    }
    text
}

fn tokens(connection: &Connection) -> String {
    ["auth_tokens", "revoked_tokens"]
        .into_iter()
        .map(|table| {
            let columns = dump::columns(connection, table);
            let columns: Vec<&str> = columns
                .iter()
                .map(String::as_str)
                .filter(|column| is_lasting(table, column))
                .collect();
            dump::one_table(connection, table, &columns)
        })
        .collect()
}

/// Row id → value.
fn column(connection: &Connection, table: &str, column: &str) -> BTreeMap<i64, String> {
    let mut select = connection
        .prepare(&format!("SELECT rowid, {column} FROM {table}"))
        .unwrap();
    let rows = select
        .query_map([], |row| Ok((row.get(0)?, dump::render(row.get_ref(1)?))))
        .unwrap();
    rows.collect::<rusqlite::Result<_>>().unwrap()
}

/// Row id → old and new value of the timestamps that are not undone.
fn journal(connection: &Connection) -> BTreeMap<i64, (String, String)> {
    let sql = "SELECT row_id, old_value, new_value FROM migration_affected_records \
         WHERE table_name = 'messages' AND column_name = 'timestamp' AND undone_by IS NULL";
    let mut select = connection.prepare(sql).unwrap();
    let rows = select
        .query_map([], |row| {
            let values = (dump::render(row.get_ref(1)?), dump::render(row.get_ref(2)?));
            Ok((row.get(0)?, values))
        })
        .unwrap();
    rows.collect::<rusqlite::Result<_>>().unwrap()
}

/// The steps that are done in part: number, whether they go back, and where they stand.
fn progress(connection: &Connection) -> Vec<(u32, bool, String)> {
    let mut select = connection
        .prepare("SELECT version, direction = 'down', cursor FROM migration_progress")
        .unwrap();
    let rows = select
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap();
    rows.map(Result::unwrap).collect()
}

fn numbers(connection: &Connection, sql: &str) -> Vec<u32> {
    let mut select = connection.prepare(sql).unwrap();
    let rows = select.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<rusqlite::Result<_>>().unwrap()
}

fn has_table(connection: &Connection, table: &str) -> bool {
    connection.table_exists(Some("main"), table).unwrap()
}
