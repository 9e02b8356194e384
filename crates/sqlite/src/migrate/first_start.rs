//! The application's first start: its server makes its tables one by one, and whoever looks meanwhile sees a part.

use std::time::Duration;

use rusqlite::Connection;

use crate::files::database_file::{FileState, inspect};
use crate::records::state::State;
use crate::schema::{Difference, ObjectKind, Snapshot, diff, expected};
use crate::sqlite::{ask::Ask, connection, quote, sqlite_error::SqliteContext};
use bridge_migrate_core::{Catalog, Error, ErrorKind, Result, Settings};

/// How long a first start may take: a server needs a tenth of a second.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);
/// How long to wait before looking again.
pub(crate) const PAUSE: Duration = Duration::from_millis(50);

/// Whether `error` came of a server that was making its tables, so that another look may find them all.
///
/// `was_fresh` says whether the plan was made for a database with nothing in it.
pub(crate) fn explains(error: &Error, was_fresh: bool, catalog: &Catalog, settings: &Settings) -> bool {
    if error.reached().is_some() {
        return false;
    }
    // What cannot be read now fails again with an error of its own.
    let explained = match error.kind() {
        ErrorKind::SchemaMismatch => {
            of_unmanaged(settings, |reader, schema| is_under_way(catalog, reader, schema))
        }
        // Tables are there that were not planned for, perhaps with rows already.
        _ if was_fresh => of_unmanaged(settings, |_, schema| Ok(!schema.is_empty())),
        _ => Ok(false),
    };
    explained.unwrap_or(false)
}

/// What `judge` says of the database's schema; nothing is so of one that is not there, or managed.
fn of_unmanaged(settings: &Settings, judge: impl Fn(&Connection, &Snapshot) -> Result<bool>) -> Result<bool> {
    if !matches!(inspect(&settings.database)?, FileState::Database { .. }) {
        return Ok(false);
    }
    connection::with_reader(&settings.database, settings.busy_timeout, |reader| {
        let state = State::read(reader)?;
        Ok(state.history.is_none() && judge(reader, &state.schema)?)
    })
}

/// Whether there is nothing but a part of the first version's schema, and not one row.
fn is_under_way(catalog: &Catalog, reader: &Connection, schema: &Snapshot) -> Result<bool> {
    let is_part = diff(&expected::schema_at(catalog, 1)?, schema)
        .iter()
        .all(|difference| matches!(difference, Difference::ObjectMissing { .. }));
    Ok(is_part && !has_rows(reader, schema)?)
}

fn has_rows(connection: &Connection, schema: &Snapshot) -> Result<bool> {
    for table in schema.of_kind(ObjectKind::Table) {
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {})", quote::identifier(&table.name));
        if connection.value(&sql, []).while_doing("look for rows")? {
            return Ok(true);
        }
    }
    Ok(false)
}
