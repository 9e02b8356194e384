//! A large database that servers write to is checked through a copy: SQLite's check of all pages is one long read, and in
//! rollback-journal mode nobody can write meanwhile.

use crate::backup;
use crate::sqlite::sqlite_error::is_damage;
use rusqlite::Connection;

use crate::files::database_file::bytes_with_sidecars;
use crate::sqlite::connection::open_immutable;
use bridge_migrate_core::{
    ErrorKind, Observer, Result, Settings, disk::place_for_copy, folder_of, whole_file::WholeFile,
};

/// Bytes whose pages even a slow disk gives within a second.
pub(super) const QUICKLY_CHECKED: u64 = 128 << 20;
/// The same for a check of the indexes too.
pub(super) const QUICKLY_CHECKED_IN_FULL: u64 = 16 << 20;
/// The same while a run is at work, which writes one small batch for each look that keeps it waiting.
pub(super) const CHECKED_BESIDE_A_RUN: u64 = 1 << 20;

/// A copy that stands still. Dropping it removes it.
pub(super) struct CopyToCheck {
    pub(super) reader: Connection,
    // Dropped after the reader: fields are dropped in the order of their declaration.
    _file: WholeFile,
}

/// A copy of the database when it is larger than `limit` and there is room for one.
pub(super) fn copy_if_large(
    settings: &Settings,
    limit: u64,
    observer: &dyn Observer,
) -> Result<Option<CopyToCheck>> {
    let database = &settings.database;
    let bytes = bytes_with_sidecars(database);
    if bytes <= limit {
        return Ok(None);
    }
    let folders = [&*settings.backup_dir, &folder_of(database)];
    let folder = match place_for_copy(&folders, bytes, "a copy to check") {
        Ok(folder) => folder,
        Err(error) if error.kind() == ErrorKind::DiskFull => {
            let message = format!(
                "servers cannot write while the pages are checked: {}",
                error.message()
            );
            observer.warn(message);
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let file = match backup::copy_into(settings, &folder, observer) {
        Ok(file) => file,
        // What is too damaged to be copied is looked at where it is.
        Err(error) if is_damage(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(Some(CopyToCheck {
        reader: open_immutable(file.path())?,
        _file: file,
    }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sqlite::connection::create_writer;
    use bridge_migrate_core::Silent;

    #[test]
    fn servers_write_while_a_copy_is_read_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::new(folder.path().join("a.db"));
        let server = create_writer(&settings.database, Duration::ZERO).unwrap();
        server
            .execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)")
            .unwrap();
        let bytes = settings.database.metadata().unwrap().len();
        assert!(copy_if_large(&settings, bytes, &Silent).unwrap().is_none());

        let copy = copy_if_large(&settings, bytes - 1, &Silent).unwrap().unwrap();
        let count = || -> i64 {
            let query = "SELECT count(*) FROM t";
            copy.reader.query_row(query, [], |row| row.get(0)).unwrap()
        };
        copy.reader.execute_batch("BEGIN").unwrap();
        assert_eq!(count(), 1);
        server.execute_batch("INSERT INTO t VALUES (2)").unwrap();
        assert_eq!(count(), 1);
        drop(copy);
        drop(server);
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }
}
