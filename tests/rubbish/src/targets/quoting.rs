//! Names and texts in SQL: any name and any text comes back from SQLite as it went in.

use bridge_migrate_sqlite::schema::{ObjectKind, Snapshot, TableDefinition};
use bridge_migrate_sqlite::{identifier, literal};
use rusqlite::Connection;

/// How names and texts are written into SQL.
#[derive(Debug, Clone, Copy)]
pub struct Quoting {
    /// A name as an identifier.
    pub identifier: fn(&str) -> String,
    /// A text as an expression.
    pub literal: fn(&str) -> String,
}

/// The product's.
pub const OURS: Quoting = Quoting { identifier, literal };

/// Takes the bytes before the first line break for a name and the rest for a text.
///
/// # Panics
/// As [`check`].
pub fn quoting(data: &[u8]) {
    check(&OURS, data);
}

/// The same, quoted that way.
///
/// # Panics
/// When either comes back as another from a table, an index, a trigger, a default or a comparison.
pub fn check(quoting: &Quoting, data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (name, value) = text.split_once('\n').unwrap_or((&text, &text));
    for encoding in ["UTF-8", "UTF-16le"] {
        let connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "encoding", encoding).unwrap();
        check_value(quoting, &connection, value);
        check_name(quoting, &connection, name, value);
    }
}

fn check_value(quoting: &Quoting, connection: &Connection, value: &str) {
    let sql = format!(
        "SELECT {0}, typeof({0}), {0} = ?1, 'x' || {0} || 'y'",
        (quoting.literal)(value)
    );
    let (found, kind, equal, between): (String, String, bool, String) = connection
        .query_row(&sql, [value], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .unwrap_or_else(|error| panic!("the text {value:?} is no expression: {error}"));
    assert_eq!(found, value, "the text comes back as another");
    assert_eq!((kind.as_str(), equal), ("text", true), "{value:?}");
    assert_eq!(between, format!("x{value}y"));
}

fn check_name(quoting: &Quoting, connection: &Connection, name: &str, value: &str) {
    let (quoted, default) = ((quoting.identifier)(name), (quoting.literal)(value));
    let create = format!("CREATE TABLE {quoted} ({quoted} DEFAULT {default}, other TEXT)");
    let created = connection.execute_batch(&create);
    if name.contains('\0')
        || name
            .get(..7)
            .is_some_and(|start| start.eq_ignore_ascii_case("sqlite_"))
    {
        assert!(created.is_err(), "{name:?} cannot be a name");
        return;
    }
    if name.eq_ignore_ascii_case("other") {
        assert!(created.is_err(), "a column is there twice");
        return;
    }
    created
        .unwrap_or_else(|error| panic!("{name:?} is no name or {value:?} no default: {error}: {create:?}"));
    connection
        .execute_batch(&format!(
            "CREATE INDEX {index} ON {quoted} ({quoted}, other);
             CREATE TRIGGER {trigger} AFTER UPDATE OF {quoted} ON {quoted} BEGIN UPDATE {quoted} SET other = new.{quoted}; END;
             INSERT INTO {quoted} (other) VALUES (1);
             UPDATE {quoted} SET {quoted} = {quoted} || '!';",
            index = (quoting.identifier)(&format!("{name} index")),
            trigger = (quoting.identifier)(&format!("{name} trigger")),
        ))
        .unwrap();
    let (stored, other): (String, String) = connection
        .query_row(
            &format!("SELECT {quoted}, other FROM main.{quoted} AS {quoted}"),
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert_eq!(
        (stored.as_str(), other.as_str()),
        (&*format!("{value}!"), &*format!("{value}!")),
        "the default comes back as another"
    );

    let snapshot = Snapshot::read(connection).unwrap();
    let table = snapshot
        .get(ObjectKind::Table, name)
        .expect("the table is there by its name");
    assert_eq!(table.name, name, "the name comes back as another");
    let index = snapshot
        .of_kind(ObjectKind::Index)
        .next()
        .expect("the index is there");
    assert_eq!(
        (index.table.as_str(), index.name.as_str()),
        (name, &*format!("{name} index"))
    );
    let definition = TableDefinition::parse(&table.sql).expect("it has columns");
    assert_eq!(definition.columns.len(), 2, "{}", table.sql);
    assert!(definition.column(name).is_some(), "{definition:?}");
}
