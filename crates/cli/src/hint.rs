//! The command to type next, complete enough to be pasted into a shell.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use bridge_migrate_core::{Hint, Keep, Strategy, Target, TimeZone, folder_of, is_hidden};

/// The program's name, as people type it.
pub(crate) const PROGRAM: &str = "bridge-migrate";

/// The hint as a line of a POSIX shell; `global` are the options that the user gave this time and needs to
/// give again.
pub(crate) fn command_line(hint: &Hint, global: &[OsString]) -> String {
    let line = match command(hint) {
        Command::Ours(arguments) => {
            let global: String = global
                .iter()
                .map(|word| format!(" {}", shell_quote(word)))
                .collect();
            format!("{PROGRAM}{global} {arguments}")
        }
        Command::Other(line) => line,
    };
    variable(hint) + &line
}

/// The hint in the middle of a text, where the program and its options are understood.
pub(crate) fn in_text(hint: &Hint) -> String {
    let (Command::Ours(line) | Command::Other(line)) = command(hint);
    format!("`{}{line}`", variable(hint))
}

/// Before a command in a time zone that has no name: a rule, or a file with its digest, which only `TZ` can say.
fn variable(hint: &Hint) -> String {
    match hint {
        Hint::MigrateIn(Some(zone)) if TimeZone::parse(zone).is_err() => {
            let of_file = zone
                .rsplit_once(' ')
                .filter(|(file, _)| Path::new(file).is_absolute());
            format!(
                "TZ={} ",
                shell_quote(of_file.map_or(zone.as_str(), |(file, _)| file))
            )
        }
        _ => String::new(),
    }
}

/// What to type.
enum Command {
    /// The program's own, on the same database: what follows its name and its options.
    Ours(String),
    /// Anything else.
    Other(String),
}

fn command(hint: &Hint) -> Command {
    use Command::Other;
    let either = |is: bool, words: &str| if is { words.to_owned() } else { String::new() };
    let on = |command: &str, path: &PathBuf| format!("{command} {}", shell_quote(path));
    let both = |command: &str, one: &Path, other: &Path| {
        format!("{command} {} {}", shell_quote(one), shell_quote(other))
    };
    Command::Ours(match hint {
        Hint::Status => "status".to_owned(),
        Hint::Plan => "plan".to_owned(),
        Hint::PlanSql => "plan --sql".to_owned(),
        Hint::NameTimeZone => "plan --timezone UTC".to_owned(),
        Hint::Migrate => "migrate".to_owned(),
        Hint::AllowDrift => "--allow-drift".to_owned(),
        Hint::MigrateTo(target) => format!("migrate --to {}", shell_quote(target.to_string())),
        Hint::MigrateIn(zone) => {
            let zone = zone.as_deref().unwrap_or("ZONE");
            let zone = if variable(hint).is_empty() { zone } else { "local" };
            format!("migrate --timezone {}", shell_quote(zone))
        }
        Hint::Rehearse(Some(Target::Version(to))) => format!("rehearse --to {to}"),
        Hint::Rehearse(to) => format!("rehearse{}", option(" --to", to.as_ref())),
        Hint::Adopt {
            release,
            accept_additions,
        } => format!(
            "adopt{}{}",
            option(" --release", release.as_ref()),
            either(*accept_additions, " --accept-additions")
        ),
        Hint::Rollback(to) => format!("rollback --to {to}"),
        Hint::RollbackDryRun(to) => format!("rollback --to {to} --dry-run"),
        Hint::RollbackAsked(to) => format!("rollback --to {} --dry-run", shell_quote(to.to_string())),
        Hint::RollbackBy {
            to,
            strategy,
            companion,
            confirmed,
        } => format!(
            "rollback --to {to}{}{} {}",
            option(
                " --strategy",
                Some(strategy).filter(|way| **way != Strategy::Auto)
            ),
            option(" --tokens", Some(companion).filter(|keep| **keep != Keep::Merge)),
            if *confirmed { "--yes" } else { "--dry-run" }
        ),
        Hint::UndoDryRun(version) => format!("undo {version} --dry-run"),
        Hint::Restore(backup, keep) => {
            format!(
                "restore {}{}",
                shell_quote(backup),
                option(" --tokens", keep.as_ref())
            )
        }
        Hint::RestoreLatestDryRun => "restore latest --dry-run".to_owned(),
        Hint::Wait => "wait --for latest".to_owned(),
        Hint::History => "history".to_owned(),
        Hint::Log => "log".to_owned(),
        Hint::Lint => "lint".to_owned(),
        Hint::Verify => "verify".to_owned(),
        Hint::Repair => "repair".to_owned(),
        Hint::RepairConfirmed => "repair --yes".to_owned(),
        Hint::SchemaShow => "schema show".to_owned(),
        Hint::SchemaDiff => "schema diff".to_owned(),
        Hint::BackupCreate => "backup create".to_owned(),
        Hint::BackupList => "backup list".to_owned(),
        Hint::BackupPrune => "backup prune --keep-last 5".to_owned(),
        Hint::KeptList => "kept list".to_owned(),
        Hint::KeptReclaim(give_up) => format!("kept reclaim{}", either(*give_up, " --give-up")),
        Hint::KeptPrune {
            files,
            older_than,
            confirmed,
        } => {
            let files: String = files
                .iter()
                .map(|file| format!(" {}", shell_quote(file)))
                .collect();
            let age = older_than.map(|age| format!("{}m", age.num_minutes()));
            let age = option(" --older-than", age.as_ref());
            format!("kept prune{files}{age}{}", either(*confirmed, " --yes"))
        }
        Hint::CompanionVerify => "tokens verify".to_owned(),
        Hint::CompanionImport(over) => format!("tokens import{}", either(*over, " --overwrite")),
        Hint::Help(command) => {
            let command: String = command.iter().map(|word| shell_quote(word) + " ").collect();
            format!("{command}--help")
        }
        Hint::StatusOf(database) => return Other(format!("{PROGRAM} --db {} status", shell_quote(database))),
        Hint::Again => {
            return Other(
                std::env::args_os()
                    .skip(1)
                    .fold(PROGRAM.to_owned(), |line, word| {
                        format!("{line} {}", shell_quote(word))
                    }),
            );
        }
        Hint::ProgramVersion => return Other(format!("{PROGRAM} --version")),
        Hint::CheckMigrations => return Other("cargo xtask check".to_owned()),
        Hint::CompanionText(path) => {
            return Other(format!("python3 -m json.tool {} /dev/null", shell_quote(path)));
        }
        Hint::Sql { database, statements } => {
            return Other(both("sqlite3", database, Path::new(&statements.join(" "))));
        }
        Hint::LookAtFile(path) => return Other(on("ls -l", path)),
        Hint::LookAtEntry(path) => return Other(on("ls -ld", path)),
        Hint::LookAtPlace(path) => return Other(both("ls -ld", &folder_of(path), path)),
        Hint::FileType(path) => return Other(on("file", path)),
        Hint::ReadFile(path) => return Other(on("cat", path)),
        Hint::MakeFolder(path) => return Other(on("mkdir -p", path)),
        Hint::SetAside(path) => return Other(format!("mv {0} {0}.aside", shell_quote(path))),
        Hint::SetForeignAside(path) => {
            let mut aside = path.as_os_str().to_owned();
            aside.push(".foreign");
            return Other(both("mv -n", path, Path::new(&aside)));
        }
        Hint::FreeSpace(Some(folder)) => return Other(on("df -h", folder)),
        Hint::FreeSpace(None) => return Other("df -h".to_owned()),
        Hint::FileSizeLimit => return Other("ulimit -f".to_owned()),
        Hint::MemoryLimit => return Other("ulimit -a".to_owned()),
        Hint::Process(pid) => return Other(format!("ps -fp {pid}")),
        Hint::MachineTime => return Other("date -u".to_owned()),
    })
}

fn option(name: &str, value: Option<&impl ToString>) -> String {
    value.map_or_else(String::new, |value| format!("{name} {}", value.to_string()))
}

/// `word` as a word of a POSIX shell. What a terminal could not carry is written with `$'…'`, byte by byte.
pub(crate) fn shell_quote(word: impl AsRef<OsStr>) -> String {
    let word = word.as_ref();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    match word.to_str() {
        Some(text) if !text.is_empty() && text.chars().all(is_plain) => text.to_owned(),
        Some(text) if !text.chars().any(is_hidden) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => {
            let mut quoted = "$'".to_owned();
            for &byte in word.as_encoded_bytes() {
                if byte.is_ascii_graphic() && byte != b'\'' && byte != b'\\' || byte == b' ' {
                    quoted.push(char::from(byte));
                } else {
                    // Three octal digits, so that a digit after it is not taken for a part of it.
                    quoted.push_str(&format!("\\{byte:03o}"));
                }
            }
            quoted.push('\'');
            quoted
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(global: &[&str], hint: &Hint) -> String {
        let global: Vec<OsString> = global.iter().map(Into::into).collect();
        command_line(hint, &global)
    }

    #[test]
    fn a_hint_repeats_the_options_that_lead_to_the_same_database() {
        assert_eq!(
            line(&["--db", "x.db"], &Hint::MigrateTo(Target::Back(1))),
            "bridge-migrate --db x.db migrate --to -1"
        );
        assert_eq!(line(&[], &Hint::Status), "bridge-migrate status");
    }

    #[test]
    fn what_is_chosen_already_is_not_said() {
        let back = |strategy, companion, confirmed| Hint::RollbackBy {
            to: 2,
            strategy,
            companion,
            confirmed,
        };
        assert_eq!(
            in_text(&back(Strategy::Auto, Keep::Merge, true)),
            "`rollback --to 2 --yes`"
        );
        assert_eq!(
            in_text(&back(Strategy::Restore, Keep::Present, false)),
            "`rollback --to 2 --strategy restore --tokens present --dry-run`"
        );
    }

    #[test]
    fn words_survive_the_shell() {
        assert_eq!(
            line(&["--db", "it's here.db"], &Hint::Status),
            r"bridge-migrate --db 'it'\''s here.db' status"
        );
        assert_eq!(shell_quote(""), "''");
        assert_eq!(shell_quote("größe.db"), "'größe.db'");
        assert_eq!(shell_quote("a\n'b"), r"$'a\012\047b'");
    }

    #[cfg(unix)]
    #[test]
    fn a_path_that_is_no_text_can_be_pasted_too() {
        use std::os::unix::ffi::OsStrExt;
        let path = OsStr::from_bytes(b"caf\xe91.db");
        assert_eq!(
            line(&[], &Hint::Restore(path.into(), None)),
            r"bridge-migrate restore $'caf\3511.db'"
        );
    }

    #[test]
    fn a_command_of_the_system_stays_as_it_is() {
        assert_eq!(line(&["--db", "x"], &Hint::FreeSpace(None)), "df -h");
    }
}
