//! SQLite's checks of the pages, also where collations and functions are the application's own.

use std::collections::BTreeSet;

use rusqlite::{Connection, ffi, functions::FunctionFlags, types::Null};

/// What a check says.
#[derive(Debug, Default)]
pub(crate) struct PageCheck {
    /// What is wrong; nothing where all is well.
    pub(crate) lines: Vec<String>,
    /// Why indexes, or what CHECK constraints and generated columns say of rows, were not looked at.
    pub(crate) passed_over: Option<String>,
}

/// Looks at every page, and with `is_full` whether indexes agree with their tables.
///
/// What orders an index or computes a value, and only the application has, gets a stand-in, which stays: the connection
/// must not write, nor compare, afterwards.
///
/// # Errors
/// When SQLite cannot look.
pub(crate) fn check_pages(
    connection: &Connection,
    mut is_full: bool,
    limit: u32,
) -> rusqlite::Result<PageCheck> {
    let mut passed_over = None;
    let mut functions = BTreeSet::new();
    if !is_full {
        stand_in_for_collations(connection)?;
    }
    loop {
        let pragma = if is_full { "integrity_check" } else { "quick_check" };
        let error = match run(connection, pragma, limit) {
            Ok(mut lines) => {
                // What depends on stand-ins says nothing.
                lines.retain(|line| line != "ok" && (functions.is_empty() || !is_about_values(line)));
                return Ok(PageCheck { lines, passed_over });
            }
            Err(error) => error,
        };
        match unknown_function(&error) {
            Some(name) if functions.insert(name.clone()) => {
                // Without these flags SQLite lets no schema use it.
                let flags = FunctionFlags::SQLITE_UTF8
                    | FunctionFlags::SQLITE_DETERMINISTIC
                    | FunctionFlags::SQLITE_INNOCUOUS;
                connection.create_scalar_function(name.as_str(), -1, flags, |_| Ok(Null))?;
                connection.pragma_update(None, "ignore_check_constraints", true)?;
            }
            None if is_full && lacks_collation(&error) => {}
            _ => return Err(error),
        }
        if is_full {
            stand_in_for_collations(connection)?;
            is_full = false;
        }
        passed_over.get_or_insert(error.to_string());
    }
}

fn run(connection: &Connection, pragma: &str, limit: u32) -> rusqlite::Result<Vec<String>> {
    let mut check = connection.prepare(&format!("PRAGMA {pragma}({limit})"))?;
    let lines = check.query_map([], |row| {
        let line = row.get_ref(0)?;
        Ok(line
            .as_bytes_or_null()?
            .map(|text| String::from_utf8_lossy(text).into_owned()))
    })?;
    lines.filter_map(Result::transpose).collect()
}

/// Whether a line is about a value that a row has, and no page.
pub(crate) fn is_about_values(line: &str) -> bool {
    line.starts_with("CHECK constraint failed in ") || line.contains(" value in ")
}

/// Lets SQLite's quick check look at indexes that are ordered by collations of the application's own: it compares no
/// two keys. For nothing that does, or that writes.
///
/// # Errors
/// When SQLite is out of memory.
pub(crate) fn stand_in_for_collations(connection: &Connection) -> rusqlite::Result<()> {
    connection.collation_needed(|asked, name| asked.create_collation(name, str::cmp))
}

pub(crate) fn lacks_collation(error: &rusqlite::Error) -> bool {
    error
        .sqlite_error()
        .is_some_and(|error| error.extended_code == ffi::SQLITE_ERROR_MISSING_COLLSEQ)
}

/// The function that a statement ran into. SQLite has no code for it.
pub(crate) fn unknown_function(error: &rusqlite::Error) -> Option<String> {
    let text = error.to_string();
    let rest = text.split_once("unknown function: ")?.1;
    Some(rest.split_once("()")?.0.to_owned())
}
