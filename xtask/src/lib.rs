//! What the developers' programs share: the checkout, cargo, the program, and how they answer.

pub mod cargo;
pub mod error;
pub mod program;
pub mod project;

use std::{io::Write as _, process::ExitCode};

/// What a command has to say, and whether it found everything as it should be.
#[derive(Debug)]
pub struct Report {
    /// What is printed, line by line.
    pub lines: Vec<String>,
    /// Whether there is nothing to put right.
    pub passed: bool,
}

impl Report {
    /// Both reports, one after the other.
    #[must_use]
    pub fn followed_by(mut self, next: Self) -> Self {
        self.lines.extend(next.lines);
        self.passed &= next.passed;
        self
    }

    /// Prints it, and says how the process ends.
    pub fn print(&self) -> ExitCode {
        let mut out = std::io::stdout().lock();
        for line in &self.lines {
            // A reader who closed the pipe has seen enough.
            let _ = writeln!(out, "{line}");
        }
        if self.passed {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}
