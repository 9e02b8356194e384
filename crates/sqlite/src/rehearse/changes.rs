//! What a migration does to the data: rows before and after, and for each column how many values differ,
//! with a few of them.

use std::path::Path;

use rusqlite::{Connection, types::ValueRef};
use serde::Serialize;

use crate::catalog::data::key_text;
use crate::schema::{
    Hidden, ObjectKind, Snapshot, TableDefinition, TableDetail, expected, own_values::is_not_default,
};
use crate::sqlite::count::{count_rows, count_rows_of};
use crate::sqlite::{ask::Ask, connection::percent_encoded, quote::identifier, sqlite_error::SqliteContext};
use bridge_migrate_core::{Catalog, Result};

/// Samples of a column.
const SAMPLES: usize = 5;
/// Differing values that are looked at for samples of different kinds.
const LOOKED_AT: usize = 2000;
/// Characters of a value that a sample shows.
const SHOWN_CHARACTERS: usize = 160;

/// What happened to a table's data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableChange {
    /// The table.
    pub table: String,
    /// Its rows before; `None` when it was not there.
    pub rows_before: Option<u64>,
    /// Its rows after; `None` when it is gone.
    pub rows_after: Option<u64>,
    /// Whether its values are shown nowhere.
    pub secret: bool,
    /// The columns whose values differ.
    pub columns: Vec<ColumnChange>,
}

/// What happened to a column's values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ColumnChange {
    /// The column.
    pub column: String,
    /// Whether the column is new: then the values that are not its default count as different.
    pub added: bool,
    /// Rows whose value differs.
    pub rows: u64,
    /// A few of them. User data: for the eyes of whoever asked for a report, and for no log.
    #[serde(skip)]
    pub samples: Vec<Sample>,
}

/// A value before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The row's key.
    pub key: String,
    /// The value before; `None` for NULL, and for a column that is new.
    pub before: Option<String>,
    /// The value after; `None` for NULL.
    pub after: Option<String>,
}

/// Compares the database at `start` with the one that `connection` reads; tables in `rebuilt` may have numbered
/// their rows anew.
pub(super) fn compare(
    catalog: &Catalog,
    connection: &Connection,
    start: Option<&Path>,
    rebuilt: &[String],
) -> Result<Vec<TableChange>> {
    let doing = "compare with the start";
    let after = expected::read(connection)?;
    let before = match start {
        Some(path) => {
            let uri = format!("file:{}?mode=ro&immutable=1", percent_encoded(path));
            connection
                .execute("ATTACH ?1 AS start", [uri])
                .while_doing(doing)?;
            let reader = crate::sqlite::connection::open_immutable(path)?;
            expected::read(&reader)?
        }
        None => Snapshot::default(),
    };
    let mut changes = Vec::new();
    for table in before.of_kind(ObjectKind::Table) {
        let is_gone = after.get(ObjectKind::Table, &table.name).is_none();
        if is_gone && TableDefinition::parse(&table.sql).is_some() {
            changes.push(TableChange {
                table: table.name.clone(),
                rows_before: Some(count_rows_of(connection, "start", &table.name)?),
                rows_after: None,
                secret: catalog.is_secret_table(&table.name),
                columns: Vec::new(),
            });
        }
    }
    for table in after.of_kind(ObjectKind::Table) {
        let Some(definition) = TableDefinition::parse(&table.sql) else {
            continue;
        };
        let old = before
            .get(ObjectKind::Table, &table.name)
            .and_then(|old| TableDefinition::parse(&old.sql));
        let secret = catalog.is_secret_table(&table.name);
        let pair = Pair::new(connection, &table.name, &definition, rebuilt)?;
        let mut columns = match &old {
            Some(old) => pair.columns(old)?,
            None => Vec::new(),
        };
        if !secret {
            for column in &mut columns {
                column.samples = pair.samples(column)?;
            }
        }
        changes.push(TableChange {
            rows_before: match old {
                Some(_) => Some(count_rows_of(connection, "start", &table.name)?),
                None => None,
            },
            rows_after: Some(count_rows(connection, &table.name)?),
            table: table.name.clone(),
            secret,
            columns,
        });
    }
    if start.is_some() {
        connection.execute_batch("DETACH start").while_doing(doing)?;
    }
    Ok(changes)
}

/// A table that is there before and after.
struct Pair<'a> {
    connection: &'a Connection,
    table: &'a str,
    detail: TableDetail,
    /// How a row before and its row after find each other.
    join: String,
    /// What people know a row by.
    keys: Vec<String>,
    has_rowid: bool,
}

impl<'a> Pair<'a> {
    fn new(
        connection: &'a Connection,
        table: &'a str,
        definition: &TableDefinition,
        rebuilt: &[String],
    ) -> Result<Self> {
        let detail =
            TableDetail::read(connection, table).while_doing(format_args!("read the columns of {table}"))?;
        let mut keys: Vec<_> = detail
            .columns
            .iter()
            .filter_map(|column| Some((column.primary_key?, column.name.clone())))
            .collect();
        keys.sort();
        let keys: Vec<String> = keys.into_iter().map(|(_, name)| name).collect();
        let has_rowid = !definition.options.contains("without rowid");
        let is_numbered_anew = rebuilt.iter().any(|name| name.eq_ignore_ascii_case(table));
        let join = if keys.is_empty() || (has_rowid && !is_numbered_anew) {
            "n._rowid_ = b._rowid_".to_owned()
        } else {
            let parts: Vec<String> = keys
                .iter()
                .map(|key| format!("n.{0} IS b.{0}", identifier(key)))
                .collect();
            parts.join(" AND ")
        };
        Ok(Self {
            connection,
            table,
            detail,
            join,
            keys,
            has_rowid,
        })
    }

    fn joined(&self) -> String {
        let table = identifier(self.table);
        format!("FROM start.{table} AS b JOIN main.{table} AS n ON {}", self.join)
    }

    /// Which columns differ, and in how many rows.
    fn columns(&self, old: &TableDefinition) -> Result<Vec<ColumnChange>> {
        let doing = || format!("compare {} with the start", self.table);
        let mut changes = Vec::new();
        let mut common = Vec::new();
        for column in &self.detail.columns {
            if old.column(&column.name).is_some() && column.hidden == Hidden::No {
                common.push(column.name.clone());
            } else if column.hidden == Hidden::No {
                let condition = is_not_default(self.connection, self.table, &column.name)?;
                let select = format!(
                    "SELECT count(*) FROM main.{} WHERE {condition}",
                    identifier(self.table)
                );
                let rows = self.connection.value(&select, []).while_doing(doing())?;
                changes.push((column.name.clone(), true, rows));
            }
        }
        if !common.is_empty() {
            let sums: Vec<String> = common
                .iter()
                .map(|column| {
                    format!(
                        "coalesce(sum(b.{0} COLLATE BINARY IS NOT n.{0}), 0)",
                        identifier(column)
                    )
                })
                .collect();
            let select = format!("SELECT {} {}", sums.join(", "), self.joined());
            let counts: Vec<u64> = self
                .connection
                .query_row(&select, [], |row| {
                    (0..common.len()).map(|index| row.get(index)).collect()
                })
                .while_doing(doing())?;
            changes.extend(
                common
                    .into_iter()
                    .zip(counts)
                    .map(|(name, rows)| (name, false, rows)),
            );
        }
        Ok(changes
            .into_iter()
            .filter(|(_, _, rows)| *rows > 0)
            .map(|(column, added, rows)| ColumnChange {
                column,
                added,
                rows,
                samples: Vec::new(),
            })
            .collect())
    }

    /// A few values of a column, of as many kinds as are found.
    fn samples(&self, change: &ColumnChange) -> Result<Vec<Sample>> {
        let doing = || format!("read samples of {}.{}", self.table, change.column);
        let name = identifier(&change.column);
        let rowid = if self.has_rowid { "n._rowid_" } else { "0" };
        let mut shown = vec![rowid.to_owned()];
        let tail = if change.added {
            shown.extend(["NULL".to_owned(), format!("n.{name}")]);
            format!(
                "FROM main.{} AS n WHERE {} LIMIT {LOOKED_AT}",
                identifier(self.table),
                is_not_default(self.connection, self.table, &change.column)?
            )
        } else {
            shown.extend([format!("b.{name}"), format!("n.{name}")]);
            format!(
                "{} WHERE b.{name} COLLATE BINARY IS NOT n.{name} LIMIT {LOOKED_AT}",
                self.joined()
            )
        };
        shown.extend(self.keys.iter().map(|key| format!("n.{}", identifier(key))));
        let select = format!("SELECT {} {tail}", shown.join(", "));
        let mut select = self.connection.prepare(&select).while_doing(doing())?;
        let mut rows = select.query([]).while_doing(doing())?;
        let mut kinds = Vec::new();
        let mut samples = Vec::new();
        let mut more = Vec::new();
        while let Some(row) = rows.next().while_doing(doing())? {
            let value = |index: usize| row.get_ref(index).map(shown_value).while_doing(doing());
            let rowid: i64 = row.get(0).while_doing(doing())?;
            let mut keys = Vec::new();
            for index in 3..3 + self.keys.len() {
                keys.push(key_text(row.get_ref(index).while_doing(doing())?, rowid));
            }
            if keys.is_empty() {
                keys.push(format!("rowid {rowid}"));
            }
            let sample = Sample {
                key: keys.join(", "),
                before: value(1)?,
                after: value(2)?,
            };
            let kind = (
                sample.before.as_deref().map(shape),
                sample.after.as_deref().map(shape),
            );
            if !kinds.contains(&kind) {
                kinds.push(kind);
                samples.push(sample);
            } else if more.len() < SAMPLES {
                more.push(sample);
            }
            if samples.len() == SAMPLES {
                break;
            }
        }
        let missing = SAMPLES.saturating_sub(samples.len());
        samples.extend(more.into_iter().take(missing));
        Ok(samples)
    }
}

/// A value as people read it; `None` for NULL.
fn shown_value(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Blob(bytes) => Some(format!("(blob of {} bytes)", bytes.len())),
        ValueRef::Text(bytes) => {
            let text = String::from_utf8_lossy(bytes);
            let mut shown: String = text.chars().take(SHOWN_CHARACTERS).collect();
            if shown.len() < text.len() {
                shown.push('…');
            }
            Some(shown)
        }
    }
}

/// What kind of text it is: words and numbers lose what they say.
fn shape(text: &str) -> String {
    let mut shape = String::new();
    for character in text.chars().take(64) {
        let class = match character {
            '0'..='9' => '9',
            character if character.is_alphabetic() => 'a',
            character => character,
        };
        if !shape.ends_with(class) || !class.is_alphanumeric() {
            shape.push(class);
        }
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_one_kind_have_one_shape() {
        assert_eq!(shape("2026-02-22T15:30:45Z"), shape("1999-12-31T00:00:00Z"));
        assert_ne!(shape("2026-02-22T15:30:45Z"), shape("2026-02-22T15:30:45+05:30"));
        assert_ne!(shape("yesterday"), shape("2026-02-22"));
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let long = "ö".repeat(SHOWN_CHARACTERS + 1);
        let shown = shown_value(ValueRef::Text(long.as_bytes())).unwrap();
        assert_eq!(shown.chars().count(), SHOWN_CHARACTERS + 1);
        assert!(shown.ends_with('…'));
    }
}
