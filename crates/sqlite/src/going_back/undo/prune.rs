//! `log prune`: gives the journal's old values up, and says what can no longer be undone then.

use rusqlite::Connection;
use serde::Serialize;

use crate::files::{database_file::in_real_place, lock::MigrationLock};
use crate::records::{recorded_position::recorded_position, runs::Run, schema_reader::SchemaReader};
use crate::schema::tool_tables;
use crate::sqlite::{
    ask::Ask, connection, pace::Pace, rollback_journal::RollbackJournal, sqlite_error::SqliteContext,
};
use bridge_migrate_core::{Observer, Position, Result, Settings};

use super::{records, refuse_half_back};

/// What pruning the journal removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// The migration's number.
    pub version: u32,
    /// Old values removed, or that would be.
    pub records: u64,
    /// Of these, records that can no longer be put back one by one.
    pub no_longer_undoable: u64,
}

/// Removes old values of `version`, or of every migration, and tells what can no longer be undone.
///
/// # Errors
/// [`ErrorKind::NotReversible`](bridge_migrate_core::ErrorKind::NotReversible) when a rollback that needs them was interrupted; and what SQLite refuses.
pub fn prune(
    settings: &Settings,
    version: Option<u32>,
    dry_run: bool,
    observer: &dyn Observer,
) -> Result<Vec<Pruned>> {
    let settings = &in_real_place(settings)?;
    if dry_run {
        return connection::with_reader(&settings.database, settings.busy_timeout, |reader| {
            find(reader, version)
        });
    }
    let _lock = MigrationLock::take(settings, "log prune", observer)?;
    let writer = connection::open_writer(&settings.database, settings.busy_timeout)?;
    let pruned = find(&writer, version)?;
    if pruned.is_empty() {
        return Ok(pruned);
    }
    let at = recorded_position(&writer)?;
    Run::begin(settings, "log prune", at.version, at.version).with_log(settings, observer, |run, _| {
        let _rollback_journal = RollbackJournal::keep(&writer);
        remove(settings, &writer, &pruned, run, at)
    })?;
    Ok(pruned)
}

fn remove(
    settings: &Settings,
    writer: &Connection,
    pruned: &[Pruned],
    run: &Run,
    at: Position,
) -> Result<()> {
    let mut pace = Pace::new(settings);
    let schemas = SchemaReader::new(writer);
    for migration in pruned {
        refuse_half_back(writer, migration.version)?;
        loop {
            let transaction = schemas.begin(settings.busy_timeout)?;
            let rows = pace.rows();
            let removed =
                records::remove(writer, migration.version, rows).while_doing("prune the journal")?;
            run.record(writer, settings, at.version)?;
            let held = transaction.commit()?;
            run.committed_at.set(Some(at));
            if removed < rows {
                break;
            }
            pace.after_batch(writer, held)?;
        }
    }
    Ok(())
}

fn find(connection: &Connection, version: Option<u32>) -> Result<Vec<Pruned>> {
    if !tool_tables::exists(connection, tool_tables::JOURNAL)? {
        return Ok(Vec::new());
    }
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Pruned {
            version: row.get(0)?,
            records: row.get(1)?,
            no_longer_undoable: row.get(2)?,
        })
    };
    let journaled = "SELECT migration, count(*), sum(undone_by IS NULL) FROM migration_affected_records \
                     WHERE ?1 IS NULL OR migration = ?1 GROUP BY migration ORDER BY migration";
    connection
        .rows(journaled, [version], read)
        .while_doing("read the journal")
}
