//! Databases of the Bridge near a place where there is none: the one that was meant, most likely.

use std::path::{Path, PathBuf};

use bridge_migrate_core::{Settings, folder_of, regular_file};
use bridge_migrate_sqlite::{FileState, SqliteContext, connection::with_reader, inspect};

/// How many files are looked at in a folder.
const MOST_FILES: usize = 1000;
/// How much of a `.env` is read, in bytes.
const MOST_BYTES: u64 = 64 * 1024;
/// The variable by which the Bridge's servers know their database.
const VARIABLE: &str = "DATABASE_PATH";

/// Databases of the Bridge in the working folder and in the folder of the database, and the one that `.env` names; none
/// when the database itself is there and has tables.
pub fn neighbours(settings: &Settings) -> Vec<PathBuf> {
    let database = &settings.database;
    if has_tables(settings, database, &[]) {
        return Vec::new();
    }
    let mut found = Vec::new();
    // Whether there is something or not: it is where the servers look.
    if let Some(named) = named_in_env().filter(|named| !is_same(named, database)) {
        found.push(named);
    }
    for folder in [folder_of(database), PathBuf::from(".")] {
        let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .flatten()
            .take(MOST_FILES)
            .map(|entry| match folder == Path::new(".") {
                true => PathBuf::from(entry.file_name()),
                false => entry.path(),
            })
            .filter(|path| {
                path.extension()
                    .is_some_and(|end| ["db", "sqlite", "sqlite3"].map(Some).contains(&end.to_str()))
            })
            .filter(|path| !is_same(path, database) && !found.iter().any(|other| is_same(path, other)))
            .filter(|path| has_tables(settings, path, &["rooms", "messages"]))
            .collect();
        files.sort();
        found.extend(files);
    }
    found
}

/// Whether the file is a database with tables, among them these.
fn has_tables(settings: &Settings, path: &Path, tables: &[&str]) -> bool {
    if !matches!(inspect(path), Ok(FileState::Database { .. })) {
        return false;
    }
    let named = |name: &str| -> Option<bool> {
        with_reader(path, settings.without_waiting().busy_timeout, |reader| {
            reader
                .query_row(
                    "SELECT count(*) > 0 FROM sqlite_schema WHERE type = 'table' AND name LIKE ?1",
                    [name],
                    |row| row.get(0),
                )
                .while_doing("look for tables")
        })
        .ok()
    };
    match tables {
        // What cannot be read is not empty, as far as is known.
        [] => named("%").unwrap_or(true),
        tables => tables.iter().all(|table| named(table) == Some(true)),
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path)).ok();
    place(one) == place(other)
}

/// What `.env` in the working folder says of the database.
fn named_in_env() -> Option<PathBuf> {
    let bytes = regular_file::read(Path::new(".env"), MOST_BYTES).ok()?;
    value_of(VARIABLE, &String::from_utf8_lossy(&bytes)).map(PathBuf::from)
}

/// The value that a `.env` gives a variable; the last one counts. Quotes go, and so does a comment behind it.
fn value_of(name: &str, text: &str) -> Option<String> {
    let value = text.lines().rev().find_map(|line| {
        let line = line.trim_start();
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (found, value) = line.split_once('=')?;
        (found.trim() == name).then(|| value.trim())
    })?;
    let quoted = |quote| value.strip_prefix(quote)?.split_once(quote);
    let value = match quoted('"').or_else(|| quoted('\'')) {
        Some((inside, _)) => inside,
        None => value.split(" #").next().unwrap_or_default().trim_end(),
    };
    (!value.is_empty()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_as_the_servers_read_it() {
        for (text, value) in [
            ("DATABASE_PATH=data/bridge.db", Some("data/bridge.db")),
            (
                "\n# DATABASE_PATH=no\n export DATABASE_PATH = '/srv/a b.db' # here\n",
                Some("/srv/a b.db"),
            ),
            ("DATABASE_PATH=\"x#y.db\"\n", Some("x#y.db")),
            ("DATABASE_PATH=x.db # here", Some("x.db")),
            ("DATABASE_PATH=1\nDATABASE_PATH=2", Some("2")),
            ("DATABASE_PATH=", None),
            ("OTHER_DATABASE_PATH=x", None),
            ("DATABASE_PATH='open", Some("'open")),
            ("", None),
        ] {
            assert_eq!(value_of("DATABASE_PATH", text).as_deref(), value, "{text:?}");
        }
    }
}
