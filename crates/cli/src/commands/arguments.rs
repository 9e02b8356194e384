//! The arguments, as clap reads them. The commands' own arguments stand beside the commands.

use std::ffi::OsString;

use bridge_migrate_core::Keep;
use clap::{Args, Parser};

use super::Command;
use crate::options::GlobalOptions;

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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

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
