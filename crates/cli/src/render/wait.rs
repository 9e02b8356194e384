//! That a wait is over.

use serde::Serialize;

use super::status::Drift;
use crate::output::Report;
use crate::output::json::Position;
use crate::text::{line, safe};

/// The answer of `wait`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct WaitReport {
    #[serde(flatten)]
    pub(crate) position: Position,
    pub(crate) waited_ms: u64,
    /// What of the schema differs from what the history implies.
    pub(crate) drift: Vec<Drift>,
}

impl Report for WaitReport {
    fn render(&self) -> String {
        let mut page = format!("database is at {}\n", self.position);
        for drift in &self.drift {
            line!(page, "drift: {}", safe(&drift.message));
        }
        page
    }
}
