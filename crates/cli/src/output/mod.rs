//! The streams: answers on standard output, everything else beside it, and a pipe that closes early is no error.

pub(crate) mod error;
pub(crate) mod json;

use std::io::{self, ErrorKind as IoKind, IsTerminal, Write};
use std::{ffi::OsString, path::Path};

use anstream::stream::{AsLockedWrite, RawStream};
use anstream::{AutoStream, ColorChoice, adapter::strip_str};
use bridge_migrate_core::{Error, ErrorKind, Hint, visible};
use serde::Serialize;

use crate::options::Manner;
use crate::{exit_code, hint};
use error::render_error;
use json::DatabaseKey;

/// What a command answers: to scripts by its keys, to people by its text.
pub(crate) trait Report: Serialize {
    /// The text for people, with a line break at its end unless there is nothing to say.
    fn render(&self) -> String;

    /// Which key of the JSON object names the database that the command is about.
    fn database_key(&self) -> DatabaseKey {
        DatabaseKey::Database
    }
}

/// A command that did not succeed: the error, and what it found out on the way.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What went wrong.
    pub(crate) error: Error,
    /// What scripts get beside the error: the findings of a verification.
    report: Option<serde_json::Value>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, report: None }
    }
}

/// Where and how to write.
#[derive(Debug)]
pub(crate) struct Output {
    command: String,
    database: String,
    given: Vec<OsString>,
    manner: Manner,
}

impl Output {
    /// For `command`, which is about `database`; `given` is what a hint has to repeat.
    pub(crate) fn new(command: &str, database: &Path, given: Vec<OsString>, manner: Manner) -> Self {
        Self {
            command: command.to_owned(),
            database: database.to_string_lossy().into_owned(),
            given,
            manner,
        }
    }

    /// Whether people asked for more.
    pub(crate) fn is_verbose(&self) -> bool {
        self.manner.verbose
    }

    /// Whether to draw progress bars: for people who are looking.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.manner.no_progress && !self.manner.quiet && !self.manner.json && io::stderr().is_terminal()
    }

    /// Writes the answer, and gives the exit code of success.
    ///
    /// # Errors
    /// When standard output cannot be written, other than by being closed.
    pub(crate) fn report(&self, report: &impl Report) -> Result<u8, Failure> {
        if self.manner.json {
            let line = json::success(&self.command, &self.database, report.database_key(), report)
                .map_err(|error| cannot_write(error.into()))?;
            self.answer(&line)?;
        } else {
            self.answer(&report.render())?;
        }
        Ok(exit_code::DONE)
    }

    /// As [`Output::report`], for a command whose success is its answer: nothing is said when people want quiet, unless
    /// it was a dry run, of which the report is all there is.
    ///
    /// # Errors
    /// As [`Output::report`].
    pub(crate) fn report_run(&self, report: &impl Report, is_dry_run: bool) -> Result<u8, Failure> {
        if self.manner.quiet && !self.manner.json && !is_dry_run {
            return Ok(exit_code::DONE);
        }
        self.report(report)
    }

    /// Tells what was found, as a failure: people read it now, scripts get it beside the error.
    ///
    /// # Errors
    /// `error`, or as [`Output::report`].
    pub(crate) fn findings(&self, report: &impl Report, error: Error) -> Result<u8, Failure> {
        if !self.manner.json {
            self.answer(&report.render())?;
        }
        Err(Failure {
            error,
            report: serde_json::to_value(report).ok(),
        })
    }

    /// The hint as a command to paste into a shell.
    pub(crate) fn command_line(&self, hint: &Hint) -> String {
        hint::command_line(hint, &self.given)
    }

    /// Tells people what is going on; what cannot be written is lost, since a run must not fail for it.
    pub(crate) fn say(&self, line: &str) {
        if self.manner.quiet {
            return;
        }
        let line = format!("{line}\n");
        let _ = if self.manner.json {
            self.write_aside(&line)
        } else {
            self.write_answer(&line)
        };
    }

    /// Asks people something; the line stays open for the answer.
    pub(crate) fn ask(&self, question: &str) {
        let _ = self.write_aside(question);
    }

    /// Tells people something that does not belong to the answer.
    pub(crate) fn note(&self, line: &str) {
        if !self.manner.quiet {
            let _ = self.write_aside(&format!("{line}\n"));
        }
    }

    /// Tells of a failure, and gives the exit code.
    pub(crate) fn fail(&self, failure: &Failure) -> u8 {
        let error = &failure.error;
        let hint = self.command_line(error.hint());
        // What cannot be written is lost: there is no third stream to say so.
        let _ = self.write_aside(&render_error(error, &hint));
        if self.manner.json
            && let Ok(line) = json::failure(
                &self.command,
                &self.database,
                error,
                &hint,
                failure.report.as_ref(),
            )
        {
            let _ = self.write_answer(&line);
        }
        exit_code::of(error)
    }

    fn answer(&self, text: &str) -> Result<(), Error> {
        match self.write_answer(text) {
            // Whoever read has read enough.
            Err(error) if error.kind() == IoKind::BrokenPipe => Ok(()),
            result => result.map_err(cannot_write),
        }
    }

    fn write_answer(&self, text: &str) -> io::Result<()> {
        let stdout = io::stdout().lock();
        match self.manner.json {
            true => write_plain(stdout, text),
            false => write_styled(stdout, self.manner.color, text),
        }
    }

    fn write_aside(&self, text: &str) -> io::Result<()> {
        write_styled(io::stderr().lock(), self.manner.color, text)
    }
}

/// Writes what the argument parser has to say.
pub(crate) fn write_parser(error: &clap::Error) -> io::Result<()> {
    let text = error.render().ansi().to_string();
    if error.use_stderr() {
        write_styled(io::stderr().lock(), ColorChoice::Auto, &text)
    } else {
        write_styled(io::stdout().lock(), ColorChoice::Auto, &text)
    }
}

/// The text with everything made visible that is no style of ours, whoever forgot to.
fn with_styles_only(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut safe = visible(parts.next().unwrap_or_default(), &['\n', '\t']);
    for part in parts {
        let is_style = part.strip_prefix('[').and_then(|part| {
            part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';')
                .chars()
                .next()
        }) == Some('m');
        safe.push_str(if is_style { "\u{1b}" } else { "\\u{1b}" });
        safe.push_str(&visible(part, &['\n', '\t']));
    }
    safe
}

fn write_styled(stream: impl RawStream + AsLockedWrite, color: ColorChoice, text: &str) -> io::Result<()> {
    let text = &with_styles_only(text);
    let color = match color {
        ColorChoice::Auto => AutoStream::choice(&stream),
        chosen => chosen,
    };
    match color {
        // In one piece: a stream that strips writes each line by itself.
        ColorChoice::Never => write_plain(stream, &strip_str(text).to_string()),
        _ => write_plain(AutoStream::new(stream, color), text),
    }
}

fn write_plain(mut stream: impl Write, text: &str) -> io::Result<()> {
    stream.write_all(text.as_bytes())?;
    stream.flush()
}

fn cannot_write(source: io::Error) -> Error {
    Error::new(ErrorKind::Io, "cannot write to standard output").with_source(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_styles_reach_a_terminal() {
        for (text, written) in [
            ("\u{1b}[1mbold\u{1b}[0m\n\tx", "\u{1b}[1mbold\u{1b}[0m\n\tx"),
            ("\u{1b}[38;5;12mblue", "\u{1b}[38;5;12mblue"),
            ("\u{1b}[2J\u{1b}]0;t\u{7}", r"\u{1b}[2J\u{1b}]0;t\u{7}"),
            ("\u{1b}", r"\u{1b}"),
            ("a\u{202e}b\r", r"a\u{202e}b\r"),
        ] {
            assert_eq!(with_styles_only(text), written);
        }
    }
}
