//! Schemas for the tests of this module.

use rusqlite::Connection;

use crate::schema::Snapshot;

/// The statements of release 1.0.0, as the Bridge's Python server writes them.
pub(super) const RELEASE_1_0_0: &str = include_str!("../../../../../tests/server_1_0_0.sql");

/// A database in memory with the schema that `sql` makes.
pub(super) fn database(sql: &str) -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(sql).unwrap();
    connection
}

/// The schema that `sql` makes.
pub(super) fn snapshot(sql: &str) -> Snapshot {
    Snapshot::read(&database(sql)).unwrap()
}
