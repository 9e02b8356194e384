//! What a run of the program said and how it ended, as one text for snapshots.

use std::fmt;

use serde_json::Value;

use crate::redaction::redact;

/// Exit code, standard output and standard error of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandOutput {
    /// The exit code; `None` when a signal ended the program.
    pub code: Option<i32>,
    /// Standard output as it was.
    pub stdout: String,
    /// Standard error as it was.
    pub stderr: String,
    pub(crate) literals: Vec<(String, String)>,
}

impl CommandOutput {
    /// The one JSON object on standard output.
    ///
    /// # Panics
    /// When standard output is anything else.
    pub fn json(&self) -> Value {
        let value: Value = serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("standard output is not one JSON value: {error}\n{self}"));
        assert!(value.is_object(), "not an object:\n{self}");
        value
    }

    /// Fails with everything that the program said unless it ended with `code`.
    ///
    /// # Panics
    /// When it ended otherwise.
    #[track_caller]
    pub fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// `text` without what differs from run to run; see [`redact`].
    pub fn redact(&self, text: &str) -> String {
        redact(text, &self.literals)
    }
}

/// All three, with what differs from run to run taken out.
impl fmt::Display for CommandOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => writeln!(f, "exit code: {code}")?,
            None => writeln!(f, "ended by a signal")?,
        }
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                writeln!(f, "----- {name}\n{}", self.redact(text).trim_end_matches('\n'))?;
            }
        }
        Ok(())
    }
}
