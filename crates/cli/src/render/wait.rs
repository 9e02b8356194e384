//! That a wait is over.

use bridge_migrate_core::Position;
use bridge_migrate_sqlite::schema::Difference;
use serde::Serialize;

use super::status::drift;
use crate::output::Report;
use crate::text::{line, safe};

/// The answer of `wait`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct WaitReport {
    #[serde(flatten)]
    pub(crate) position: Position,
    pub(crate) waited_ms: u64,
    /// What of the schema differs from what the history implies.
    #[serde(serialize_with = "drift")]
    pub(crate) drift: Vec<Difference>,
}

impl Report for WaitReport {
    fn render(&self) -> String {
        let mut page = format!("database is at {}\n", self.position);
        for drift in &self.drift {
            line!(page, "drift: {}", safe(&drift.to_string()));
        }
        page
    }
}
