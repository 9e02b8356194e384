//! From arguments to an exit code.

use std::ffi::OsString;
use std::mem::ManuallyDrop;

use bridge_migrate_core::{Error, ErrorKind, Hint};
use bridge_migrate_sqlite::lock::with_who_locks;
use clap::error::ErrorKind as ClapErrorKind;
use clap::{CommandFactory, FromArgMatches};

use crate::arguments::{Arguments, with_choice_of_tokens};
use crate::commands;
use crate::context::Context;
use crate::exit_code;
use crate::glance::Glance;
use crate::output::{Output, write_parser};
use crate::render::text::Text;

/// Runs the program with its arguments, the first of which is its name.
pub(crate) fn run(arguments: Vec<OsString>) -> u8 {
    match parse(with_choice_of_tokens(&arguments)) {
        Ok(parsed) => execute(parsed),
        Err(error) => report_parser(&arguments, &error),
    }
}

fn parse(arguments: Vec<OsString>) -> clap::error::Result<Arguments> {
    // Taking the tree of all options apart is a twentieth of a start, and the process ends soon.
    let mut parser = ManuallyDrop::new(Arguments::command());
    let mut matches = parser.try_get_matches_from_mut(arguments)?;
    Arguments::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut parser))
}

fn execute(arguments: Arguments) -> u8 {
    let Arguments { global, command } = arguments;
    // Used for what goes wrong while the options themselves are read.
    let early = Output::from_flags(&global, command.name());
    let context = match Context::new(global, &command) {
        Ok(context) => context,
        Err(error) => return early.fail(&error.into()),
    };
    match commands::run(&context, command) {
        Ok(code) => code,
        Err(mut failure) => {
            failure.error = with_who_locks(failure.error, &context.settings);
            context.output.fail(&failure)
        }
    }
}

/// What the argument parser has to say: help, the version, or what is wrong with the arguments.
fn report_parser(arguments: &[OsString], error: &clap::Error) -> u8 {
    let glance = Glance::at(arguments);
    if !glance.json {
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
        _ => glance.command.join(" "),
    };
    let output = Output::for_scripts(command, glance.database());
    let text = error.render().to_string();
    if !error.use_stderr() {
        return match output.report(&Text::new(text)) {
            Ok(()) => exit_code::DONE,
            Err(error) => output.fail(&error.into()),
        };
    }
    let mut help = glance.command;
    help.push("--help".to_owned());
    output.fail(
        &Error::new(ErrorKind::Usage, problem_of(error, &text))
            .with_truth("Nothing was changed.")
            .with_hint(Hint::tool(help))
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
