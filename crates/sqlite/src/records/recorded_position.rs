//! Where a database stands by its own records.

use naming::Release;
use rusqlite::Connection;

use crate::records::{history::History, schema_version};
use bridge_migrate_core::{Position, Result};

/// The position of a database by its own records.
pub(crate) fn recorded_position(connection: &Connection) -> Result<Position> {
    Ok(Position {
        version: History::read(connection)?.map_or(0, |history| history.version()),
        release: release(connection)?,
    })
}

/// The same, of a database that is managed, even if nobody can tell its release; `None` of another.
pub(crate) fn managed_position(connection: &Connection) -> Result<Option<Position>> {
    Ok(History::read(connection)?.map(|history| Position {
        version: history.version(),
        release: release(connection).unwrap_or_default(),
    }))
}

fn release(connection: &Connection) -> Result<Option<Release>> {
    Ok(schema_version::current(connection)?.and_then(|release| Release::parse(&release).ok()))
}
