//! Whether the rows of a table fit a rebuild, tried one by one in temporary tables. Only they are written.

use std::collections::BTreeSet;

use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, Statement, ffi};

use super::affinity::is_another;
use super::probe::message;
use super::row_number::RowNumber;
use super::script::Rebuild;
use super::switched::Switched;
use super::table_detail::TableDetail;
use super::token::tokenize;
use crate::sqlite::quote::identifier;
use crate::sqlite::sqlite_error::SqliteContext;
use bridge_migrate_core::{Error, ErrorKind, Hint, Result};
use rusqlite::config::DbConfig;

/// Rows that a scratch table holds before it is emptied.
const HELD: u64 = 256;
/// Rows that are named.
const NAMED: usize = 10;
/// Rows of a range, which is read under one lock.
const RANGE: u64 = 20_000;
const SCRATCH: &str = "migration_trial";
const CONVERTED: &str = "migration_trial_converted";

/// Rows that a rebuild cannot take.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Unfit {
    /// How many there are.
    pub(crate) count: u64,
    /// The first of them: the key, and why.
    pub(crate) first: Vec<(String, String)>,
}

impl Unfit {
    fn add(&mut self, key: String, why: impl Into<String>) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push((key, why.into()));
        }
    }
}

/// Tries the rows of a table range by range.
pub(crate) struct Trial<'a> {
    connection: &'a Connection,
    rebuild: &'a Rebuild,
    /// Reads rows: the rowid, the key, the values.
    select: String,
    is_numbered: bool,
    /// Where the next range begins.
    next: i64,
    /// The new table's rowid, by its place among the values.
    alias: Option<usize>,
    keys: Vec<Vec<String>>,
    converts: Vec<(usize, String)>,
    unfit: Unfit,
    _unenforced: Switched<'a>,
    _names_only: Switched<'a>,
}

impl<'a> Trial<'a> {
    /// Prepares it for the table that is there. Its temporary tables are gone with the trial.
    ///
    /// # Errors
    /// When there is no such table, or SQLite refuses the new definition or a value.
    pub(crate) fn new(connection: &'a Connection, rebuild: &'a Rebuild) -> rusqlite::Result<Self> {
        let old = rebuild.find(connection)?;
        let from = RowNumber::of(connection, &old)?;
        let mut trial = Self {
            connection,
            rebuild,
            select: String::new(),
            is_numbered: from.name.is_some(),
            next: i64::MIN,
            alias: None,
            keys: Vec::new(),
            converts: Vec::new(),
            unfit: Unfit::default(),
            // These are temporary tables: there is no parent beside them.
            _unenforced: Switched::to(connection, DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false)?,
            _names_only: Switched::to(connection, DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?,
        };
        let mut definition = rebuild.definition_for(&format!("temp.{}", identifier(SCRATCH)));
        // It would leave a temporary sqlite_sequence, which hides the database's own.
        while let Some(word) = tokenize(&definition)
            .iter()
            .find(|token| token.is_word("autoincrement"))
        {
            let range = word.start..word.end();
            definition.replace_range(range, "");
        }
        connection.execute(&definition, [])?;
        let number = from.name.as_deref().unwrap_or("NULL");
        let source = identifier(&old);
        trial.select = format!(
            "SELECT {number}, {}, {} FROM main.{source} NOT INDEXED",
            key_text(connection, &old, &from)?,
            rebuild.values(None)
        );
        if from.name.is_some() {
            trial.select += &format!(" WHERE {number} >= ?1 ORDER BY {number} LIMIT ?2");
        }
        trial.note_keys(&old)?;
        trial.note_conversions(&old)?;
        Ok(trial)
    }

    /// Tries all rows.
    ///
    /// # Errors
    /// As [`Trial::new`] and [`Trial::range`].
    pub(crate) fn of_all(connection: &'a Connection, rebuild: &'a Rebuild) -> rusqlite::Result<Unfit> {
        let mut trial = Self::new(connection, rebuild)?;
        while trial.range(RANGE)? {}
        trial.finish()
    }

    /// Tries the next rows, about as many as are asked for; all of them where rows have no rowid. Returns whether there
    /// are more.
    ///
    /// # Errors
    /// When SQLite cannot read the table, or cannot store temporary tables.
    pub(crate) fn range(&mut self, rows: u64) -> rusqlite::Result<bool> {
        let (connection, taken) = (self.connection, self.rebuild.taken().len());
        let places = |from: usize, to: usize| {
            (from..to)
                .map(|place| format!("?{}", place + 1))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let mut insert = connection.prepare(&format!(
            "INSERT OR ABORT INTO temp.{} ({}) VALUES ({})",
            identifier(SCRATCH),
            self.rebuild.columns(None),
            places(0, taken)
        ))?;
        let mut empty = connection.prepare(&format!("DELETE FROM temp.{}", identifier(SCRATCH)))?;
        let mut aside = Vec::new();
        for (at, key) in self.keys.iter().enumerate() {
            let columns: Vec<_> = key.iter().filter_map(|column| self.place_of(column)).collect();
            let values: Vec<_> = columns.iter().map(|place| format!("?{}", place + 1)).collect();
            let set: Vec<_> = values
                .iter()
                .map(|value| format!("{value} IS NOT NULL"))
                .collect();
            aside.push(connection.prepare(&format!(
                "INSERT INTO temp.{} SELECT ?{}, {} WHERE {}",
                key_table(at),
                taken + 1,
                values.join(", "),
                set.join(" AND ")
            ))?);
        }
        if !self.converts.is_empty() {
            let twice = self
                .converts
                .iter()
                .map(|(place, _)| format!("?{0}, ?{0}", place + 1));
            let values = twice.collect::<Vec<_>>().join(", ");
            aside.push(connection.prepare(&format!(
                "INSERT INTO temp.{CONVERTED} SELECT ?{}, {values}",
                taken + 1
            ))?);
        }
        let mut select = connection.prepare(&self.select)?;
        let mut found = if self.is_numbered {
            select.query((self.next, rows))?
        } else {
            select.query([])?
        };
        let mut tried = 0;
        let mut held = 0;
        let mut last: Option<i64> = None;
        while let Some(row) = found.next()? {
            tried += 1;
            last = row.get(0)?;
            for place in 0..taken {
                let value = row.get_ref(place + 2)?;
                insert.raw_bind_parameter(place + 1, ToSqlOutput::Borrowed(value))?;
            }
            if let Some(alias) = self.alias
                && row.get_ref(alias + 2)? == rusqlite::types::ValueRef::Null
            {
                self.unfit.add(text(row, 1)?, "it has no value for the key");
                continue;
            }
            let mut inserted = insert.raw_execute();
            if held > 0 && inserted.as_ref().is_err_and(is_of_a_key) {
                empty.execute([])?;
                held = 0;
                inserted = insert.raw_execute();
            }
            match inserted {
                Ok(_) => held += 1,
                Err(error) if is_of_the_row(&error) => {
                    self.unfit.add(
                        text(row, 1)?,
                        message(&error).replace(SCRATCH, self.rebuild.table()),
                    );
                    continue;
                }
                Err(error) => return Err(error),
            }
            if held >= HELD {
                empty.execute([])?;
                held = 0;
            }
            for insert in &mut aside {
                bind(insert, row, taken)?;
                insert.raw_execute()?;
            }
        }
        empty.execute([])?;
        self.compare_converted()?;
        let next = last
            .filter(|_| tried == rows)
            .and_then(|last| last.checked_add(1));
        self.next = next.unwrap_or(self.next);
        Ok(next.is_some())
    }

    /// What was found, with the keys that several rows would have.
    ///
    /// # Errors
    /// As [`Trial::range`].
    pub(crate) fn finish(mut self) -> rusqlite::Result<Unfit> {
        for at in 0..self.keys.len() {
            let key = self.keys.get(at).map(|key| key.join(", ")).unwrap_or_default();
            let columns: Vec<_> = (0..self.keys.get(at).map_or(0, Vec::len))
                .map(|n| format!("k{n}"))
                .collect();
            let mut select = self.connection.prepare(&format!(
                "SELECT count(*) - 1, min(who), max(who) FROM temp.{} GROUP BY {} HAVING count(*) > 1",
                key_table(at),
                columns.join(", ")
            ))?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                let more: u64 = row.get(0)?;
                self.unfit.add(
                    text(row, 2)?,
                    format!("it has the same {key} as {}", text(row, 1)?),
                );
                self.unfit.count += more - 1;
            }
        }
        Ok(std::mem::take(&mut self.unfit))
    }

    fn place_of(&self, column: &str) -> Option<usize> {
        let mut taken = self.rebuild.taken().iter();
        taken.position(|taken| taken.column.eq_ignore_ascii_case(column))
    }

    /// Makes a table for the values of each key that the old definition does not promise already.
    fn note_keys(&mut self, old: &str) -> rusqlite::Result<()> {
        let before = Keys::of(self.connection, "main", old)?;
        let after = Keys::of(self.connection, "temp", SCRATCH)?;
        self.alias = after.alias.as_deref().and_then(|alias| self.place_of(alias));
        // Values that differ may be the same in another type.
        let converted = self.rebuild.conversions(self.connection, old)?;
        let was = |column: &str| {
            let place = self.place_of(column)?;
            let is_it = |(_, new): &(String, String)| new.eq_ignore_ascii_case(column);
            if converted.iter().any(is_it) {
                return None;
            }
            self.rebuild.taken().get(place)?.old()
        };
        let mut new = after.unique;
        new.retain(|key| {
            let old: Option<Key> = key
                .iter()
                .map(|(column, collation)| Some((was(column)?.to_ascii_lowercase(), collation.clone())))
                .collect();
            old.is_none_or(|old| !before.unique.contains(&old))
        });
        // A generated column is no value that is given: the copy itself finds what is the same there.
        new.retain(|key| key.iter().all(|(column, _)| self.place_of(column).is_some()));
        for (at, key) in new.iter().enumerate() {
            let columns: Vec<_> = key
                .iter()
                .enumerate()
                .map(|(n, (column, collation))| {
                    format!("k{n} {} COLLATE {}", self.declared(column), identifier(collation))
                })
                .collect();
            let columns = columns.join(", ");
            self.connection.execute(
                &format!("CREATE TEMP TABLE {} (who, {columns})", key_table(at)),
                [],
            )?;
            self.keys
                .push(key.iter().map(|(column, _)| column.clone()).collect());
        }
        Ok(())
    }

    /// The type that makes of a value what the new column makes of it.
    fn declared(&self, column: &str) -> &'static str {
        use super::affinity::Affinity;
        match self.rebuild.affinity(column) {
            Some(Affinity::Integer) => "INTEGER",
            Some(Affinity::Real) => "REAL",
            Some(Affinity::Numeric) => "NUMERIC",
            Some(Affinity::Text) => "TEXT",
            Some(Affinity::Blob) | None => "BLOB",
        }
    }

    /// Makes a table in which values stand as they were and as they would be.
    fn note_conversions(&mut self, old: &str) -> rusqlite::Result<()> {
        for (_, column) in self.rebuild.conversions(self.connection, old)? {
            let place = self.place_of(&column);
            self.converts.extend(place.map(|place| (place, column)));
        }
        if self.converts.is_empty() {
            return Ok(());
        }
        let columns = self.converts.iter().enumerate();
        let columns: Vec<_> = columns
            .map(|(n, (_, column))| format!("o{n} BLOB, n{n} {}", self.declared(column)))
            .collect();
        let columns = columns.join(", ");
        self.connection
            .execute(&format!("CREATE TEMP TABLE {CONVERTED} (who, {columns})"), [])
            .map(drop)
    }

    fn compare_converted(&mut self) -> rusqlite::Result<()> {
        for (n, (_, column)) in self.converts.iter().enumerate() {
            let select = format!(
                "SELECT who FROM temp.{CONVERTED} WHERE {}",
                is_another(&format!("o{n}"), &format!("n{n}"))
            );
            let mut select = self.connection.prepare(&select)?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                self.unfit
                    .add(text(row, 0)?, format!("{column} would become another value"));
            }
        }
        if !self.converts.is_empty() {
            self.connection
                .execute(&format!("DELETE FROM temp.{CONVERTED}"), [])?;
        }
        Ok(())
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        let keys = (0..self.keys.len()).map(key_table);
        let tables = [SCRATCH, CONVERTED].map(str::to_owned).into_iter().chain(keys);
        for table in tables {
            // They go with the connection otherwise.
            let _ = self
                .connection
                .execute(&format!("DROP TABLE IF EXISTS temp.{table}"), []);
        }
    }
}

/// Columns in lower case, with their collations.
type Key = BTreeSet<(String, String)>;

/// The keys of a table.
struct Keys {
    unique: Vec<Key>,
    alias: Option<String>,
}

impl Keys {
    /// In `main` those of indexes too, of all their rows; in `temp` there are none.
    fn of(connection: &Connection, schema: &str, table: &str) -> rusqlite::Result<Self> {
        let mut indexes: Vec<(String, String)> = Vec::new();
        connection.pragma(Some(schema), "index_list", table, |row| {
            if row.get("unique")? && !row.get::<_, bool>("partial")? {
                indexes.push((row.get("name")?, row.get("origin")?));
            }
            Ok(())
        })?;
        let has_key = indexes.iter().any(|(_, origin)| origin == "pk");
        let mut unique = Vec::new();
        for (index, _) in indexes {
            let mut key = Some(Key::new());
            connection.pragma(Some(schema), "index_xinfo", &index, |row| {
                if row.get("key")? {
                    match (row.get::<_, Option<String>>("name")?, &mut key) {
                        (Some(name), Some(key)) => {
                            key.insert((name.to_ascii_lowercase(), row.get("coll")?));
                        }
                        // An expression.
                        _ => key = None,
                    }
                }
                Ok(())
            })?;
            unique.extend(key);
        }
        let mut primary: Vec<String> = Vec::new();
        connection.pragma(Some(schema), "table_xinfo", table, |row| {
            if row.get::<_, i64>("pk")? > 0 {
                primary.push(row.get("name")?);
            }
            Ok(())
        })?;
        let alias = primary.pop().filter(|_| !has_key && primary.is_empty());
        unique.extend(
            alias
                .iter()
                .map(|alias| Key::from([(alias.to_ascii_lowercase(), "BINARY".to_owned())])),
        );
        Ok(Self { unique, alias })
    }
}

/// SQL for what names a row to people.
fn key_text(connection: &Connection, table: &str, number: &RowNumber) -> rusqlite::Result<String> {
    let key = TableDetail::read(connection, table)?.into_key_columns();
    let parts: Vec<_> = key
        .iter()
        .map(|column| format!("substr(CAST({} AS TEXT), 1, 80)", identifier(column)))
        .collect();
    let key = parts.join(" || ' / ' || ");
    Ok(match (key.is_empty(), &number.name) {
        (true, Some(name)) => format!("'rowid ' || {name}"),
        (false, Some(name)) => format!("coalesce({key}, 'rowid ' || {name})"),
        (false, None) => format!("coalesce({key}, 'a row without a key')"),
        (true, None) => "'a row without a key'".to_owned(),
    })
}

fn key_table(at: usize) -> String {
    format!("migration_trial_key_{at}")
}

/// Binds what a statement of the side tables needs: the values, and the key behind them.
fn bind(statement: &mut Statement<'_>, row: &rusqlite::Row<'_>, taken: usize) -> rusqlite::Result<()> {
    for place in 1..=statement.parameter_count().min(taken) {
        statement.raw_bind_parameter(place, ToSqlOutput::Borrowed(row.get_ref(place + 1)?))?;
    }
    statement.raw_bind_parameter(taken + 1, ToSqlOutput::Borrowed(row.get_ref(1)?))
}

fn text(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<String> {
    let bytes = row.get_ref(at)?.as_bytes_or_null()?;
    Ok(String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned())
}

fn extended(error: &rusqlite::Error) -> i32 {
    error.sqlite_error().map_or(0, |error| error.extended_code)
}

fn is_of_a_key(error: &rusqlite::Error) -> bool {
    [
        ffi::SQLITE_CONSTRAINT_UNIQUE,
        ffi::SQLITE_CONSTRAINT_PRIMARYKEY,
        ffi::SQLITE_CONSTRAINT_ROWID,
    ]
    .contains(&extended(error))
}

/// Whether the row's own values are refused.
fn is_of_the_row(error: &rusqlite::Error) -> bool {
    matches!(
        extended(error) & 0xff,
        ffi::SQLITE_CONSTRAINT | ffi::SQLITE_MISMATCH | ffi::SQLITE_TOOBIG
    )
}

/// Refuses a rebuild that rows do not fit, before anything is written. Each range is read under a lock of its own.
///
/// # Errors
/// [`ErrorKind::NotConvertible`] with the first keys; when SQLite refuses the rebuild.
pub(crate) fn refuse_unfit(connection: &Connection, stem: &str, rebuild: &Rebuild) -> Result<()> {
    let doing = format!("try the rows of {} for {stem}", rebuild.table());
    let unfit = Trial::of_all(connection, rebuild).while_doing(&doing)?;
    if unfit.count == 0 {
        return Ok(());
    }
    let more = unfit.count - unfit.first.len() as u64;
    let more = if more > 0 {
        format!(", and {more} more")
    } else {
        String::new()
    };
    let first: Vec<_> = unfit
        .first
        .iter()
        .map(|(key, why)| format!("{key} ({why})"))
        .collect();
    Err(Error::unchanged(
        ErrorKind::NotConvertible,
        format!(
            "rows of {} do not fit what {stem} makes of it: {}{more}",
            rebuild.table(),
            first.join(", ")
        ),
    )
    .with_hint(Hint::PlanSql))
}
