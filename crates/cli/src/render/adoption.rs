//! How an unversioned database comes under management.

use bridge_migrate_sqlite::Adoption;
use serde::Serialize;

use crate::output::json::Position;

/// An adoption, done or planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct AdoptionReport {
    /// The version and release whose schema the database has.
    #[serde(flatten)]
    pub(crate) position: Position,
    /// Objects and columns of the operators' own, which stay.
    pub(crate) kept: Vec<String>,
    /// Objects that are missing and are made as the server would make them.
    pub(crate) created: Vec<String>,
}

impl From<&Adoption> for AdoptionReport {
    fn from(adoption: &Adoption) -> Self {
        let objects = adoption
            .kept
            .iter()
            .map(|object| format!("{} {}", object.kind, object.name));
        let columns = adoption
            .additional_columns
            .iter()
            .map(|(column, _)| format!("column {column}"));
        Self {
            position: Position {
                version: adoption.version,
                release: adoption.release.map(|release| release.to_string()),
            },
            kept: objects.chain(columns).collect(),
            created: adoption
                .created
                .iter()
                .map(|object| format!("{} {}", object.kind, object.name))
                .collect(),
        }
    }
}
