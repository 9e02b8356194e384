//! What must be true of a database after a crowd, however its processes took turns: what one undisturbed run would
//! have made of it, and beside that only what the servers wrote.

use std::collections::BTreeMap;
use std::fs;

use bridge_migrate::SCHEMA_VERSION;
use support::catalog::{last, releases};
use support::{BridgeMigrate, Report, TestDatabase, dump};

use crate::common::run;

/// A row of the journal, without the number that depends on who came first.
const JOURNAL: [&str; 8] = [
    "migration",
    "table_name",
    "column_name",
    "row_id",
    "id",
    "old_value",
    "new_value",
    "undone_by",
];

/// Table and row as text, and how often it is there.
type Rows = BTreeMap<String, u64>;

/// What one undisturbed run makes of a database.
pub(super) struct Truth {
    rows: Rows,
    journal: Rows,
}

impl Truth {
    /// Migrates a copy of the database as it is now, while nobody writes.
    pub(super) fn of(database: &TestDatabase) -> Self {
        let copy = TestDatabase::nothing();
        for (from, to) in [(database.path(), copy.path()), (database.tokens(), copy.tokens())] {
            if from.exists() {
                fs::copy(from, to).unwrap();
            }
        }
        run(&copy, &["migrate", "--no-backup"]);
        Self {
            rows: rows_of_the_application(&copy),
            journal: journal(&copy),
        }
    }

    /// Everything that is not as it must be, after servers wrote what their report says.
    pub(super) fn broken(&self, database: &TestDatabase, report: &Report) -> Vec<String> {
        let mut broken = report.lost(database);
        let found = rows_of_the_application(database);
        broken.extend(missing(&self.rows, &found));
        let (before, written) = (total(&self.rows), report.rows_written() as u64);
        if total(&found) != before + written {
            broken.push(format!(
                "{} rows, where {before} were and the servers wrote {written}",
                total(&found)
            ));
        }
        let found = journal(database);
        broken.extend(missing(&self.journal, &found));
        broken.extend(missing(&found, &self.journal).map(|line| format!("the journal has, too: {line}")));
        broken.extend(records(database));
        broken
    }

    /// Fails unless everything is as it must be.
    #[track_caller]
    pub(super) fn assert_holds(&self, database: &TestDatabase, report: &Report) {
        let broken = self.broken(database, report);
        assert!(
            broken.is_empty(),
            "{} things are wrong: {:#?}",
            broken.len(),
            &broken[..broken.len().min(10)]
        );
    }
}

fn total(rows: &Rows) -> u64 {
    rows.values().sum()
}

fn missing<'a>(expected: &'a Rows, found: &'a Rows) -> impl Iterator<Item = String> + 'a {
    expected.iter().filter_map(|(row, times)| {
        let found = found.get(row).copied().unwrap_or_default();
        (found != *times).then(|| format!("there {found} times instead of {times}: {row}"))
    })
}

fn collect(database: &TestDatabase, table: &str, columns: &[&str], rows: &mut Rows) {
    dump::each_row(&database.connect_read_only(), table, columns, |line| {
        *rows.entry(format!("{table}: {}", line.trim_end())).or_default() += 1;
    });
}

fn rows_of_the_application(database: &TestDatabase) -> Rows {
    let connection = database.connect_read_only();
    let of_the_tool = |table: &String| {
        table.starts_with("migration_")
            || ["schema_version", "refinery_schema_history"].contains(&table.as_str())
    };
    let mut rows = Rows::new();
    for table in dump::tables(&connection) {
        if !of_the_tool(&table) {
            let columns = dump::columns(&connection, &table);
            // A token file does not say when a token was revoked: the import's own time stands for it.
            let kept = columns
                .iter()
                .map(String::as_str)
                .filter(|column| *column != "revoked_at");
            collect(database, &table, &kept.collect::<Vec<&str>>(), &mut rows);
        }
    }
    rows
}

fn journal(database: &TestDatabase) -> Rows {
    let mut rows = Rows::new();
    collect(database, "migration_affected_records", &JOURNAL, &mut rows);
    rows
}

/// Each version is recorded once, by everybody who records it, and the checks that operators have find nothing.
fn records(database: &TestDatabase) -> Vec<String> {
    let releases = releases();
    let once: Vec<String> = (1..=last()).map(|version| version.to_string()).collect();
    let versions = |table: &str| {
        let sql = format!("SELECT version FROM {table} ORDER BY version, rowid");
        (sql.clone(), database.query_strings(&sql), once.clone())
    };
    let of = |sql: &str, expected: &[&str]| {
        let expected: Vec<String> = expected.iter().map(|text| (*text).to_owned()).collect();
        (sql.to_owned(), database.query_strings(sql), expected)
    };
    let checks = [
        versions("refinery_schema_history"),
        versions("migration_steps"),
        of(
            "SELECT version FROM schema_version ORDER BY applied_at, version",
            &releases.iter().map(String::as_str).collect::<Vec<&str>>(),
        ),
        of("SELECT version FROM migration_progress", &[]),
        // Every message is in the thread of the one that it replies to.
        of(
            "SELECT m.id FROM messages m JOIN messages p ON p.id = m.reply_to WHERE m.thread_id IS NOT p.thread_id",
            &[],
        ),
        of("SELECT id FROM messages WHERE thread_id IS NULL", &[]),
        of("PRAGMA integrity_check", &["ok"]),
    ];
    let mut broken: Vec<String> = checks
        .into_iter()
        .filter(|(_, found, expected)| found != expected)
        .map(|(sql, found, expected)| format!("{sql} gives {found:?} instead of {expected:?}"))
        .collect();
    for command in ["verify", "status"] {
        let output = BridgeMigrate::new(database).args([command, "--json"]).run();
        let (code, answer) = (output.code, output.json());
        let is_well = match command {
            // A run that another one overtook may be the last that began; it is told with a warning.
            "verify" => answer["findings"]
                .as_array()
                .is_some_and(|findings| findings.iter().all(|finding| finding["code"] == "BV141")),
            _ => {
                answer["drift"] == serde_json::json!([])
                    && answer["lock"].is_null()
                    && answer["interrupted"].is_null()
                    && answer["release"] == SCHEMA_VERSION
            }
        };
        if code != Some(0) || !is_well {
            broken.push(format!("{command}: {output}"));
        }
    }
    broken
}
