//! The schema of a database that is asked for again and again.

use std::cell::RefCell;
use std::rc::Rc;

use rusqlite::Connection;

use crate::error::{Result, SqliteContext};
use crate::expected;
use crate::schema::Snapshot;

/// Reads the schema, without the tool's own tables, when SQLite's schema cookie says that it changed.
///
/// A transaction that is rolled back gives its cookie back, which another change may then take. So a reader must not
/// be used beyond a failed step.
pub(crate) struct SchemaReader<'a> {
    connection: &'a Connection,
    last: RefCell<Option<(i64, Rc<Snapshot>)>>,
}

impl<'a> SchemaReader<'a> {
    pub(crate) fn new(connection: &'a Connection) -> Self {
        Self {
            connection,
            last: RefCell::new(None),
        }
    }

    /// The schema as it is now, inside the present transaction if there is one.
    pub(crate) fn read(&self) -> Result<Rc<Snapshot>> {
        let cookie: i64 = self
            .connection
            .pragma_query_value(None, "schema_version", |row| row.get(0))
            .while_doing("read the schema")?;
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
}
