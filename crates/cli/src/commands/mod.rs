//! One file for each command: its arguments, the call of the engine, and the answer.

pub(crate) mod arguments;

mod adopt;
mod backup;
mod checklist;
mod completions;
mod doctor;
mod history;
mod kept;
mod lint;
mod log;
mod man;
mod migrate;
mod plan;
mod rehearse;
mod repair;
mod restore;
mod rollback;
mod schema;
mod status;
mod tokens;
mod undo;
mod verify;
mod wait;

use std::time::Duration;

use bridge_migrate_core::{Error, Position};

use crate::context::Context;
use crate::output::Failure;

/// The commands: what each is called, its arguments, and the module that runs it.
macro_rules! commands {
    ($($(#[$attribute:meta])* $name:ident: $module:ident::$arguments:ident,)*) => {
        /// What to do.
        #[derive(Debug, clap::Subcommand)]
        pub(crate) enum Command {
            $($(#[$attribute])* $name($module::$arguments),)*
        }

        /// Runs a command, and gives the exit code of its success.
        pub(crate) fn run(context: &Context, command: Command) -> Result<u8, Failure> {
            match command {
                $(Command::$name(arguments) => $module::run(context, &arguments),)*
            }
        }
    };
}

commands! {
    Status: status::Arguments,
    Plan: plan::Arguments,
    Migrate: migrate::Arguments,
    Rollback: rollback::Arguments,
    Undo: undo::Arguments,
    Adopt: adopt::Arguments,
    #[command(subcommand)]
    Backup: backup::Action,
    #[command(subcommand)]
    Kept: kept::Action,
    Rehearse: rehearse::Arguments,
    Repair: repair::Arguments,
    Restore: restore::Arguments,
    History: history::Arguments,
    Log: log::Arguments,
    Wait: wait::Arguments,
    #[command(subcommand)]
    Tokens: tokens::Action,
    #[command(subcommand)]
    Schema: schema::Action,
    Verify: verify::Arguments,
    Lint: lint::Arguments,
    Checklist: checklist::Arguments,
    Doctor: doctor::Arguments,
    Completions: completions::Arguments,
    Man: man::Arguments,
}

/// An answer that cannot be written must not read as if nothing had happened. `done` is what succeeded.
fn after_success(error: Error, done: &str, position: Position) -> Error {
    error
        .with_truth(format!("{done} succeeded: the database is at {position}."))
        .with_reached(position.into())
}

/// As [`after_success`], for a command that does not know where it leaves the database. An answer of one that
/// `changed` nothing stays as it is.
fn after_change<'a>(context: &'a Context, changed: bool, done: &'a str) -> impl FnOnce(Error) -> Error + 'a {
    let unmanaged = Position {
        version: 0,
        release: None,
    };
    move |error| match changed.then(|| context.position()) {
        None => error,
        Some(Ok(position)) => after_success(error, done, position.unwrap_or(unmanaged)),
        Some(Err(_)) => error.with_truth(format!("{done} succeeded.")),
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
