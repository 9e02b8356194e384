//! The tables that the tool owns inside the database.

use std::{collections::BTreeSet, sync::LazyLock};

use rusqlite::Connection;

use crate::schema::refusal::{refusal, rename_away};
use crate::schema::{Difference, Object, ObjectKind, Snapshot, TableDefinition, diff};
use crate::sqlite::{ask::Ask, quote::identifier, sqlite_error::SqliteContext};
use bridge_migrate_core::{Error, ErrorKind, Result};

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
pub(crate) const ACCEPTED: &str = "migration_accepted_objects";
/// Old values of records that data steps changed.
pub const JOURNAL: &str = "migration_affected_records";
/// Drift that an operator let a run pass over, with the name of the run.
pub(crate) const ALLOWED: &str = "migration_allowed_drift";
/// What rollbacks dropped and kept. Made by the first rollback that keeps something.
pub(crate) const KEPT: &str = "migration_kept";
/// Which of it came back.
pub const KEPT_BACK: &str = "migration_kept_back";

const OWN: [&str; 10] = [
    HISTORY,
    SCHEMA_VERSION,
    RUNS,
    STEPS,
    PROGRESS,
    ACCEPTED,
    JOURNAL,
    ALLOWED,
    KEPT,
    KEPT_BACK,
];

/// What names begin with while a large table changes; a number follows. The set of rows written meanwhile, and its triggers:
pub(crate) const DIRTY: &str = "migration_dirty_";
/// The table that is made anew.
pub(crate) const SHADOW: &str = "migration_shadow_";
/// The index that is not complete yet.
pub(crate) const INDEX: &str = "migration_index_";
/// What was replaced and is being emptied.
pub(crate) const OLD: &str = "migration_old_";

/// Whether the tool owns the table.
pub fn is_tool_table(name: &str) -> bool {
    is_record_table(name)
        || [DIRTY, SHADOW, INDEX, OLD]
            .iter()
            .any(|prefix| after_number(name, prefix) == Some(""))
}

fn is_record_table(name: &str) -> bool {
    OWN.iter().any(|table| table.eq_ignore_ascii_case(name))
}

/// Whether the tool owns the object: one of its tables, what is on them, or what it puts on a table of the user's while that
/// changes.
pub(crate) fn is_of_tool(object: &Object) -> bool {
    is_tool_table(&object.table)
        || match object.kind {
            // By what they do as well: whoever takes such a name hides nothing.
            ObjectKind::Index => is_unfinished_index(&object.name) && object.sql.ends_with(" WHERE 0"),
            ObjectKind::Trigger => {
                let rest = after_number(&object.name, DIRTY);
                rest.is_some_and(|rest| rest.starts_with('_'))
                    && object.sql.contains("INSERT INTO \"migration_dirty_")
            }
            ObjectKind::Table | ObjectKind::View => false,
        }
}

/// Whether an index has the name of one that is not complete yet.
pub(crate) fn is_unfinished_index(name: &str) -> bool {
    after_number(name, INDEX) == Some("")
}

/// What follows the number in a name that is `prefix` and a number.
fn after_number<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    let start = name.get(..prefix.len())?;
    let number = name.get(prefix.len()..)?;
    let rest = number.trim_start_matches(|c: char| c.is_ascii_digit());
    (start.eq_ignore_ascii_case(prefix) && rest.len() < number.len()).then_some(rest)
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

/// Made when there is something to write into it.
const CREATE_ALLOWED: &str = "\
CREATE TABLE IF NOT EXISTS migration_allowed_drift (
    run TEXT NOT NULL,
    difference TEXT NOT NULL
);
";

/// Creates the journal. `id` is the record's key, so that the strategy's
/// `WHERE id IN (SELECT id FROM migration_affected_records)` works as it stands.
const CREATE_JOURNAL: &str = "\
CREATE TABLE IF NOT EXISTS migration_affected_records (
    seq INTEGER PRIMARY KEY,
    migration INTEGER NOT NULL,
    table_name TEXT NOT NULL,
    column_name TEXT NOT NULL,
    row_id INTEGER NOT NULL,
    id,
    old_value,
    new_value,
    undone_by TEXT
);
";

/// Made by the first rollback that keeps something.
pub(crate) const CREATE_KEPT: &str = "\
CREATE TABLE IF NOT EXISTS migration_kept (
    file TEXT NOT NULL,
    data TEXT NOT NULL,
    run TEXT NOT NULL,
    kept_at TEXT NOT NULL,
    version INTEGER NOT NULL,
    name TEXT NOT NULL,
    table_name TEXT NOT NULL,
    column_name TEXT,
    rows INTEGER NOT NULL,
    PRIMARY KEY (file, data)
);
CREATE TABLE IF NOT EXISTS migration_kept_back (
    file TEXT NOT NULL,
    data TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (file, data, first)
);
";

/// As refinery makes it; only what it is compared with is made from this.
const CREATE_HISTORY: &str = "CREATE TABLE IF NOT EXISTS refinery_schema_history(
             version int4 PRIMARY KEY,
             name VARCHAR(255),
             applied_on VARCHAR(255),
             checksum VARCHAR(255));";

/// The tables as the tool makes them.
static AS_MADE: LazyLock<Snapshot> = LazyLock::new(|| {
    let scripts = [
        CREATE,
        CREATE_JOURNAL,
        CREATE_KEPT,
        CREATE_ALLOWED,
        CREATE_HISTORY,
    ];
    scripts
        .iter()
        .flat_map(|script| script.split_inclusive(';'))
        .map(|statement| {
            statement
                .trim()
                .trim_end_matches(';')
                .replace("IF NOT EXISTS ", "")
        })
        .filter_map(|sql| {
            let name = sql
                .strip_prefix("CREATE TABLE ")?
                .split(['(', ' '])
                .next()?
                .to_owned();
            Some(Object::new(ObjectKind::Table, name.clone(), name, sql))
        })
        .collect()
});

/// Creates what is missing. Runs inside the transaction of the step that needs the tables first.
pub(crate) fn create(connection: &Connection) -> Result<()> {
    connection
        .execute_batch(CREATE)
        .and_then(|()| connection.execute_batch(CREATE_JOURNAL))
        .while_doing("create the tool's own tables")
}

/// As [`create`], for the table of allowed drift.
pub(crate) fn create_allowed(connection: &Connection) -> Result<()> {
    connection
        .execute_batch(CREATE_ALLOWED)
        .while_doing("create the tool's own tables")
}

/// Whether the table exists.
pub(crate) fn exists(connection: &Connection, table: &str) -> Result<bool> {
    let query =
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE)";
    connection
        .row(query, [table], |row| row.get(0))
        .while_doing("read the schema")
}

/// The tool's tables in a database with nothing else in it, so that statements that name them compile there.
pub(crate) fn create_all(scratch: &Connection) -> Result<()> {
    create(scratch)?;
    create_allowed(scratch)?;
    scratch
        .execute_batch(CREATE_HISTORY)
        .and_then(|()| scratch.execute_batch(CREATE_KEPT))
        .while_doing("create the tool's own tables")
}

/// What somebody else put on the tool's tables or in their place that could change other rows when the tool writes its
/// records: triggers, unique indexes, views, and tables that do more than hold what is written, or less.
///
/// # Errors
/// When SQLite cannot read the schema.
pub(crate) fn foreign(connection: &Connection) -> Result<Vec<Difference>> {
    let found = Snapshot::read_again(connection, &AS_MADE, |object| {
        let is_work = object.kind == ObjectKind::Table
            || object.kind == ObjectKind::Index && is_unfinished_index(&object.name);
        is_record_table(&object.table) || is_tool_table(&object.table) && !is_work
    })
    .while_doing("read the schema of the tool's own tables")?;
    if found
        .iter()
        .all(|object| AS_MADE.iter().any(|made| made == object))
    {
        return Ok(Vec::new());
    }
    Ok(diff(&AS_MADE, &found)
        .into_iter()
        .filter(|difference| !is_harmless(difference))
        .collect())
}

/// The table that lacks a column.
pub(crate) fn lacks(difference: &Difference) -> Option<&str> {
    match difference {
        Difference::ColumnMissing { table, .. } => Some(table),
        _ => None,
    }
}

/// Refuses to write while [`foreign`] finds something.
///
/// # Errors
/// [`ErrorKind::Drift`](bridge_migrate_core::ErrorKind::Drift), with the statements that remove it.
pub(crate) fn refuse_foreign(connection: &Connection) -> Result<()> {
    let foreign = foreign(connection)?;
    if foreign.is_empty() {
        return Ok(());
    }
    let database = connection.path().unwrap_or_default().as_ref();
    let lacks: BTreeSet<&str> = foreign.iter().filter_map(lacks).collect();
    // What looks least like somebody else's is the history of a database that has the record of its steps, too.
    let is_ours = exists(connection, HISTORY)? && exists(connection, STEPS)? && !lacks.contains(STEPS);
    if !lacks.is_empty() && !is_ours {
        let names: Vec<&str> = lacks.iter().copied().collect();
        return Err(Error::unchanged(
            ErrorKind::Drift,
            format!(
                "tables have names of those that only this program writes, but not their columns: {}",
                names.join(", ")
            ),
        )
        .with_hint(rename_away(lacks, database)));
    }
    let what = "the tables that only this program writes are not as it made them";
    Err(refusal(what, &foreign, database))
}

/// Whether a difference of the tool's tables cannot make a write of the tool change anything else. Other programs made
/// some of them: refinery, operators by hand, other versions of this one.
fn is_harmless(difference: &Difference) -> bool {
    match difference {
        Difference::ObjectMissing { .. }
        | Difference::ColumnOrder { .. }
        | Difference::ConstraintMissing { .. }
        | Difference::OptionsChanged { .. } => true,
        Difference::ObjectUnexpected { object, actual, .. } => {
            *object == ObjectKind::Index && !actual.starts_with("create unique")
        }
        Difference::ObjectChanged { .. } | Difference::ColumnMissing { .. } => false,
        Difference::ColumnChanged { actual, .. } => actual.constraints.iter().all(|text| only_checks(text)),
        Difference::ColumnExtra {
            table,
            column,
            actual,
        } => TableDefinition::parse(&format!("create table {} ({actual})", identifier(table)))
            .and_then(|table| table.column(column).cloned())
            .is_some_and(|column| column.constraints.iter().all(|text| only_checks(text))),
        Difference::ConstraintExtra { actual, .. } => only_checks(actual),
    }
}

/// Whether a constraint can refuse a row and do nothing else: none that replaces rows, or refers to other tables.
fn only_checks(constraint: &str) -> bool {
    let mut words = constraint.split([' ', '(']);
    let mut first = words.next();
    if first == Some("constraint") {
        first = words.nth(1);
    }
    !constraint.contains("on conflict")
        && matches!(
            first,
            Some("primary" | "unique" | "check" | "collate" | "not" | "null")
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::connection::open_scratch;

    fn found(sql: &str) -> Vec<String> {
        let connection = open_scratch().unwrap();
        connection.execute_batch("CREATE TABLE messages (x)").unwrap();
        connection.execute_batch(sql).unwrap();
        create_all(&connection).unwrap();
        let foreign = foreign(&connection).unwrap();
        assert_eq!(refuse_foreign(&connection).is_err(), !foreign.is_empty());
        foreign.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_the_tool_and_refinery_make_is_their_own() {
        assert_eq!(found(""), [""; 0]);
    }

    #[test]
    fn what_only_refuses_or_finds_rows_is_left_alone() {
        for sql in [
            "CREATE TABLE schema_version (applied_at DATETIME, version TEXT NOT NULL, migration_file, note TEXT, \
             CONSTRAINT one PRIMARY KEY (version), CHECK (length(version) < 20))",
            "CREATE TABLE SCHEMA_VERSION (version VARCHAR(9) UNIQUE COLLATE nocase, applied_at, migration_file)",
            "CREATE TABLE migration_affected_records (seq INTEGER PRIMARY KEY, migration, table_name, column_name, \
             row_id, id, old_value, new_value, undone_by); CREATE INDEX by_id ON migration_affected_records (id)",
            "CREATE TRIGGER theirs AFTER INSERT ON messages BEGIN SELECT max(version) FROM schema_version; END",
            "CREATE TABLE migration_dirty_7 (r INTEGER PRIMARY KEY); CREATE TABLE Migration_Shadow_7 (x UNIQUE); \
             CREATE UNIQUE INDEX migration_index_7 ON migration_shadow_7 (x); CREATE TABLE migration_old_7 (x)",
        ] {
            assert_eq!(found(sql), [""; 0], "{sql}");
        }
    }

    #[test]
    fn what_is_under_way_is_the_tools_and_nothing_hides_behind_its_names() {
        let connection = open_scratch().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE messages (x); CREATE TABLE migration_dirty_12 (r INTEGER PRIMARY KEY);
                 CREATE INDEX migration_index_12 ON messages (x) WHERE 0;
                 CREATE TRIGGER migration_dirty_12_after_insert AFTER INSERT ON messages BEGIN
                     INSERT INTO \"migration_dirty_12\" (r) SELECT 1; END;
                 CREATE TRIGGER migration_dirty_1_after_insert AFTER INSERT ON messages BEGIN SELECT 1; END;
                 CREATE INDEX migration_index_1 ON messages (x); CREATE TABLE migration_dirty_ (x);
                 CREATE TABLE migration_dirty_1x (x); CREATE TABLE migration_shadow (x);",
            )
            .unwrap();
        let schema = crate::schema::expected::read(&connection).unwrap();
        let names: Vec<&str> = schema.iter().map(|object| object.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "messages",
                "migration_dirty_",
                "migration_dirty_1x",
                "migration_shadow",
                "migration_index_1",
                "migration_dirty_1_after_insert"
            ]
        );
    }

    #[test]
    fn what_could_change_other_rows_is_named() {
        let table = "CREATE TABLE schema_version (version TEXT PRIMARY KEY, applied_at, migration_file)";
        for (sql, named) in [
            (
                format!("{table}; CREATE TRIGGER wipe AFTER INSERT ON Schema_Version BEGIN DELETE FROM messages; END"),
                "wipe: trigger on",
            ),
            (
                "CREATE TABLE migration_dirty_7 (r INTEGER PRIMARY KEY); \
                 CREATE TRIGGER wipe AFTER INSERT ON migration_dirty_7 BEGIN DELETE FROM messages; END"
                    .to_owned(),
                "wipe: trigger on",
            ),
            (
                "CREATE VIEW migration_shadow_7 AS SELECT 1".to_owned(),
                "migration_shadow_7: view",
            ),
            (
                format!("{table}; CREATE UNIQUE INDEX migration_index_7 ON schema_version (applied_at)"),
                "migration_index_7: index on",
            ),
            (
                "CREATE VIEW migration_runs AS SELECT 1 AS run".to_owned(),
                "migration_runs: view",
            ),
            (
                format!("{table}; CREATE UNIQUE INDEX one ON schema_version (applied_at)"),
                "one: index on",
            ),
            (
                "CREATE TABLE schema_version (version, applied_at UNIQUE ON CONFLICT REPLACE, migration_file)".to_owned(),
                "schema_version.applied_at",
            ),
            (
                "CREATE TABLE schema_version (version, applied_at, migration_file REFERENCES messages (x))".to_owned(),
                "schema_version.migration_file",
            ),
            (
                "CREATE TABLE schema_version (version, applied_at, migration_file, more AS (1))".to_owned(),
                "schema_version: column more",
            ),
            (
                "CREATE TABLE schema_version (version, applied_at, migration_file, \
                 UNIQUE (migration_file) ON CONFLICT REPLACE)"
                    .to_owned(),
                "schema_version: constraint",
            ),
        ] {
            let found = found(&sql);
            assert!(found.len() == 1 && found[0].starts_with(named), "{sql}: {found:?}");
        }
    }
}
