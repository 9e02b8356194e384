//! Damage, as SQLite's own checks tell of it.

use std::path::Path;

use rusqlite::{Connection, types::ValueRef};

use crate::backup::unread_page;
use crate::sqlite::{connection::stand_in_for_collations, sqlite_error::SqliteContext};
use bridge_migrate_core::{Error, ErrorKind, IoContext, Result};

use super::codes::{self, Code};
use super::report::Report;

/// Lines that a database may say about its damage.
const MAX_LINES: u32 = 100;

pub(super) fn check(connection: &Connection, full: bool, report: &mut Report) -> Result<()> {
    let (pragma, doing) = if full {
        ("integrity_check", "check the pages and indexes of the database")
    } else {
        ("quick_check", "check the pages of the database")
    };
    let prepare = |pragma| connection.prepare(&format!("PRAGMA {pragma}({MAX_LINES})"));
    let mut check = match prepare(pragma) {
        Err(error) if lacks_collation(&error) => {
            if full {
                report.add(&codes::UNORDERED, "database", error.to_string());
            }
            stand_in_for_collations(connection).while_doing(doing)?;
            prepare("quick_check")
        }
        prepared => prepared,
    }
    .while_doing(doing)?;
    let mut rows = check.query([]).while_doing(doing)?;
    while let Some(row) = rows.next().while_doing(doing)? {
        let text = match row.get_ref(0).while_doing(doing)? {
            ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
            _ => continue,
        };
        for line in text.lines().filter(|line| *line != "ok" && !is_heading(line)) {
            match unread_page(line) {
                Some(ErrorKind::OutOfMemory) => {
                    return Err(Error::new(
                        ErrorKind::OutOfMemory,
                        format!("cannot {doing}: {line}"),
                    ));
                }
                Some(_) => report.add(&codes::UNREADABLE, "database", line),
                None => report.add(code_of(line), "database", line),
            }
        }
    }
    Ok(())
}

fn lacks_collation(error: &rusqlite::Error) -> bool {
    error
        .sqlite_error()
        .is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_ERROR_MISSING_COLLSEQ)
}

/// Compares the file's length with what its header says: SQLite takes what is missing of a last page for zeros.
pub(super) fn check_length(connection: &Connection, database: &Path, report: &mut Report) -> Result<()> {
    let doing = "read the size of the database";
    // Twice, because a server may be making the file shorter.
    for look in 0..2 {
        let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
        let pages: u64 = pragma("page_count").while_doing(doing)?;
        let needed = pages.saturating_mul(pragma("page_size").while_doing(doing)?);
        let bytes = database.metadata().on_file("look at", database)?.len();
        if bytes >= needed {
            break;
        }
        if look == 1 {
            report.add(
                &codes::DAMAGED,
                "database",
                format!("the file is cut short: it has {bytes} bytes, and its {pages} pages need {needed}"),
            );
        }
    }
    Ok(())
}

fn is_heading(line: &str) -> bool {
    line.starts_with("*** in database")
}

/// Rows that break a constraint are whole rows: no page is damaged.
fn code_of(line: &str) -> &'static Code {
    let broken = ["NULL value in ", "CHECK constraint failed in "];
    if broken.iter().any(|start| line.starts_with(start)) {
        &codes::CONSTRAINT
    } else {
        &codes::DAMAGED
    }
}
