//! The conservation ledger: the rows of every table that a step can touch are counted before and after, and
//! only what the migration declares may differ.
//!
//! Tables that SQLite's compiler proves untouched need no count: nothing that runs can reach their rows.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;

use crate::migrate::step::checks::Change;
use crate::schema::{ObjectKind, Snapshot};
use crate::sqlite::count::count_rows;
use bridge_migrate_core::{Error, ErrorKind, Hint, Result, RowChangeKind};

/// Row counts by table.
pub(crate) type Counts = BTreeMap<String, u64>;

/// Counts the rows of those `tables` that exist.
///
/// # Errors
/// When SQLite cannot read a table.
pub(crate) fn count(connection: &Connection, schema: &Snapshot, tables: &BTreeSet<String>) -> Result<Counts> {
    let mut counts = Counts::new();
    for table in tables {
        if let Some(object) = schema.get(ObjectKind::Table, table) {
            counts.insert(object.name.clone(), count_rows(connection, &object.name)?);
        }
    }
    Ok(counts)
}

/// Refuses a count that differs without a declaration.
///
/// # Errors
/// [`ErrorKind::ConservationViolated`], with every count that differs.
pub(crate) fn compare(change: &Change<'_>, before: &Counts, after: &Counts) -> Result<()> {
    let mut wrong = Vec::new();
    for (table, &then) in before {
        let now = after.get(table).copied();
        let declares = |kind| {
            change
                .row_changes
                .iter()
                .any(|change| change.kind == kind && change.table.eq_ignore_ascii_case(table))
        };
        // A trigger of the operators' own may add rows to a table of their own while rows of ours change.
        let is_theirs = change.managed.get(ObjectKind::Table, table).is_none();
        match now {
            None if !declares(RowChangeKind::Removes) && then > 0 => {
                wrong.push(format!("{table}: {then} rows before, no table after"));
            }
            Some(now) if now < then && !declares(RowChangeKind::Removes) => {
                wrong.push(format!("{table}: {then} rows before, {now} after"));
            }
            Some(now) if now > then && !declares(RowChangeKind::Adds) && !is_theirs => {
                wrong.push(format!("{table}: {then} rows before, {now} after"));
            }
            _ => {}
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::ConservationViolated,
        format!(
            "{} changes rows that it does not declare: {}",
            change.stem,
            wrong.join("; ")
        ),
    )
    .with_truth("The step was rolled back.")
    .with_hint(Hint::PlanSql))
}
