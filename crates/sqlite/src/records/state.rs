//! What a database is before anything is decided: its history, its schema, and work left half done.

use rusqlite::{Connection, OptionalExtension, Row};
use serde::Serialize;

use crate::records::{history::History, runs, schema_version};
use crate::schema::{Snapshot, expected, tool_tables};
use crate::sqlite::{ask::Ask, sqlite_error::SqliteContext};
use bridge_migrate_core::{ErrorKind, Result};

/// A database as one consistent read found it.
#[derive(Debug, Clone)]
pub struct State {
    /// The history; `None` when the database is not managed yet.
    pub history: Option<History>,
    /// The schema without the tool's own tables.
    pub schema: Snapshot,
    /// What the strategy's query on `schema_version` answers.
    pub schema_version: Option<String>,
    /// A data step that was interrupted.
    pub progress: Option<Progress>,
}

/// Where an interrupted data step goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// The migration's number.
    pub version: u32,
    /// The migration's name.
    #[serde(skip)]
    pub name: String,
    /// The release that it belongs to.
    #[serde(skip)]
    pub release: String,
    /// How what is done so far goes back.
    #[serde(skip)]
    pub way_back: String,
    /// Whether the step was going back.
    pub down: bool,
    /// Where the next batch begins, after the schema cookie of which that is true.
    #[serde(skip)]
    pub cursor: String,
    /// Rows read so far.
    #[serde(rename = "rows_visited")]
    pub visited: u64,
    /// Rows changed so far.
    #[serde(skip)]
    pub changed: u64,
    /// Rows left as they are so far.
    #[serde(skip)]
    pub skipped: u64,
    /// The longest time that a batch held the write lock, in microseconds.
    #[serde(skip)]
    pub max_lock_us: u64,
}

impl State {
    /// Reads everything in one transaction: the caller's, if there is one, or one of its own.
    ///
    /// # Errors
    /// When SQLite cannot read, or the history is damaged.
    pub fn read(connection: &Connection) -> Result<Self> {
        let doing = "read the database";
        let own = match connection.is_autocommit() {
            true => Some(connection.unchecked_transaction().while_doing(doing)?),
            false => None,
        };
        let read = || {
            Ok(Self {
                history: History::read(connection)?,
                schema: expected::read(connection)?,
                schema_version: schema_version::current(connection)?,
                progress: Progress::read(connection)?,
            })
        };
        // Tables of somebody else's may have the names of the tool's.
        let foreign = |error| match tool_tables::refuse_foreign(connection) {
            Err(foreign) if foreign.kind() == ErrorKind::Drift => foreign,
            _ => error,
        };
        let state = read().map_err(foreign)?;
        if let Some(own) = own {
            own.finish().while_doing(doing)?;
        }
        Ok(state)
    }

    /// The state of a database that has nothing in it.
    pub(crate) fn fresh() -> Self {
        Self {
            history: None,
            schema: Snapshot::default(),
            schema_version: None,
            progress: None,
        }
    }

    /// Whether there is nothing in the database at all.
    pub(crate) fn is_fresh(&self) -> bool {
        self.history.is_none() && self.schema.is_empty() && self.schema_version.is_none()
    }

    /// The number of the last applied migration; 0 when the database is not managed.
    pub fn version(&self) -> u32 {
        self.history.as_ref().map_or(0, History::version)
    }
}

impl Progress {
    /// The cursor of a step that is complete, while what it replaced is being emptied.
    pub(crate) const CLEANING: &str = "clean";

    /// The step that is done in part.
    pub(crate) fn read(connection: &Connection) -> Result<Option<Self>> {
        Self::read_where(connection, "<>")
    }

    /// The step that is complete, but for what it replaced.
    pub(crate) fn read_cleaning(connection: &Connection) -> Result<Option<Self>> {
        Self::read_where(connection, "=")
    }

    /// Whether a step is done in part, or not emptied what it replaced.
    pub(crate) fn is_any(connection: &Connection) -> Result<bool> {
        if !tool_tables::exists(connection, tool_tables::PROGRESS)? {
            return Ok(false);
        }
        connection
            .value("SELECT EXISTS (SELECT 1 FROM migration_progress)", [])
            .map_err(|source| runs::unreadable("read where an interrupted step stopped", source))
    }

    fn read_where(connection: &Connection, compares: &str) -> Result<Option<Self>> {
        if !tool_tables::exists(connection, tool_tables::PROGRESS)? {
            return Ok(None);
        }
        let first = format!(
            "SELECT version, direction = 'down', cursor, visited, changed, skipped, max_lock_us, name, release, \
             way_back FROM migration_progress WHERE cursor {compares} ?1 ORDER BY version LIMIT 1"
        );
        let read = |row: &Row<'_>| {
            Ok(Self {
                version: row.get(0)?,
                down: row.get(1)?,
                cursor: row.get(2)?,
                visited: row.get(3)?,
                changed: row.get(4)?,
                skipped: row.get(5)?,
                max_lock_us: row.get(6)?,
                name: row.get(7)?,
                release: row.get(8)?,
                way_back: row.get(9)?,
            })
        };
        connection
            .row(&first, [Self::CLEANING], read)
            .optional()
            .map_err(|source| runs::unreadable("read where an interrupted step stopped", source))
    }

    /// Where the next batch begins, if that is still true. It says so by row ids, and VACUUM may give rows others: as each
    /// change of the schema, it makes the cookie another.
    pub(crate) fn cursor_on(&self, cookie: i64) -> Option<&str> {
        let (of, cursor) = self.cursor.split_once(':')?;
        (of.parse() == Ok(cookie)).then_some(cursor)
    }

    /// A cursor as it is stored.
    pub(crate) fn cursor_with(cookie: i64, cursor: &str) -> String {
        format!("{cookie}:{cursor}")
    }

    pub(crate) fn write(&self, connection: &Connection, now: &str) -> Result<()> {
        connection
            .run("INSERT INTO migration_progress \
                 (version, direction, cursor, visited, changed, skipped, max_lock_us, started_at, name, release, \
                 way_back) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
                 ON CONFLICT (version) DO UPDATE SET direction = ?2, cursor = ?3, visited = ?4, changed = ?5, \
                 skipped = ?6, max_lock_us = ?7", rusqlite::params![
                    self.version,
                    if self.down { "down" } else { "up" },
                    self.cursor,
                    self.visited,
                    self.changed,
                    self.skipped,
                    self.max_lock_us,
                    now,
                    self.name,
                    self.release,
                    self.way_back,
                ])
            .while_doing("record where the step stands")?;
        Ok(())
    }

    pub(crate) fn clear(connection: &Connection, version: u32) -> Result<()> {
        connection
            .execute("DELETE FROM migration_progress WHERE version = ?1", [version])
            .while_doing("record that the step is complete")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::connection::open_scratch;
    use bridge_migrate_core::ErrorKind;

    #[test]
    fn progress_that_the_tool_did_not_write_is_damage() {
        let connection = open_scratch().unwrap();
        tool_tables::create(&connection).unwrap();
        connection
            .execute_batch(
                "INSERT INTO migration_progress VALUES (4, 'n', '1.1.0', 'down', 'up', 'scan 0', X'00', 1, 1, 0, '')",
            )
            .unwrap();
        let error = Progress::read(&connection).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::HistoryDamaged, "{error:?}");
    }
}
