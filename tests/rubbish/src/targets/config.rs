//! The configuration file: read as TOML says, or refused with a line of it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use bridge_migrate_cli::config_file::{ConfigFile, ConfigFileError};
use toml::{Table, Value};

const TEXTS: [&str; 5] = ["db", "tokens", "backup-dir", "log-dir", "timezone"];
const FLAGS: [&str; 5] = ["plain", "json", "quiet", "verbose", "no-progress"];
const COLORS: [&str; 3] = ["auto", "always", "never"];

/// Reads a configuration file.
///
/// # Panics
/// As [`check`].
pub fn config(data: &[u8]) {
    check(ConfigFile::parse, data);
}

/// Reads a configuration file with that reader.
///
/// # Panics
/// When it is not what the TOML in it says, does not read the same when it is printed, or is refused for a line that is
/// not to blame.
pub fn check(parse: impl Fn(&str) -> Result<ConfigFile, ConfigFileError>, data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let table: Option<Table> = toml::from_str(text).ok();
    match parse(text) {
        Ok(file) => {
            let table = table.expect("what was read is TOML");
            assert!(is_right(&table), "{table:?} was accepted");
            assert_eq!(shown(&file), table, "another content is read");
            assert_eq!(
                parse(&print(&table)).as_ref(),
                Ok(&file),
                "printed: {}",
                print(&table)
            );
            check_folder(&file);
            assert_eq!(file.clone().relative_to(Path::new("")), file);
        }
        Err(error) => {
            assert!(
                !table.as_ref().is_some_and(is_right),
                "{text:?} is refused: {error:?}"
            );
            assert!(!error.why.is_empty());
            if let Some(line) = error.line {
                assert!(
                    (1..=text.split('\n').count()).contains(&line),
                    "{error:?} in {text:?}"
                );
                check_blame(text, line);
            }
        }
    }
}

/// Paths begin at the folder of the file, and nothing else changes.
fn check_folder(file: &ConfigFile) {
    let there = file.clone().relative_to(Path::new("/there"));
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| Path::new("/there").join(path));
    let expected = ConfigFile {
        db: path(&file.db),
        tokens: path(&file.tokens),
        backup_dir: path(&file.backup_dir),
        log_dir: path(&file.log_dir),
        ..file.clone()
    };
    assert_eq!(there, expected, "in another folder");
}

/// Where each line is TOML of its own, the line that is named is wrong by itself, or has a key of another.
fn check_blame(text: &str, line: usize) {
    // At the beginning of a file it means nothing, and each line is one here.
    if text.contains('\u{feff}') {
        return;
    }
    let Some(lines) = text
        .split('\n')
        .map(|line| toml::from_str(line).ok())
        .collect::<Option<Vec<Table>>>()
    else {
        return;
    };
    let blamed = &lines[line - 1];
    let is_twice = |key: &String| lines.iter().filter(|line| line.contains_key(key)).count() > 1;
    assert!(
        !is_right(blamed) || blamed.keys().any(is_twice),
        "line {line} is not to blame: {text:?}"
    );
}

fn is_right(table: &Table) -> bool {
    table.iter().all(|(key, value)| match value {
        Value::String(_) if TEXTS.contains(&key.as_str()) => true,
        Value::String(color) => key == "color" && COLORS.contains(&color.as_str()),
        // Serde takes a table with one key for the variant of an enum.
        Value::Table(_) => false,
        Value::Boolean(_) => FLAGS.contains(&key.as_str()),
        _ => false,
    })
}

/// The file as a table.
fn shown(file: &ConfigFile) -> Table {
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| Value::from(path.to_str().unwrap()));
    let flag = |flag: Option<bool>| flag.map(Value::from);
    let color = file
        .color
        .map(|color| Value::from(format!("{color:?}").to_lowercase()));
    let entries = [
        ("db", path(&file.db)),
        ("tokens", path(&file.tokens)),
        ("backup-dir", path(&file.backup_dir)),
        ("log-dir", path(&file.log_dir)),
        ("timezone", file.timezone.clone().map(Value::from)),
        ("plain", flag(file.plain)),
        ("json", flag(file.json)),
        ("quiet", flag(file.quiet)),
        ("verbose", flag(file.verbose)),
        ("no-progress", flag(file.no_progress)),
        ("color", color),
    ];
    entries
        .into_iter()
        .filter_map(|(key, value)| value.map(|value| (key.to_owned(), value)))
        .collect()
}

fn print(table: &Table) -> String {
    let mut text = String::new();
    for (key, value) in table {
        match value {
            Value::String(value) => {
                let escaped: String = value
                    .chars()
                    .map(|character| format!("\\U{:08X}", u32::from(character)))
                    .collect();
                writeln!(text, "{key} = \"{escaped}\"").unwrap();
            }
            other => writeln!(text, "{key} = {}", other.as_bool().unwrap()).unwrap(),
        }
    }
    text
}
