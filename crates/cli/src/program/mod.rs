//! From arguments to an exit code.

mod raw_arguments;

use std::{ffi::OsString, mem::ManuallyDrop};

use bridge_migrate_core::{Error, ErrorKind, Hint};
use bridge_migrate_sqlite::with_who_locks;
use clap::{CommandFactory, FromArgMatches, error::ErrorKind as ClapErrorKind};

use crate::commands::arguments::{Arguments, with_choice_of_tokens};
use crate::context::Context;
use crate::options::config_file::ConfigFile;
use crate::options::database_url::without_password;
use crate::options::{GlobalOptions, Manner, named_database};
use crate::output::{Output, write_parser};
use crate::render::text::Text;
use crate::{commands, exit_code};
use raw_arguments::RawArguments;

/// Runs the program with its arguments, the first of which is its name, and gives its exit code.
pub fn run(arguments: &[OsString]) -> u8 {
    match parse(with_choice_of_tokens(arguments)) {
        Ok((name, parsed)) => execute(&name, parsed),
        Err(error) => report_parser(arguments, &error),
    }
}

/// The command's name, as people type it and scripts read it, and all arguments.
fn parse(arguments: Vec<OsString>) -> clap::error::Result<(String, Arguments)> {
    // Taking the tree of all options apart is a twentieth of a start, and the process ends soon.
    let mut parser = ManuallyDrop::new(Arguments::command());
    let mut matches = parser.try_get_matches_from_mut(arguments)?;
    let mut words = Vec::new();
    let mut at = &matches;
    while let Some((word, below)) = at.subcommand() {
        words.push(word);
        at = below;
    }
    let name = words.join(" ");
    let parsed = Arguments::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut parser))?;
    Ok((name, parsed))
}

fn execute(name: &str, Arguments { global, command }: Arguments) -> u8 {
    let context = match Context::new(&global, name) {
        Ok(context) => context,
        Err(error) => return as_flags_say(name, &global).fail(&error.into()),
    };
    match commands::run(&context, command) {
        Ok(code) => code,
        Err(mut failure) => {
            failure.error = with_who_locks(failure.error, &context.settings);
            context.output.fail(&failure)
        }
    }
}

/// For what goes wrong while the options themselves are read.
fn as_flags_say(name: &str, flags: &GlobalOptions) -> Output {
    let database = named_database(flags.db.clone().map(Into::into));
    // A zone that is no zone must not be given again.
    let again = GlobalOptions {
        timezone: None,
        ..flags.clone()
    };
    let database = without_password(&database.to_string_lossy());
    let manner = Manner::decide(flags, &ConfigFile::default());
    Output::new(name, database.as_ref(), again.given(), manner)
}

/// What the argument parser has to say: help, the version, or what is wrong with the arguments.
fn report_parser(arguments: &[OsString], error: &clap::Error) -> u8 {
    let raw = RawArguments::read(arguments);
    if !raw.json {
        // When not even this can be written there is nobody left to tell.
        let _ = write_parser(error);
        return if error.use_stderr() {
            exit_code::WRONG_USE
        } else {
            exit_code::DONE
        };
    }
    let command = match error.kind() {
        ClapErrorKind::DisplayHelp => "help".to_owned(),
        ClapErrorKind::DisplayVersion => "version".to_owned(),
        _ => raw.command.join(" "),
    };
    let manner = Manner {
        json: true,
        no_progress: true,
        ..Manner::default()
    };
    let database = without_password(&named_database(raw.database).to_string_lossy());
    let output = Output::new(&command, database.as_ref(), Vec::new(), manner);
    let text = error.render().to_string();
    if !error.use_stderr() {
        return output
            .report(&Text::new(text))
            .unwrap_or_else(|failure| output.fail(&failure));
    }
    output.fail(
        &Error::new(ErrorKind::Usage, problem_of(error, &text))
            .with_truth("Nothing was changed.")
            .with_hint(Hint::Help(raw.command))
            .into(),
    )
}

/// The first paragraph, which says what is wrong; the rest is usage and tips.
fn problem_of(error: &clap::Error, text: &str) -> String {
    if matches!(
        error.kind(),
        ClapErrorKind::MissingSubcommand | ClapErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    ) {
        return "a command is missing".to_owned();
    }
    let paragraph = text.split("\n\n").next().unwrap_or(text);
    let line: Vec<&str> = paragraph.split_whitespace().collect();
    let line = line.join(" ");
    line.strip_prefix("error: ").unwrap_or(&line).to_owned()
}
