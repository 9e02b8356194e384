//! Damage, as SQLite's own checks tell of it.

use std::path::Path;

use rusqlite::Connection;

use crate::backup::unread_page;
use crate::sqlite::page_check::{check_pages, is_about_values};
use crate::sqlite::sqlite_error::SqliteContext;
use bridge_migrate_core::{Error, ErrorKind, IoContext, Result};

use super::codes::{self, Code};
use super::report::Report;

/// Lines that a database may say about its damage.
const MAX_LINES: u32 = 100;

pub(super) fn check(connection: &Connection, full: bool, report: &mut Report) -> Result<()> {
    let doing = match full {
        true => "check the pages and indexes of the database",
        false => "check the pages of the database",
    };
    let checked = check_pages(connection, full, MAX_LINES).while_doing(doing)?;
    if let Some(why) = checked.passed_over {
        report.add(&codes::UNORDERED, "database", why);
    }
    for line in checked
        .lines
        .iter()
        .flat_map(|text| text.lines())
        .filter(|line| !is_heading(line))
    {
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
    Ok(())
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
    if is_about_values(line) {
        &codes::CONSTRAINT
    } else {
        &codes::DAMAGED
    }
}
