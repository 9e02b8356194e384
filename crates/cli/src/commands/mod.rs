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

use bridge_migrate_core::Position;

use crate::context::Context;
use crate::output::{Failure, Report};

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

/// Answers with what a command did; `changed` is what changed the database, if anything did.
fn done(
    context: &Context,
    report: &impl Report,
    is_dry_run: bool,
    changed: Option<&str>,
) -> Result<u8, Failure> {
    let answered = context.output.report_run(report, is_dry_run);
    answered.map_err(|failure| unanswered(failure, changed, || context.position()))
}

/// An answer that cannot be written must not read as if nothing had happened: `changed` succeeded, and left the database
/// `at` its position.
fn unanswered(
    mut failure: Failure,
    changed: Option<&str>,
    at: impl FnOnce() -> bridge_migrate_core::Result<Position>,
) -> Failure {
    if let Some(done) = changed {
        failure.error = match at() {
            Ok(position) => failure
                .error
                .with_truth(format!("{done} succeeded: the database is at {position}."))
                .with_reached(position.into()),
            Err(_) => failure.error.with_truth(format!("{done} succeeded.")),
        };
    }
    failure
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
