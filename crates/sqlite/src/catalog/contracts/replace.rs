//! What INSERT OR REPLACE does to columns of an existing row that it does not name.

use rusqlite::{Connection, params_from_iter, types::Value};

use super::ContractStatement;
use crate::schema::{Hidden, TableDefinition, TableDetail};
use crate::sqlite::{ask::Ask, quote::identifier};

/// Values that a column is tried with until it takes one: text for people and for JSON, then numbers.
const MARKS: [&str; 5] = ["'contract check'", "'{\"contract\":1}'", "'[]'", "1", "2"];

/// The columns of `table` that `known`, the table as the release knows it, has not.
pub(super) fn unknown_columns(detail: &TableDetail, known: Option<&TableDefinition>) -> Vec<String> {
    detail
        .columns
        .iter()
        .filter(|column| column.hidden == Hidden::No && column.primary_key.is_none())
        .filter(|column| known.is_some_and(|known| known.column(&column.name).is_none()))
        .map(|column| column.name.clone())
        .collect()
}

/// Those of `columns` that a second run of the statement sets back. Leaves marks: the caller rolls back.
pub(super) fn reset_columns(
    connection: &Connection,
    statement: &ContractStatement,
    run: &[Value],
    table: &str,
    has_rowid: bool,
    columns: &[String],
) -> rusqlite::Result<Vec<String>> {
    let execute = || -> rusqlite::Result<()> {
        connection
            .execute(&statement.sql, params_from_iter(run))
            .map(drop)
    };
    // The row of the statement; where rows have no number, every row stands for it.
    let row = || {
        if has_rowid {
            format!("rowid = {}", connection.last_insert_rowid())
        } else {
            "1".to_owned()
        }
    };
    execute()?;
    let table = identifier(table);
    let mut marked = Vec::new();
    let written = row();
    for column in columns {
        let name = identifier(column);
        let mark = MARKS.iter().find(|mark| {
            let update =
                format!("UPDATE {table} SET {name} = {mark} WHERE {written} AND {name} IS NOT {mark}");
            connection.execute(&update, []).is_ok_and(|rows| rows > 0)
        });
        if let Some(mark) = mark {
            marked.push((column, name, *mark));
        }
    }
    execute()?;
    let written = row();
    let mut reset = Vec::new();
    for (column, name, mark) in marked {
        let changed: bool = connection.value(
            &format!("SELECT EXISTS (SELECT 1 FROM {table} WHERE {written} AND {name} IS NOT {mark})"),
            [],
        )?;
        if changed {
            reset.push(column.clone());
        }
    }
    Ok(reset)
}
