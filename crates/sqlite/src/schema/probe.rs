//! Whether views can be read and triggers run, as SQLite's compiler says without running them.

use rusqlite::{Connection, config::DbConfig};

use crate::schema::{Hidden, Object, ObjectKind, TableDetail};
use crate::sqlite::quote::identifier;

/// What SQLite says against a view or a trigger; none when it works, and for other objects.
pub(crate) fn complaint(connection: &Connection, object: &Object) -> Option<String> {
    match object.kind {
        ObjectKind::View => compile(connection, &format!("SELECT * FROM {}", identifier(&object.name))),
        ObjectKind::Trigger => {
            let table = identifier(&object.table);
            let detail = TableDetail::read(connection, &object.table).ok()?;
            let set: Vec<String> = detail
                .columns
                .iter()
                .filter(|column| column.hidden == Hidden::No)
                .map(|column| format!("{0} = {0}", identifier(&column.name)))
                .collect();
            [
                format!("INSERT INTO {table} DEFAULT VALUES"),
                format!("UPDATE {table} SET {}", set.join(", ")),
                format!("DELETE FROM {table}"),
            ]
            .iter()
            .find_map(|sql| compile(connection, sql))
        }
        ObjectKind::Table | ObjectKind::Index => None,
    }
}

fn compile(connection: &Connection, sql: &str) -> Option<String> {
    connection.prepare(sql).err().map(|error| message(&error))
}

/// Makes SQLite read `"text"` as a name everywhere, as standard SQL does.
pub(crate) fn without_quoted_strings(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    Ok(())
}

/// SQLite's words, without the statement and its offset.
pub(crate) fn message(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}
