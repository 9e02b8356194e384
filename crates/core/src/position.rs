//! Where a database stands in a catalog.

use naming::Release;
use rusqlite::Connection;

use crate::catalog::Catalog;
use crate::error::Result;
use crate::history::History;
use crate::schema_version;

/// A version and the release that is complete at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The number of the last applied migration; 0 when there is none.
    pub version: u32,
    /// The last release that is complete.
    pub release: Option<Release>,
}

impl Position {
    /// The position of `version` in `catalog`.
    pub fn of(catalog: &Catalog, version: u32) -> Self {
        Self {
            version,
            release: catalog.release_at(version),
        }
    }

    /// The position of a database by its own records.
    pub(crate) fn read(connection: &Connection) -> Result<Self> {
        Self::by_records(connection, History::read(connection)?.as_ref())
    }

    /// The same, of a database that is managed; `None` of another.
    pub(crate) fn read_managed(connection: &Connection) -> Result<Option<Self>> {
        History::read(connection)?
            .map(|history| Self::by_records(connection, Some(&history)))
            .transpose()
    }

    fn by_records(connection: &Connection, history: Option<&History>) -> Result<Self> {
        let release = schema_version::current(connection)?.and_then(|release| Release::parse(&release).ok());
        Ok(Self {
            version: history.map_or(0, History::version),
            release,
        })
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.release {
            Some(release) => write!(f, "{release} (V{:03})", self.version),
            None => write!(f, "V{:03}", self.version),
        }
    }
}
