//! What can be told of arguments that do not parse: enough to answer a script in the form it asked for.

use std::ffi::OsString;

use clap::CommandFactory;

use crate::commands::arguments::Arguments;

/// Arguments, read without rules.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct RawArguments {
    /// Whether `--json` is among them.
    pub(crate) json: bool,
    /// The words of the command, such as `backup` and `list`, as far as they are named.
    pub(crate) command: Vec<String>,
    /// What follows `--db`.
    pub(crate) database: Option<OsString>,
}

impl RawArguments {
    /// Looks at arguments, the first of which is the program's name.
    pub(crate) fn read(arguments: &[OsString]) -> Self {
        let mut raw = Self::default();
        let mut known = Arguments::command();
        let mut rest = arguments.iter().skip(1).take_while(|argument| *argument != "--");
        while let Some(argument) = rest.next() {
            let text = argument.to_string_lossy();
            if argument == "--json" {
                raw.json = true;
            } else if argument == "--db" {
                raw.database = rest.next().cloned();
            } else if let Some(value) = text.strip_prefix("--db=") {
                raw.database = Some(value.into());
            } else if let Some(command) = known.find_subcommand(argument) {
                raw.command.push(text.into_owned());
                known = command.clone();
            }
        }
        raw
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> RawArguments {
        let arguments: Vec<OsString> = line.split(' ').map(Into::into).collect();
        RawArguments::read(&arguments)
    }

    #[test]
    fn a_wrong_line_still_tells_what_it_is_about() {
        let found = read("bridge-migrate --nonsense migrate --db x.db --json --to");
        assert!(found.json);
        assert_eq!(found.command, ["migrate"]);
        assert_eq!(found.database, Some("x.db".into()));
        assert_eq!(read("bridge-migrate --db=y.db").database, Some("y.db".into()));
    }

    #[test]
    fn what_follows_two_dashes_is_no_option() {
        assert!(!read("bridge-migrate log -- --json").json);
    }

    #[test]
    fn the_value_of_an_option_is_not_taken_for_the_command() {
        let found = read("bridge-migrate --db migrate status --nonsense");
        assert_eq!(found.command, ["status"]);
    }

    #[test]
    fn a_command_of_two_words_is_told_whole() {
        let found = read("bridge-migrate backup --json list --nonsense");
        assert_eq!(found.command, ["backup", "list"]);
        assert_eq!(read("bridge-migrate status backup").command, ["status"]);
    }
}
