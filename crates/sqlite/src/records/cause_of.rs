//! What may be recorded of why a run failed.

use std::error::Error as _;

use crate::schema::expected;
use crate::sqlite::connection::with_reader;
use bridge_migrate_core::{Cause, Error, ErrorKind, Settings};

/// What may be recorded of the error.
pub(crate) fn cause_of(error: &Error, settings: &Settings) -> Cause {
    let sqlite = sqlite_failure(error);
    let place = error.place();
    let because = match error.kind() {
        // The words of a parser may repeat what is in the file.
        ErrorKind::CompanionInvalid => None,
        _ => match &sqlite {
            Some(failure) if is_harmless(failure, settings) => Some(failure.words.clone()),
            Some(failure) => Some(rusqlite::ffi::code_to_str(failure.code).to_owned()),
            None => error.source().map(words),
        },
    };
    Cause {
        message: error.message().to_owned(),
        sqlite_code: sqlite.as_ref().map(|failure| failure.code),
        table: place
            .map(|place| place.table.clone())
            .or_else(|| sqlite.and_then(|failure| table_in(&failure.words).map(str::to_owned))),
        row: place.and_then(|place| Some(place.row.as_ref()?.1.clone())),
        rowid: place.and_then(|place| Some(place.row.as_ref()?.0)),
        because,
    }
}

struct SqliteFailure {
    code: i32,
    words: String,
}

fn sqlite_failure(error: &Error) -> Option<SqliteFailure> {
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(failure) = cause.downcast_ref::<rusqlite::Error>()
            && let Some(code) = failure.sqlite_error()
        {
            let words = match failure {
                rusqlite::Error::SqliteFailure(_, words) => words.clone(),
                rusqlite::Error::SqlInputError { msg, .. } => Some(msg.clone()),
                _ => None,
            };
            return Some(SqliteFailure {
                code: code.extended_code,
                words: words.unwrap_or_else(|| rusqlite::ffi::code_to_str(code.extended_code).to_owned()),
            });
        }
        next = cause.source();
    }
    None
}

/// All that lies beneath an error, each cause after the one above it.
fn words(source: &(dyn std::error::Error + 'static)) -> String {
    let mut words = source.to_string();
    let mut next = source.source();
    while let Some(cause) = next {
        let more = cause.to_string();
        if !words.contains(&more) {
            words.push_str(&format!(": {more}"));
        }
        next = cause.source();
    }
    words
}

/// Whether SQLite's words hold names only. What a trigger says may be made of a row's values: it is repeated only
/// where the trigger's text says it word for word. A path into JSON is a value, too.
fn is_harmless(failure: &SqliteFailure, settings: &Settings) -> bool {
    match failure.code {
        rusqlite::ffi::SQLITE_CONSTRAINT_TRIGGER => {
            let literal = format!("'{}'", failure.words.replace('\'', "''"));
            with_reader(&settings.database, settings.busy_timeout, |reader| {
                expected::read(reader)
            })
            .is_ok_and(|schema| schema.iter().any(|object| object.sql.contains(&literal)))
        }
        rusqlite::ffi::SQLITE_ERROR => !failure.words.to_lowercase().contains("json"),
        _ => true,
    }
}

/// The table that SQLite's words name: `UNIQUE constraint failed: messages.id`.
fn table_in(words: &str) -> Option<&str> {
    let (_, column) = words.split_once(" constraint failed: ")?;
    let (table, _) = column.split_once('.')?;
    Some(table)
}
