//! Large tables that change while servers write: the rows written meanwhile, and an index built beside them.

pub(crate) mod batches;
pub(crate) mod beside;
pub(crate) mod dirty_rows;
#[cfg(test)]
mod dirty_rows_tests;
pub(crate) mod index;
#[cfg(test)]
mod index_tests;
pub(crate) mod online;
pub(crate) mod shadow;

use rusqlite::Connection;

use crate::schema::row_number::RowNumber;
use crate::sqlite::ask::Ask;
use crate::sqlite::sqlite_error::SqliteContext;
use bridge_migrate_core::{Error, ErrorKind, Result};

/// The name, quoted, by which SQL reaches the row ids of `table`; `None` where it has none, or columns hide every name.
///
/// # Errors
/// When SQLite cannot look into the table.
pub(crate) fn rowid_of(connection: &Connection, table: &str) -> Result<Option<String>> {
    let doing = "look at the columns of a table";
    let mut is_ordinary = false;
    connection
        .pragma(Some("main"), "table_list", table, |row| {
            is_ordinary |=
                row.get::<_, String>("schema")? == "main" && row.get::<_, String>("type")? == "table";
            Ok(())
        })
        .while_doing(doing)?;
    match is_ordinary {
        true => Ok(RowNumber::of(connection, table).while_doing(doing)?.name),
        false => Ok(None),
    }
}

/// What is to be used, or why it cannot be, as a part of a sentence.
pub(crate) type Eligible<T> = std::result::Result<T, String>;

/// Why SQLite refuses to compile something, as where it lacks a function or a collation of the application's. Other failures
/// stay what they are.
fn refused(error: Error) -> Result<String> {
    use rusqlite::Error::{SqlInputError, SqliteFailure};
    let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref());
    match source {
        Some(SqlInputError { msg, .. } | SqliteFailure(_, Some(msg)))
            if error.kind() == ErrorKind::Sqlite =>
        {
            Ok(msg.clone())
        }
        _ => Err(error),
    }
}

/// Runs `make` in the present transaction. Where it says why not, or SQLite refuses to compile something, nothing of it stays.
fn all_or_nothing<T>(
    connection: &Connection,
    doing: &str,
    make: impl FnOnce() -> Result<Eligible<T>>,
) -> Result<Eligible<T>> {
    connection
        .execute_batch("SAVEPOINT migration_begin")
        .while_doing(doing)?;
    let made = make();
    let undo = match &made {
        Ok(Ok(_)) => "",
        Ok(Err(_)) | Err(_) => "ROLLBACK TO migration_begin; ",
    };
    connection
        .execute_batch(&format!("{undo}RELEASE migration_begin"))
        .while_doing(doing)?;
    made.or_else(|error| refused(error).map(Err))
}

/// The table's name as the schema has it.
fn stored_name(connection: &Connection, table: &str) -> Result<String> {
    connection
        .value(
            "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE",
            [table],
        )
        .while_doing("read the schema")
}

/// An index as SQLite sees it.
struct IndexInfo {
    name: String,
    unique: bool,
    partial: bool,
    keys: Vec<KeyInfo>,
}

/// A key of an index; the column is `None` for an expression.
struct KeyInfo {
    column: Option<String>,
    collation: String,
    descending: bool,
}

fn indexes(connection: &Connection, table: &str) -> Result<Vec<IndexInfo>> {
    let mut indexes = Vec::new();
    connection
        .pragma(Some("main"), "index_list", table, |row| {
            indexes.push(IndexInfo {
                name: row.get("name")?,
                unique: row.get("unique")?,
                partial: row.get("partial")?,
                keys: Vec::new(),
            });
            Ok(())
        })
        .while_doing("look at the indexes of a table")?;
    for index in &mut indexes {
        index.keys = keys_of(connection, &index.name)?;
    }
    Ok(indexes)
}

fn keys_of(connection: &Connection, index: &str) -> Result<Vec<KeyInfo>> {
    let mut keys = Vec::new();
    connection
        .pragma(Some("main"), "index_xinfo", index, |row| {
            if row.get("key")? {
                keys.push(KeyInfo {
                    column: row.get("name")?,
                    collation: row.get("coll")?,
                    descending: row.get("desc")?,
                });
            }
            Ok(())
        })
        .while_doing("look at the keys of an index")?;
    Ok(keys)
}

/// What the schema cookie is now: every change of the schema makes it another, and so does VACUUM, which may give rows other
/// ids.
pub(crate) fn schema_cookie(connection: &Connection) -> Result<i64> {
    connection
        .setting("schema_version")
        .while_doing("read the schema")
}

/// Runs `edit`, which may write to `sqlite_schema`, in the present transaction. Afterwards this connection has read the schema
/// again, and every other one will: what SQLite does not understand fails here, and the transaction is to be rolled back.
///
/// # Errors
/// Those of `edit`; when the schema is not one that SQLite understands.
pub(crate) fn edit_schema(connection: &Connection, edit: impl FnOnce() -> Result<()>) -> Result<()> {
    let doing = "change the schema";
    let cookie = schema_cookie(connection)?;
    connection
        .pragma_update(None, "writable_schema", true)
        .while_doing(doing)?;
    let edited = edit();
    // Also after a failure: the connection would keep the right to write there.
    let reset = connection
        .execute_batch("PRAGMA writable_schema = RESET")
        .while_doing(doing);
    edited?;
    reset?;
    // The cookie, by which others see it, is in 32 bits.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "it goes on from the smallest number after the largest"
    )]
    let next = (cookie as i32).wrapping_add(1);
    connection
        .pragma_update(None, "schema_version", next)
        .while_doing(doing)?;
    connection
        .value::<i64>("SELECT count(*) FROM main.sqlite_schema", [])
        .while_doing(doing)
        .map(drop)
}

/// An UPDATE of `sqlite_schema` that must change exactly one row, within [`edit_schema`].
///
/// # Errors
/// [`ErrorKind::SchemaMismatch`] when it changed none, or several.
pub(crate) fn edit_one(connection: &Connection, update: &str, values: impl rusqlite::Params) -> Result<()> {
    match connection
        .execute(update, values)
        .while_doing("change the schema")?
    {
        1 => Ok(()),
        rows => Err(Error::new(
            ErrorKind::SchemaMismatch,
            format!("an entry of the schema was to be changed, and {rows} are as it was expected"),
        )
        .with_truth("The transaction was rolled back.")),
    }
}
