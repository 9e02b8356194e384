//! Writes an adoption: the history, the records and the accepted objects, in one transaction.

use rusqlite::{Connection, params};

use crate::migrate::refinery_step::{self, Mode};
use crate::plan::{adoption::Adoption, drift};
use crate::records::runs::{self, Run, StepOutcome};
use crate::records::{history::History, schema_version, transaction::WriteTransaction};
use crate::schema::{expected, tool_tables};
use crate::sqlite::sqlite_error::SqliteContext;
use bridge_migrate_core::{Catalog, Error, ErrorKind, Event, Result, Settings};

/// Takes the database into management.
///
/// # Errors
/// When SQLite refuses, or another program adopted the database in the meantime.
pub(crate) fn write(
    catalog: &Catalog,
    settings: &Settings,
    connection: &Connection,
    adoption: &Adoption,
    run: &Run,
) -> Result<()> {
    let transaction = WriteTransaction::begin(connection, settings.busy_timeout)?;
    if History::read(connection)?.is_some_and(|history| !history.applied.is_empty()) {
        return Err(Error::new(
            ErrorKind::Busy,
            "another program adopted the database in the meantime",
        ));
    }
    let present = expected::read(connection)?;
    for object in &adoption.created {
        // A server that starts creates the same tables, and may have been faster.
        let is_there = present
            .get(object.kind, &object.name)
            .is_some_and(|there| there.normal() == object.normal());
        if is_there {
            continue;
        }
        connection
            .execute_batch(&object.sql)
            .while_doing(format_args!("create {} {}", object.kind, object.name))?;
    }
    tool_tables::create(connection)?;
    refinery_step::run(connection, catalog, settings, adoption.version, Mode::Adopt)?;
    let fingerprint = drift::recorded(&expected::read_again(connection, &present)?);
    for migration in catalog
        .migrations()
        .iter()
        .filter(|migration| migration.version <= adoption.version)
    {
        runs::record_step(
            connection,
            settings,
            run,
            migration,
            true,
            &StepOutcome::default(),
            &fingerprint,
        )?;
        if catalog.ends_release(migration.version) {
            schema_version::record(
                connection,
                migration.release,
                &migration.stem(),
                settings.clock.now(),
            )?;
        }
    }
    let accept = |kind: &str, name: &str, normal: &str| {
        connection.execute(
            "INSERT OR REPLACE INTO migration_accepted_objects (kind, name, normal) VALUES (?1, ?2, ?3)",
            params![kind, name, normal],
        )
    };
    for object in &adoption.kept {
        accept(object.kind.as_str(), &object.name, object.normal())
            .while_doing("record the operators' objects")?;
    }
    for (column, definition) in &adoption.additional_columns {
        accept("column", column, definition).while_doing("record the operators' columns")?;
    }
    run.record(connection, settings, adoption.version)?;
    transaction.commit()?;
    Ok(())
}

/// What to say about it.
pub(crate) fn event(adoption: &Adoption) -> Event {
    Event::Adopted {
        version: adoption.version,
        release: adoption
            .release
            .map_or_else(String::new, |release| release.to_string()),
        kept: adoption.kept(),
        created: adoption
            .created
            .iter()
            .map(|object| object.name.clone())
            .collect(),
    }
}
