//! The content of a database as canonical text, to compare data before and after.

use std::fmt::Write as _;

use bridge_migrate_sqlite::identifier;
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use sha2::{Digest as _, Sha256};

/// One value with its storage class; different values have different texts.
pub fn render(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "null".to_owned(),
        ValueRef::Integer(number) => format!("integer {number}"),
        // Debug tells 1.0 from 1 and -0.0 from 0.0, and prints as many digits as the value needs.
        ValueRef::Real(number) => format!("real {number:?}"),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => format!("text {text:?}"),
            Err(_) => format!("text not UTF-8 {}", hex(bytes)),
        },
        ValueRef::Blob(bytes) => format!("blob {}", hex(bytes)),
    }
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
}

/// The names of all tables but SQLite's own, sorted.
pub fn tables(connection: &Connection) -> Vec<String> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name";
    let mut statement = connection.prepare(sql).unwrap();
    let names = statement.query_map([], |row| row.get(0)).unwrap();
    names.collect::<rusqlite::Result<_>>().unwrap()
}

/// The columns of a table in order, without hidden ones.
pub fn columns(connection: &Connection, table: &str) -> Vec<String> {
    let sql = "SELECT name FROM pragma_table_xinfo(?1) WHERE hidden <> 1 ORDER BY cid";
    let mut statement = connection.prepare(sql).unwrap();
    let names = statement.query_map([table], |row| row.get(0)).unwrap();
    names.collect::<rusqlite::Result<_>>().unwrap()
}

/// Gives each row of a table, as one line, to `sink`: by rowid, or by primary key where there is none.
pub fn each_row(connection: &Connection, table: &str, columns: &[&str], mut sink: impl FnMut(&str)) {
    let list: Vec<String> = columns.iter().map(|name| identifier(name)).collect();
    let without_rowid: bool = connection
        .query_row(
            "SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?1",
            [table],
            |row| row.get(0),
        )
        .unwrap();
    // A table WITHOUT ROWID is stored, and so read, in the order of its primary key.
    let order = if without_rowid { "" } else { " ORDER BY rowid" };
    let sql = format!("SELECT {} FROM {}{order}", list.join(", "), identifier(table));
    let mut statement = connection.prepare(&sql).unwrap();
    let mut rows = statement.query([]).unwrap();
    let mut line = String::new();
    while let Some(row) = rows.next().unwrap() {
        line.clear();
        for (index, name) in columns.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(line, "{separator}{name}: {}", render(row.get_ref(index).unwrap())).unwrap();
        }
        line.push('\n');
        sink(&line);
    }
}

/// Every row of every table, with the storage class of each value.
pub fn all(connection: &Connection) -> String {
    let mut text = String::new();
    for table in tables(connection) {
        let columns = columns(connection, &table);
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        text.push_str(&one_table(connection, &table, &columns));
    }
    text
}

/// The rows of one table, with the named columns only.
pub fn one_table(connection: &Connection, table: &str, columns: &[&str]) -> String {
    let mut text = format!("== {table}\n");
    each_row(connection, table, columns, |line| text.push_str(line));
    text
}

/// The digest of what [`one_table`] gives, for tables too large to hold.
pub fn digest(connection: &Connection, table: &str, columns: &[&str]) -> String {
    let mut digest = Sha256::new();
    each_row(connection, table, columns, |line| digest.update(line));
    hex(&digest.finalize())
}

/// Type, name and stored text of everything in the schema, in creation order.
pub fn schema(connection: &Connection) -> String {
    let sql = "SELECT type || ' ' || name || char(10) || coalesce(sql, '(automatic)') FROM sqlite_schema ORDER BY rowid";
    let mut statement = connection.prepare(sql).unwrap();
    let entries = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    entries.collect::<rusqlite::Result<Vec<_>>>().unwrap().join("\n")
}

/// Fails with the first lines that differ, since whole dumps are too long to read.
///
/// # Panics
/// When the texts differ.
#[track_caller]
pub fn assert_same(before: &str, after: &str) {
    if before == after {
        return;
    }
    let (mut old, mut new) = (before.lines(), after.lines());
    let mut line = 0;
    let (old, new) = loop {
        line += 1;
        match (old.next(), new.next()) {
            (Some(old), Some(new)) if old == new => {}
            (None, None) => panic!("the texts differ in their line ends"),
            pair => break pair,
        }
    };
    let lines = (before.lines().count(), after.lines().count());
    panic!(
        "line {line} (of {} before, {} after)\n  before: {}\n  after:  {}",
        lines.0,
        lines.1,
        cut(old),
        cut(new)
    );
}

/// At most 600 characters of a line.
fn cut(line: Option<&str>) -> String {
    line.map_or_else(|| "(end)".to_owned(), |line| line.chars().take(600).collect())
}
