//! Foreign keys whose children are found by reading the whole table.

use rusqlite::Connection;

use super::super::linted::details;
use super::super::{Found, Linted, scratch};
use crate::sqlite::{ask::Ask, sqlite_error::SqliteContext};
use bridge_migrate_core::Result;

pub(super) fn without_index(linted: &Linted<'_>) -> Result<Vec<Found>> {
    let old = details(&scratch(linted.before)?, linted.before)?;
    let connection = scratch(&linted.after)?;
    let mut found = Vec::new();
    for (table, detail) in details(&connection, &linted.after)? {
        let before = old.iter().find(|(name, _)| name.eq_ignore_ascii_case(&table));
        for key in &detail.foreign_keys {
            let known = before.is_some_and(|(_, before)| before.foreign_keys.contains(key));
            let is_row_number = key.columns.len() == 1
                && detail.columns.iter().any(|column| {
                    key.columns.contains(&column.name)
                        && column.primary_key == Some(1)
                        && column.declared_type.eq_ignore_ascii_case("integer")
                });
            if known || is_row_number || is_indexed(&connection, &table, &key.columns)? {
                continue;
            }
            let columns = key.columns.join(", ");
            found.push(Found::warning(
                "BM212",
                linted.place_of(&[&table, &key.parent_table]),
                format!(
                    "the foreign key of {table} on {columns} has no index: each delete from {} and each check reads \
                     all of {table}",
                    key.parent_table
                ),
                format!("create an index that leads with {columns}"),
            ));
        }
    }
    Ok(found)
}

/// Whether an index over all rows leads with these columns, in any order.
fn is_indexed(connection: &Connection, table: &str, columns: &[String]) -> Result<bool> {
    let rows: Vec<(String, Option<String>)> = connection
        .rows(
            "SELECT list.name, info.name FROM pragma_index_list(?1) AS list, pragma_index_info(list.name) AS info \
             WHERE list.partial = 0 ORDER BY list.name, info.seqno",
            [table],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .while_doing("read the indexes")?;
    Ok(rows.chunk_by(|a, b| a.0 == b.0).any(|index| {
        let leading = index.get(..columns.len()).unwrap_or_default();
        !leading.is_empty()
            && leading.iter().all(|(_, column)| {
                column
                    .as_ref()
                    .is_some_and(|column| columns.iter().any(|key| key.eq_ignore_ascii_case(column)))
            })
    }))
}
