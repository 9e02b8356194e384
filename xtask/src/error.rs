//! Why a developers' command stopped, and what to do about it.

use std::{fmt, io::Write as _, path::Path, process::ExitCode};

/// A message that names the thing that failed, and what to do instead.
#[derive(Debug)]
pub struct Error {
    message: String,
    hint: Option<String>,
}

impl Error {
    /// An error with nothing to advise yet.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
        }
    }

    /// The error with what to do instead.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The message without the hint.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Prints it where errors go, and says how the process ends.
    pub fn print(&self) -> ExitCode {
        // A reader who closed the pipe has seen enough.
        let _ = writeln!(std::io::stderr().lock(), "error: {self}");
        ExitCode::FAILURE
    }

    /// What the system refused to do with a path.
    pub fn io(doing: &str, path: &Path, error: &std::io::Error) -> Self {
        Self::new(format!("cannot {doing} {}: {error}", path.display()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
