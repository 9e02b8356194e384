//! The command to type next, complete enough to be pasted into a shell.

use std::ffi::OsString;

use bridge_migrate_core::{Hint, shell_quote};

/// The program's name, as people type it.
pub(crate) const PROGRAM: &str = "bridge-migrate";

/// The hint as a line of a POSIX shell; `global` are the options that the user gave this time and needs to
/// give again.
pub(crate) fn command_line(hint: &Hint, global: &[OsString]) -> String {
    match hint {
        Hint::Shell(command) => command.clone(),
        Hint::Tool(arguments) => {
            let words = global
                .iter()
                .map(shell_quote)
                .chain(arguments.iter().map(shell_quote));
            let mut line = PROGRAM.to_owned();
            for word in words {
                line.push(' ');
                line.push_str(&word);
            }
            line
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    fn line(global: &[&str], arguments: &[&str]) -> String {
        let global: Vec<OsString> = global.iter().map(Into::into).collect();
        command_line(&Hint::tool(arguments.iter().copied()), &global)
    }

    #[test]
    fn a_hint_repeats_the_options_that_lead_to_the_same_database() {
        assert_eq!(
            line(&["--db", "x.db"], &["rollback", "--to", "-1"]),
            "bridge-migrate --db x.db rollback --to -1"
        );
        assert_eq!(line(&[], &["status"]), "bridge-migrate status");
    }

    #[test]
    fn words_survive_the_shell() {
        assert_eq!(
            line(&["--db", "it's here.db"], &["status"]),
            r"bridge-migrate --db 'it'\''s here.db' status"
        );
        assert_eq!(shell_quote(OsStr::new("")), "''");
        assert_eq!(shell_quote(OsStr::new("größe.db")), "'größe.db'");
        assert_eq!(shell_quote(OsStr::new("a\n'b")), r"$'a\012\047b'");
    }

    #[cfg(unix)]
    #[test]
    fn a_path_that_is_no_text_can_be_pasted_too() {
        use std::os::unix::ffi::OsStrExt;
        let path = OsStr::from_bytes(b"caf\xe91.db");
        assert_eq!(shell_quote(path), r"$'caf\3511.db'");
    }

    #[test]
    fn a_command_of_the_system_stays_as_it_is() {
        let hint = Hint::shell("df -h");
        assert_eq!(command_line(&hint, &["--db".into(), "x".into()]), "df -h");
    }
}
