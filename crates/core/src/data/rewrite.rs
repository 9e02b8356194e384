//! A data step that rewrites one text column value by value.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};

use super::{Batch, BatchOutcome, DataStep, SkippedRow, key_text, parse_cursor};
use crate::error::{Error, ErrorKind, Result, SqliteContext};
use crate::quote::identifier;
use crate::time_zone::TimeZone;

/// What becomes of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rewritten {
    /// It is right as it is.
    Keep,
    /// It becomes this.
    Change(String),
    /// It cannot be rewritten, and stays; why, without the value.
    Skip(&'static str),
}

/// Rewrites `table.column`, keeping old values in the journal.
#[derive(Debug)]
pub struct Rewrite {
    description: &'static str,
    table: &'static str,
    key: &'static str,
    column: &'static str,
    rewrite: fn(&str, &TimeZone) -> Rewritten,
}

impl Rewrite {
    /// A rewrite of `table.column`, whose records are known by `key`. The description is part of the
    /// migration's checksum.
    pub fn new(
        description: &'static str,
        table: &'static str,
        key: &'static str,
        column: &'static str,
        rewrite: fn(&str, &TimeZone) -> Rewritten,
    ) -> Self {
        Self {
            description,
            table,
            key,
            column,
            rewrite,
        }
    }

    fn judge(&self, value: ValueRef<'_>, time_zone: &TimeZone) -> Rewritten {
        match value {
            ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => (self.rewrite)(text, time_zone),
                Err(_) => Rewritten::Skip("not valid UTF-8"),
            },
            ValueRef::Null => Rewritten::Skip("NULL"),
            ValueRef::Integer(_) | ValueRef::Real(_) | ValueRef::Blob(_) => Rewritten::Skip("not text"),
        }
    }

    /// A statement that SQLite refuses is refused for its row; a disk that fails is no row's fault.
    fn blame(&self, connection: &Connection, error: Error, rowid: i64) -> Error {
        match (error.kind(), self.key_of(connection, rowid)) {
            (ErrorKind::Sqlite, Ok(key)) => error.at(self.table, Some((rowid, key))),
            _ => error,
        }
    }

    fn key_of(&self, connection: &Connection, rowid: i64) -> Result<String> {
        let select = format!(
            "SELECT {} FROM {} WHERE _rowid_ = ?1",
            identifier(self.key),
            identifier(self.table)
        );
        connection
            .prepare_cached(&select)
            .and_then(|mut select| select.query_row([rowid], |row| Ok(key_text(row.get_ref(0)?, rowid))))
            .while_doing(format_args!("read the key of a row of {}", self.table))
    }
}

impl DataStep for Rewrite {
    fn describe(&self) -> String {
        format!(
            "data step: rewrite {}.{}: {}",
            self.table, self.column, self.description
        )
    }

    fn table(&self) -> &str {
        self.table
    }

    fn key(&self) -> &str {
        self.key
    }

    fn column(&self) -> &str {
        self.column
    }

    fn is_journaled(&self) -> bool {
        true
    }

    fn forward(&self, batch: &mut Batch<'_>) -> Result<BatchOutcome> {
        let first = match batch.cursor {
            Some(cursor) => parse_cursor(cursor, self.table)?,
            None => i64::MIN,
        };
        let (table, column) = (identifier(self.table), identifier(self.column));
        let select = format!(
            "SELECT _rowid_, {column} FROM {table} NOT INDEXED WHERE _rowid_ >= ?1 ORDER BY _rowid_ LIMIT ?2"
        );
        let limit = i64::try_from(batch.limit).unwrap_or(i64::MAX);
        let doing = format!("read {}", self.table);

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
                match self.judge(row.get_ref(1).while_doing(&doing)?, batch.time_zone) {
                    Rewritten::Keep => {}
                    Rewritten::Change(value) => changes.push((rowid, value)),
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
                        .while_doing(format_args!("rewrite {}.{}", self.table, self.column))
                })
                .map_err(|error| self.blame(batch.connection, error, *rowid))?;
        }
        for (rowid, why) in skipped {
            let key = self.key_of(batch.connection, rowid)?;
            batch.skipped.push(SkippedRow {
                key,
                why: why.to_owned(),
            });
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

    fn unconvertible(
        &self,
        connection: &Connection,
        time_zone: &TimeZone,
        found: &mut dyn FnMut(SkippedRow),
    ) -> Result<()> {
        let doing = format!("read {}", self.table);
        let select = format!(
            "SELECT _rowid_, {}, {} FROM {} NOT INDEXED ORDER BY _rowid_",
            identifier(self.column),
            identifier(self.key),
            identifier(self.table)
        );
        let mut select = connection.prepare(&select).while_doing(&doing)?;
        let mut rows = select.query([]).while_doing(&doing)?;
        while let Some(row) = rows.next().while_doing(&doing)? {
            let rowid: i64 = row.get(0).while_doing(&doing)?;
            if let Rewritten::Skip(why) = self.judge(row.get_ref(1).while_doing(&doing)?, time_zone) {
                let key = key_text(row.get_ref(2).while_doing(&doing)?, rowid);
                found(SkippedRow {
                    key,
                    why: why.to_owned(),
                });
            }
        }
        Ok(())
    }
}
