//! The place that one kept row or value has in the database, and whether it still fits there.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params_from_iter};

use crate::quote::identifier;
use crate::rollback::is_not_default;
use crate::schema::{Hidden, TableDetail};

use super::file::KeptFile;
use super::{Borrowed, Kept};

/// What became of a row.
pub(super) enum Fate {
    /// It was written.
    Back,
    /// It is there as it was.
    Already,
    /// It stays in the file, for this reason.
    Stays(String),
    /// It was written and taken away again, because it refers to a row of this table that is not there.
    Orphan(String),
}

/// The statements that put rows of one table, or values of one column, back. `?1` is the row id that the row had; the
/// values follow.
pub(super) struct Place<'a> {
    connection: &'a Connection,
    keys: Vec<usize>,
    column: bool,
    /// Whether the row that the key names has the same values, and, of a column, none of its own.
    by_key: Option<String>,
    by_row: Option<String>,
    /// Whether a row without a key that is as it was, under the row id that it had, is that row: of rows that a
    /// rollback on record dropped, it cannot be.
    may_be_there: bool,
    write: String,
    /// As `write`: a row with its old row id, a value by the row id alone.
    write_by_row: Option<String>,
    /// A row with a row id that neither the table nor the file has.
    write_apart: Option<String>,
    parents: Vec<Parent>,
}

/// A foreign key: the statement that tells whether the parent is there.
struct Parent {
    table: String,
    exists: Option<String>,
}

impl<'a> Place<'a> {
    /// Finds it; why there is none, in words.
    pub(super) fn find(connection: &'a Connection, kept: &Kept, file: &KeptFile) -> Result<Self, String> {
        let table = &kept.table;
        let detail = match TableDetail::read(connection, table) {
            Ok(detail) => detail,
            Err(rusqlite::Error::QueryReturnedNoRows) => return Err(format!("there is no table {table}")),
            Err(error) => return Err(error.to_string()),
        };
        for name in &file.columns {
            let column = detail
                .columns
                .iter()
                .find(|column| column.name.eq_ignore_ascii_case(name));
            if column.is_none_or(|column| column.hidden != Hidden::No) {
                return Err(format!("{table} has no column {name} to write to"));
            }
        }
        let mark = |index: usize| format!("?{}", index + 2);
        let position = |name: &str| {
            file.columns
                .iter()
                .position(|column| column.eq_ignore_ascii_case(name))
        };
        let mut keys: Vec<(u32, Option<usize>)> = detail
            .columns
            .iter()
            .filter_map(|column| Some((column.primary_key?, position(&column.name))))
            .collect();
        keys.sort_unstable();
        // A key that was not kept finds nothing.
        let keys: Vec<usize> = keys
            .iter()
            .map(|(_, at)| *at)
            .collect::<Option<_>>()
            .unwrap_or_default();
        let name_of = |index: &usize| {
            file.columns
                .get(*index)
                .map(|name| identifier(name))
                .unwrap_or_default()
        };
        let condition = |operator: &str| {
            let all: Vec<String> = keys
                .iter()
                .map(|index| format!("{} {operator} {}", name_of(index), mark(*index)))
                .collect();
            all.join(" AND ")
        };
        let has_rowid = connection
            .prepare(&format!("SELECT _rowid_ FROM {}", identifier(table)))
            .is_ok();
        let by_key = (!keys.is_empty()).then(|| condition("="));
        let by_row = has_rowid.then(|| match keys.is_empty() {
            true => "_rowid_ = ?1".to_owned(),
            false => format!("_rowid_ = ?1 AND {}", condition("IS")),
        });
        let (quoted, last) = (identifier(table), file.columns.len() - 1);
        let mut place = Self {
            connection,
            column: kept.column.is_some(),
            by_key: None,
            by_row: None,
            write: String::new(),
            write_by_row: None,
            write_apart: None,
            may_be_there: kept.run.is_empty(),
            parents: Vec::new(),
            keys: keys.clone(),
        };
        // A parameter that a statement does not use has to be used all the same.
        let used = format!("?1 IS ?1 AND {} IS {0}", mark(last));
        if let Some(column) = &kept.column {
            let own =
                is_not_default(connection, table, column).map_err(|error| error.message().to_owned())?;
            let (column, value) = (identifier(column), mark(last));
            let look = |found: &str| {
                format!(
                    "SELECT {column} IS {value}, NOT ({own}) FROM {quoted} WHERE {used} AND {found} LIMIT 2"
                )
            };
            let write = |found: &str| {
                format!("UPDATE OR ABORT {quoted} SET {column} = {value} WHERE {used} AND {found}")
            };
            place.by_key = by_key.as_deref().map(look);
            place.by_row = by_row.as_deref().map(look);
            place.write = by_key.as_deref().map(write).unwrap_or_default();
            place.write_by_row = by_row.as_deref().map(write);
        } else {
            let same: Vec<String> = (0..=last)
                .map(|index| format!("{} IS {}", name_of(&index), mark(index)))
                .collect();
            let look = |found: &str| {
                format!(
                    "SELECT {}, 0 FROM {quoted} WHERE {used} AND {found}",
                    same.join(" AND ")
                )
            };
            let names: Vec<String> = (0..=last).map(|index| name_of(&index)).collect();
            let marks: Vec<String> = (0..=last).map(mark).collect();
            place.by_key = by_key.as_deref().map(look);
            place.by_row = has_rowid.then(|| look("_rowid_ = ?1"));
            // OR ABORT is stronger than what a constraint of the table may say, which could replace another row.
            place.write = format!(
                "INSERT OR ABORT INTO {quoted} ({}) SELECT {} WHERE ?1 IS ?1",
                names.join(", "),
                marks.join(", ")
            );
            place.write_by_row = has_rowid.then(|| {
                format!(
                    "INSERT OR ABORT INTO {quoted} (_rowid_, {}) VALUES (?1, {})",
                    names.join(", "),
                    marks.join(", ")
                )
            });
            place.write_apart = has_rowid.then(|| {
                format!(
                    "INSERT OR ABORT INTO {quoted} (_rowid_, {}) \
                     SELECT 1 + max({}, (SELECT max(_rowid_) FROM {quoted})), {} WHERE ?1 IS ?1",
                    names.join(", "),
                    file.last_row,
                    marks.join(", ")
                )
            });
        }
        let row = by_key.or(by_row).unwrap_or_else(|| "0".to_owned());
        place.parents = parents(connection, kept, &detail, file, &row, &used);
        Ok(place)
    }

    /// Puts one row of the file back, if it fits.
    pub(super) fn put_back(&self, row: &Row<'_>) -> rusqlite::Result<Fate> {
        // After the row's place in the file come the row id and the values.
        let width = row.as_ref().column_count();
        let values: Vec<Borrowed<'_>> = (1..width)
            .map(|index| row.get_ref(index).map(Borrowed))
            .collect::<rusqlite::Result<_>>()?;
        let has_key = !self.keys.is_empty()
            && self
                .keys
                .iter()
                .all(|key| values.get(key + 1).is_some_and(|value| value.0 != ValueRef::Null));
        let (look, write) = match (has_key, &self.by_row) {
            (true, _) => (self.by_key.as_deref(), Some(self.write.as_str())),
            (false, Some(by_row)) => (Some(by_row.as_str()), self.write_by_row.as_deref()),
            (false, None) => (None, Some(self.write.as_str())),
        };
        let mut found = Vec::new();
        if let Some(look) = look {
            let mut look = self.connection.prepare_cached(look)?;
            found = look
                .query_map(params_from_iter(&values), |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<Vec<(bool, bool)>>>()?;
        }
        let write = match (found.as_slice(), self.column) {
            ([(true, _)], _) if has_key || self.column || self.may_be_there => return Ok(Fate::Already),
            ([], true) => return Ok(Fate::Stays("its row is gone".to_owned())),
            ([(false, true)], true) => write,
            ([(false, false)], true) => return Ok(Fate::Stays("a newer value is there".to_owned())),
            ([], false) => write,
            // Without a key, another row may have its number by now.
            ([_], false) if !has_key => self.write_apart.as_deref(),
            ([_], false) => return Ok(Fate::Stays("another row has its key".to_owned())),
            (_, _) => return Ok(Fate::Stays("several rows have its key".to_owned())),
        };
        let Some(write) = write else {
            return Ok(Fate::Stays("its row cannot be found".to_owned()));
        };
        if self.parents.is_empty() {
            return self.write(write, &values);
        }
        self.connection.execute_batch("SAVEPOINT kept_row")?;
        let fate = self.write(write, &values).and_then(|fate| {
            if matches!(fate, Fate::Back)
                && let Some(parent) = self.missing_parent(&values)?
            {
                self.connection.execute_batch("ROLLBACK TO kept_row")?;
                return Ok(Fate::Orphan(parent.to_owned()));
            }
            Ok(fate)
        });
        let released = self.connection.execute_batch("RELEASE kept_row");
        // What failed tells more than that the savepoint went with it.
        let fate = fate?;
        released.map(|()| fate)
    }

    fn write(&self, sql: &str, values: &[Borrowed<'_>]) -> rusqlite::Result<Fate> {
        let written = self
            .connection
            .prepare_cached(sql)
            .and_then(|mut write| write.execute(params_from_iter(values)));
        match written {
            Ok(1) => Ok(Fate::Back),
            Ok(_) => Ok(Fate::Stays("its row cannot be found".to_owned())),
            Err(error) => unless_it_fits_not(error),
        }
    }

    /// The table of a parent that the row refers to and that is not there.
    fn missing_parent(&self, values: &[Borrowed<'_>]) -> rusqlite::Result<Option<&str>> {
        for parent in &self.parents {
            let exists = match &parent.exists {
                Some(sql) => self
                    .connection
                    .prepare_cached(sql)?
                    .query_row(params_from_iter(values), |row| row.get(0))
                    .optional()?
                    .unwrap_or(true),
                None => false,
            };
            if !exists {
                return Ok(Some(&parent.table));
            }
        }
        Ok(None)
    }
}

/// What the row's values do not allow is the row's; what SQLite cannot do is the run's.
fn unless_it_fits_not(error: rusqlite::Error) -> rusqlite::Result<Fate> {
    match error.sqlite_error_code() {
        Some(
            ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig | ErrorCode::Unknown,
        ) => Ok(Fate::Stays(match error {
            rusqlite::Error::SqliteFailure(_, Some(message)) => message,
            other => other.to_string(),
        })),
        _ => Err(error),
    }
}

/// The foreign keys that what is put back has a part in. `row` is the condition that finds its row, and `used` one that
/// uses every parameter.
fn parents(
    connection: &Connection,
    kept: &Kept,
    detail: &TableDetail,
    file: &KeptFile,
    row: &str,
    used: &str,
) -> Vec<Parent> {
    let is_own = |name: &String| {
        file.columns
            .iter()
            .any(|column| column.eq_ignore_ascii_case(name))
    };
    let value_of = |name: &str| {
        let index = file
            .columns
            .iter()
            .position(|column| column.eq_ignore_ascii_case(name));
        match index {
            Some(index) => format!("?{}", index + 2),
            // The rest of the row, of which only a column was dropped.
            None => format!(
                "(SELECT {} FROM {} WHERE {row})",
                identifier(name),
                identifier(&kept.table)
            ),
        }
    };
    let mut parents = Vec::new();
    for key in &detail.foreign_keys {
        let concerns = match &kept.column {
            Some(column) => key.columns.iter().any(|name| name.eq_ignore_ascii_case(column)),
            None => key.columns.iter().any(is_own),
        };
        if !concerns {
            continue;
        }
        parents.push(Parent {
            table: key.parent_table.clone(),
            exists: parent_columns(connection, key).and_then(|columns| {
                let values: Vec<String> = key.columns.iter().map(|name| value_of(name)).collect();
                let nulls: Vec<String> = values.iter().map(|value| format!("{value} IS NULL")).collect();
                let same: Vec<String> = columns
                    .iter()
                    .zip(&values)
                    .map(|(column, value)| format!("p.{} = {value}", identifier(column)))
                    .collect();
                let sql = format!(
                    "SELECT {} OR EXISTS (SELECT 1 FROM {} AS p WHERE {}) WHERE {used}",
                    nulls.join(" OR "),
                    identifier(&key.parent_table),
                    same.join(" AND "),
                );
                connection.prepare(&sql).is_ok().then_some(sql)
            }),
        });
    }
    parents
}

fn parent_columns(connection: &Connection, key: &crate::schema::ForeignKey) -> Option<Vec<String>> {
    if !key.parent_columns.is_empty() {
        return Some(key.parent_columns.clone());
    }
    let keys = TableDetail::read(connection, &key.parent_table)
        .ok()?
        .into_key_columns();
    (keys.len() == key.columns.len()).then_some(keys)
}
