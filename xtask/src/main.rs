//! The developers' commands: `cargo xtask …`.
//!
//! They read file names and text, and run cargo and the program for the rest, so that scaffolding works while a
//! migration does not compile.

mod check;
mod checks;
mod current_version;
mod database_check;
mod demo;
mod lint_check;
mod migration_log;
mod new_migration;
mod seal;
mod seals;
mod source;
mod template;
#[cfg(test)]
mod tests;
mod tool_checks;

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use naming::{Phase, Release, Target};
use xtask::{cargo, error::Error, project::Project};

use crate::check::Extent;
use crate::new_migration::Request;
use crate::seal::Turn;

/// The developers' commands of bridge-migrate.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes the next migration: its file, its golden SQL, its log entry and the contract of a new release, to be filled in
    NewMigration {
        /// What it does, as `add_room_topic`, `addRoomTopic` or "Add room topic"
        name: String,
        /// The release that it belongs to, as 1.2.0 [default: the newest migration's, or the next if that is closed]
        #[arg(long, value_parser = Release::parse)]
        release: Option<Release>,
        /// Which servers may run meanwhile: expand, backfill or contract
        #[arg(long, value_parser = Phase::parse, default_value_t = Phase::Expand)]
        phase: Phase,
    },
    /// Seals migrations that lint finds nothing in: writes their digests to migrations/migrations.lock
    Seal {
        /// Say what differs from the seals, and write nothing
        #[arg(long, conflicts_with = "unseal")]
        check: bool,
        /// Seal this migration anew although it was changed; dangerous once a database has applied it
        #[arg(long, value_name = "VNNN", value_parser = parse_migration)]
        unseal: Vec<u32>,
        /// Let this release, the newest, have more migrations although some of it are sealed
        #[arg(long, value_name = "RELEASE", value_parser = Release::parse, conflicts_with_all = ["check", "close"])]
        open: Option<Release>,
        /// The open release is done: nothing is added to it any more
        #[arg(long, conflicts_with = "check")]
        close: bool,
    },
    /// Checks the migrations: names, seals, documentation, log, version, formatting, SQL, up and down
    Check {
        /// Write each migration's golden SQL first
        #[arg(long, conflicts_with = "text_only")]
        bless: bool,
        /// Check names and text only; works while a migration does not compile
        #[arg(long)]
        text_only: bool,
        /// Go through the pre-migration checklist for this database, too
        #[arg(long, value_name = "PATH", conflicts_with = "text_only")]
        db: Option<PathBuf>,
    },
    /// Makes a 1.0.0 database in a temporary folder, and shows how it is migrated and restored
    Demo {
        /// How many messages the database has
        #[arg(long, default_value_t = 20_000)]
        messages: u64,
        /// Keep the folder, and say where it is
        #[arg(long)]
        keep: bool,
    },
    /// Measures each command against its floor, in the same run, and prints a table
    #[command(disable_help_flag = true)]
    Bench {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
        arguments: Vec<OsString>,
    },
}

fn parse_migration(text: &str) -> Result<u32, String> {
    match Target::parse(text) {
        Ok(Target::Version(version)) if version > 0 => Ok(version),
        _ => Err("write a migration's number, as in V003".to_owned()),
    }
}

fn run(command: Command) -> Result<ExitCode, Error> {
    let project = Project::find()?;
    let report = match command {
        Command::NewMigration { name, release, phase } => {
            new_migration::new_migration(&project, &Request { name, release, phase })?
        }
        Command::Seal { check: true, .. } => seal::compare(&project)?,
        Command::Seal {
            check: false,
            unseal,
            open,
            close,
        } => match seal::linted(&project)? {
            Some(refused) => refused,
            None => {
                let turn = match (open, close) {
                    (Some(release), _) => Turn::Open(release),
                    (None, true) => Turn::Close,
                    (None, false) => Turn::Keep,
                };
                seal::seal(&project, &unseal, turn)?
            }
        },
        Command::Check { bless, text_only, db } => {
            let extent = match (bless, text_only) {
                (true, _) => Extent::Bless,
                (false, true) => Extent::Text,
                (false, false) => Extent::Full,
            };
            let report = check::check(&project, extent)?;
            match db {
                Some(database) => report.followed_by(database_check::checklist(&project, &database)?),
                None => report,
            }
        }
        Command::Demo { messages, keep } => demo::demo(&project, messages, keep)?,
        Command::Bench { arguments } => return bench(&project, &arguments),
    };
    Ok(report.print())
}

/// `bench` is a program of its own, so that the other commands are built without it.
fn bench(project: &Project, arguments: &[OsString]) -> Result<ExitCode, Error> {
    let mut cargo = cargo::command(project, "cargo");
    cargo
        .args([
            "run",
            "--quiet",
            "--locked",
            "--package",
            "bench",
            "--manifest-path",
        ])
        .arg(project.root().join("Cargo.toml"))
        .arg("--")
        .args(arguments)
        // Where it was called: a path to write to starts there.
        .current_dir(".");
    let status = cargo::status(&mut cargo)?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

fn main() -> ExitCode {
    run(Cli::parse().command).unwrap_or_else(|error| error.print())
}
