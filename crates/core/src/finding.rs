//! A finding: something that a check saw, with a stable code and what to do about it.

use std::fmt;

use serde::Serialize;

/// How much a finding weighs. Ordered from the gravest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It must be put right.
    Error,
    /// It may do harm; someone should decide.
    Warning,
    /// Good to know.
    Note,
}

impl Severity {
    /// The word for it, in lower case, as JSON writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Something that a check saw. The serialised names are stable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable, for people to search for and for files to allow.
    pub code: &'static str,
    /// How much it weighs.
    pub severity: Severity,
    /// What it is about: a migration and a line, an object of the schema, a file.
    pub subject: String,
    /// What is wrong with it, in a sentence without its full stop.
    pub message: String,
    /// What to do.
    pub fix: String,
}

impl Finding {
    /// A finding that must be put right.
    pub fn error(
        code: &'static str,
        subject: impl Into<String>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            code,
            severity: Severity::Error,
            subject: subject.into(),
            message: message.into(),
            fix: fix.into(),
        }
    }

    /// A finding that someone should decide about.
    pub fn warning(
        code: &'static str,
        subject: impl Into<String>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, subject, message, fix)
        }
    }

    /// A finding that is good to know.
    pub fn note(
        code: &'static str,
        subject: impl Into<String>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Note,
            ..Self::error(code, subject, message, fix)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_in_json_are_those_of_the_command_lines_contract() {
        let finding = Finding::warning("BM201", "V002", "it is", "do");
        assert_eq!(
            serde_json::to_string(&finding).unwrap(),
            r#"{"code":"BM201","severity":"warning","subject":"V002","message":"it is","fix":"do"}"#
        );
    }

    #[test]
    fn the_gravest_comes_first() {
        assert!(Severity::Error < Severity::Warning && Severity::Warning < Severity::Note);
    }
}
