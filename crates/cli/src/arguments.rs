//! The arguments, as clap reads them. The commands' own arguments stand beside the commands.

use std::ffi::OsString;
use std::path::PathBuf;

use bridge_migrate_cli::config_file::Color;
use bridge_migrate_core::Keep;
use clap::{Args, Parser, Subcommand};

use crate::commands::{
    adopt, backup, checklist, completions, doctor, history, kept, lint, log, man, migrate, plan, rehearse,
    repair, restore, rollback, schema, status, tokens, undo, verify, wait,
};

/// Takes the database of the Claude Multi-Agent Bridge from release to release.
///
/// No lost row, no half-applied migration, no surprise, and the server keeps running.
///
/// A TARGET is `latest`, a migration (`5`, `V005`), a release (`1.1.0`: its last migration), or `-1`/`+1` from
/// where the database is.
#[derive(Debug, Parser)]
#[command(name = "bridge-migrate", version, after_long_help = EXIT_CODES, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: GlobalOptions,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
   0  done, or nothing to do
   1  refused or failed, nothing changed
   2  wrong use
   3  failed after some steps were committed: the database is whole, at the version that the error names
   4  another process holds the migration lock past the timeout
   5  the database is newer than this program
   6  verification found damage, drift or divergence
  10  `status --exit-code` with migrations pending";

/// Options of every command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalOptions {
    /// The database [env: DATABASE_PATH] [default: data/collab.db]
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) db: Option<PathBuf>,
    /// The token file [env: BRIDGE_TOKENS] [default: tokens.json beside the database]
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) tokens: Option<PathBuf>,
    /// Where backups go [env: BRIDGE_BACKUP_DIR] [default: beside the database]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) backup_dir: Option<PathBuf>,
    /// Where the logs of runs go [env: BRIDGE_LOG_DIR] [default: logs]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) log_dir: Option<PathBuf>,
    /// What a timestamp without an offset means: local, UTC or an IANA name [env: BRIDGE_TIMEZONE] [default:
    /// local]
    #[arg(long, global = true, value_name = "ZONE")]
    pub(crate) timezone: Option<String>,
    /// How long to wait for another process that migrates, or that keeps the database locked [default: 300]
    #[arg(long, global = true, value_name = "SECONDS")]
    pub(crate) lock_timeout: Option<u32>,
    /// A bridge-migrate.toml with these options as keys; paths in it are relative to its folder
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Writes one JSON object to standard output, and nothing else
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Says nothing but answers and errors
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Says more: every batch, and where the files are
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
    /// When to use colors [default: auto]
    #[arg(long, global = true, value_name = "WHEN")]
    pub(crate) color: Option<Color>,
    /// Shows no progress bars
    #[arg(long, global = true)]
    pub(crate) no_progress: bool,
}

/// Which tokens a restore leaves, as an option of its own.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct TokenChoice {
    // Written `--tokens`, like the option of every command that names the file: see `with_choice_of_tokens`.
    #[arg(long = CHOICE_OF_TOKENS, value_name = "WHICH", hide = true)]
    which: Option<Which>,
}

const CHOICE_OF_TOKENS: &str = "choice-of-tokens";

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Which {
    Backup,
    Present,
    Merge,
}

impl From<TokenChoice> for Keep {
    fn from(choice: TokenChoice) -> Self {
        match choice.which {
            Some(Which::Backup) => Self::Backup,
            Some(Which::Present) => Self::Present,
            Some(Which::Merge) | None => Self::Merge,
        }
    }
}

/// The arguments, where `--tokens merge` (or `backup`, `present`) behind `restore` and `rollback` is told from
/// `--tokens PATH`, which they take like every command.
pub(crate) fn with_choice_of_tokens(arguments: &[OsString]) -> Vec<OsString> {
    let mut chosen = arguments.to_vec();
    let is_command = |argument: &OsString| argument == "restore" || argument == "rollback";
    let is_choice = |value: &str| ["backup", "present", "merge"].contains(&value);
    let mut words = chosen.iter_mut().skip_while(|word| !is_command(word)).peekable();
    while let Some(word) = words.next() {
        let value = words.peek().and_then(|next| next.to_str());
        match word.to_str() {
            Some("--") => break,
            Some("--tokens") if value.is_some_and(is_choice) => {
                *word = format!("--{CHOICE_OF_TOKENS}").into();
            }
            Some(text) => {
                if let Some(value) = text.strip_prefix("--tokens=").filter(|value| is_choice(value)) {
                    *word = format!("--{CHOICE_OF_TOKENS}={value}").into();
                }
            }
            None => {}
        }
    }
    chosen
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Status(status::Arguments),
    Plan(plan::Arguments),
    Migrate(migrate::Arguments),
    Rollback(rollback::Arguments),
    Undo(undo::Arguments),
    Adopt(adopt::Arguments),
    #[command(subcommand)]
    Backup(backup::Action),
    #[command(subcommand)]
    Kept(kept::Action),
    Rehearse(rehearse::Arguments),
    Repair(repair::Arguments),
    Restore(restore::Arguments),
    History(history::Arguments),
    Log(log::Arguments),
    Wait(wait::Arguments),
    #[command(subcommand)]
    Tokens(tokens::Action),
    #[command(subcommand)]
    Schema(schema::Action),
    Verify(verify::Arguments),
    Lint(lint::Arguments),
    Checklist(checklist::Arguments),
    Doctor(doctor::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
}

impl Command {
    /// The name, as people type it and scripts read it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Status(_) => "status",
            Self::Plan(_) => "plan",
            Self::Migrate(_) => "migrate",
            Self::Rollback(_) => "rollback",
            Self::Undo(_) => "undo",
            Self::Adopt(_) => "adopt",
            Self::Backup(action) => action.name(),
            Self::Kept(action) => action.name(),
            Self::Rehearse(_) => "rehearse",
            Self::Repair(_) => "repair",
            Self::Restore(_) => "restore",
            Self::History(_) => "history",
            Self::Log(arguments) => arguments.name(),
            Self::Wait(_) => "wait",
            Self::Tokens(action) => action.name(),
            Self::Schema(action) => action.name(),
            Self::Verify(_) => "verify",
            Self::Lint(_) => "lint",
            Self::Checklist(_) => "checklist",
            Self::Doctor(_) => "doctor",
            Self::Completions(_) => "completions",
            Self::Man(_) => "man",
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_grammar_contradicts_itself_nowhere() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_target_may_begin_with_a_sign() {
        for target in ["-1", "+1", "1.1.0", "V005", "latest"] {
            let parsed = Arguments::try_parse_from(["bridge-migrate", "plan", "--to", target]);
            assert!(parsed.is_ok(), "{target}");
        }
        let error = Arguments::try_parse_from(["bridge-migrate", "plan", "--to", "newest"]).unwrap_err();
        assert!(error.to_string().contains("`newest` is not a target"), "{error}");
    }

    #[test]
    fn global_options_stand_before_or_behind_the_command() {
        for line in [
            ["bridge-migrate", "--json", "--db", "x.db", "status"],
            ["bridge-migrate", "status", "--db", "x.db", "--json"],
        ] {
            let parsed = Arguments::try_parse_from(line).unwrap();
            assert!(parsed.global.json);
            assert_eq!(parsed.global.db, Some(PathBuf::from("x.db")));
        }
    }

    #[test]
    fn which_tokens_stay_is_told_from_where_they_are() {
        let parsed = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(Into::into).collect();
            let parsed = Arguments::try_parse_from(with_choice_of_tokens(&words)).unwrap();
            let keep = match parsed.command {
                Command::Restore(arguments) => Keep::from(arguments.tokens),
                Command::Rollback(arguments) => Keep::from(arguments.tokens),
                _ => Keep::Merge,
            };
            (parsed.global.tokens, keep)
        };
        let path = |path: &str| Some(PathBuf::from(path));
        assert_eq!(parsed("b restore latest"), (None, Keep::Merge));
        assert_eq!(parsed("b restore latest --tokens backup"), (None, Keep::Backup));
        assert_eq!(parsed("b restore --tokens=present latest"), (None, Keep::Present));
        assert_eq!(
            parsed("b --tokens a.json restore latest --tokens backup"),
            (path("a.json"), Keep::Backup)
        );
        assert_eq!(
            parsed("b rollback --to 1 --tokens ./merge --tokens backup"),
            (path("./merge"), Keep::Backup)
        );
        assert_eq!(parsed("b status --tokens merge"), (path("merge"), Keep::Merge));
    }

    #[cfg(unix)]
    #[test]
    fn a_path_need_not_be_text() {
        use std::ffi::{OsStr, OsString};
        use std::os::unix::ffi::OsStrExt;
        let path = OsStr::from_bytes(b"caf\xe9.db");
        let line = [
            OsString::from("bridge-migrate"),
            "--db".into(),
            path.to_owned(),
            "status".into(),
        ];
        let parsed = Arguments::try_parse_from(line).unwrap();
        assert_eq!(parsed.global.db, Some(PathBuf::from(path)));
    }
}
