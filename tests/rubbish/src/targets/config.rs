//! The configuration file: read as TOML says, or refused with a line of it.

use std::fmt::Write as _;
use std::path::Path;

use bridge_migrate_cli::config_file::ConfigFile;
use toml::{Table, Value};

const TEXTS: [&str; 5] = ["db", "tokens", "backup-dir", "log-dir", "timezone"];
const FLAGS: [&str; 4] = ["json", "quiet", "verbose", "no-progress"];
const COLORS: [&str; 3] = ["auto", "always", "never"];

/// Reads a configuration file.
///
/// # Panics
/// When it is not what the TOML in it says, or does not read the same when it is printed.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let table: Option<Table> = toml::from_str(text).ok();
    match ConfigFile::parse(text) {
        Ok(file) => {
            let table = table.expect("what was read is TOML");
            assert!(is_right(&table), "{table:?} was accepted");
            assert_eq!(shown(&file), table);
            assert_eq!(
                ConfigFile::parse(&print(&table)).as_ref(),
                Ok(&file),
                "printed: {}",
                print(&table)
            );
            let there = file.clone().relative_to(Path::new("/there"));
            assert!(there.db.is_none_or(|path| path.is_absolute()));
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
            }
        }
    }
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
    let path =
        |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| Value::from(path.to_str().unwrap()));
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
