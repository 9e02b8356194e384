//! The command to type next, complete enough to be pasted into a shell.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;

use bridge_migrate_core::error::Hint;

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
                .map(|word| quote(word))
                .chain(arguments.iter().map(|word| quote(OsStr::new(word))));
            let mut line = PROGRAM.to_owned();
            for word in words {
                line.push(' ');
                line.push_str(&word);
            }
            line
        }
    }
}

/// One word of a shell. Text that a terminal could not carry is written with `$'…'`, byte by byte.
fn quote(word: &OsStr) -> String {
    match word.to_str() {
        Some(text) if !text.is_empty() && text.chars().all(is_plain) => text.to_owned(),
        Some(text) if !text.chars().any(char::is_control) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => {
            let mut quoted = "$'".to_owned();
            for &byte in word.as_encoded_bytes() {
                if byte.is_ascii_graphic() && byte != b'\'' && byte != b'\\' || byte == b' ' {
                    quoted.push(char::from(byte));
                } else {
                    // Three octal digits, so that a digit after it is not taken for a part of it.
                    let _ = write!(quoted, "\\{byte:03o}");
                }
            }
            quoted.push('\'');
            quoted
        }
    }
}

fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || "/._-+:@%,=".contains(character)
}

#[cfg(test)]
mod tests {
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
        assert_eq!(quote(OsStr::new("")), "''");
        assert_eq!(quote(OsStr::new("größe.db")), "'größe.db'");
        assert_eq!(quote(OsStr::new("a\n'b")), r"$'a\012\047b'");
    }

    #[cfg(unix)]
    #[test]
    fn a_path_that_is_no_text_can_be_pasted_too() {
        use std::os::unix::ffi::OsStrExt;
        let path = OsStr::from_bytes(b"caf\xe91.db");
        assert_eq!(quote(path), r"$'caf\3511.db'");
    }

    #[test]
    fn a_command_of_the_system_stays_as_it_is() {
        let hint = Hint::shell("df -h");
        assert_eq!(command_line(&hint, &["--db".into(), "x".into()]), "df -h");
    }
}
