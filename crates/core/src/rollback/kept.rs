//! Files with what a way back drops, from which a later migration to the same version takes it back.
//!
//! A file is a database of its own: `contents` says what each `data_N` holds. It is complete and on disk
//! before the transaction that drops anything commits.

use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, params, params_from_iter};

use crate::clock::file_stamp;
use crate::connection::{create_writer, open_still};
use crate::error::{Error, ErrorKind, IoContext, Result, SqliteContext};
use crate::quote::identifier;
use crate::runs::Run;
use crate::schema::{Hidden, TableDetail};
use crate::settings::Settings;
use crate::whole_file::{Publication, WholeFile};

use super::dropped::Dropped;
use super::losses::is_not_default;
use super::steps::StepBack;

const CREATE: &str = "\
CREATE TABLE contents (
    data TEXT PRIMARY KEY NOT NULL,
    migration INTEGER NOT NULL,
    name TEXT NOT NULL,
    table_name TEXT NOT NULL,
    column_name TEXT,
    keys INTEGER NOT NULL
);
";

/// Writes what `step` drops into a file; `None` when there is nothing in it.
pub(super) fn save(
    settings: &Settings,
    connection: &Connection,
    run: &Run,
    step: &StepBack,
) -> Result<Option<PathBuf>> {
    let mut wanted = Vec::new();
    for dropped in &step.kept {
        if super::losses::of_dropping(connection, dropped)?.is_some() {
            wanted.push(dropped);
        }
    }
    if wanted.is_empty() {
        return Ok(None);
    }
    let whole = WholeFile::create_in(&settings.backup_dir)?;
    {
        let file = create_writer(whole.path(), settings.busy_timeout)?;
        let doing = "write what is dropped into a file";
        file.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN")
            .while_doing(doing)?;
        file.execute_batch(CREATE).while_doing(doing)?;
        for (number, dropped) in wanted.into_iter().enumerate() {
            copy(connection, &file, step, dropped, &format!("data_{number}"))?;
        }
        file.execute_batch("COMMIT").while_doing(doing)?;
    }
    let (verified, ()) = whole.verified(|whole| {
        let reader = open_still(whole.path())?;
        let answer: String = reader
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .while_doing("check the file of what is dropped")?;
        if answer == "ok" {
            Ok(())
        } else {
            Err(Error::new(
                ErrorKind::Corrupt,
                format!("the file of what is dropped is damaged: {answer}"),
            ))
        }
    })?;
    let name = file_name(settings, run, step.recorded.version);
    match verified.publish_new(name.as_ref())? {
        Publication::Done(published) => Ok(Some(published.keep())),
        Publication::Taken(_) => Err(Error::new(
            ErrorKind::Io,
            format!("{name} exists already in {}", settings.backup_dir.display()),
        )),
    }
}

/// `collab.db.kept.YYYYMMDD_HHMMSS_<run>.V009`.
fn file_name(settings: &Settings, run: &Run, version: u32) -> String {
    let database = settings
        .database
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    format!(
        "{database}.kept.{}_{}.V{version:03}",
        file_stamp(run.started_at),
        run.name
    )
}

fn copy(
    connection: &Connection,
    file: &Connection,
    step: &StepBack,
    dropped: &Dropped,
    data: &str,
) -> Result<()> {
    let table = dropped.table();
    let doing = format!("copy what is dropped of {table}");
    let keys = key_columns(connection, table)?;
    let (columns, condition) = match dropped {
        Dropped::Table(_) => {
            let detail = TableDetail::read(connection, table).while_doing(&doing)?;
            (
                detail
                    .columns
                    .into_iter()
                    // What is computed can be computed again, and not written.
                    .filter(|column| column.hidden == Hidden::No)
                    .map(|column| column.name)
                    .collect::<Vec<_>>(),
                "1".to_owned(),
            )
        }
        Dropped::Column { column, .. } => {
            let mut columns = keys.clone();
            columns.push(column.clone());
            (columns, is_not_default(connection, table, column)?)
        }
    };
    let quoted: Vec<String> = columns.iter().map(|column| identifier(column)).collect();
    let data_name = identifier(data);
    file.execute_batch(&format!(
        "CREATE TABLE {data_name} (\"bridge_migrate_rowid\", {})",
        quoted.join(", ")
    ))
    .while_doing(&doing)?;
    let insert = format!(
        "INSERT INTO {data_name} VALUES ({})",
        vec!["?"; columns.len() + 1].join(", ")
    );
    let mut insert = file.prepare(&insert).while_doing(&doing)?;
    let select = |rowid: &str| {
        connection.prepare(&format!(
            "SELECT {rowid}, {} FROM {} WHERE {condition}",
            quoted.join(", "),
            identifier(table)
        ))
    };
    // A table WITHOUT ROWID has a key without NULL, and so needs none.
    let mut select = select("_rowid_").or_else(|_| select("0")).while_doing(&doing)?;
    let width = columns.len() + 1;
    let mut rows = select.query([]).while_doing(&doing)?;
    while let Some(row) = rows.next().while_doing(&doing)? {
        let values: Vec<Borrowed<'_>> = (0..width)
            .map(|index| row.get_ref(index).map(Borrowed))
            .collect::<rusqlite::Result<_>>()
            .while_doing(&doing)?;
        insert.execute(params_from_iter(values)).while_doing(&doing)?;
    }
    let column = match dropped {
        Dropped::Column { column, .. } => Some(column.as_str()),
        Dropped::Table(_) => None,
    };
    file.execute(
        "INSERT INTO contents (data, migration, name, table_name, column_name, keys) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![data, step.recorded.version, step.recorded.name, table, column, keys.len()],
    )
    .while_doing(&doing)?;
    Ok(())
}

/// A value as it stands in a row, bound again without a change, valid UTF-8 or not.
struct Borrowed<'a>(ValueRef<'a>);

impl rusqlite::ToSql for Borrowed<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        Ok(rusqlite::types::ToSqlOutput::Borrowed(self.0))
    }
}

/// The columns of the table's key, in their order; none for a table that has only row ids.
fn key_columns(connection: &Connection, table: &str) -> Result<Vec<String>> {
    let detail =
        TableDetail::read(connection, table).while_doing(format_args!("read the columns of {table}"))?;
    let mut keys: Vec<_> = detail
        .columns
        .into_iter()
        .filter_map(|column| Some((column.primary_key?, column.name)))
        .collect();
    keys.sort();
    Ok(keys.into_iter().map(|(_, name)| name).collect())
}

/// The newest file with what a rollback of the migration dropped.
pub(crate) fn newest(settings: &Settings, version: u32) -> Result<Option<PathBuf>> {
    let prefix = format!(
        "{}.kept.",
        settings
            .database
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
    );
    let suffix = format!(".V{version:03}");
    let mut newest: Option<PathBuf> = None;
    for entry in std::fs::read_dir(&settings.backup_dir).on_file("read", &settings.backup_dir)? {
        let path = entry.on_file("read", &settings.backup_dir)?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.starts_with(&prefix)
            && name.ends_with(&suffix)
            && newest.as_ref().is_none_or(|newest| *newest < path)
        {
            newest = Some(path);
        }
    }
    Ok(newest)
}

/// Puts back what the file holds, where the database has nothing of its own yet. Returns how many rows and
/// values were put back. Runs inside the transaction of the step that made the place for it.
pub(crate) fn reclaim(connection: &Connection, file: &Path, version: u32, name: &str) -> Result<u64> {
    let doing = || format!("take back what {} holds", file.display());
    // What was dropped is what triggers had made of it: they must not do so again.
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)
        .while_doing(doing())?;
    let count = reclaim_rows(connection, file, version, name);
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, true)
        .while_doing(doing())?;
    count
}

fn reclaim_rows(connection: &Connection, file: &Path, version: u32, name: &str) -> Result<u64> {
    let doing = format!("take back what {} holds", file.display());
    let reader = open_still(file)?;
    let mut select = reader
        .prepare(
            "SELECT data, table_name, column_name, keys FROM contents WHERE migration = ?1 AND name = ?2",
        )
        .while_doing(&doing)?;
    let contents: Vec<(String, String, Option<String>, usize)> = select
        .query_map(params![version, name], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .and_then(Iterator::collect)
        .while_doing(&doing)?;
    let mut count = 0;
    for (data, table, column, keys) in contents {
        let mut select = reader
            .prepare(&format!("SELECT * FROM {}", identifier(&data)))
            .while_doing(&doing)?;
        let columns: Vec<String> = select.column_names().skip(1).map(str::to_owned).collect();
        let (by_key, by_rowid) = match &column {
            None => (insert_statement(&table, &columns), None),
            Some(column) => {
                let has_own = is_not_default(connection, &table, column)?;
                let key_columns = columns.get(..keys).unwrap_or_default();
                let by_rowid = update_statement(&table, column, keys, &is_row(key_columns), &has_own);
                (
                    update_statement(&table, column, keys, &is_key(key_columns), &has_own),
                    Some(by_rowid),
                )
            }
        };
        let mut write = connection.prepare(&by_key).while_doing(&doing)?;
        let mut write_by_rowid = by_rowid
            .map(|sql| connection.prepare(&sql))
            .transpose()
            .while_doing(&doing)?;
        let width = columns.len() + 1;
        let mut rows = select.query([]).while_doing(&doing)?;
        while let Some(row) = rows.next().while_doing(&doing)? {
            let values: Vec<Borrowed<'_>> = (0..width)
                .map(|index| row.get_ref(index).map(Borrowed))
                .collect::<rusqlite::Result<_>>()
                .while_doing(&doing)?;
            let has_key = keys > 0
                && values
                    .iter()
                    .skip(1)
                    .take(keys)
                    .all(|value| value.0 != ValueRef::Null);
            let statement = match &mut write_by_rowid {
                // A key with a NULL in it finds no row, and the server allows such keys.
                Some(by_rowid) if !has_key => by_rowid,
                _ => &mut write,
            };
            count += statement.execute(params_from_iter(values)).while_doing(&doing)? as u64;
        }
    }
    Ok(count)
}

/// `?1` is the row id; the values follow.
fn insert_statement(table: &str, columns: &[String]) -> String {
    let quoted: Vec<String> = columns.iter().map(|column| identifier(column)).collect();
    let marks: Vec<String> = (0..columns.len())
        .map(|index| format!("?{}", index + 2))
        .collect();
    // The row id is named so that every parameter is used; it does not decide anything.
    format!(
        "INSERT INTO {} ({}) SELECT {} WHERE ?1 IS NOT NULL ON CONFLICT DO NOTHING",
        identifier(table),
        quoted.join(", "),
        marks.join(", ")
    )
}

/// The row of the number `?1`, if its key is still the one that follows: the number may be another row's by now.
fn is_row(keys: &[String]) -> String {
    let same = keys
        .iter()
        .enumerate()
        .map(|(index, key)| format!(" AND {} IS ?{}", identifier(key), index + 2));
    format!("_rowid_ = ?1{}", same.collect::<String>())
}

/// `?1` is the row id, the values of the key follow.
fn is_key(keys: &[String]) -> String {
    let all: Vec<String> = keys
        .iter()
        .enumerate()
        .map(|(index, key)| format!("{} = ?{}", identifier(key), index + 2))
        .collect();
    if all.is_empty() {
        "0".to_owned()
    } else {
        all.join(" AND ")
    }
}

/// Writes the value, the last parameter, where the row has none of its own.
fn update_statement(table: &str, column: &str, keys: usize, found: &str, has_own: &str) -> String {
    format!(
        "UPDATE {} SET {} = ?{} WHERE ({found}) AND NOT ({has_own})",
        identifier(table),
        identifier(column),
        keys + 2
    )
}
