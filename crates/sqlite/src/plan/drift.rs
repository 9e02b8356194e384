//! Drift: what of the schema differs from what the history implies and adoption accepted.

use std::{collections::HashSet, path::Path};

use rusqlite::Connection;

use crate::plan::Plan;
use crate::records::{runs::last_fingerprint, state::State};
use crate::schema::{
    Difference, Fingerprint, ObjectKind, Snapshot, diff, effects::Effects, expected, refusal::refusal,
    tool_tables,
};
use crate::sqlite::{ask::Ask, sqlite_error::SqliteContext};
use bridge_migrate_core::{Catalog, Hint, Result};

/// The differences; none for a database that is not managed.
///
/// # Errors
/// When SQLite cannot read, or the catalog contradicts itself.
pub(crate) fn find(catalog: &Catalog, connection: &Connection, state: &State) -> Result<Vec<Difference>> {
    let mut differences = tool_tables::foreign(connection)?;
    if state.history.is_none() || state.version() > catalog.last_version() {
        return Ok(differences);
    }
    // The schema that should be there is on record: nearly always this is all there is to do.
    let is_as_recorded = tool_tables::exists(connection, tool_tables::STEPS)?
        && last_fingerprint(connection)? == Some(recorded(&state.schema));
    if !is_as_recorded {
        let expected = expected::schema_at(catalog, state.version())?;
        differences.extend(unaccepted(connection, &expected, &state.schema)?);
    }
    Ok(differences)
}

/// The differences that nobody accepted at adoption.
fn unaccepted(connection: &Connection, expected: &Snapshot, actual: &Snapshot) -> Result<Vec<Difference>> {
    let accepted = read_accepted(connection)?;
    let is_accepted = |kind: &str, name: &str, normal: &str| {
        accepted.contains(&(kind.to_owned(), name.to_ascii_lowercase(), normal.to_owned()))
    };
    Ok(diff(expected, actual)
        .into_iter()
        .filter(|difference| match difference {
            Difference::ObjectUnexpected {
                object, name, actual, ..
            } => !is_accepted(object.as_str(), name, actual),
            Difference::ColumnExtra {
                table,
                column,
                actual,
            } => !is_accepted("column", &format!("{table}.{column}"), actual),
            _ => true,
        })
        .collect())
}

/// What goes on record of the schema after a step: of the schema that is there if it is the expected one, with what
/// adoption accepted; otherwise of the expected one, so that drift is not taken for it later.
pub(crate) fn fingerprint(connection: &Connection, expected: &Snapshot, actual: &Snapshot) -> Result<String> {
    let has_drifted = !unaccepted(connection, expected, actual)?.is_empty();
    Ok(recorded(if has_drifted { expected } else { actual }))
}

/// Marked, because what stands there without a mark was taken of whatever schema was there.
pub(crate) fn recorded(schema: &Snapshot) -> String {
    format!("expected:{}", Fingerprint::of(schema))
}

/// Kind, name in small letters and normal form of what adoption accepted.
fn read_accepted(connection: &Connection) -> Result<HashSet<(String, String, String)>> {
    if !tool_tables::exists(connection, tool_tables::ACCEPTED)? {
        return Ok(HashSet::new());
    }
    let accepted = connection.rows(
        "SELECT kind, name, normal FROM migration_accepted_objects",
        [],
        |row| {
            let name: String = row.get(1)?;
            Ok((row.get(0)?, name.to_ascii_lowercase(), row.get(2)?))
        },
    );
    Ok(accepted
        .while_doing("read the accepted objects")?
        .into_iter()
        .collect())
}

/// Refuses to apply a plan to a schema that somebody changed.
///
/// # Errors
/// [`ErrorKind::Drift`], with each difference and the statements that mend it.
pub(crate) fn refuse(plan: &Plan) -> Result<()> {
    if plan.drift.is_empty() {
        return Ok(());
    }
    let what = format!("the schema was changed by hand since {}", plan.from);
    let error = refusal(&what, &plan.drift, &plan.database);
    Err(error
        .with_truth("Nothing was changed.")
        .with_other_way(Hint::AllowDrift, "passes over it and puts it on record."))
}

/// The tool's records are written by the tool alone.
pub(crate) fn refuse_written_records(effects: &Effects, schema: &Snapshot, database: &Path) -> Result<()> {
    let Some((table, _)) = effects.records.first() else {
        return Ok(());
    };
    let triggers: Vec<Difference> = effects
        .records
        .iter()
        .filter_map(|(_, trigger)| schema.get(ObjectKind::Trigger, trigger))
        .map(|trigger| Difference::ObjectUnexpected {
            object: trigger.kind,
            name: trigger.name.clone(),
            table: trigger.table.clone(),
            actual: trigger.normal().to_owned(),
        })
        .collect();
    let what = format!("rows of {table}, which only this program writes, would be changed");
    Err(refusal(&what, &triggers, database))
}
