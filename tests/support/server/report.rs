//! What a server's calls came to, and whether the database still has what they wrote.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rusqlite::params_from_iter;
use rusqlite::types::Value;

use crate::TestDatabase;
use crate::database::connect_to_copy;

/// Columns and their values.
pub(super) type Columns = Vec<(&'static str, Value)>;

/// What a server's calls came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// Calls that wrote and were committed.
    pub writes: u64,
    /// Calls that read.
    pub reads: u64,
    /// What failed, with why; the server's users lost these calls.
    pub errors: Vec<String>,
    pub(super) latencies: Vec<Duration>,
    /// Table and key → the row as it was last written.
    pub(super) rows: BTreeMap<(&'static str, String), (Columns, Columns)>,
}

impl Report {
    /// The median time of a call, failed ones included.
    pub fn p50(&self) -> Duration {
        self.percentile(50)
    }

    /// The time that 99 of 100 calls stayed below, failed ones included.
    pub fn p99(&self) -> Duration {
        self.percentile(99)
    }

    /// The longest call.
    pub fn max(&self) -> Duration {
        self.percentile(100)
    }

    /// All calls, failed ones included.
    pub fn calls(&self) -> u64 {
        self.latencies.len() as u64
    }

    /// How many rows the server believes to be in the database.
    pub fn rows_written(&self) -> usize {
        self.rows.len()
    }

    /// The rows that are not in the database as the server last wrote them.
    pub fn lost(&self, database: &TestDatabase) -> Vec<String> {
        self.lost_from(database, &[])
    }

    /// The rows that are neither in the database nor in one of these copies as the server last wrote them.
    pub fn lost_from(&self, database: &TestDatabase, copies: &[PathBuf]) -> Vec<String> {
        let mut connections = vec![database.connect_read_only()];
        connections.extend(copies.iter().map(|copy| connect_to_copy(copy)));
        let lost = self.rows.iter().filter_map(|((table, key), (keys, values))| {
            let all: Vec<_> = keys.iter().chain(values).collect();
            let conditions: Vec<String> = all.iter().map(|(column, _)| format!("{column} IS ?")).collect();
            let sql = format!("SELECT count(*) FROM {table} WHERE {}", conditions.join(" AND "));
            let found: Vec<i64> = connections
                .iter()
                .map(|connection| {
                    let values = params_from_iter(all.iter().map(|(_, value)| value));
                    let mut statement = connection.prepare_cached(&sql).unwrap();
                    statement.query_row(values, |row| row.get(0)).unwrap()
                })
                .collect();
            (!found.contains(&1)).then(|| format!("{table} {key}: {found:?} rows are as written"))
        });
        lost.collect()
    }

    /// Fails unless every row is in the database, once, as the server last wrote it.
    ///
    /// # Panics
    /// When a row is lost or changed, or nothing was written at all.
    pub fn assert_nothing_lost(&self, database: &TestDatabase) {
        assert!(
            self.rows_written() > 0,
            "the server wrote nothing: {:?}",
            self.errors
        );
        let lost = self.lost(database);
        assert!(
            lost.is_empty(),
            "{} of {} rows: {lost:#?}",
            lost.len(),
            self.rows.len()
        );
    }

    /// Fails when one of the server's calls failed.
    ///
    /// # Panics
    /// With the errors.
    pub fn assert_no_errors(&self) {
        let first = &self.errors[..self.errors.len().min(5)];
        assert!(
            self.errors.is_empty(),
            "{} calls failed: {first:#?}",
            self.errors.len()
        );
    }

    fn percentile(&self, percent: usize) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies
            .get(last * percent / 100)
            .copied()
            .unwrap_or_default()
    }

    /// Runs one call and notes its time and its error; whether it succeeded.
    pub(super) fn time(&mut self, what: &str, call: impl FnOnce() -> rusqlite::Result<()>) -> bool {
        let started = Instant::now();
        let result = call();
        self.latencies.push(started.elapsed());
        if let Err(error) = &result {
            self.errors
                .push(format!("{what}: {error} after {:?}", started.elapsed()));
        }
        result.is_ok()
    }

    /// Takes over what another thread noted.
    pub(super) fn add(&mut self, other: Self) {
        self.writes += other.writes;
        self.reads += other.reads;
        self.errors.extend(other.errors);
        self.latencies.extend(other.latencies);
        self.rows.extend(other.rows);
    }
}
