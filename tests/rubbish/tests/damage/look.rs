//! What is left of a damaged database, for someone who reads as much as can be read.

use std::collections::BTreeMap;
use std::path::Path;

use bridge_migrate_sqlite::identifier;
use rusqlite::{Connection, OpenFlags};
use support::{dump, schema_1_0_0};

/// The column of 1.0.0 that a migration changes.
const CHANGED: (&str, &str) = ("messages", "timestamp");

/// What can be read, and what SQLite finds wrong.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// How often each row of the nine tables can be read.
    rows: BTreeMap<String, usize>,
    /// Whether SQLite finds nothing wrong.
    pub(crate) is_sound: bool,
    /// Whether SQLite finds nothing wrong but perhaps indexes that disagree with their tables.
    pub(crate) is_sound_but_for_indexes: bool,
}

/// Reads a database with SQLite alone.
pub(crate) fn look(path: &Path) -> Look {
    let mut look = Look {
        rows: BTreeMap::new(),
        is_sound: false,
        is_sound_but_for_indexes: false,
    };
    let Ok(connection) = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY) else {
        return look;
    };
    let is_ok = |pragma: &str| {
        let answer = connection.query_row(&format!("PRAGMA {pragma}(1)"), [], |row| row.get::<_, String>(0));
        answer.is_ok_and(|answer| answer == "ok")
    };
    look.is_sound = is_ok("integrity_check");
    look.is_sound_but_for_indexes = is_ok("quick_check");
    for (table, columns) in schema_1_0_0::TABLES {
        // Until the first error: what comes after it nobody can tell.
        let _ = read(&connection, table, columns, &mut look.rows);
    }
    look
}

fn read(
    connection: &Connection,
    table: &str,
    columns: &[&str],
    rows: &mut BTreeMap<String, usize>,
) -> rusqlite::Result<()> {
    let columns: Vec<String> = columns
        .iter()
        .filter(|column| (table, **column) != CHANGED)
        .map(|column| identifier(column))
        .collect();
    let mut select =
        connection.prepare(&format!("SELECT {} FROM {table} NOT INDEXED", columns.join(", ")))?;
    let mut found = select.query([])?;
    while let Some(row) = found.next()? {
        let values = (0..columns.len()).map(|index| row.get_ref(index).map(dump::render));
        let values: Vec<String> = values.collect::<rusqlite::Result<_>>()?;
        *rows.entry(format!("{table}: {}", values.join(", "))).or_default() += 1;
    }
    Ok(())
}

impl Look {
    /// A row that could be read and is not in `after`.
    pub(crate) fn lost_in(&self, after: &Self) -> Option<&str> {
        self.rows
            .iter()
            .find(|(row, times)| after.rows.get(*row).is_none_or(|now| now < times))
            .map(|(row, _)| row.as_str())
    }

    /// How many rows can be read.
    pub(crate) fn rows(&self) -> usize {
        self.rows.values().sum()
    }
}
