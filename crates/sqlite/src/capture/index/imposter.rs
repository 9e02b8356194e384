//! Imposter tables: they stand on the pages of an index, so that entries can be written to it one by one.
//!
//! One is in no file and known to one connection only, until that reads the schema again.

use std::ffi::c_int;

use rusqlite::{Connection, ffi};

use crate::sqlite::ask::Ask;
use crate::sqlite::quote::identifier;
use crate::sqlite::sqlite_error::SqliteContext;
use bridge_migrate_core::{Error, ErrorKind, Result};

const DOING: &str = "reach the entries of an index";

/// Has the imposter `name` be there, with these columns and this key, on the pages of `index`. Within a transaction that has
/// seen that the schema is as it was: SQLite drops the imposter when it is not.
///
/// # Errors
/// When there is no such index, or this SQLite makes no imposters.
pub(super) fn ensure(connection: &Connection, name: &str, index: &str, columns: &str) -> Result<()> {
    if connection.table_exists(Some("main"), name).while_doing(DOING)? {
        return Ok(());
    }
    // This also has SQLite read the schema, without which it must not be told to make an imposter.
    let root: u32 = connection
        .value(
            "SELECT rootpage FROM main.sqlite_schema WHERE type = 'index' AND name = ?1",
            [index],
        )
        .while_doing(DOING)?;
    set_mode(connection, 1, root)?;
    let made = connection
        .execute_batch(&format!(
            "CREATE TABLE {} ({columns}) WITHOUT ROWID",
            identifier(name)
        ))
        .while_doing(DOING);
    set_mode(connection, 0, 0)?;
    made?;
    let is_real: bool = connection
        .value(
            "SELECT EXISTS (SELECT 1 FROM main.sqlite_schema WHERE name = ?1)",
            [name],
        )
        .while_doing(DOING)?;
    if is_real {
        return Err(Error::new(
            ErrorKind::Sqlite,
            "this SQLite is built without what an index is built with",
        ));
    }
    Ok(())
}

/// Has the connection read the schema again, in which there is no imposter.
pub(super) fn forget_all(connection: &Connection) -> Result<()> {
    set_mode(connection, 0, 1)
}

/// While the mode is 1, a table that is created stands on the page `root`, and the file is not changed. With mode 0 and a page,
/// the connection forgets the schema.
fn set_mode(connection: &Connection, mode: c_int, root: u32) -> Result<()> {
    // SAFETY: the SQLite that is called is the one that this crate bundles and Cargo.lock pins, whose `sqlite3_test_control`
    // reads for this operation, in this order, an open connection, a name that ends with a zero, and two of `int`; they are
    // passed as just that. It keeps none of them, and sets three numbers that belong to the connection, under its mutex. The
    // connection is borrowed by this thread, and cannot be by another: it is not `Sync`. In mode 1 it may only be used to
    // create a table, which `ensure` does, and then ends the mode whatever came of it.
    // (https://sqlite.org/imposter.html; SQLite's own extension RBU calls it in the same way.)
    #[allow(unsafe_code, reason = "there is no statement that does this")]
    let code = unsafe {
        ffi::sqlite3_test_control(
            ffi::SQLITE_TESTCTRL_IMPOSTER,
            connection.handle(),
            c"main".as_ptr(),
            mode,
            root.cast_signed(),
        )
    };
    match code {
        ffi::SQLITE_OK => Ok(()),
        code => Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)).while_doing(DOING),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::connection::open_scratch;

    #[test]
    fn what_is_written_to_an_imposter_is_in_the_index_and_nobody_else_sees_the_imposter() {
        // The proof at the call was made for this version: read `SQLITE_TESTCTRL_IMPOSTER` in its source before this is changed.
        assert_eq!(rusqlite::version_number(), 3_054_001);
        let connection = open_scratch().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE t (a); INSERT INTO t VALUES (7), (NULL); CREATE INDEX i ON t (a) WHERE 0",
            )
            .unwrap();
        let columns = "a, r, PRIMARY KEY (a, r)";
        ensure(&connection, "im\"poster", "i", columns).unwrap();
        ensure(&connection, "im\"poster", "i", columns).unwrap();
        connection
            .execute_batch("INSERT INTO \"im\"\"poster\" VALUES (7, 1), (NULL, 2)")
            .unwrap();
        connection
            .execute_batch(
                "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON t (a)' WHERE name = 'i';
                 PRAGMA writable_schema = RESET",
            )
            .unwrap();
        let check: String = connection.value("PRAGMA integrity_check", []).unwrap();
        assert_eq!(check, "ok");
        assert!(!connection.table_exists(Some("main"), "im\"poster").unwrap());
        ensure(&connection, "x", "i", columns).unwrap();
        forget_all(&connection).unwrap();
        assert!(!connection.table_exists(Some("main"), "x").unwrap());
        assert!(ensure(&connection, "x", "none", columns).is_err());
        assert!(ensure(&connection, "x", "i", "no columns (").is_err());
        connection.execute_batch("CREATE TABLE real (x)").unwrap();
        assert!(connection.table_exists(Some("main"), "real").unwrap());
        let tables: i64 = connection
            .value("SELECT count(*) FROM sqlite_schema", [])
            .unwrap();
        assert_eq!(tables, 3, "the mode ends when the table cannot be made");
    }
}
