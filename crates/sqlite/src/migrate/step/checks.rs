//! What is compared before and after a step, inside its transaction.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::migrate::ledger::{self, Counts};
use crate::plan::drift::refuse_written_records;
use crate::records::schema_reader::SchemaReader;
use crate::schema::effects::{Effects, Forecast, Writes};
use crate::schema::{Difference, ObjectKind, Snapshot, diff, render_diff};
use crate::sqlite::foreign_keys::{self, Violations};
use bridge_migrate_core::{Error, ErrorKind, Hint, Result, RowChange};

/// A change of the schema or of rows, and what it declares.
pub(crate) struct Change<'a> {
    /// The migration's number and name.
    pub(crate) stem: &'a str,
    /// The schema before, as it should be.
    pub(crate) schema_before: &'a Snapshot,
    /// The schema after, likewise.
    pub(crate) schema_after: &'a Snapshot,
    /// The tables of the application, as opposed to the operators' own.
    pub(crate) managed: &'a Snapshot,
    /// The row counts that may differ.
    pub(crate) row_changes: &'a [RowChange],
}

/// The schema, the row counts and the violations before a step.
pub(crate) struct Before<'a> {
    /// What the step touches.
    pub(crate) effects: Cow<'a, Effects>,
    /// How long it took to read all this, and will take to read it again.
    pub(crate) took: Duration,
    schema: Rc<Snapshot>,
    counted: BTreeSet<String>,
    counts: Counts,
    linked: BTreeSet<String>,
    violations: Violations,
}

impl<'a> Before<'a> {
    /// Counts what the step's statements can reach, but for tables that were `compared` beside the servers.
    pub(crate) fn read(
        connection: &Connection,
        schemas: &SchemaReader<'_>,
        forecast: Forecast<'a>,
        compared: &[&str],
    ) -> Result<Self> {
        let started = Instant::now();
        let schema = schemas.read()?;
        let effects = forecast.effects_on(&schema)?;
        refuse_written_records(&effects, &schema, connection.path().unwrap_or_default().as_ref())?;
        let mut counted: BTreeSet<String> = effects.recounted().union(&effects.dropped).cloned().collect();
        let updated = effects.updated.iter().map(|(table, _)| table);
        let is_in_batches = matches!(forecast.writes, Writes::Column { .. });
        counted.extend(
            updated
                .filter(|table| !is_in_batches || can_replace(&schema, table))
                .cloned(),
        );
        let mut linked: BTreeSet<String> = counted.union(&effects.created).cloned().collect();
        for tables in [&mut counted, &mut linked] {
            tables.retain(|table| {
                !compared
                    .iter()
                    .any(|compared| compared.eq_ignore_ascii_case(table))
            });
        }
        Ok(Self {
            counts: ledger::count(connection, &schema, &counted)?,
            violations: foreign_keys::count(connection, &linked)?,
            took: started.elapsed(),
            effects,
            schema,
            counted,
            linked,
        })
    }

    /// Compares with what is there now, and returns the schema that is there now.
    pub(crate) fn check(
        &self,
        connection: &Connection,
        schemas: &SchemaReader<'_>,
        change: &Change<'_>,
    ) -> Result<Rc<Snapshot>> {
        let after = schemas.read()?;
        // What differed before the step, such as an object of the operators' own, may differ after it.
        let old: Vec<Difference> = diff(change.schema_before, &self.schema);
        let new: Vec<Difference> = diff(change.schema_after, &after)
            .into_iter()
            .filter(|difference| !old.iter().any(|old| old.is_still(difference)))
            .collect();
        if !new.is_empty() {
            return Err(Error::new(
                ErrorKind::SchemaMismatch,
                format!(
                    "{} did not lead to the schema it should; expected (-) and actual (+):\n{}",
                    change.stem,
                    render_diff(&new).trim_end()
                ),
            )
            .with_truth("The step was rolled back.")
            .with_hint(Hint::SchemaDiff));
        }
        let counts = ledger::count(connection, &after, &self.counted)?;
        ledger::compare(change, &self.counts, &counts)?;
        let violations = foreign_keys::count(connection, &self.linked)?;
        foreign_keys::compare(change.stem, &self.violations, &violations)?;
        Ok(after)
    }
}

/// Runs `write`, which changes no schema, and compares as for a step: rows may be added, as triggers do, and none may go.
pub(crate) fn conserving<T>(
    connection: &Connection,
    schemas: &SchemaReader<'_>,
    what: &str,
    writes: Writes<'_>,
    write: impl FnOnce() -> Result<T>,
) -> Result<T> {
    // No schema is empty on which anything is written: what is touched is found on the one that is there.
    let forecast = Forecast {
        writes,
        on: &Snapshot::default(),
        effects: &Effects::default(),
    };
    let before = Before::read(connection, schemas, forecast, &[])?;
    let written = write()?;
    let change = Change {
        stem: what,
        schema_before: &before.schema,
        schema_after: &before.schema,
        managed: &Snapshot::default(),
        row_changes: &[],
    };
    before.check(connection, schemas, &change)?;
    Ok(written)
}

/// Whether an update of the table can remove rows of it, which SQLite neither counts nor announces.
fn can_replace(schema: &Snapshot, table: &str) -> bool {
    schema
        .get(ObjectKind::Table, table)
        .is_some_and(|table| table.normal().contains("on conflict replace"))
        || schema
            .of_kind(ObjectKind::Trigger)
            .any(|trigger| trigger.normal().contains("update or replace"))
}
