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
        Ok(Self {
            version: History::read(connection)?.map_or(0, |history| history.version()),
            release: release(connection)?,
        })
    }

    /// The same, of a database that is managed, even if nobody can tell its release; `None` of another.
    pub(crate) fn read_managed(connection: &Connection) -> Result<Option<Self>> {
        Ok(History::read(connection)?.map(|history| Self {
            version: history.version(),
            release: release(connection).unwrap_or_default(),
        }))
    }
}

fn release(connection: &Connection) -> Result<Option<Release>> {
    Ok(schema_version::current(connection)?.and_then(|release| Release::parse(&release).ok()))
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.release {
            Some(release) => write!(f, "{release} (V{:03})", self.version),
            None => write!(f, "V{:03}", self.version),
        }
    }
}
