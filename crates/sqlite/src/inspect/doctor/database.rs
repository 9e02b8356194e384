//! What is in the database: numbers, times, and texts that the program knows.

use std::collections::BTreeSet;

use rusqlite::{Connection, types::ValueRef};
use serde::Serialize;

use crate::records::{history, way_back::WayBack};
use crate::schema::{Fingerprint, ObjectKind, Snapshot, expected, tool_tables};
use crate::sqlite::connection::{self, Reader};
use crate::sqlite::{ask::Ask, quote::identifier, sqlite_error::SqliteContext};
use bridge_migrate_core::{Catalog, Result, Settings};

use super::known;
use super::redact::{names_of, without_values};

/// What is in the database.
#[derive(Debug, Clone, Default, Serialize)]
pub struct DatabaseFacts {
    /// Bytes in a page.
    pub page_size: i64,
    /// Pages in the file.
    pub page_count: i64,
    /// Pages in the file that hold nothing.
    pub free_pages: i64,
    /// `PRAGMA user_version`.
    pub user_version: i64,
    /// `PRAGMA application_id`.
    pub application_id: i64,
    /// The encoding of texts.
    pub encoding: Option<String>,
    /// Whether its header says write-ahead log.
    pub is_wal: bool,
    /// The last applied migration; 0 when there is none, `None` when it is not managed.
    pub version: Option<u32>,
    /// The release that is complete at it.
    pub release: Option<String>,
    /// The fingerprint of the schema without the tool's tables.
    pub fingerprint: String,
    /// The schema.
    pub schema: Vec<SchemaObject>,
    /// Rows of each table.
    pub rows: Vec<TableRows>,
    /// refinery's history.
    pub history: Vec<AppliedMigration>,
    /// Rows of the history that are not what refinery writes.
    pub history_damaged: u64,
    /// The rows of `schema_version`.
    pub releases: Vec<RecordedRelease>,
    /// The recorded steps.
    pub steps: Vec<StepFacts>,
    /// The recorded runs, oldest first.
    pub runs: Vec<RunFacts>,
    /// Names of the schema's objects and columns, in lower case.
    #[serde(skip)]
    pub(super) names: BTreeSet<String>,
}

/// An object of the schema.
#[derive(Debug, Clone, Serialize)]
pub struct SchemaObject {
    /// What it is.
    pub kind: ObjectKind,
    /// Its name.
    pub name: String,
    /// Whether it is the application's or the tool's own, exactly as the program knows it.
    pub is_known: bool,
    /// Its statement; in normal form when it is known, else with the values left out.
    pub sql: String,
}

/// The rows of a table.
#[derive(Debug, Clone, Serialize)]
pub struct TableRows {
    /// The table.
    pub table: String,
    /// How many; `None` when they cannot be counted.
    pub rows: Option<i64>,
}

/// A row of the history.
#[derive(Debug, Clone, Serialize)]
pub struct AppliedMigration {
    /// The migration's number.
    pub version: u32,
    /// Its name, when the program has it under that number.
    pub name: Option<String>,
    /// When it was applied.
    pub applied_on: String,
    /// refinery's checksum.
    pub checksum: u64,
}

/// A row of `schema_version`.
#[derive(Debug, Clone, Serialize)]
pub struct RecordedRelease {
    /// The release, when the text is one.
    pub release: Option<String>,
    /// When, when the text is a time.
    pub applied_at: Option<String>,
}

/// A recorded step.
#[derive(Debug, Clone, Serialize)]
pub struct StepFacts {
    /// The migration's number.
    pub version: Option<i64>,
    /// The release, when the text is one.
    pub release: Option<String>,
    /// The phase, when the text is one.
    pub phase: Option<String>,
    /// The run that applied it.
    pub run: Option<String>,
    /// Whether it was found rather than applied.
    pub adopted: Option<i64>,
    /// When.
    pub applied_at: Option<String>,
    /// From begin to commit, in milliseconds.
    pub duration_ms: Option<i64>,
    /// The longest time that a transaction held the write lock, in milliseconds.
    pub max_lock_ms: Option<i64>,
    /// Rows changed.
    pub rows_changed: Option<i64>,
    /// Rows left as they were.
    pub rows_skipped: Option<i64>,
    /// Whether its way back is the program's own.
    pub is_way_back_known: bool,
}

/// A recorded run.
#[derive(Debug, Clone, Serialize)]
pub struct RunFacts {
    /// Its name.
    pub run: Option<String>,
    /// What it did.
    pub command: Option<&'static str>,
    /// When it began.
    pub started_at: Option<String>,
    /// When it reached its end.
    pub finished_at: Option<String>,
    /// Where it started.
    pub from: Option<i64>,
    /// Where it was to go.
    pub to: Option<i64>,
    /// Where it came.
    pub reached: Option<i64>,
    /// The program.
    pub tool: Option<String>,
    /// Whether it began with a backup.
    pub has_backup: bool,
}

/// Reads what can be read: a part that cannot stays empty.
///
/// # Errors
/// When the database cannot be opened.
pub(super) fn read(catalog: &Catalog, settings: &Settings) -> Result<DatabaseFacts> {
    connection::with_reader(&settings.database, settings.busy_timeout, |reader| {
        Ok(read_facts(catalog, reader))
    })
}

fn read_facts(catalog: &Catalog, reader: &Reader) -> DatabaseFacts {
    let pragma = |name| {
        reader
            .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
            .unwrap_or_default()
    };
    let mut facts = DatabaseFacts {
        page_size: pragma("page_size"),
        page_count: pragma("page_count"),
        free_pages: pragma("freelist_count"),
        user_version: pragma("user_version"),
        application_id: pragma("application_id"),
        encoding: reader.setting("encoding").ok(),
        is_wal: reader.is_wal(),
        ..DatabaseFacts::default()
    };
    // Each part for itself: a damaged one must not hide the others.
    let _ = read_schema(catalog, reader, &mut facts);
    let _ = read_history(catalog, reader, &mut facts);
    facts.releases = rows(reader, "SELECT version, applied_at FROM schema_version", |row| {
        RecordedRelease {
            release: text(row, 0).as_deref().and_then(known::release),
            applied_at: text(row, 1).as_deref().and_then(known::time),
        }
    });
    facts.steps = read_steps(catalog, reader);
    facts.runs = read_runs(reader);
    facts
}

fn read_schema(catalog: &Catalog, connection: &Connection, facts: &mut DatabaseFacts) -> Result<()> {
    let all = Snapshot::read(connection).while_doing("read the schema")?;
    facts.fingerprint = Fingerprint::of(&all.without(tool_tables::is_of_tool)).to_string();
    let own = own_statements(catalog)?;
    facts.names = names_of(&all);
    for object in &all {
        let is_known = own.contains(object.normal());
        let is_name = |name: &str| facts.names.contains(&name.to_ascii_lowercase());
        let sql = if is_known {
            object.normal().to_owned()
        } else {
            // Not the normal form, in which a text in double quotes looks like a name.
            without_values(&object.sql, is_name)
        };
        facts.schema.push(SchemaObject {
            kind: object.kind,
            name: object.name.clone(),
            is_known,
            sql,
        });
    }
    for table in all.of_kind(ObjectKind::Table) {
        let count = format!("SELECT count(*) FROM {}", identifier(&table.name));
        facts.rows.push(TableRows {
            table: table.name.clone(),
            rows: connection.value(&count, []).ok(),
        });
    }
    Ok(())
}

/// The normal forms of every version's objects, and of the tool's own.
fn own_statements(catalog: &Catalog) -> Result<BTreeSet<String>> {
    let scratch = connection::open_scratch()?;
    tool_tables::create(&scratch)?;
    let tool = Snapshot::read(&scratch).while_doing("read the schema")?;
    Ok(expected::schemas(catalog)?
        .iter()
        .chain([&tool])
        .flat_map(|schema| schema.iter().map(|object| object.normal().to_owned()))
        .collect())
}

fn read_history(catalog: &Catalog, connection: &Connection, facts: &mut DatabaseFacts) -> Result<()> {
    if !tool_tables::exists(connection, tool_tables::HISTORY)? {
        return Ok(());
    }
    facts.version = Some(0);
    history::read_rows(connection, &mut |_, row| {
        match row {
            Ok(applied) => facts.history.push(AppliedMigration {
                version: applied.version,
                name: catalog
                    .get(applied.version)
                    .map(|migration| migration.name.clone())
                    .filter(|name| *name == applied.name),
                applied_on: bridge_migrate_core::clock::timestamp(applied.applied_on),
                checksum: applied.checksum,
            }),
            Err(_) => facts.history_damaged += 1,
        }
        Ok(())
    })?;
    let version = facts.history.last().map_or(0, |applied| applied.version);
    facts.version = Some(version);
    facts.release = catalog.release_at(version).map(|release| release.to_string());
    Ok(())
}

fn read_steps(catalog: &Catalog, connection: &Connection) -> Vec<StepFacts> {
    let select = "SELECT version, release, phase, run, adopted, applied_at, duration_ms, max_lock_ms, rows_changed, \
                  rows_skipped, way_back, down_sql FROM migration_steps ORDER BY version";
    rows(connection, select, |row| {
        let version = number(row, 0);
        let own = version
            .and_then(|version| u32::try_from(version).ok())
            .and_then(|version| catalog.get(version));
        StepFacts {
            version,
            release: text(row, 1).as_deref().and_then(known::release),
            phase: text(row, 2).as_deref().and_then(known::phase),
            run: text(row, 3).as_deref().and_then(known::run),
            adopted: number(row, 4),
            applied_at: text(row, 5).as_deref().and_then(known::time),
            duration_ms: number(row, 6),
            max_lock_ms: number(row, 7),
            rows_changed: number(row, 8),
            rows_skipped: number(row, 9),
            is_way_back_known: own.is_some_and(|migration| {
                text(row, 10).is_some_and(|text| WayBack::parse(&text).is_of(migration))
                    && text(row, 11).as_ref() == Some(&migration.down)
            }),
        }
    })
}

fn read_runs(connection: &Connection) -> Vec<RunFacts> {
    let select = "SELECT run, command, started_at, finished_at, from_version, to_version, reached_version, tool, \
                  backup IS NOT NULL FROM migration_runs ORDER BY started_at, rowid";
    rows(connection, select, |row| RunFacts {
        run: text(row, 0).as_deref().and_then(known::run),
        command: text(row, 1).as_deref().and_then(known::command),
        started_at: text(row, 2).as_deref().and_then(known::time),
        finished_at: text(row, 3).as_deref().and_then(known::time),
        from: number(row, 4),
        to: number(row, 5),
        reached: number(row, 6),
        tool: text(row, 7).as_deref().and_then(known::tool),
        has_backup: number(row, 8) == Some(1),
    })
}

/// The rows as far as they can be read; none when there is no such table.
fn rows<T>(connection: &Connection, select: &str, read: impl Fn(&rusqlite::Row<'_>) -> T) -> Vec<T> {
    let Ok(mut select) = connection.prepare(select) else {
        return Vec::new();
    };
    let Ok(mut found) = select.query([]) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    while let Ok(Some(row)) = found.next() {
        all.push(read(row));
    }
    all
}

fn text(row: &rusqlite::Row<'_>, index: usize) -> Option<String> {
    match row.get_ref(index) {
        Ok(ValueRef::Text(text)) => std::str::from_utf8(text).ok().map(str::to_owned),
        _ => None,
    }
}

fn number(row: &rusqlite::Row<'_>, index: usize) -> Option<i64> {
    match row.get_ref(index) {
        Ok(ValueRef::Integer(number)) => Some(number),
        _ => None,
    }
}
