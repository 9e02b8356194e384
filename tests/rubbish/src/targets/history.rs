//! The tool's own tables, with rows of any type and value: never a panic, never "all is well" for another history.

use std::cell::OnceCell;
use std::fs;
use std::time::Duration;

use bridge_migrate_core::{Finding, Result, Settings, Severity, Silent, Target};
use bridge_migrate_sqlite::connection;
use bridge_migrate_sqlite::doctor::gather;
use bridge_migrate_sqlite::rollback::{self, RollbackOptions, Strategy};
use bridge_migrate_sqlite::status::{Status, status};
use bridge_migrate_sqlite::undo::{UndoOptions, undo};
use bridge_migrate_sqlite::verify::{VerifyOptions, verify};
use bridge_migrate_sqlite::wait;
use bridge_migrate_sqlite::{Plan, PlanOptions};
use bridge_migrate_sqlite::{plan, read_runs, read_steps};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use support::dump;

use crate::ground::{CATALOG, Files, LATEST, Place};

/// The tool's tables with their columns.
const TABLES: [(&str, &[&str]); 7] = [
    (
        "refinery_schema_history",
        &["version", "name", "applied_on", "checksum"],
    ),
    ("schema_version", &["version", "applied_at", "migration_file"]),
    (
        "migration_steps",
        &[
            "version",
            "name",
            "release",
            "phase",
            "run",
            "adopted",
            "applied_at",
            "duration_ms",
            "max_lock_ms",
            "rows_changed",
            "rows_skipped",
            "fingerprint",
            "way_back",
            "down_sql",
            "rollback",
        ],
    ),
    (
        "migration_runs",
        &[
            "run",
            "command",
            "started_at",
            "finished_at",
            "from_version",
            "to_version",
            "reached_version",
            "host",
            "pid",
            "tool",
            "time_zone",
            "backup",
        ],
    ),
    (
        "migration_progress",
        &[
            "version",
            "name",
            "release",
            "way_back",
            "direction",
            "cursor",
            "visited",
            "changed",
            "skipped",
            "max_lock_us",
            "started_at",
        ],
    ),
    ("migration_affected_records", &[]),
    ("migration_accepted_objects", &["kind", "name", "normal"]),
];
/// In a text that no bundle may show.
const SECRET: &str = "tk_rubbish";

struct Ground {
    place: Place,
    /// As the tool makes its tables, and with tables that take any value.
    databases: [Vec<u8>; 2],
    history: Vec<String>,
}

/// What looks at a history.
#[derive(Debug, Clone, Copy)]
pub struct Looks {
    /// What is wrong with the database.
    pub verify: fn(&Settings) -> Result<Vec<Finding>>,
    /// Where it stands.
    pub status: fn(&Settings) -> Result<Status>,
    /// What is to be done.
    pub plan: fn(&Settings) -> Result<Plan>,
    /// Whether it is at the last release.
    pub wait: fn(&Settings) -> Result<()>,
    /// What a maintainer gets, as JSON.
    pub bundle: fn(&Settings) -> Result<String>,
}

/// The product's.
pub const OURS: Looks = Looks {
    verify: |settings| verify(&CATALOG, settings, VerifyOptions::default(), &Silent),
    status: |settings| status(&CATALOG, settings),
    plan: |settings| plan(&CATALOG, settings, PlanOptions::default()),
    wait: |settings| wait(&CATALOG, settings, Target::Latest, Duration::ZERO).map(drop),
    bundle: |settings| Ok(serde_json::to_string(&gather(&CATALOG, settings, &Silent)?).unwrap()),
};

thread_local! {
    static GROUND: OnceCell<Ground> = const { OnceCell::new() };
}

/// Edits the tool's tables, a line at a time, and runs all that reads them. A line is `table row column value`: the
/// table by its number or name, the row by its place, the column by its number or name, `-` to remove the row or `+` to
/// add one. An empty line is none. A value is `n`, `i` and a number, `r` and a number, `t` and a text, `b` and bytes. A first line of `!` lets
/// the tables take any value.
///
/// # Panics
/// As [`check`].
pub fn history(data: &[u8]) {
    check(&OURS, data);
}

/// The same with those looks.
///
/// # Panics
/// When something that only reads changes the file, finds nothing wrong with another history, or something with a
/// database that nobody touched.
pub fn check(looks: &Looks, data: &[u8]) {
    GROUND.with(|ground| check_at(looks, ground.get_or_init(prepare), data));
}

fn prepare() -> Ground {
    let place = LATEST.place();
    let connection = Connection::open(place.database()).unwrap();
    let history = read_history(&connection);
    for (table, _) in TABLES {
        connection
            .execute_batch(&format!(
                "ALTER TABLE {table} RENAME TO old; CREATE TABLE {table} AS SELECT * FROM old; DROP TABLE old"
            ))
            .unwrap();
    }
    drop(connection);
    Ground {
        databases: [LATEST.database.clone(), fs::read(place.database()).unwrap()],
        place,
        history,
    }
}

fn check_at(looks: &Looks, ground: &Ground, data: &[u8]) {
    let (loose, lines) = match data.strip_prefix(b"!\n") {
        Some(lines) => (true, lines),
        None => (false, data),
    };
    let place = &ground.place;
    let files = Files {
        database: ground.databases[usize::from(loose)].clone(),
        tokens: LATEST.tokens.clone(),
    };
    files.put(place);
    let connection = Connection::open(place.database()).unwrap();
    connection
        .execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY; BEGIN")
        .unwrap();
    for line in lines
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .take(12)
    {
        // What a constraint refuses cannot stand in a table.
        let _ = edit(&connection, line);
    }
    connection.execute_batch("COMMIT").unwrap();
    let is_same = read_history(&connection) == ground.history;
    let is_untouched = !loose && connection.total_changes() == 0;
    drop(connection);
    let before = fs::read(place.database()).unwrap();
    judge(looks, &place.settings, is_same, is_untouched);
    look(&place.settings, data.len());
    assert!(
        before == fs::read(place.database()).unwrap(),
        "a look changed the file"
    );
}

/// What says that all is well says it of the history as it was, and always of a database as it was.
fn judge(looks: &Looks, settings: &Settings, is_same: bool, is_untouched: bool) {
    let found = (looks.verify)(settings);
    let is_well = found
        .as_ref()
        .is_ok_and(|found| found.iter().all(|finding| finding.severity != Severity::Error));
    assert!(is_same || !is_well, "verify finds nothing wrong: {found:?}");
    assert!(
        !is_untouched || is_well,
        "verify finds something wrong: {found:?}"
    );

    let stands = (looks.status)(settings);
    let is_well = stands
        .as_ref()
        .is_ok_and(|status| status.drift.is_empty() && status.pending.is_empty());
    assert!(is_same || !is_well, "status finds nothing wrong: {stands:?}");
    assert!(
        !is_untouched || is_well,
        "status finds something wrong: {stands:?}"
    );

    let plan = (looks.plan)(settings);
    let is_done = plan.as_ref().is_ok_and(Plan::is_empty);
    assert!(is_same || !is_done, "nothing to do: {plan:?}");
    assert!(!is_untouched || is_done, "something to do: {plan:?}");
    let waited = (looks.wait)(settings);
    assert!(is_same || waited.is_err(), "the database is there: {waited:?}");
    assert!(
        !is_untouched || waited.is_ok(),
        "the database is not there: {waited:?}"
    );

    let bundle = (looks.bundle)(settings).unwrap();
    assert!(!bundle.contains(SECRET), "a text of a row is told: {bundle}");
}

/// What else reads the tables: whatever it answers, it does not panic.
fn look(settings: &Settings, choice: usize) {
    // One way back for each input: each is a plan of its own.
    let strategies = [Strategy::Auto, Strategy::Down, Strategy::Undo, Strategy::Restore];
    let options = RollbackOptions {
        target: if choice.is_multiple_of(3) {
            Target::Version(1)
        } else {
            Target::Back(1)
        },
        strategy: strategies[choice % strategies.len()],
        companion: Default::default(),
    };
    let _ = rollback::plan(&CATALOG, settings, options);
    let options = UndoOptions {
        dry_run: true,
        ..UndoOptions::default()
    };
    let _ = undo(settings, 5, &options, &Silent);
    let read = connection::with_reader(&settings.database, settings.busy_timeout, |reader| {
        let _ = (read_steps(reader), read_runs(reader));
        Ok(())
    });
    read.unwrap();
}

/// Number, name and checksum of each row with their types, as they stand.
fn read_history(connection: &Connection) -> Vec<String> {
    let mut select = connection
        .prepare("SELECT version, name, checksum FROM refinery_schema_history ORDER BY version, rowid")
        .unwrap();
    let rows = select
        .query_map([], |row| {
            let values = [0, 1, 2].map(|index| row.get_ref(index).map(dump::render));
            values
                .into_iter()
                .collect::<rusqlite::Result<Vec<_>>>()
                .map(|values| values.join(", "))
        })
        .unwrap();
    rows.collect::<rusqlite::Result<_>>().unwrap()
}

fn edit(connection: &Connection, line: &[u8]) -> rusqlite::Result<usize> {
    let mut fields = line.splitn(4, |byte| *byte == b' ');
    let mut field = || String::from_utf8_lossy(fields.next().unwrap_or_default()).into_owned();
    let (table, row, column) = (field(), field(), field());
    let (table, columns) = match TABLES.iter().find(|(name, _)| *name == table) {
        Some(table) => *table,
        None => TABLES[place_of(&table, TABLES.len())],
    };
    let known = dump::columns(connection, table);
    let columns: Vec<&str> = if columns.is_empty() {
        known.iter().map(String::as_str).collect()
    } else {
        columns.to_vec()
    };
    let rowid = format!(
        "(SELECT rowid FROM {table} ORDER BY rowid LIMIT 1 OFFSET {})",
        place_of(&row, 16)
    );
    let value = value(fields.next().unwrap_or_default());
    match column.as_str() {
        "-" => connection.execute(&format!("DELETE FROM {table} WHERE rowid = {rowid}"), []),
        "+" => {
            let marks = vec!["?1"; columns.len()].join(", ");
            connection.execute(
                &format!("INSERT INTO {table} ({}) VALUES ({marks})", columns.join(", ")),
                params_from_iter([value]),
            )
        }
        named => {
            let column = match columns.iter().find(|column| **column == named) {
                Some(column) => column,
                None => columns[place_of(named, columns.len())],
            };
            let sql = format!("UPDATE {table} SET {column} = ?1 WHERE rowid = {rowid}");
            connection.execute(&sql, params_from_iter([value]))
        }
    }
}

fn place_of(text: &str, places: usize) -> usize {
    let number = text.bytes().fold(0_usize, |number, byte| {
        number
            .wrapping_mul(10)
            .wrapping_add(usize::from(byte.wrapping_sub(b'0')))
    });
    number % places
}

fn value(text: &[u8]) -> Value {
    let Some((kind, rest)) = text.split_first() else {
        return Value::Null;
    };
    let words = String::from_utf8_lossy(rest);
    match kind {
        b'i' => Value::Integer(words.parse().unwrap_or(i64::MIN)),
        b'r' => Value::Real(words.parse().unwrap_or(f64::INFINITY)),
        b't' => Value::Text(words.into_owned()),
        b'b' => Value::Blob(rest.to_owned()),
        _ => Value::Null,
    }
}
