//! What can be told of arguments that do not parse: enough to answer a script in the form it asked for.

use std::ffi::OsString;

use clap::CommandFactory;

use crate::commands::arguments::Arguments;

/// A first look at arguments, without rules.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Glance {
    /// Whether `--json` is among them.
    pub(crate) json: bool,
    /// The words of the command, such as `backup` and `list`, as far as they are named.
    pub(crate) command: Vec<String>,
    /// What follows `--db`.
    pub(crate) database: Option<OsString>,
}

impl Glance {
    /// Looks at arguments, the first of which is the program's name.
    pub(crate) fn at(arguments: &[OsString]) -> Self {
        let mut glance = Self::default();
        let mut known = Arguments::command();
        let mut rest = arguments.iter().skip(1).take_while(|argument| *argument != "--");
        while let Some(argument) = rest.next() {
            let text = argument.to_string_lossy();
            if argument == "--json" {
                glance.json = true;
            } else if argument == "--db" {
                glance.database = rest.next().cloned();
            } else if let Some(value) = text.strip_prefix("--db=") {
                glance.database = Some(value.into());
            } else if let Some(command) = known.find_subcommand(argument) {
                glance.command.push(text.into_owned());
                known = command.clone();
            }
        }
        glance
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glance(line: &str) -> Glance {
        let arguments: Vec<OsString> = line.split(' ').map(Into::into).collect();
        Glance::at(&arguments)
    }

    #[test]
    fn a_wrong_line_still_tells_what_it_is_about() {
        let found = glance("bridge-migrate --nonsense migrate --db x.db --json --to");
        assert!(found.json);
        assert_eq!(found.command, ["migrate"]);
        assert_eq!(found.database, Some("x.db".into()));
        assert_eq!(glance("bridge-migrate --db=y.db").database, Some("y.db".into()));
    }

    #[test]
    fn what_follows_two_dashes_is_no_option() {
        assert!(!glance("bridge-migrate log -- --json").json);
    }

    #[test]
    fn the_value_of_an_option_is_not_taken_for_the_command() {
        let found = glance("bridge-migrate --db migrate status --nonsense");
        assert_eq!(found.command, ["status"]);
    }

    #[test]
    fn a_command_of_two_words_is_told_whole() {
        let found = glance("bridge-migrate backup --json list --nonsense");
        assert_eq!(found.command, ["backup", "list"]);
        assert_eq!(glance("bridge-migrate status backup").command, ["status"]);
    }
}
