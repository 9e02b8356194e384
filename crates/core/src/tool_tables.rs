//! The tables that the tool owns inside the database.

use rusqlite::Connection;

use crate::error::{Result, SqliteContext};

/// refinery's history of applied migrations.
pub const HISTORY: &str = "refinery_schema_history";
/// The strategy's table: a row for each complete release.
pub const SCHEMA_VERSION: &str = "schema_version";
/// One row for each run that changed the database.
pub const RUNS: &str = "migration_runs";
/// One row for each applied migration, with its way back.
pub const STEPS: &str = "migration_steps";
/// Where an interrupted data step goes on.
pub const PROGRESS: &str = "migration_progress";
/// Objects of the operators' own that adoption accepted.
pub const ACCEPTED: &str = "migration_accepted_objects";
/// Old values of records that data steps changed.
pub const JOURNAL: &str = "migration_affected_records";

/// Whether the tool owns the table.
pub fn is_tool_table(name: &str) -> bool {
    [HISTORY, SCHEMA_VERSION, RUNS, STEPS, PROGRESS, ACCEPTED, JOURNAL]
        .iter()
        .any(|table| table.eq_ignore_ascii_case(name))
}

/// `way_back`, `down_sql` and the rest of a step's row are all that an older program needs to take the step back.
const CREATE: &str = "\
CREATE TABLE IF NOT EXISTS schema_version (
    version TEXT PRIMARY KEY,
    applied_at TEXT NOT NULL,
    migration_file TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS migration_runs (
    run TEXT PRIMARY KEY NOT NULL,
    command TEXT NOT NULL,
    started_at TEXT NOT NULL,
    finished_at TEXT,
    from_version INTEGER NOT NULL,
    to_version INTEGER NOT NULL,
    reached_version INTEGER NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    tool TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    backup TEXT
);
CREATE TABLE IF NOT EXISTS migration_steps (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    release TEXT NOT NULL,
    phase TEXT NOT NULL,
    run TEXT NOT NULL,
    adopted INTEGER NOT NULL,
    applied_at TEXT NOT NULL,
    duration_ms INTEGER NOT NULL,
    max_lock_ms INTEGER NOT NULL,
    rows_changed INTEGER NOT NULL,
    rows_skipped INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    way_back TEXT NOT NULL,
    down_sql TEXT NOT NULL,
    rollback TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS migration_progress (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    release TEXT NOT NULL,
    way_back TEXT NOT NULL,
    direction TEXT NOT NULL,
    cursor TEXT NOT NULL,
    visited INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    skipped INTEGER NOT NULL,
    max_lock_us INTEGER NOT NULL,
    started_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS migration_accepted_objects (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    normal TEXT NOT NULL,
    PRIMARY KEY (kind, name)
);
";

/// Creates what is missing. Runs inside the transaction of the step that needs the tables first.
pub(crate) fn create(connection: &Connection) -> Result<()> {
    connection
        .execute_batch(CREATE)
        .and_then(|()| connection.execute_batch(crate::journal::CREATE))
        .while_doing("create the tool's own tables")
}

/// Whether the table exists.
pub(crate) fn exists(connection: &Connection, table: &str) -> Result<bool> {
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND lower(name) = lower(?1))",
        )
        .and_then(|mut select| select.query_row([table], |row| row.get(0)))
        .while_doing("read the schema")
}
