//! A table's own tree, made anew beside its servers and then exchanged with the old one: the two swap their root pages.
//!
//! The copy has the rows of the table under the same row ids, and neither keys nor indexes. So the indexes of the table
//! stay right: their entries are values and row ids. Nothing is renamed: foreign keys of other tables, views, triggers and
//! statistics go on meaning the table.

use rusqlite::{Connection, OptionalExtension, params};

use super::dirty_rows::{DirtyRows, Drained};
use super::online::RootSwap;
use super::{edit_one, edit_schema};
use crate::schema::TableDefinition;
use crate::schema::affinity::is_another;
use crate::schema::table_shape::TableShape;
use crate::schema::token::tokenize;
use crate::schema::tool_tables::{OLD, SHADOW};
use crate::sqlite::ask::Ask;
use crate::sqlite::quote::identifier;
use crate::sqlite::sqlite_error::SqliteContext;
use bridge_migrate_core::{Error, ErrorKind, Result};

/// Where a copy stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Rows from `next` to `end` are still to be copied. What is beyond `end` was written since, and is in the dirty set:
    /// without that bound a steady writer would be followed for ever.
    Copy { next: i64, end: i64 },
    /// All rows are there; those from `next` on are still to be compared.
    Compare { next: i64 },
    /// All that is left is the exchange.
    Ready,
}

/// A copy in the making.
pub(crate) struct Shadow<'a> {
    connection: &'a Connection,
    swap: &'a RootSwap,
    number: u32,
    /// Quoted: the table and the copy.
    table: String,
    shadow: String,
    /// The row id of each.
    row: String,
    shadow_row: String,
    insert: String,
}

impl<'a> Shadow<'a> {
    pub(crate) fn new(connection: &'a Connection, swap: &'a RootSwap, number: u32) -> Self {
        let [old, new] = &swap.shapes;
        let name = |shape: &TableShape| shape.row.name.clone().unwrap_or_else(|| "rowid".to_owned());
        let (row, shadow_row) = (name(old), name(new));
        let table = identifier(&swap.table);
        let shadow = identifier(&format!("{SHADOW}{number}"));
        let mut columns: Vec<String> = swap.fills.iter().map(|(column, _)| identifier(column)).collect();
        let mut values: Vec<&str> = swap.fills.iter().map(|(_, fill)| fill.as_str()).collect();
        if new.row.alias.is_none() {
            columns.insert(0, shadow_row.clone());
            values.insert(0, &row);
        }
        let insert = format!(
            "INSERT OR ABORT INTO {shadow} ({}) SELECT {} FROM {table} NOT INDEXED",
            columns.join(", "),
            values.join(", ")
        );
        Self {
            connection,
            swap,
            number,
            table,
            shadow,
            row,
            shadow_row,
            insert,
        }
    }

    /// Makes the empty copy, and says where to begin. The dirty set must be there in the same transaction.
    pub(crate) fn create(&self) -> Result<Stage> {
        self.require_unchanged()?;
        let sql = shadow_sql(self.number, self.swap).ok_or_else(|| self.changed())?;
        self.connection
            .execute_batch(&sql)
            .while_doing("make the copy of a table")?;
        let (row, table) = (&self.row, &self.table);
        let end: Option<i64> = self
            .connection
            .value(&format!("SELECT max({row}) FROM {table} NOT INDEXED"), [])
            .while_doing("find the last row of a table")?;
        Ok(match end {
            Some(end) => Stage::Copy { next: i64::MIN, end },
            None => Stage::Compare { next: i64::MIN },
        })
    }

    /// Brings up to `limit` rows of what was written since into the copy: once all are, it has, of the rows copied so far,
    /// what the table has.
    pub(crate) fn drain(&self, dirty: &DirtyRows, stage: Stage, limit: u64) -> Result<Drained> {
        let doing = format!("follow what is written to {}", self.swap.table);
        let row = &self.row;
        dirty.drain(self.connection, limit, |rows| {
            // Never OR REPLACE or OR IGNORE: a row that is written again is another one.
            self.connection
                .execute(
                    &format!(
                        "DELETE FROM {} WHERE {} IN ({rows})",
                        self.shadow, self.shadow_row
                    ),
                    [],
                )
                .while_doing(&doing)?;
            let insert = format!("{} WHERE {row} IN ({rows})", self.insert);
            match stage {
                Stage::Copy { next, end } => self
                    .connection
                    .execute(&format!("{insert} AND ({row} < ?1 OR {row} > ?2)"), [next, end]),
                Stage::Compare { .. } | Stage::Ready => self.connection.execute(&insert, []),
            }
            .while_doing(&doing)?;
            self.refuse_others(rows, &doing)
        })
    }

    /// Refuses, given a subquery with the ids of rows that were copied, when the new type of a column made another value of one.
    fn refuse_others(&self, rows: &str, doing: &str) -> Result<()> {
        let others: Vec<String> = self
            .swap
            .taken_whole()
            .filter(|(.., converts)| *converts)
            .map(|(then, now, _)| {
                is_another(
                    &format!("t.{}", identifier(then)),
                    &format!("s.{}", identifier(now)),
                )
            })
            .collect();
        if others.is_empty() {
            return Ok(());
        }
        let sql = format!(
            "SELECT min(t.{row}) FROM {} AS t NOT INDEXED JOIN {} AS s ON s.{} = t.{row} \
             WHERE t.{row} IN ({rows}) AND ({})",
            self.table,
            self.shadow,
            self.shadow_row,
            others.join(" OR "),
            row = self.row,
        );
        let found: Option<i64> = self.connection.value(&sql, []).while_doing(doing)?;
        match found {
            None => Ok(()),
            Some(row) => Err(Error::new(
                ErrorKind::NotConvertible,
                format!(
                    "the new type of a column of {} would make another value of what was written to row {row} meanwhile",
                    self.swap.table
                ),
            )
            .with_truth("Nothing was changed.")),
        }
    }

    /// Copies or compares up to `limit` rows, which are what it returns besides the stage after it.
    pub(crate) fn advance(&self, stage: Stage, limit: u64) -> Result<(Stage, u64)> {
        let doing = format!("copy {}", self.swap.table);
        let (row, table) = (&self.row, &self.table);
        let (next, end) = match stage {
            Stage::Copy { next, end } => (next, end),
            Stage::Compare { next } => (next, i64::MAX),
            Stage::Ready => return Ok((stage, 0)),
        };
        let last: Option<i64> = self
            .connection
            .prepare_cached(&format!(
                "SELECT max(r) FROM (SELECT {row} AS r FROM {table} NOT INDEXED \
                 WHERE {row} BETWEEN ?1 AND ?2 ORDER BY {row} LIMIT ?3)"
            ))
            .and_then(|mut select| select.query_row(params![next, end, limit], |row| row.get(0)))
            .while_doing(&doing)?;
        if let Stage::Copy { .. } = stage {
            let Some(last) = last else {
                return Ok((Stage::Compare { next: i64::MIN }, 0));
            };
            let copied = self
                .connection
                .run(
                    &format!("{} WHERE {row} BETWEEN ?1 AND ?2 ORDER BY {row}", self.insert),
                    [next, last],
                )
                .while_doing(&doing)?;
            let stage = match last.checked_add(1).filter(|next| *next <= end) {
                Some(next) => Stage::Copy { next, end },
                None => Stage::Compare { next: i64::MIN },
            };
            return Ok((stage, copied));
        }
        let compared = self.compare(next, last.unwrap_or(i64::MAX))?;
        Ok(match last.and_then(|last| last.checked_add(1)) {
            Some(next) => (Stage::Compare { next }, compared),
            None => (Stage::Ready, compared),
        })
    }

    /// Compares a range of row ids: as many rows on both sides, with the same values.
    fn compare(&self, first: i64, last: i64) -> Result<u64> {
        let (row, shadow_row) = (&self.row, &self.shadow_row);
        let same: String = self
            .swap
            .taken_whole()
            .map(|(then, now, converts)| {
                let (then, now) = (
                    format!("t.{}", identifier(then)),
                    format!("s.{}", identifier(now)),
                );
                if converts {
                    format!(" AND NOT {}", is_another(&then, &now))
                } else {
                    format!(" AND {then} IS {now} COLLATE BINARY AND typeof({then}) = typeof({now})")
                }
            })
            .collect();
        let sql = format!(
            "SELECT (SELECT count(*) FROM {0} NOT INDEXED WHERE {row} BETWEEN ?1 AND ?2), \
             (SELECT count(*) FROM {1} WHERE {shadow_row} BETWEEN ?1 AND ?2), \
             (SELECT count(*) FROM {0} AS t NOT INDEXED JOIN {1} AS s ON s.{shadow_row} = t.{row} \
              WHERE t.{row} BETWEEN ?1 AND ?2{same})",
            self.table, self.shadow
        );
        let counts: (u64, u64, u64) = self
            .connection
            .prepare_cached(&sql)
            .and_then(|mut select| {
                select.query_row([first, last], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            })
            .while_doing(format_args!("compare the copy of {}", self.swap.table))?;
        if counts.0 == counts.1 && counts.1 == counts.2 {
            return Ok(counts.0);
        }
        Err(Error::new(
            ErrorKind::ConservationViolated,
            format!(
                "the copy of {} differs from it: {} rows of {} are the same, from row id {first} to {last}",
                self.swap.table, counts.2, counts.0
            ),
        ))
    }

    /// Exchanges the trees, in the present transaction, which must have drained the dirty set. The old one is then that of
    /// `migration_old_<number>`.
    pub(crate) fn exchange(&self) -> Result<()> {
        self.require_unchanged()?;
        let doing = format!("exchange the trees of {}", self.swap.table);
        let table = &self.swap.table;
        let root = |name: &str| -> Result<i64> {
            self.connection
                .value("SELECT rootpage FROM main.sqlite_schema WHERE name = ?1", [name])
                .while_doing(&doing)
        };
        let (old, shadow) = (
            format!("{OLD}{}", self.number),
            format!("{SHADOW}{}", self.number),
        );
        let trees = [root(table)?, root(&shadow)?];
        let [then, now] = &self.swap.shapes;
        let mut roots = Vec::new();
        for index in &self.swap.implied {
            roots.push(root(index)?);
        }
        let mut gone = Vec::new();
        for index in &then.implied {
            if !self.swap.implied.contains(&index.name) {
                gone.push(root(&index.name)?);
            }
        }
        let mut dropped = String::new();
        edit_schema(self.connection, || {
            edit_one(
                self.connection,
                "UPDATE main.sqlite_schema SET rootpage = ?2, sql = ?3 WHERE type = 'table' AND name = ?1 AND sql = ?4",
                params![table, trees[1], self.swap.after, self.swap.before],
            )?;
            edit_one(
                self.connection,
                "UPDATE main.sqlite_schema SET rootpage = ?2, name = ?3, tbl_name = ?3, sql = ?4 \
             WHERE type = 'table' AND name = ?1",
                params![
                    shadow,
                    trees[0],
                    old,
                    format!("CREATE TABLE {} (x)", identifier(&old))
                ],
            )?;
            for index in &then.implied {
                edit_one(
                    self.connection,
                    "DELETE FROM main.sqlite_schema WHERE type = 'index' AND name = ?1 AND sql IS NULL",
                    [&index.name],
                )?;
            }
            for (index, root) in now.implied.iter().zip(roots) {
                edit_one(
                    self.connection,
                    "INSERT INTO main.sqlite_schema (type, name, tbl_name, rootpage, sql) VALUES ('index', ?1, ?2, ?3, NULL)",
                    params![index.name, table, root],
                )?;
            }
            for (place, root) in gone.into_iter().enumerate() {
                let name = format!("{old}_{place}");
                edit_one(
                    self.connection,
                    "INSERT INTO main.sqlite_schema (type, name, tbl_name, rootpage, sql) VALUES ('index', ?1, ?2, ?3, ?4)",
                    params![
                        name,
                        old,
                        root,
                        format!("CREATE INDEX {} ON {} (x)", identifier(&name), identifier(&old))
                    ],
                )?;
                dropped.push_str(&format!("DROP INDEX {};", identifier(&name)));
            }
            Ok(())
        })?;
        self.connection.execute_batch(&dropped).while_doing(&doing)
    }

    /// Another program must not have changed the table since the plan was made.
    fn require_unchanged(&self) -> Result<()> {
        let sql: Option<String> = self
            .connection
            .query_row(
                "SELECT sql FROM main.sqlite_schema WHERE type = 'table' AND name = ?1",
                [&self.swap.table],
                |row| row.get(0),
            )
            .optional()
            .while_doing("read the schema")?;
        match sql {
            Some(sql) if sql == self.swap.before => Ok(()),
            _ => Err(self.changed()),
        }
    }

    fn changed(&self) -> Error {
        Error::new(
            ErrorKind::Busy,
            format!(
                "another program changed the table {} in the meantime",
                self.swap.table
            ),
        )
    }
}

/// Gives the tree of a table that is to be dropped to `migration_old_<number>`, in the present transaction. Its indexes and
/// triggers go with the table.
pub(crate) fn retire(connection: &Connection, table: &str, number: u32) -> Result<()> {
    let doing = format!("drop {table}");
    let old = format!("{OLD}{number}");
    // An empty twin, whose tree the dropping of the table frees.
    connection
        .execute_batch(&format!("CREATE TABLE {} (x)", identifier(&old)))
        .while_doing(&doing)?;
    let root = |name: &str| -> Result<i64> {
        connection
            .value(
                "SELECT rootpage FROM main.sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE",
                [name],
            )
            .while_doing(&doing)
    };
    let trees = [root(table)?, root(&old)?];
    edit_schema(connection, || {
        for (name, root) in [(table, trees[1]), (&*old, trees[0])] {
            edit_one(
                connection,
                "UPDATE main.sqlite_schema SET rootpage = ?2 WHERE type = 'table' AND name = ?1 COLLATE NOCASE",
                params![name, root],
            )?;
        }
        Ok(())
    })?;
    connection
        .execute_batch(&format!("DROP TABLE {}", identifier(table)))
        .while_doing(&doing)
}

/// Frees up to `limit` rows of what was replaced or dropped, from its end. Returns whether all of it is gone.
pub(crate) fn empty(connection: &Connection, old: &str, limit: u64) -> Result<bool> {
    let doing = format!("empty {old}");
    let old = identifier(old);
    let first: Option<i64> = connection
        .value(
            &format!("SELECT min(r) FROM (SELECT rowid AS r FROM {old} ORDER BY rowid DESC LIMIT ?1)"),
            [limit],
        )
        .while_doing(&doing)?;
    match first {
        Some(first) => {
            connection
                .run(&format!("DELETE FROM {old} WHERE rowid >= ?1"), [first])
                .while_doing(&doing)?;
            Ok(false)
        }
        None => {
            connection
                .execute_batch(&format!("DROP TABLE {old}"))
                .while_doing(&doing)?;
            Ok(true)
        }
    }
}

/// The statement that makes the copy: the columns as they will be, without keys. Its rows are stored byte for byte as those
/// of the table will be.
fn shadow_sql(number: u32, swap: &RootSwap) -> Option<String> {
    let definition = TableDefinition::parse(&swap.after)?;
    let [_, shape] = &swap.shapes;
    let mut lines: Vec<String> = definition
        .columns
        .iter()
        .map(|column| {
            let mut line = format!("{} {}", identifier(&column.name), column.declared_type);
            if shape.row.alias.as_deref() == Some(&column.name) {
                line.push_str(" PRIMARY KEY");
            }
            if column.not_null {
                line.push_str(" NOT NULL");
            }
            if let Some(default) = &column.default {
                line.push_str(&format!(" DEFAULT {default}"));
            }
            for constraint in column
                .constraints
                .iter()
                .filter(|constraint| stays_with_rows(constraint))
            {
                line.push_str(&format!(" {constraint}"));
            }
            line
        })
        .collect();
    lines.extend(
        definition
            .constraints
            .iter()
            .filter(|constraint| stays_with_rows(constraint))
            .cloned(),
    );
    Some(format!(
        "CREATE TABLE {} ({}) {}",
        identifier(&format!("{SHADOW}{number}")),
        lines.join(", "),
        definition.options
    ))
}

/// Whether a constraint says what a row may be, as opposed to how it stands to others.
fn stays_with_rows(constraint: &str) -> bool {
    let tokens = tokenize(constraint);
    let first = match tokens.first() {
        Some(token) if token.is_word("constraint") => tokens.get(2),
        first => first,
    };
    first.is_some_and(|token| token.is_one_of("check collate not null generated as"))
}
