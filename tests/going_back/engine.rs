//! The engine on a test database, and what may be compared before and after.

use bridge_migrate_core::{Catalog, Result, Settings, Silent, Target};
use bridge_migrate_sqlite::PlanOptions;
use bridge_migrate_sqlite::State;
use bridge_migrate_sqlite::connection;
use bridge_migrate_sqlite::rollback::{RollbackOptions, RollbackOutcome, Strategy, rollback};
use bridge_migrate_sqlite::schema::expected;
use bridge_migrate_sqlite::schema::tool_tables::is_tool_table;
use bridge_migrate_sqlite::schema::{Fingerprint, diff, render_diff};
use bridge_migrate_sqlite::{MigrateOptions, migrate};
use rusqlite::Connection;
use support::{TestDatabase, dump};

pub(crate) fn catalog() -> Catalog {
    bridge_migrate::catalog().unwrap()
}

pub(crate) fn settings(database: &TestDatabase) -> Settings {
    let mut settings = Settings::new(database.path());
    settings.log_dir = database.root().join("logs");
    settings
}

pub(crate) fn up(database: &TestDatabase, version: u32) {
    let options = MigrateOptions {
        plan: PlanOptions {
            target: Target::Version(version),
            ..PlanOptions::default()
        },
        ..MigrateOptions::default()
    };
    migrate(&catalog(), &settings(database), options, &Silent).unwrap();
}

pub(crate) fn down(database: &TestDatabase, version: u32, strategy: Strategy) -> RollbackOutcome {
    let options = RollbackOptions {
        target: Target::Version(version),
        strategy,
        companion: Default::default(),
    };
    rollback(&catalog(), &settings(database), options, &mut |_| true, &Silent).unwrap()
}

/// A copy of the database and its token file in a folder of its own, without backups.
pub(crate) fn twin(database: &TestDatabase) -> TestDatabase {
    let twin = TestDatabase::nothing();
    std::fs::copy(database.path(), twin.path()).unwrap();
    std::fs::copy(database.tokens(), twin.tokens()).unwrap();
    twin
}

/// A copy of everything in the database's folder.
pub(crate) fn copy_of(database: &TestDatabase) -> TestDatabase {
    let copy = TestDatabase::nothing();
    for entry in std::fs::read_dir(database.folder()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.folder().join(entry.file_name())).unwrap();
    }
    copy
}

/// Every row of every table but the tool's own, in an order that does not depend on row numbers.
pub(crate) fn rows(database: &TestDatabase, without: &[(&str, &str)]) -> String {
    let connection = database.connect_read_only();
    let mut text = String::new();
    for table in dump::tables(&connection) {
        if is_tool_table(&table) {
            continue;
        }
        let columns = dump::columns(&connection, &table);
        let columns: Vec<&str> = columns
            .iter()
            .map(String::as_str)
            .filter(|column| !without.contains(&(table.as_str(), column)))
            .collect();
        let mut lines = Vec::new();
        dump::each_row(&connection, &table, &columns, |line| lines.push(line.to_owned()));
        lines.sort();
        text.push_str(&format!("== {table}\n{}", lines.concat()));
    }
    text
}

fn read<T>(database: &TestDatabase, look: impl Fn(&Connection) -> Result<T>) -> T {
    let patience = std::time::Duration::from_secs(5);
    connection::with_reader(&database.path(), patience, |reader| look(reader)).unwrap()
}

pub(crate) fn fingerprint(database: &TestDatabase) -> String {
    let schema = read(database, expected::read);
    Fingerprint::of(&schema).to_string()
}

/// The database is at a version that the catalog names: its history, schema, releases and pages agree.
pub(crate) fn assert_whole(database: &TestDatabase) -> u32 {
    let (answer, state) = read(database, |reader| {
        let answer: String = reader
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        Ok((answer, State::read(reader)?))
    });
    assert_eq!(answer, "ok");
    let catalog = catalog();
    let schemas = expected::schemas(&catalog).unwrap();
    let Some(history) = &state.history else {
        // The content of a backup from before the adoption: that of 1.0.0.
        let differences = unexpected(&schemas[1], &state.schema);
        assert!(differences.is_empty(), "{differences}");
        return 1;
    };
    history.check(&catalog).unwrap();
    let version = history.version();
    let differences = unexpected(&schemas[version as usize], &state.schema);
    assert!(differences.is_empty(), "V{version:03}: {differences}");
    let release = catalog.release_at(version).map(|release| release.to_string());
    assert_eq!(state.schema_version, release, "V{version:03}");
    version
}

/// What differs, but for the operators' own objects.
fn unexpected(
    expected: &bridge_migrate_sqlite::schema::Snapshot,
    live: &bridge_migrate_sqlite::schema::Snapshot,
) -> String {
    use bridge_migrate_sqlite::schema::Difference;
    let differences: Vec<Difference> = diff(expected, live)
        .into_iter()
        .filter(|difference| !matches!(difference, Difference::ObjectUnexpected { .. }))
        .collect();
    render_diff(&differences)
}
