//! The schema that a catalog implies at each version, found by running it in memory.

use rusqlite::Connection;

use crate::schema::tool_tables::{self, is_of_tool};
use crate::schema::{ObjectKind, Snapshot, script};
use crate::sqlite::{connection::open_scratch, sqlite_error::SqliteContext};
use bridge_migrate_core::{Catalog, Error, ErrorKind, Hint, Migration, Result};

/// The schemas at versions 0 to the last, at the index of the version.
///
/// # Errors
/// [`ErrorKind::CatalogInvalid`] when a migration does not run on the schema before it.
pub fn schemas(catalog: &Catalog) -> Result<Vec<Snapshot>> {
    let connection = open_scratch()?;
    let mut last = read(&connection)?;
    let mut snapshots = vec![last.clone()];
    for migration in catalog.migrations() {
        run(&connection, migration)?;
        last = read_again(&connection, &last)?;
        snapshots.push(last.clone());
    }
    Ok(snapshots)
}

/// The schema at one version; without objects when the catalog does not reach it.
///
/// # Errors
/// As [`schemas`].
pub fn schema_at(catalog: &Catalog, version: u32) -> Result<Snapshot> {
    if version > catalog.last_version() {
        return Ok(Snapshot::default());
    }
    let connection = open_scratch()?;
    for migration in catalog.migrations().iter().filter(|m| m.version <= version) {
        run(&connection, migration)?;
    }
    read(&connection)
}

fn run(scratch: &Connection, migration: &Migration) -> Result<()> {
    script::run(scratch, &migration.up).map_err(|source| invalid(&migration.stem(), source))
}

/// The schema of a database without what the tool owns.
///
/// # Errors
/// When SQLite cannot read the schema.
pub fn read(connection: &Connection) -> Result<Snapshot> {
    read_again(connection, &Snapshot::default())
}

/// Like [`read`], at the cost of what differs from `before`.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_again(connection: &Connection, before: &Snapshot) -> Result<Snapshot> {
    Snapshot::read_again(connection, before, |object| !is_of_tool(object)).while_doing("read the schema")
}

/// A database in memory with the objects of `schema`, and no rows. Objects of operators that need what a
/// plain SQLite does not have, such as functions of their own, are left out.
///
/// # Errors
/// When SQLite is out of memory.
pub(crate) fn replay(schema: &Snapshot) -> Result<Connection> {
    let connection = open_scratch()?;
    if schema.of_kind(ObjectKind::Trigger).next().is_some() {
        // A trigger that names one of the tool's tables compiles where that is.
        tool_tables::create_all(&connection)?;
    }
    for kind in [
        ObjectKind::Table,
        ObjectKind::Index,
        ObjectKind::View,
        ObjectKind::Trigger,
    ] {
        for object in schema.iter().filter(|object| object.kind == kind) {
            // A failure concerns an object that no migration names, or shows when one does.
            let _ = connection.execute_batch(&object.sql);
        }
    }
    Ok(connection)
}

fn invalid(stem: &str, source: rusqlite::Error) -> Error {
    Error::new(
        ErrorKind::CatalogInvalid,
        format!("migration {stem} does not run on the schema before it"),
    )
    .with_hint(Hint::CheckMigrations)
    .with_source(source)
}
