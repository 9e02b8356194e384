//! Files with what a way back drops, from which `kept` takes it back.
//!
//! A file is a database of its own: `contents` says what each `data_N` holds. It is complete and on disk
//! before the transaction that drops anything commits.

use std::path::PathBuf;

use rusqlite::{Connection, params, params_from_iter};

use crate::records::{kept::Kept, runs::Run};
use crate::schema::{Hidden, TableDetail};
use crate::sqlite::connection::{create_writer, open_immutable};
use crate::sqlite::{ask::Ask, borrowed::Borrowed, quote::identifier, sqlite_error::SqliteContext};
use bridge_migrate_core::clock::{file_stamp, timestamp};
use bridge_migrate_core::whole_file::{Publication, WholeFile};
use bridge_migrate_core::{Error, ErrorKind, Result, Settings};

use super::steps::StepBack;
use crate::schema::{dropped::Dropped, own_values::is_not_default};

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
    let mut contents = Vec::new();
    {
        let file = create_writer(whole.path(), settings.busy_timeout)?;
        let doing = "write what is dropped into a file";
        file.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN")
            .while_doing(doing)?;
        file.execute_batch(CREATE).while_doing(doing)?;
        for (number, dropped) in wanted.into_iter().enumerate() {
            let data = format!("data_{number}");
            let rows = copy(connection, &file, step, dropped, &data)?;
            contents.push((data, dropped, rows));
        }
        file.execute_batch("COMMIT").while_doing(doing)?;
    }
    let (verified, ()) = whole.verified(|whole| {
        let reader = open_immutable(whole.path())?;
        let answer: String = reader
            .value("PRAGMA quick_check(1)", [])
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
    for (data, dropped, rows) in contents {
        let kept = Kept {
            file: name.clone(),
            data,
            run: run.name.clone(),
            kept_at: timestamp(settings.clock.now()),
            version: step.recorded.version,
            name: step.recorded.name.clone(),
            table: dropped.table().to_owned(),
            column: dropped.column().map(str::to_owned),
            rows,
            left: rows,
            problem: None,
        };
        crate::records::kept::record(connection, &kept)?;
    }
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
) -> Result<u64> {
    let table = dropped.table();
    let doing = format!("copy what is dropped of {table}");
    let detail = TableDetail::read(connection, table).while_doing(&doing)?;
    let keys = detail.clone().into_key_columns();
    let columns = detail.columns.into_iter();
    // What is computed can be computed again, and not written.
    let writable = columns
        .filter(|column| column.hidden == Hidden::No)
        .map(|column| column.name);
    let (columns, condition) = match dropped {
        Dropped::Table(_) => (writable.collect::<Vec<_>>(), "1".to_owned()),
        Dropped::Column { column, .. } => {
            let mut columns = keys.clone();
            let is_dropped = |name: &String| {
                let is = |dropped: &Dropped| dropped.table() == table && dropped.column() == Some(name);
                step.kept.iter().any(is)
            };
            columns.extend(writable.filter(|name| !keys.contains(name) && !is_dropped(name)));
            columns.push(column.clone());
            (columns, is_not_default(connection, table, column)?)
        }
    };
    let quoted: Vec<String> = columns.iter().map(|column| identifier(column)).collect();
    let mut selected = quoted.clone();
    if dropped.column().is_some() && !keys.is_empty() {
        // A row with a key needs nothing else to be found again; VACUUM gives one without it another row id.
        let no_key: Vec<String> = quoted
            .iter()
            .take(keys.len())
            .map(|key| format!("{key} IS NULL"))
            .collect();
        let no_key = no_key.join(" OR ");
        let others = keys.len()..quoted.len() - 1;
        for column in selected.get_mut(others).unwrap_or_default() {
            *column = format!("CASE WHEN {no_key} THEN {column} END");
        }
    }
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
            selected.join(", "),
            identifier(table)
        ))
    };
    // A table WITHOUT ROWID has a key without NULL, and so needs none.
    let mut select = select("_rowid_").or_else(|_| select("0")).while_doing(&doing)?;
    let width = columns.len() + 1;
    let mut copied = 0;
    let mut rows = select.query([]).while_doing(&doing)?;
    while let Some(row) = rows.next().while_doing(&doing)? {
        let values: Vec<Borrowed<'_>> = (0..width)
            .map(|index| row.get_ref(index).map(Borrowed))
            .collect::<rusqlite::Result<_>>()
            .while_doing(&doing)?;
        copied += insert.execute(params_from_iter(values)).while_doing(&doing)? as u64;
    }
    file.execute(
        "INSERT INTO contents (data, migration, name, table_name, column_name, keys) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![data, step.recorded.version, step.recorded.name, table, dropped.column(), keys.len()],
    )
    .while_doing(&doing)?;
    Ok(copied)
}
