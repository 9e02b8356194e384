//! A data step that rewrites one text column value by value.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};

use super::{Batch, BatchOutcome, key_text, parse_cursor};
use crate::sqlite::quote::identifier;
use crate::sqlite::sqlite_error::SqliteContext;
use bridge_migrate_core::{Error, ErrorKind, Result, Rewrite, Rewritten, Zone};

pub(super) fn forward(step: &Rewrite, batch: &mut Batch<'_>) -> Result<BatchOutcome> {
    let first = match batch.cursor {
        Some(cursor) => parse_cursor(cursor, step.table)?,
        None => i64::MIN,
    };
    let (table, column) = (identifier(step.table), identifier(step.column));
    let select = format!(
        "SELECT _rowid_, {column} FROM {table} NOT INDEXED WHERE _rowid_ >= ?1 ORDER BY _rowid_ LIMIT ?2"
    );
    let limit = i64::try_from(batch.limit).unwrap_or(i64::MAX);
    let doing = format!("read {}", step.table);

    // The changes are collected first: a row must not change under the cursor that reads it.
    let mut changes = Vec::new();
    let mut skipped = Vec::new();
    let mut last = None;
    let mut visited = 0;
    {
        let mut select = batch.connection.prepare_cached(&select).while_doing(&doing)?;
        let mut rows = select.query(params![first, limit]).while_doing(&doing)?;
        while let Some(row) = rows.next().while_doing(&doing)? {
            let rowid: i64 = row.get(0).while_doing(&doing)?;
            visited += 1;
            last = Some(rowid);
            match judge(step, row.get_ref(1).while_doing(&doing)?, batch.time_zone)? {
                Rewritten::Keep => {}
                Rewritten::Change(value) => {
                    require_final(step, &value, batch.time_zone)?;
                    changes.push((rowid, value));
                }
                Rewritten::Skip(why) => skipped.push((rowid, why)),
            }
        }
    }
    let update = format!("UPDATE {table} SET {column} = ?2 WHERE _rowid_ = ?1");
    let mut update = batch
        .connection
        .prepare_cached(&update)
        .while_doing("prepare a rewrite")?;
    for (rowid, value) in &changes {
        batch
            .journal
            .keep(*rowid, value)
            .and_then(|()| {
                update
                    .execute(params![rowid, value])
                    .while_doing(format_args!("rewrite {}.{}", step.table, step.column))
            })
            .map_err(|error| blame(step, batch.connection, error, *rowid))?;
    }
    for (rowid, why) in skipped {
        batch.skipped.push((key_of(step, batch.connection, rowid)?, why));
    }
    Ok(BatchOutcome {
        cursor: last
            .filter(|_| visited == batch.limit)
            .and_then(|rowid| rowid.checked_add(1))
            .map(|rowid| rowid.to_string()),
        visited,
        changed: changes.len() as u64,
    })
}

pub(super) fn unconvertible(
    step: &Rewrite,
    connection: &Connection,
    time_zone: &Zone,
    found: &mut dyn FnMut(String, &'static str),
) -> Result<()> {
    let doing = format!("read {}", step.table);
    let select = format!(
        "SELECT _rowid_, {}, {} FROM {} NOT INDEXED ORDER BY _rowid_",
        identifier(step.column),
        identifier(step.key),
        identifier(step.table)
    );
    let mut select = connection.prepare(&select).while_doing(&doing)?;
    let mut rows = select.query([]).while_doing(&doing)?;
    while let Some(row) = rows.next().while_doing(&doing)? {
        let rowid: i64 = row.get(0).while_doing(&doing)?;
        if let Rewritten::Skip(why) = judge(step, row.get_ref(1).while_doing(&doing)?, time_zone)? {
            found(key_text(row.get_ref(2).while_doing(&doing)?, rowid), why);
        }
    }
    Ok(())
}

/// A pass that begins again meets what it wrote, which must stay then.
fn require_final(step: &Rewrite, value: &str, time_zone: &Zone) -> Result<()> {
    match judge(step, ValueRef::Text(value.as_bytes()), time_zone)? {
        Rewritten::Keep | Rewritten::Skip(_) => Ok(()),
        Rewritten::Change(_) => Err(Error::new(
            ErrorKind::CatalogInvalid,
            format!(
                "the rewrite of {}.{} would change what it wrote, once more",
                step.table, step.column
            ),
        )),
    }
}

fn judge(step: &Rewrite, value: ValueRef<'_>, time_zone: &Zone) -> Result<Rewritten> {
    Ok(match value {
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => match (step.rewrite)(text, time_zone.get()?) {
                Rewritten::Change(same) if same == text => Rewritten::Keep,
                rewritten => rewritten,
            },
            Err(_) => Rewritten::Skip("not valid UTF-8"),
        },
        ValueRef::Null => Rewritten::Skip("NULL"),
        ValueRef::Integer(_) | ValueRef::Real(_) | ValueRef::Blob(_) => Rewritten::Skip("not text"),
    })
}

/// A statement that SQLite refuses is refused for its row; a disk that fails is no row's fault.
fn blame(step: &Rewrite, connection: &Connection, error: Error, rowid: i64) -> Error {
    match (error.kind(), key_of(step, connection, rowid)) {
        (ErrorKind::Sqlite, Ok(key)) => error.at(step.table, Some((rowid, key))),
        _ => error,
    }
}

fn key_of(step: &Rewrite, connection: &Connection, rowid: i64) -> Result<String> {
    let select = format!(
        "SELECT {} FROM {} WHERE _rowid_ = ?1",
        identifier(step.key),
        identifier(step.table)
    );
    connection
        .prepare_cached(&select)
        .and_then(|mut select| select.query_row([rowid], |row| Ok(key_text(row.get_ref(0)?, rowid))))
        .while_doing(format_args!("read the key of a row of {}", step.table))
}
