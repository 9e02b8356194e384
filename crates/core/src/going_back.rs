//! What the operator chooses on the way back.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How to go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The one that loses least.
    Auto,
    /// The stored statements, and the journal for data steps.
    Down,
    /// The journal only: every migration on the way must be a journaled data step.
    Undo,
    /// The backup that the run began with.
    Restore,
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Down => "down",
            Self::Undo => "undo",
            Self::Restore => "restore",
        })
    }
}

/// Which of the two a restore leaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// The backup's, as it was.
    Backup,
    /// The present one, also in the restored database.
    Present,
    /// Both: what came since stays, and what was revoked since stays revoked.
    #[default]
    Merge,
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Backup => "backup",
            Self::Present => "present",
            Self::Merge => "merge",
        })
    }
}
