//! That a wait is over.

use serde::Serialize;

use crate::json::Position;
use crate::output::Report;

/// The answer of `wait`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct WaitReport {
    #[serde(flatten)]
    pub(crate) position: Position,
    pub(crate) waited_ms: u64,
}

impl Report for WaitReport {
    fn render(&self) -> String {
        format!("database is at {}\n", self.position)
    }
}
