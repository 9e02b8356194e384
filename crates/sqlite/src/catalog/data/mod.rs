//! How data steps run here: in batches, each a transaction of its own within the lock budget.

mod chain_roots;
mod rewrite;

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use crate::catalog::journal::Journal;
use bridge_migrate_core::{DataStep, Error, ErrorKind, Result, Zone};

/// Changes up to `batch.limit` rows after `batch.cursor`.
pub(crate) fn forward(step: &DataStep, batch: &mut Batch<'_>) -> Result<BatchOutcome> {
    match step {
        DataStep::Rewrite(step) => rewrite::forward(step, batch),
        DataStep::ChainRoots(step) => chain_roots::forward(step, batch),
    }
}

/// Finds rows that the step would have to leave as they are, by key and with the reason, reading only.
pub(crate) fn unconvertible(
    step: &DataStep,
    connection: &Connection,
    time_zone: &Zone,
    found: &mut dyn FnMut(String, &'static str),
) -> Result<()> {
    match step {
        DataStep::Rewrite(step) => rewrite::unconvertible(step, connection, time_zone, found),
        DataStep::ChainRoots(_) => Ok(()),
    }
}

/// What a batch works with. It runs inside a transaction that the engine began and will commit.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    /// The connection, inside the transaction.
    pub connection: &'a Connection,
    /// Where the last batch ended; `None` at the start.
    pub cursor: Option<&'a str>,
    /// How many rows to visit at most.
    pub limit: u64,
    /// What a timestamp without an offset means.
    pub time_zone: &'a Zone,
    /// Where old values go.
    pub journal: Journal<'a>,
    /// Rows left as they are: the key as text, and why.
    pub skipped: Vec<(String, &'static str)>,
}

/// What a batch did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BatchOutcome {
    /// Where the next batch goes on; `None` when there is nothing left.
    pub cursor: Option<String>,
    /// Rows read.
    pub visited: u64,
    /// Rows changed.
    pub changed: u64,
}

/// A key as people read it. Text is shown as it is, NULL and blobs by what they are.
pub(crate) fn key_text(key: ValueRef<'_>, rowid: i64) -> String {
    match key {
        ValueRef::Null => format!("(NULL, rowid {rowid})"),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Blob(bytes) => format!("(blob of {} bytes, rowid {rowid})", bytes.len()),
    }
}

/// The row id that a cursor of `table` names.
pub(crate) fn parse_cursor(cursor: &str, table: &str) -> Result<i64> {
    cursor.parse().map_err(|source: std::num::ParseIntError| {
        Error::new(
            ErrorKind::HistoryDamaged,
            format!("the stored cursor `{cursor}` of {table} is not a row id"),
        )
        .with_source(source)
    })
}
