//! Rows of the tables that hold what the companion file holds: out of a database, and into it.

use rusqlite::{Connection, params_from_iter, types::ValueRef};

use crate::sqlite::{borrowed::Borrowed, quote::identifier, sqlite_error::SqliteContext};
use bridge_migrate_core::{CompanionTable, Result, TableRows, Value};

/// All rows of those tables that the database has.
///
/// # Errors
/// When SQLite cannot read one, or it lacks a column.
pub fn read(connection: &Connection, tables: &[CompanionTable]) -> Result<Vec<TableRows>> {
    let mut found = Vec::new();
    for &table in tables {
        let doing = || format!("read {}", table.name);
        if connection.table_exists(None, table.name).while_doing(doing())? {
            let rows = rows_of(connection, table).while_doing(doing())?;
            found.push(TableRows { table, rows });
        }
    }
    Ok(found)
}

fn rows_of(connection: &Connection, table: CompanionTable) -> rusqlite::Result<Vec<Vec<Value>>> {
    let name = identifier(table.name);
    // With the table's name before it, one that is missing is never taken for a text.
    let columns = table.columns.iter();
    let columns: Vec<String> = columns
        .map(|column| format!("{name}.{}", identifier(column)))
        .collect();
    connection
        .prepare(&format!("SELECT {} FROM {name}", columns.join(", ")))?
        .query_map([], |row| {
            (0..columns.len())
                .map(|index| row.get_ref(index).map(found))
                .collect()
        })?
        .collect()
}

/// Adds the rows whose keys are not there yet, and tells how many.
pub(crate) fn add_missing(connection: &Connection, tables: &[TableRows]) -> Result<u64> {
    let add = |rows: &TableRows| {
        insert(connection, rows, |_| "DO NOTHING".to_owned())
            .while_doing(format_args!("add rows to {}", rows.table.name))
    };
    tables.iter().map(add).sum()
}

/// Writes the rows, and tells how many changed. One whose key is there already takes its place.
pub(crate) fn put(connection: &Connection, rows: &TableRows) -> rusqlite::Result<u64> {
    insert(connection, rows, |columns| {
        let set = columns
            .iter()
            .map(|column| format!("{column} = excluded.{column}"));
        let key = columns.first().map_or("", String::as_str);
        format!(
            "({key}) DO UPDATE SET {} WHERE ({}) IS NOT (excluded.{})",
            set.collect::<Vec<_>>().join(", "),
            columns.join(", "),
            columns.join(", excluded.")
        )
    })
}

fn insert(
    connection: &Connection,
    rows: &TableRows,
    on_conflict: fn(&[String]) -> String,
) -> rusqlite::Result<u64> {
    let columns: Vec<String> = rows
        .table
        .columns
        .iter()
        .map(|column| identifier(column))
        .collect();
    let insert = format!(
        "INSERT INTO {} ({}) VALUES ({}) ON CONFLICT {}",
        identifier(rows.table.name),
        columns.join(", "),
        vec!["?"; columns.len()].join(", "),
        on_conflict(&columns)
    );
    execute(connection, rows, &insert)
}

/// Removes the rows with these keys.
pub(crate) fn take(connection: &Connection, rows: &TableRows) -> rusqlite::Result<u64> {
    let key = rows.table.columns.first().unwrap_or(&"");
    let table = identifier(rows.table.name);
    execute(
        connection,
        rows,
        &format!("DELETE FROM {table} WHERE {} = ?", identifier(key)),
    )
}

fn execute(connection: &Connection, rows: &TableRows, sql: &str) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare(sql)?;
    let mut changed = 0;
    for row in &rows.rows {
        changed += statement.execute(params_from_iter(row.iter().map(bound)))? as u64;
    }
    Ok(changed)
}

fn found(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(bytes) => Value::Text(bytes.to_vec()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}

fn bound(value: &Value) -> Borrowed<'_> {
    Borrowed(match value {
        Value::Null => ValueRef::Null,
        Value::Integer(number) => ValueRef::Integer(*number),
        Value::Real(number) => ValueRef::Real(*number),
        Value::Text(bytes) => ValueRef::Text(bytes),
        Value::Blob(bytes) => ValueRef::Blob(bytes),
    })
}
