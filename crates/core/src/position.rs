//! Where a database stands in a catalog.

use naming::Release;
use serde::Serialize;

use crate::catalog::Catalog;
use crate::error::Reached;

/// A version and the release that is complete at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Position {
    /// The number of the last applied migration; 0 when there is none.
    pub version: u32,
    /// The last release that is complete.
    #[serde(serialize_with = "crate::serial::optional_text")]
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
}

impl From<Position> for Reached {
    fn from(Position { version, release }: Position) -> Self {
        Self { version, release }
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
