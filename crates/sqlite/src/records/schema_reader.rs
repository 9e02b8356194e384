//! The schema of a database that is asked for again and again.

use std::cell::{Cell, RefCell};
use std::{rc::Rc, time::Duration};

use rusqlite::Connection;

use crate::records::transaction::WriteTransaction;
use crate::schema::{Snapshot, expected, tool_tables};
use crate::sqlite::{ask::Ask, sqlite_error::SqliteContext};
use bridge_migrate_core::Result;

/// Reads the schema, without the tool's own tables, when SQLite's schema cookie says that it changed.
///
/// A transaction that is rolled back gives its cookie back, which another change may then take. So a reader must not
/// be used beyond a failed step.
pub(crate) struct SchemaReader<'a> {
    connection: &'a Connection,
    last: RefCell<Option<(i64, Rc<Snapshot>)>>,
    /// The cookie at which nothing foreign was on the tool's own tables, as a transaction found it that had just begun.
    no_foreign: Cell<Option<i64>>,
}

impl<'a> SchemaReader<'a> {
    pub(crate) fn new(connection: &'a Connection) -> Self {
        Self {
            connection,
            last: RefCell::new(None),
            no_foreign: Cell::new(None),
        }
    }

    /// The schema as it is now, inside the present transaction if there is one.
    pub(crate) fn read(&self) -> Result<Rc<Snapshot>> {
        let cookie = self.cookie()?;
        let mut last = self.last.borrow_mut();
        if let Some((of, schema)) = &*last
            && *of == cookie
        {
            return Ok(Rc::clone(schema));
        }
        let schema = Rc::new(match &*last {
            Some((_, before)) => expected::read_again(self.connection, before)?,
            None => expected::read(self.connection)?,
        });
        *last = Some((cookie, Rc::clone(&schema)));
        Ok(schema)
    }

    /// [`WriteTransaction::begin`], for one transaction after another: what is on the tool's own tables is looked at
    /// again when the cookie changed since the last one began. While it stays, SQLite runs what it knew then, too.
    pub(crate) fn begin(&self, timeout: Duration) -> Result<WriteTransaction<'a>> {
        let transaction = WriteTransaction::begin_unchecked(self.connection, timeout)?;
        let cookie = Some(self.cookie()?);
        if self.no_foreign.get() != cookie {
            tool_tables::refuse_foreign(self.connection)?;
            self.no_foreign.set(cookie);
        }
        Ok(transaction)
    }

    fn cookie(&self) -> Result<i64> {
        self.connection
            .setting("schema_version")
            .while_doing("read the schema")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::connection::{create_writer, open_writer};
    use bridge_migrate_core::ErrorKind;

    const WIPE: &str = "CREATE TRIGGER wipe AFTER INSERT ON migration_runs BEGIN DELETE FROM messages; END";

    fn rows(connection: &Connection) -> i64 {
        connection
            .query_row("SELECT count(*) FROM messages", [], |row| row.get(0))
            .unwrap()
    }

    #[test]
    fn what_others_put_on_the_tools_tables_between_two_transactions_never_runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let ours = create_writer(&path, Duration::ZERO).unwrap();
        tool_tables::create(&ours).unwrap();
        ours.execute_batch("CREATE TABLE messages (x); INSERT INTO messages VALUES (1), (2)")
            .unwrap();
        let theirs = open_writer(&path, Duration::ZERO).unwrap();
        let schemas = SchemaReader::new(&ours);
        let record =
            "INSERT INTO migration_runs VALUES (hex(randomblob(8)), '', '', '', 0, 0, 0, '', 0, '', '', '')";
        let write = || -> Result<()> {
            let transaction = schemas.begin(Duration::ZERO)?;
            ours.execute_batch(record).while_doing("record")?;
            transaction.commit().map(drop)
        };
        write().unwrap();
        // Behind SQLite's back: as long as the cookie stays, the connection runs what it knows.
        theirs
            .execute_batch(&format!(
                "PRAGMA writable_schema = ON; INSERT INTO sqlite_schema VALUES ('trigger', 'wipe', 'migration_runs', 0, '{WIPE}')"
            ))
            .unwrap();
        write().unwrap();
        assert_eq!(rows(&ours), 2);
        theirs
            .execute_batch("DELETE FROM sqlite_schema WHERE name = 'wipe'; PRAGMA writable_schema = RESET")
            .unwrap();
        // A transaction that is rolled back gives its cookie back, which the trigger then takes.
        let transaction = schemas.begin(Duration::ZERO).unwrap();
        ours.execute_batch("CREATE TABLE more (x)").unwrap();
        schemas.read().unwrap();
        drop(transaction);
        theirs.execute_batch(WIPE).unwrap();
        for _ in 0..2 {
            assert_eq!(write().unwrap_err().kind(), ErrorKind::Drift);
        }
        theirs.execute_batch("DROP TRIGGER wipe").unwrap();
        write().unwrap();
        assert_eq!(rows(&ours), 2);
    }
}
