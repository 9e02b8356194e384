//! The phase of a migration: which servers may run while it is applied.

use std::{fmt, str::FromStr};

use crate::quoted::quoted;

/// Which part of a change, spread over time so that servers keep running, a migration is.
///
/// Ordered as the phases are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Adds what new servers need; old and new servers both work.
    Expand,
    /// Moves data in batches while servers run.
    Backfill,
    /// Removes what only old servers needed; they must be gone.
    Contract,
}

impl Phase {
    /// All phases, in the order in which they are applied.
    pub const ALL: [Self; 3] = [Self::Expand, Self::Backfill, Self::Contract];

    /// The phase's name in lower case, as the command line and JSON write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expand => "expand",
            Self::Backfill => "backfill",
            Self::Contract => "contract",
        }
    }

    /// Reads a phase's name.
    ///
    /// # Errors
    /// When the text is none of `expand`, `backfill` and `contract`, in lower case.
    pub fn parse(text: &str) -> Result<Self, PhaseError> {
        Self::ALL
            .into_iter()
            .find(|phase| phase.as_str() == text)
            .ok_or_else(|| PhaseError {
                text: text.to_owned(),
            })
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Phase {
    type Err = PhaseError;

    fn from_str(text: &str) -> Result<Self, PhaseError> {
        Self::parse(text)
    }
}

/// A text that names no phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhaseError {
    text: String,
}

impl fmt::Display for PhaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is not a phase: write `expand`, `backfill` or `contract`",
            quoted(&self.text)
        )
    }
}

impl std::error::Error for PhaseError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_reads_what_it_writes() {
        for phase in Phase::ALL {
            assert_eq!(Phase::parse(&phase.to_string()), Ok(phase));
        }
    }

    #[test]
    fn phases_come_in_the_order_in_which_they_are_applied() {
        assert!(Phase::Expand < Phase::Backfill && Phase::Backfill < Phase::Contract);
        assert!(Phase::ALL.is_sorted());
    }

    #[test]
    fn another_word_is_refused_with_the_words_that_are_accepted() {
        assert_eq!(
            Phase::parse("Expand").unwrap_err().to_string(),
            "`Expand` is not a phase: write `expand`, `backfill` or `contract`"
        );
        assert!(Phase::parse("all").is_err());
        assert!(Phase::parse("").is_err());
    }
}
