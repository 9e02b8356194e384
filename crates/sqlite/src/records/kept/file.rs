//! One table of a file with what was kept: opened without trust, and read row by row.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use crate::sqlite::{ask::Ask, borrowed::Borrowed, connection::open_immutable, quote::identifier};
use bridge_migrate_core::Settings;

use super::{Kept, path_of};

/// The rows that a rollback kept of one table or column.
pub(super) struct KeptFile {
    reader: Connection,
    data: String,
    /// The names of the values that follow the row id. Of a column these are the key, what else a row without a key is
    /// known by, and, last, the column itself.
    pub(super) columns: Vec<String>,
    /// How many of them, from the first, were the table's key.
    pub(super) keys: usize,
    /// The largest row id that a row had.
    pub(super) last_row: i64,
}

impl KeptFile {
    /// Opens the file and makes sure that it is whole, and the one that the rollback made; why not, in words.
    pub(super) fn open(settings: &Settings, kept: &Kept) -> Result<Self, String> {
        let path = path_of(settings, &kept.file).ok_or("the record of its file is damaged")?;
        let reader = open_whole(&path)?;
        let content: Option<(Option<usize>, u64)> = reader
            .query_row(
                "SELECT keys, (SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1) FROM contents \
                 WHERE data = ?1 AND migration = ?2 AND name = ?3 AND table_name = ?4 AND column_name IS ?5",
                params![kept.data, kept.version, kept.name, kept.table, kept.column],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()
            .map_err(damaged)?;
        let Some((Some(keys), 1)) = content else {
            return Err("its file is not the one that the rollback made".to_owned());
        };
        let data = identifier(&kept.data);
        let (rows, last_row): (u64, i64) = reader
            .query_row(
                &format!("SELECT count(*), coalesce(max(bridge_migrate_rowid), 0) FROM {data}"),
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .map_err(damaged)?;
        let columns = column_names(&reader, &data).map_err(damaged)?;
        let own = columns.len().saturating_sub(1);
        let least = keys + usize::from(kept.column.is_some());
        if rows != kept.rows || own == 0 || own < least {
            return Err("its file is not the one that the rollback made".to_owned());
        }
        Ok(Self {
            reader,
            data,
            columns: columns.into_iter().skip(1).collect(),
            keys,
            last_row,
        })
    }

    /// The number of a row among those with the same values, from 1 in their order in the file.
    pub(super) fn nth_of_its_like(&self, row: &rusqlite::Row<'_>) -> rusqlite::Result<u64> {
        let columns: Vec<String> = self.columns.iter().map(|name| identifier(name)).collect();
        let sql = format!(
            "SELECT count(*) FROM {} WHERE rowid <= ? AND typeof(?) IS NOT NULL AND ({}) IS ({})",
            self.data,
            columns.join(", "),
            vec!["?"; columns.len()].join(", ")
        );
        let mut select = self.reader.prepare_cached(&sql)?;
        let all = (0..columns.len() + 2).map(|index| row.get_ref(index).map(Borrowed));
        let all: Vec<Borrowed<'_>> = all.collect::<rusqlite::Result<_>>()?;
        select.query_row(params_from_iter(all), |row| row.get(0))
    }

    /// Calls `each` with the rows from `first` on until it says that it has enough: the row's place in the file, the
    /// row id that it had, and its values. What it says goes on with the next row.
    pub(super) fn each_from<E>(
        &self,
        first: i64,
        mut each: impl FnMut(i64, &rusqlite::Row<'_>) -> Result<bool, E>,
    ) -> Result<(), E>
    where
        E: From<rusqlite::Error>,
    {
        let mut select = self.reader.prepare_cached(&format!(
            "SELECT rowid, * FROM {} WHERE rowid >= ?1 ORDER BY rowid",
            self.data
        ))?;
        let mut rows = select.query([first])?;
        while let Some(row) = rows.next()? {
            if !each(row.get(0)?, row)? {
                break;
            }
        }
        Ok(())
    }
}

/// What a file says that it holds, for one that is not on record.
pub(super) fn contents(settings: &Settings, file: &str) -> Result<Vec<Kept>, String> {
    let path = path_of(settings, file).ok_or("it is not the name of a kept file")?;
    let reader = open_whole(&path)?;
    let read = || -> rusqlite::Result<Vec<Kept>> {
        let mut select = reader.prepare(
            "SELECT ?1, data, '', '', migration, name, table_name, column_name, 0, 0 FROM contents WHERE data IN \
             (SELECT name FROM sqlite_schema WHERE type = 'table') ORDER BY data",
        )?;
        let mut kept = select
            .query_map([file], Kept::of)?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        for kept in &mut kept {
            let count = format!("SELECT count(*) FROM {}", identifier(&kept.data));
            kept.rows = reader.value(&count, [])?;
            kept.left = kept.rows;
        }
        Ok(kept)
    };
    read().map_err(damaged)
}

fn open_whole(path: &Path) -> Result<Connection, String> {
    if path.symlink_metadata().is_ok_and(|metadata| !metadata.is_file()) {
        return Err("its file is not a regular one".to_owned());
    }
    let reader = open_immutable(path).map_err(|error| error.message().to_owned())?;
    let answer: String = reader.value("PRAGMA quick_check(1)", []).map_err(damaged)?;
    match answer.as_str() {
        "ok" => Ok(reader),
        _ => Err("its file is damaged".to_owned()),
    }
}

fn column_names(reader: &Connection, data: &str) -> rusqlite::Result<Vec<String>> {
    let select = reader.prepare(&format!("SELECT * FROM {data}"))?;
    Ok(select.column_names().map(str::to_owned).collect())
}

#[expect(clippy::needless_pass_by_value, reason = "it stands where errors are mapped")]
fn damaged(error: rusqlite::Error) -> String {
    format!("its file is damaged: {error}")
}
