//! The streams: answers on standard output, everything else beside it, and a pipe that closes early is no error.

use std::ffi::OsString;
use std::io::{self, ErrorKind as IoKind, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anstream::adapter::strip_str;
use anstream::stream::{AsLockedWrite, RawStream};
use anstream::{AutoStream, ColorChoice};
use bridge_migrate_cli::config_file::Color;
use bridge_migrate_core::{Error, ErrorKind, Hint, Result, visible};
use serde::Serialize;

use crate::arguments::GlobalOptions;
use crate::config::{Config, DATABASE_VARIABLE, DEFAULT_DATABASE};
use crate::context::given;
use crate::database_url::without_password;
use crate::failure::Failure;
use crate::json::{self, DatabaseKey};
use crate::render::error::render_error;
use crate::render::safe;
use crate::{exit_code, hint};

/// What a command answers: to scripts by its keys, to people by its text.
pub(crate) trait Report: Serialize {
    /// The text for people, with a line break at its end unless there is nothing to say.
    fn render(&self) -> String;

    /// Which key of the JSON object names the database that the command is about.
    fn database_key(&self) -> DatabaseKey {
        DatabaseKey::Database
    }
}

/// Where and how to write.
#[derive(Debug)]
pub(crate) struct Output {
    command: String,
    database: String,
    given: Vec<OsString>,
    json: bool,
    quiet: bool,
    verbose: bool,
    no_progress: bool,
    color: ColorChoice,
}

impl Output {
    /// As all options together say.
    pub(crate) fn new(config: &Config, command: &str, given: Vec<OsString>) -> Self {
        Self {
            command: command.to_owned(),
            database: config.database.to_string_lossy().into_owned(),
            given,
            json: config.json,
            quiet: config.quiet,
            verbose: config.verbose,
            no_progress: config.no_progress,
            color: choice(config.color),
        }
    }

    /// As the flags alone say, while the rest is not known yet.
    pub(crate) fn from_flags(flags: &GlobalOptions, command: &str) -> Self {
        let database = flags
            .db
            .clone()
            // An empty one counts as not set, as where the options are decided.
            .or_else(|| {
                std::env::var_os(DATABASE_VARIABLE)
                    .filter(|value| !value.is_empty())
                    .map(PathBuf::from)
            })
            .unwrap_or_else(|| PathBuf::from(DEFAULT_DATABASE));
        Self {
            // A zone that is no zone must not be given again.
            given: given(GlobalOptions {
                timezone: None,
                ..flags.clone()
            }),
            json: flags.json,
            quiet: flags.quiet,
            verbose: flags.verbose,
            no_progress: flags.no_progress,
            color: choice(flags.color.unwrap_or(Color::Auto)),
            ..Self::for_scripts(command.to_owned(), database)
        }
    }

    /// For a script whose arguments could not be read.
    pub(crate) fn for_scripts(command: String, database: PathBuf) -> Self {
        Self {
            command,
            database: without_password(&database.to_string_lossy()),
            given: Vec::new(),
            json: true,
            quiet: false,
            verbose: false,
            no_progress: true,
            color: ColorChoice::Auto,
        }
    }

    /// Whether people asked for more.
    pub(crate) fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// Whether to draw progress bars: for people who are looking.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.no_progress && !self.quiet && !self.json && io::stderr().is_terminal()
    }

    /// Writes the answer.
    ///
    /// # Errors
    /// When standard output cannot be written, other than by being closed.
    pub(crate) fn report(&self, report: &impl Report) -> Result<()> {
        if self.json {
            let line = json::success(&self.command, &self.database, report.database_key(), report)
                .map_err(|error| cannot_write(error.into()))?;
            self.answer(&line)
        } else {
            self.answer(&report.render())
        }
    }

    /// As [`Output::report`], for a command whose success is its answer: nothing is said when people want
    /// quiet.
    ///
    /// # Errors
    /// As [`Output::report`].
    pub(crate) fn report_done(&self, report: &impl Report) -> Result<()> {
        if self.quiet && !self.json {
            return Ok(());
        }
        self.report(report)
    }

    /// As [`Output::report_done`], unless it was a dry run, of which the report is all there is.
    ///
    /// # Errors
    /// As [`Output::report`].
    pub(crate) fn report_run(&self, report: &impl Report, is_dry_run: bool) -> Result<()> {
        if is_dry_run {
            self.report(report)
        } else {
            self.report_done(report)
        }
    }

    /// The hint as a command to paste into a shell.
    pub(crate) fn command_line(&self, hint: &Hint) -> String {
        hint::command_line(hint, &self.given)
    }

    /// Tells what was found, as a failure: people read it now, scripts get it beside the error.
    pub(crate) fn findings(&self, report: &impl Report, error: Error) -> Failure {
        if !self.json
            && let Err(error) = self.answer(&report.render())
        {
            return error.into();
        }
        Failure {
            error,
            report: serde_json::to_value(report).ok(),
        }
    }

    /// Tells people what is going on; what cannot be written is lost, since a run must not fail for it.
    pub(crate) fn say(&self, line: &str) {
        if self.quiet {
            return;
        }
        let line = format!("{line}\n");
        let _ = if self.json {
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
        if !self.quiet {
            let _ = self.write_aside(&format!("{line}\n"));
        }
    }

    /// Tells of a failure, and gives the exit code.
    pub(crate) fn fail(&self, failure: &Failure) -> u8 {
        let error = &failure.error;
        let hint = self.command_line(error.hint());
        // What cannot be written is lost: there is no third stream to say so.
        let _ = self.write_aside(&render_error(error, &hint));
        if self.json
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

    fn answer(&self, text: &str) -> Result<()> {
        match self.write_answer(text) {
            // Whoever read has read enough.
            Err(error) if error.kind() == IoKind::BrokenPipe => Ok(()),
            result => result.map_err(cannot_write),
        }
    }

    fn write_answer(&self, text: &str) -> io::Result<()> {
        let stdout = io::stdout().lock();
        match self.json {
            true => write_plain(stdout, text),
            false => write_styled(stdout, self.color, text),
        }
    }

    fn write_aside(&self, text: &str) -> io::Result<()> {
        write_styled(io::stderr().lock(), self.color, text)
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

fn choice(color: Color) -> ColorChoice {
    match color {
        Color::Auto => ColorChoice::Auto,
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
    }
}

fn cannot_write(source: io::Error) -> Error {
    Error::new(ErrorKind::Io, "cannot write to standard output").with_source(source)
}

/// A path as people read it, with what could move a cursor made visible.
pub(crate) fn shown(path: &Path) -> String {
    safe(&path.to_string_lossy())
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
