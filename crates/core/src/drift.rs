//! Drift: what of the schema differs from what the history implies and adoption accepted.

use rusqlite::Connection;

use crate::catalog::Catalog;
use crate::error::{Result, SqliteContext};
use crate::expected;
use crate::runs::last_fingerprint;
use crate::schema::{Difference, Fingerprint, diff};
use crate::state::State;
use crate::tool_tables;

/// The differences; none for a database that is not managed.
///
/// # Errors
/// When SQLite cannot read, or the catalog contradicts itself.
pub fn find(catalog: &Catalog, connection: &Connection, state: &State) -> Result<Vec<Difference>> {
    if state.history.is_none() || !tool_tables::exists(connection, tool_tables::STEPS)? {
        return Ok(Vec::new());
    }
    // The schema after the last step is on record: nearly always this is all there is to do.
    if last_fingerprint(connection)?.as_deref() == Some(Fingerprint::of(&state.schema).to_string().as_str()) {
        return Ok(Vec::new());
    }
    against_catalog(catalog, connection, state)
}

/// The differences to what the catalog implies, whatever schema is on record.
pub(crate) fn against_catalog(
    catalog: &Catalog,
    connection: &Connection,
    state: &State,
) -> Result<Vec<Difference>> {
    if state.version() > catalog.last_version() {
        return Ok(Vec::new());
    }
    let expected = expected::schema_at(catalog, state.version())?;
    let accepted = read_accepted(connection)?;
    let is_accepted = |kind: &str, name: &str, normal: &str| {
        accepted
            .iter()
            .any(|(a, b, c)| a == kind && b.eq_ignore_ascii_case(name) && c == normal)
    };
    Ok(diff(&expected, &state.schema)
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

fn read_accepted(connection: &Connection) -> Result<Vec<(String, String, String)>> {
    if !tool_tables::exists(connection, tool_tables::ACCEPTED)? {
        return Ok(Vec::new());
    }
    let doing = "read the accepted objects";
    let mut select = connection
        .prepare("SELECT kind, name, normal FROM migration_accepted_objects")
        .while_doing(doing)?;
    let rows = select
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .while_doing(doing)?;
    rows.collect::<rusqlite::Result<_>>().while_doing(doing)
}
