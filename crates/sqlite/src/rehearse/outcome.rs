//! A rehearsal as a value: everything that a report or a receipt says.

use std::path::PathBuf;

use naming::{Phase, Release};
use rusqlite::Connection;
use serde::Serialize;

use super::check::{Check, CheckOutcome};
use super::{changes::TableChange, meter::LeftRow};
use crate::plan::{adoption::Adoption, receipt::Measures};
use crate::schema::{Difference, ObjectKind, TableDetail, expected};
use crate::sqlite::sqlite_error::SqliteContext;
use bridge_migrate_core::{Finding, Position, Result};

/// What a rehearsal showed. What is serialised of it holds no value of the database.
#[derive(Debug, Serialize)]
pub struct Rehearsal {
    /// The receipt's name: eight hexadecimal digits.
    #[serde(skip)]
    pub id: String,
    /// When it began, in UTC.
    #[serde(skip)]
    pub created_at: String,
    /// The application whose database it is.
    #[serde(skip)]
    pub application: String,
    /// The database that was copied.
    #[serde(skip)]
    pub database: PathBuf,
    /// Where the copy stood, after an adoption.
    pub from: Position,
    /// Where the plan went.
    pub to: Position,
    /// How the copy came under management, if it was not yet.
    pub adopted: Option<Adoption>,
    /// What a timestamp without an offset meant.
    pub time_zone: String,
    /// Name and version of the program.
    #[serde(skip)]
    pub tool: String,
    /// The version of its SQLite.
    #[serde(skip)]
    pub sqlite: String,
    /// SHA-256 over all migrations of the program.
    #[serde(skip)]
    pub catalog: String,
    /// The fingerprint of the schema before.
    #[serde(skip)]
    pub schema: String,
    /// Length of the database in bytes.
    pub database_bytes: u64,
    /// How long writers of the database had to wait for the copy, in milliseconds.
    pub source_lock_ms: u64,
    /// The longest time that a transaction may hold the write lock, in milliseconds.
    pub lock_budget_ms: u64,
    /// The steps, in order.
    pub steps: Vec<RehearsedStep>,
    /// The data of each table, by name.
    pub tables: Vec<TableChange>,
    /// The tables before, by name.
    #[serde(skip)]
    pub tables_before: Vec<TableShape>,
    /// The tables after, by name.
    #[serde(skip)]
    pub tables_after: Vec<TableShape>,
    /// How the schema after differs from the one before.
    #[serde(skip)]
    pub differences: Vec<Difference>,
    /// Everything that was made sure of, in the order in which it was.
    pub checks: Vec<Check>,
    /// The releases whose statements were run on the migrated copy.
    #[serde(skip)]
    pub served: Vec<String>,
    /// What the smoke test did, if one ran.
    pub smoke_test: Option<SmokeTest>,
    /// The receipt's file.
    #[serde(skip)]
    pub receipt: PathBuf,
    /// Where the copy is, if it was to be kept.
    #[serde(serialize_with = "bridge_migrate_core::serial::optional_path")]
    pub copy: Option<PathBuf>,
}

/// A migration on the copy.
#[derive(Debug, Clone, Serialize)]
pub struct RehearsedStep {
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
    #[serde(skip)]
    pub summary: String,
    /// Its statements; empty for a data step.
    #[serde(skip)]
    pub sql: String,
    /// What its data step or import does.
    #[serde(skip)]
    pub data: Option<String>,
    /// The statements that take it back; empty for a data step.
    #[serde(skip)]
    pub down: String,
    /// How it goes back: `statements`, `journal messages.timestamp`, `clear messages.thread_id`.
    pub way_back: String,
    /// What going back does and loses.
    #[serde(skip)]
    pub rollback: String,
    /// Tables that it copies and replaces.
    pub rebuilds: Vec<String>,
    /// Rows that it reads or writes, as planned.
    #[serde(skip)]
    pub rows: u64,
    /// How long the plan expects it to hold the write lock at a stretch, in milliseconds, about.
    #[serde(skip)]
    pub planned_lock_ms: u64,
    /// What applying it cost; `None` when that was not reached.
    pub up: Option<Measures>,
    /// What taking it back cost.
    pub back: Option<Measures>,
    /// What applying it again cost.
    pub again: Option<Measures>,
    /// The first rows that it left as they are.
    pub left: Vec<LeftRow>,
}

/// A table's columns and foreign keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableShape {
    /// The table.
    pub name: String,
    /// Its columns and foreign keys.
    pub detail: TableDetail,
}

/// What the user's own test did with the migrated copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SmokeTest {
    /// What was run.
    pub command: String,
    /// Its exit code; `None` when a signal ended it.
    pub exit_code: Option<i32>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The end of what it wrote. Perhaps user data: for the eyes of whoever asked for a report.
    #[serde(skip)]
    pub output: String,
}

impl Rehearsal {
    /// Whether every check holds.
    pub fn ok(&self) -> bool {
        self.checks
            .iter()
            .all(|check| check.outcome != CheckOutcome::Failed)
    }

    /// What is wrong, or to be looked at.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.checks.iter().flat_map(|check| &check.findings)
    }

    /// The longest time that a step held the write lock on the way up, in milliseconds.
    pub fn longest_lock_ms(&self) -> u64 {
        self.steps
            .iter()
            .filter_map(|step| Some(step.up?.max_lock_ms))
            .max()
            .unwrap_or(0)
    }
}

impl SmokeTest {
    /// Whether it succeeded.
    pub fn passed(&self) -> bool {
        self.exit_code == Some(0)
    }
}

/// The tables of a database, without the tool's own.
pub(super) fn shapes(connection: &Connection) -> Result<Vec<TableShape>> {
    let schema = expected::read(connection)?;
    schema
        .of_kind(ObjectKind::Table)
        // A virtual table whose module is not there cannot be looked into.
        .filter(|table| crate::schema::TableDefinition::parse(&table.sql).is_some())
        .map(|table| {
            Ok(TableShape {
                name: table.name.clone(),
                detail: TableDetail::read(connection, &table.name)
                    .while_doing(format_args!("read the columns of {}", table.name))?,
            })
        })
        .collect()
}
