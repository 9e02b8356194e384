//! One file for each command: its arguments, the call of the engine, and the answer.

pub(crate) mod adopt;
pub(crate) mod backup;
pub(crate) mod checklist;
pub(crate) mod completions;
pub(crate) mod doctor;
pub(crate) mod history;
pub(crate) mod kept;
pub(crate) mod lint;
pub(crate) mod log;
pub(crate) mod man;
pub(crate) mod migrate;
pub(crate) mod plan;
pub(crate) mod rehearse;
pub(crate) mod repair;
pub(crate) mod restore;
pub(crate) mod rollback;
pub(crate) mod schema;
pub(crate) mod status;
pub(crate) mod tokens;
pub(crate) mod undo;
pub(crate) mod verify;
pub(crate) mod wait;

use std::time::Duration;

use bridge_migrate_core::{Error, Position, Reached};

use crate::arguments::Command;
use crate::context::Context;
use crate::failure::Failure;

/// Runs a command, and gives the exit code of its success.
pub(crate) fn run(context: &Context, command: Command) -> Result<u8, Failure> {
    match command {
        Command::Status(arguments) => status::run(context, &arguments),
        Command::Plan(arguments) => plan::run(context, &arguments),
        Command::Migrate(arguments) => migrate::run(context, &arguments),
        Command::Rollback(arguments) => rollback::run(context, &arguments),
        Command::Undo(arguments) => undo::run(context, &arguments),
        Command::Adopt(arguments) => adopt::run(context, &arguments),
        Command::Backup(action) => backup::run(context, &action),
        Command::Rehearse(arguments) => rehearse::run(context, &arguments),
        Command::Repair(arguments) => repair::run(context, &arguments),
        Command::Restore(arguments) => restore::run(context, &arguments),
        Command::History(arguments) => history::run(context, &arguments),
        Command::Log(arguments) => log::run(context, &arguments),
        Command::Wait(arguments) => wait::run(context, &arguments),
        Command::Kept(action) => kept::run(context, &action),
        Command::Tokens(action) => tokens::run(context, &action),
        Command::Schema(action) => schema::run(context, &action),
        Command::Verify(arguments) => verify::run(context, &arguments),
        Command::Lint(arguments) => lint::run(context, &arguments),
        Command::Checklist(arguments) => checklist::run(context, &arguments),
        Command::Doctor(arguments) => doctor::run(context, &arguments),
        Command::Completions(arguments) => completions::run(context, &arguments),
        Command::Man(arguments) => man::run(context, &arguments),
    }
}

/// An answer that cannot be written must not read as if nothing had happened. `done` is what succeeded.
fn after_success(error: Error, done: &str, position: Position) -> Error {
    error
        .with_truth(format!("{done} succeeded: the database is at {position}."))
        .with_reached(Reached {
            version: position.version,
            release: position.release,
        })
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
