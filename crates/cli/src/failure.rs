//! What a command ends with when it does not succeed: the error, and what it found out on the way.

use bridge_migrate_core::Error;

/// A failed command.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What went wrong.
    pub(crate) error: Error,
    /// What scripts get beside the error: the findings of a verification.
    pub(crate) report: Option<serde_json::Value>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, report: None }
    }
}
