//! The place that one kept row or value has in the database, and whether it still fits there.

use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params_from_iter, types::ValueRef};

use crate::schema::{Hidden, TableDetail, own_values::is_not_default};
use crate::sqlite::{ask::Ask, borrowed::Borrowed, quote::identifier};

use super::{Kept, file::KeptFile};

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

/// Whether a row has to find what it refers to at once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Parents {
    /// It comes back only where they are.
    AreThere,
    /// They may come back after it; the caller looks with [`Place::missing_parent`].
    Follow,
}

/// The statements that put rows of one table, or values of one column, back. `?1` is the row id that the row had; the
/// values follow.
pub(super) struct Place<'a> {
    connection: &'a Connection,
    file: &'a KeptFile,
    keys: Vec<usize>,
    column: bool,
    /// The row that the key names: whether it has no value of its own in the column, its row id, and, value by value,
    /// whether it has the same.
    by_key: Option<String>,
    /// As `by_key`, for a row without a key: the one that is as it was, under the row id that it had.
    by_row: Option<String>,
    /// As `by_row`, under any row id: VACUUM gives rows without a key new ones.
    by_content: Option<String>,
    /// How many rows are the same: of rows without a key that may be there, so many are.
    same_rows: String,
    /// Whether a row without a key that is as it was may be that row: of rows that a rollback on record dropped, it
    /// cannot be.
    may_be_there: bool,
    /// Whether any row with the key says what the kept one says.
    covered_by_key: bool,
    write: String,
    /// As `write`: a row with its old row id, a value by the row id alone.
    write_by_row: Option<String>,
    /// A row with a row id that neither the table nor the file has.
    write_apart: Option<String>,
    parents: Vec<Parent>,
}

/// A row that is there in the place of a kept one.
struct Found {
    /// Of a column: whether it has no value of its own.
    is_free: bool,
    rowid: Option<i64>,
    /// The columns in which it is not the same.
    differs: Vec<String>,
}

/// A foreign key: the statement that tells whether the parent is there.
struct Parent {
    table: String,
    exists: Option<String>,
}

impl<'a> Place<'a> {
    /// Finds it; why there is none, in words.
    pub(super) fn find(
        connection: &'a Connection,
        kept: &Kept,
        file: &'a KeptFile,
        revocations: &[&str],
    ) -> Result<Self, String> {
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
        let (quoted, last) = (identifier(table), file.columns.len() - 1);
        // A row without a key is known by the values that it has besides: by all that stay of it.
        let as_it_was: Vec<usize> = (0..last).collect();
        let by_key = (!keys.is_empty()).then(|| condition("="));
        let by_content = (has_rowid && last > 0).then(|| {
            let (columns, marks): (Vec<_>, Vec<_>) = as_it_was
                .iter()
                .map(|index| (name_of(index), mark(*index)))
                .unzip();
            format!("({}) IS ({})", columns.join(", "), marks.join(", "))
        });
        let names: Vec<String> = (0..=last).map(|index| name_of(&index)).collect();
        let marks: Vec<String> = (0..=last).map(mark).collect();
        // Byte by byte, whatever the column holds for the same.
        let same = |index: usize| {
            let name = names.get(index).map_or("NULL", String::as_str);
            format!("{name} COLLATE BINARY IS {}", mark(index))
        };
        let rowid = if has_rowid { "_rowid_" } else { "NULL" };
        // A parameter that a statement does not use has to be used all the same.
        let used = format!("?1 IS ?1 AND {} IS {0}", mark(last));
        let mut place = Self {
            connection,
            file,
            column: kept.column.is_some(),
            by_key: None,
            by_row: None,
            by_content: None,
            same_rows: String::new(),
            write: String::new(),
            write_by_row: None,
            write_apart: None,
            may_be_there: kept.run.is_empty(),
            covered_by_key: kept.column.is_none()
                && revocations.iter().any(|name| name.eq_ignore_ascii_case(table)),
            parents: Vec::new(),
            keys: keys.clone(),
        };
        let row = by_key.clone().or_else(|| by_content.clone());
        if let Some(column) = &kept.column {
            let own =
                is_not_default(connection, table, column).map_err(|error| error.message().to_owned())?;
            let column = identifier(column);
            let select = |found: &str| {
                format!(
                    "SELECT NOT ({own}), {rowid}, {} FROM {quoted} WHERE {used} AND {found}",
                    same(last)
                )
            };
            let write = |found: &str| {
                format!(
                    "UPDATE OR ABORT {quoted} SET {column} = {} WHERE {used} AND {found}",
                    mark(last)
                )
            };
            place.by_key = by_key.as_deref().map(|found| select(&format!("{found} LIMIT 2")));
            if let Some(found) = &by_content {
                place.by_row = Some(select(&format!("_rowid_ = ?1 AND {found}")));
                // Rows that are alike take the values in turn.
                let first = match place.may_be_there {
                    true => format!("{} DESC, {own}", same(last)),
                    false => format!("{own}, {} DESC", same(last)),
                };
                place.by_content = Some(select(&format!("{found} ORDER BY {first} LIMIT 1")));
            }
            place.write = by_key.as_deref().map(write).unwrap_or_default();
            place.write_by_row = has_rowid.then(|| write("_rowid_ = ?1"));
        } else {
            let all: Vec<String> = (0..=last).map(same).collect();
            let select = |found: &str| {
                format!(
                    "SELECT 0, {rowid}, {} FROM {quoted} WHERE {used} AND {found}",
                    all.join(", ")
                )
            };
            place.by_key = by_key.as_deref().map(select);
            place.by_row = has_rowid.then(|| select("_rowid_ = ?1"));
            let marks = marks.join(", ");
            place.same_rows = format!(
                "SELECT count(*) FROM {quoted} WHERE {used} AND ({} COLLATE BINARY) IS ({marks})",
                names.join(" COLLATE BINARY, ")
            );
            let names = names.join(", ");
            // OR ABORT is stronger than what a constraint of the table may say, which could replace another row.
            place.write = format!("INSERT OR ABORT INTO {quoted} ({names}) SELECT {marks} WHERE ?1 IS ?1");
            place.write_by_row = has_rowid
                .then(|| format!("INSERT OR ABORT INTO {quoted} (_rowid_, {names}) VALUES (?1, {marks})"));
            place.write_apart = has_rowid.then(|| {
                format!(
                    "INSERT OR ABORT INTO {quoted} (_rowid_, {names}) \
                     SELECT 1 + max({}, (SELECT max(_rowid_) FROM {quoted})), {marks} WHERE ?1 IS ?1",
                    file.last_row,
                )
            });
        }
        let row = row.unwrap_or_else(|| "0".to_owned());
        place.parents = parents(connection, kept, &detail, file, &row, &used);
        Ok(place)
    }

    /// Puts one row of the file back, if it fits.
    pub(super) fn put_back(&self, row: &Row<'_>, parents: Parents) -> rusqlite::Result<Fate> {
        let mut values = values(row)?;
        let has_key = !self.keys.is_empty()
            && self
                .keys
                .iter()
                .all(|key| values.get(key + 1).is_some_and(|value| value.0 != ValueRef::Null));
        if !has_key && !self.column && self.may_be_there {
            let there: u64 = self.ask(&self.same_rows, &values, |row| row.get(0))?.unwrap_or(0);
            if there > 0 && there >= self.file.nth_of_its_like(row)? {
                return Ok(Fate::Already);
            }
        }
        let (find, write) = match has_key {
            true => (self.by_key.as_deref(), Some(self.write.as_str())),
            false if self.by_row.is_none() && !self.column => (None, Some(self.write.as_str())),
            false => (self.by_row.as_deref(), self.write_by_row.as_deref()),
        };
        let mut found = self.rows_by(find, &values)?;
        if !has_key && self.column && !found.iter().any(|found| found.is_free) {
            found = self.rows_by(self.by_content.as_deref(), &values)?;
        }
        let write = match (found.as_slice(), self.column) {
            ([found], true) if found.differs.is_empty() => return Ok(Fate::Already),
            ([found], true) if found.is_free => {
                if let (false, Some(rowid), Some(first)) = (has_key, found.rowid, values.first_mut()) {
                    *first = Borrowed(ValueRef::Integer(rowid));
                }
                write
            }
            ([_], true) => return Ok(Fate::Stays("a newer value is there".to_owned())),
            ([], true) if has_key => return Ok(Fate::Stays("its row is gone".to_owned())),
            ([], true) => {
                let why = "its row, which has no key, is not there as it was";
                return Ok(Fate::Stays(why.to_owned()));
            }
            ([], false) => write,
            // Without a key, another row may have its number by now.
            ([_], false) if !has_key => self.write_apart.as_deref(),
            ([found], false) if found.differs.is_empty() || self.covered_by_key => return Ok(Fate::Already),
            ([found], false) => {
                let differs = found.differs.join(", ");
                return Ok(Fate::Stays(format!(
                    "another row has its key, with another {differs}"
                )));
            }
            (_, _) => return Ok(Fate::Stays("several rows have its key".to_owned())),
        };
        let Some(write) = write else {
            return Ok(Fate::Stays("its row cannot be found".to_owned()));
        };
        if self.parents.is_empty() || parents == Parents::Follow {
            return self.write(write, &values);
        }
        self.connection.execute_batch("SAVEPOINT kept_row")?;
        let fate = self.write(write, &values).and_then(|fate| {
            if matches!(fate, Fate::Back)
                && let Some(parent) = self.missing_parent_of(&values)?
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

    fn rows_by(&self, sql: Option<&str>, values: &[Borrowed<'_>]) -> rusqlite::Result<Vec<Found>> {
        let Some(sql) = sql else { return Ok(Vec::new()) };
        let first = if self.column {
            self.file.columns.len() - 1
        } else {
            0
        };
        let mut select = self.connection.prepare_cached(sql)?;
        let found = select.query_map(params_from_iter(values), |row| {
            let mut differs = Vec::new();
            for (index, name) in self.file.columns.iter().skip(first).enumerate() {
                if !row.get::<_, bool>(index + 2)? {
                    differs.push(name.clone());
                }
            }
            Ok(Found {
                is_free: row.get(0)?,
                rowid: row.get(1)?,
                differs,
            })
        })?;
        found.collect()
    }

    fn ask<T>(
        &self,
        sql: &str,
        values: &[Borrowed<'_>],
        answer: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Option<T>> {
        self.connection
            .prepare_cached(sql)?
            .query_row(params_from_iter(values), answer)
            .optional()
    }

    fn write(&self, sql: &str, values: &[Borrowed<'_>]) -> rusqlite::Result<Fate> {
        let written = self.connection.run(sql, params_from_iter(values));
        match written {
            Ok(1) => Ok(Fate::Back),
            Ok(_) => Ok(Fate::Stays("its row cannot be found".to_owned())),
            Err(error) => unless_it_fits_not(error),
        }
    }

    /// The table of a parent that the row of the file refers to and that is not there.
    pub(super) fn missing_parent(&self, row: &Row<'_>) -> rusqlite::Result<Option<&str>> {
        self.missing_parent_of(&values(row)?)
    }

    fn missing_parent_of(&self, values: &[Borrowed<'_>]) -> rusqlite::Result<Option<&str>> {
        for parent in &self.parents {
            let exists = match &parent.exists {
                Some(sql) => self.ask(sql, values, |row| row.get(0))?.unwrap_or(true),
                None => false,
            };
            if !exists {
                return Ok(Some(&parent.table));
            }
        }
        Ok(None)
    }
}

/// The row id and the values of a row of the file, which come after its place there.
pub(super) fn values<'a>(row: &'a Row<'_>) -> rusqlite::Result<Vec<Borrowed<'a>>> {
    (1..row.as_ref().column_count())
        .map(|index| row.get_ref(index).map(Borrowed))
        .collect()
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
