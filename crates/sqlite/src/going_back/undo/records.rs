//! Records of the journal, newest first, compared with the rows they came from.

use std::cell::Cell;

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, config::DbConfig, params, params_from_iter};

use crate::capture::schema_cookie;
use crate::catalog::data::key_text;
use crate::schema::{Column, ObjectKind, TableDetail, effects::Writes};
use crate::sqlite::{ask::Ask, quote::identifier, sqlite_error::SqliteContext};
use bridge_migrate_core::{Error, ErrorKind, Hint, Result};

use super::{Conflict, Reverted};

/// One record of the journal that was not undone yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) seq: i64,
    pub(crate) rowid: i64,
    pub(crate) key: String,
    has_key: bool,
}

/// What can become of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The row of this number still has the value that the migration wrote, or force was asked for.
    Revert(i64),
    /// It is left as it is, for this reason.
    Stay(&'static str),
}

/// Which records of a migration are meant.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection {
    keys: Vec<String>,
    condition: Option<String>,
}

impl Selection {
    /// Checks the condition: it must be one expression that only reads.
    pub(crate) fn new(
        connection: &Connection,
        table: &str,
        keys: &[String],
        condition: Option<&str>,
    ) -> Result<Self> {
        if let Some(condition) = condition {
            check_condition(connection, table, condition)?;
        }
        Ok(Self {
            keys: keys.to_vec(),
            condition: condition.map(str::to_owned),
        })
    }
}

/// Compiles the condition where nothing but reading is allowed.
fn check_condition(connection: &Connection, table: &str, condition: &str) -> Result<()> {
    let refused = |source: Option<rusqlite::Error>| {
        let error = Error::unchanged(
            ErrorKind::Usage,
            format!("`{condition}` is not a condition over {table}"),
        )
        .with_hint(Hint::SchemaShow);
        match source {
            Some(source) => error.with_source(source),
            None => error,
        }
    };
    // A copy of the schema in memory, so that there is nothing to write to, and with an authorizer of its own.
    let doing = "check the condition";
    let schema = crate::schema::expected::read(connection)?;
    let mut scratch = crate::schema::expected::replay(&schema)?;
    // Otherwise a column that is not there, in double quotes, is a text that is like no value.
    scratch
        .set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)
        .while_doing(doing)?;
    let is_known = move |name: &str| {
        // Reading a pragma as a table runs it, and `pragma_optimize` writes.
        [ObjectKind::Table, ObjectKind::View]
            .into_iter()
            .any(|kind| schema.get(kind, name).is_some())
            || ["json_each", "json_tree"].contains(&name)
    };
    scratch
        .authorizer(Some(move |context: AuthContext<'_>| match context.action {
            AuthAction::Function {
                function_name: "load_extension",
            } => Authorization::Deny,
            AuthAction::Read { table_name, .. } if !is_known(table_name) => Authorization::Deny,
            AuthAction::Select
            | AuthAction::Read { .. }
            | AuthAction::Function { .. }
            | AuthAction::Recursive => Authorization::Allow,
            _ => Authorization::Deny,
        }))
        .while_doing(doing)?;
    // The first form refuses a second statement or an unbalanced parenthesis; a line comment at the end
    // cannot swallow what follows, since what follows stands on a line of its own.
    scratch
        .prepare(&format!("SELECT\n{condition}\nFROM {}", identifier(table)))
        .map_err(|e| refused(Some(e)))?;
    let whole = scratch
        .prepare(&format!(
            "SELECT 1 FROM {} WHERE (\n{condition}\n)",
            identifier(table)
        ))
        .map_err(|e| refused(Some(e)))?;
    if whole.parameter_count() > 0 {
        Err(refused(None))
    } else {
        Ok(())
    }
}

/// How many records the journal has of a migration, undone or not.
pub(crate) fn journaled(connection: &Connection, version: u32) -> Result<u64> {
    connection
        .value(
            "SELECT count(*) FROM migration_affected_records WHERE migration = ?1",
            [version],
        )
        .while_doing("read the journal")
}

/// Removes up to `limit` records of a migration, and says how many there were.
pub(crate) fn remove(connection: &Connection, version: u32, limit: u64) -> rusqlite::Result<u64> {
    connection.run(
        "DELETE FROM migration_affected_records WHERE seq IN \
             (SELECT seq FROM migration_affected_records WHERE migration = ?1 ORDER BY seq LIMIT ?2)",
        params![version, limit],
    )
}

/// Records of the journal that stand beside each other.
#[derive(Debug)]
pub(crate) struct Window {
    /// The selected ones, newest first.
    pub(crate) records: Vec<Record>,
    /// The oldest of all that were looked at: the next window ends before it.
    pub(crate) oldest: i64,
    /// How many were looked at, selected or not.
    pub(crate) visited: u64,
}

/// What a journal is of.
pub(crate) struct Journaled {
    pub(crate) version: u32,
    pub(crate) table: String,
    pub(crate) column: String,
    /// The column that it knows records by; `None` for the first of the primary key.
    pub(crate) key: Option<String>,
}

/// Reads the journal of one migration over one column.
pub(crate) struct JournalReader<'a> {
    connection: &'a Connection,
    of: Journaled,
    /// Whether no two rows can have one key.
    is_unique: bool,
    keys: Vec<String>,
    select: String,
    find_by_row: String,
    find_by_key: String,
    revert: String,
    describe: String,
    moved: String,
    /// Whether rows had moved, and the schema cookie when that was looked at.
    have_moved: Cell<Option<(i64, bool)>>,
}

impl<'a> JournalReader<'a> {
    pub(crate) fn new(connection: &'a Connection, of: Journaled, selection: Selection) -> Result<Self> {
        let (table_sql, column_sql) = (identifier(&of.table), identifier(&of.column));
        let detail = TableDetail::read(connection, &of.table).while_doing("find the key of the table")?;
        let of_key = |column: &&Column| column.primary_key.is_some();
        let first = detail.columns.iter().find(|column| column.primary_key == Some(1));
        let key = of.key.as_deref().or(first.map(|first| first.name.as_str()));
        let key = identifier(key.unwrap_or("_rowid_"));
        let find = |joined: &str| {
            format!(
                "SELECT t._rowid_, t.{column_sql} IS j.new_value FROM migration_affected_records AS j \
                 CROSS JOIN {table_sql} AS t ON {joined} \
                 WHERE j.seq = ?1 LIMIT 2"
            )
        };
        Ok(Self {
            connection,
            is_unique: of.key.is_none() && detail.columns.iter().filter(of_key).count() == 1,
            select: select(&selection, &table_sql, &key),
            find_by_row: find(&format!("t._rowid_ = j.row_id AND t.{key} IS j.id")),
            find_by_key: find(&format!("t.{key} = j.id")),
            revert: format!(
                "UPDATE {table_sql} SET {column_sql} = \
                 (SELECT old_value FROM migration_affected_records WHERE seq = ?1) WHERE _rowid_ = ?2"
            ),
            describe: format!(
                "SELECT t.{column_sql}, j.old_value FROM migration_affected_records AS j \
                 LEFT JOIN {table_sql} AS t ON t._rowid_ = ?2 WHERE j.seq = ?1"
            ),
            moved: moved(&table_sql, &key),
            have_moved: Cell::default(),
            of,
            keys: selection.keys,
        })
    }

    pub(crate) fn version(&self) -> u32 {
        self.of.version
    }

    pub(crate) fn table(&self) -> &str {
        &self.of.table
    }

    pub(crate) fn column(&self) -> &str {
        &self.of.column
    }

    /// What putting records back writes.
    pub(crate) fn writes(&self) -> Writes<'_> {
        Writes::Column {
            table: &self.of.table,
            column: &self.of.column,
        }
    }

    /// The next `limit` records of the journal before `seq`; `None` at its end.
    ///
    /// The limit is on what is looked at: a selection that few records meet must not read all of them at once.
    pub(crate) fn window(&self, seq: i64, limit: u64) -> Result<Option<Window>> {
        let doing = "read the journal";
        let (oldest, visited): (Option<i64>, u64) = self
            .connection
            .row(
                "SELECT min(seq), count(*) FROM \
                 (SELECT seq FROM migration_affected_records WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2)",
                params![seq, limit],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .while_doing(doing)?;
        let Some(oldest) = oldest else {
            return Ok(None);
        };
        let mut values: Vec<rusqlite::types::Value> =
            vec![i64::from(self.of.version).into(), seq.into(), oldest.into()];
        values.extend(self.keys.iter().cloned().map(Into::into));
        let read = |row: &Row<'_>| {
            let (seq, rowid) = (row.get(0)?, row.get(1)?);
            let key = row.get_ref(2)?;
            Ok(Record {
                seq,
                rowid,
                has_key: key != ValueRef::Null,
                key: key_text(key, rowid),
            })
        };
        let records = self.connection.rows(&self.select, params_from_iter(values), read);
        Ok(Some(Window {
            records: records.while_doing(doing)?,
            oldest,
            visited,
        }))
    }

    /// What can become of the record now.
    ///
    /// Row numbers may have changed: a dump that is read in again counts from 1, and VACUUM numbers the rows of a table
    /// without an index anew. Then the key decides, unless several rows have it, or none.
    pub(crate) fn fate(&self, record: &Record, force: bool) -> Result<Fate> {
        let by_row = self.find(record, &self.find_by_row)?.pop();
        let needs_number = !record.has_key || (by_row.is_some() && !self.is_unique);
        let is_other = needs_number && self.have_moved()?;
        let found = match by_row.filter(|_| !is_other) {
            Some(found) => Some(found),
            None => {
                let mut found = self.find(record, &self.find_by_key)?;
                found.pop().filter(|_| found.is_empty())
            }
        };
        Ok(match found {
            None if is_other => {
                Fate::Stay("row numbers changed since, and its key tells it from no other row")
            }
            None => Fate::Stay("the row is gone"),
            Some((rowid, is_same)) if is_same || force => Fate::Revert(rowid),
            Some(_) => Fate::Stay("the value was changed after the migration"),
        })
    }

    /// Whether rows have other numbers than in the journal, by what became of the first and the last records whose key no
    /// other row has. One that a server wrote anew has a larger one.
    fn have_moved(&self) -> Result<bool> {
        let cookie = schema_cookie(self.connection)?;
        if let Some((at, moved)) = self.have_moved.get()
            && at == cookie
        {
            return Ok(moved);
        }
        let moved = self
            .connection
            .value(&self.moved, [self.of.version])
            .while_doing("compare the journal's row numbers")?;
        self.have_moved.set(Some((cookie, moved)));
        Ok(moved)
    }

    /// At most two rows that belong to the record, and whether each has the value that the migration wrote.
    fn find(&self, record: &Record, sql: &str) -> Result<Vec<(i64, bool)>> {
        self.connection
            .rows(sql, [record.seq], |row| Ok((row.get(0)?, row.get(1)?)))
            .while_doing("compare a record with the journal")
    }

    /// Puts the old value back into the row.
    pub(crate) fn revert(&self, record: &Record, rowid: i64) -> Result<()> {
        self.connection
            .run(&self.revert, params![record.seq, rowid])
            .while_doing(format_args!("put back {}.{}", self.of.table, self.of.column))?;
        Ok(())
    }

    /// The record that is left as it is.
    pub(crate) fn conflict(&self, record: &Record, why: &str) -> Conflict {
        Conflict {
            table: self.of.table.clone(),
            key: record.key.clone(),
            why: why.to_owned(),
        }
    }

    /// The record with its values, as people read them.
    pub(crate) fn describe(&self, record: &Record, rowid: i64) -> Result<Reverted> {
        self.connection
            .row(&self.describe, [record.seq, rowid], |row| {
                Ok(Reverted {
                    table: self.of.table.clone(),
                    column: self.of.column.clone(),
                    key: record.key.clone(),
                    from: key_text(row.get_ref(0)?, record.rowid),
                    to: key_text(row.get_ref(1)?, record.rowid),
                })
            })
            .while_doing("read a record of the journal")
    }

    /// Records that are not undone yet, whatever the selection.
    pub(crate) fn remaining(&self) -> Result<u64> {
        self.connection
            .value(
                "SELECT count(*) FROM migration_affected_records WHERE migration = ?1 AND undone_by IS NULL",
                [self.of.version],
            )
            .while_doing("read the journal")
    }

    /// Refuses keys that the migration never changed: a slip of the keyboard must not pass for success.
    pub(crate) fn refuse_unknown_keys(&self, keys: &[String]) -> Result<()> {
        for key in keys {
            let is_known: bool = self
                .connection
                .value("SELECT EXISTS (SELECT 1 FROM migration_affected_records WHERE migration = ?1 AND id = ?2)", params![self.of.version, key])
                .while_doing("look for a record in the journal")?;
            if !is_known {
                return Err(Error::unchanged(
                    ErrorKind::Usage,
                    format!(
                        "V{:03} changed no record of {} with the key `{key}`",
                        self.of.version, self.of.table
                    ),
                )
                .with_hint(Hint::UndoDryRun(self.of.version)));
            }
        }
        Ok(())
    }
}

/// The statement that reads a window: of migration ?1, before ?2, from ?3, with one of the keys from ?4 on.
fn select(selection: &Selection, table: &str, key: &str) -> String {
    let mut sql = "SELECT j.seq, j.row_id, j.id FROM migration_affected_records AS j \
         WHERE j.migration = ?1 AND j.seq < ?2 AND j.seq >= ?3 AND j.undone_by IS NULL"
        .to_owned();
    if !selection.keys.is_empty() {
        let marks: Vec<String> = (0..selection.keys.len())
            .map(|index| format!("?{}", index + 4))
            .collect();
        sql.push_str(&format!(" AND j.id IN ({})", marks.join(", ")));
    }
    if let Some(condition) = &selection.condition {
        sql.push_str(&format!(
            " AND EXISTS (SELECT 1 FROM {table} WHERE ((_rowid_ = j.row_id AND {key} IS j.id) OR {key} = j.id) \
             AND (\n{condition}\n))"
        ));
    }
    sql.push_str(" ORDER BY j.seq DESC");
    sql
}

/// Whether a record at either end of the journal of migration ?1 is of a row that has a smaller number now.
fn moved(table: &str, key: &str) -> String {
    let end = |order: &str| {
        format!(
            "SELECT * FROM (SELECT row_id, id FROM migration_affected_records WHERE migration = ?1 AND id IS NOT NULL \
             ORDER BY seq {order} LIMIT 8)"
        )
    };
    format!(
        "SELECT EXISTS (SELECT 1 FROM ({} UNION ALL {}) AS j \
         WHERE (SELECT count(*) = 1 AND max(t._rowid_) < j.row_id FROM {table} AS t WHERE t.{key} = j.id))",
        end("ASC"),
        end("DESC")
    )
}
