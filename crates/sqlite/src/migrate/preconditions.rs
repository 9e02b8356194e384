//! What is looked at before a migration writes: refusals, and what an operator should know.

use std::time::Instant;

use rusqlite::{Connection, OptionalExtension};

use crate::backup;
use crate::catalog::data;
use crate::plan::{Plan, Start};
use crate::schema::{ObjectKind, script::Rebuild, trial};
use crate::sqlite::pace::{self, let_writers_in};
use crate::sqlite::{connection::open_writer, page_check::check_pages, sqlite_error::SqliteContext};
use bridge_migrate_core::{Catalog, Error, ErrorKind, Hint, Observer, Result, Settings};

/// Steps of SQLite between two looks at the clock.
const STEPS_BETWEEN_LOOKS: i32 = 1000;

/// Looks for damage, but keeps servers that want to write no longer from it than a batch may.
pub(crate) fn refuse_damaged(settings: &Settings, observer: &dyn Observer) -> Result<()> {
    let doing = "check the pages of the database";
    let patience = pace::beside_others(settings.lock_budget);
    // A connection of its own: stand-ins stay on it.
    let mut connection = open_writer(&settings.database, settings.busy_timeout)?;
    let began = Instant::now();
    connection
        .progress_handler(STEPS_BETWEEN_LOOKS, Some(move || began.elapsed() > patience))
        .while_doing(doing)?;
    let checked = match check_pages(&connection, false, 1) {
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) => {
            observer.warn(format!(
                "not all pages were checked for damage: without a backup that would keep servers waiting for \
                     longer than {} ms",
                patience.as_millis()
            ));
            let_writers_in(patience);
            return Ok(());
        }
        checked => checked.while_doing(doing)?,
    };
    let Some(answer) = checked.lines.first() else {
        return Ok(());
    };
    let (kind, what) = match backup::unread_page(answer) {
        Some(kind) => (kind, "a page of the database cannot be read"),
        None => (ErrorKind::Corrupt, "the database is damaged"),
    };
    Err(Error::unchanged(kind, format!("{what}: {answer}")).with_hint(Hint::BackupList))
}

/// Refuses a plan whose data steps would leave rows as they are.
pub(crate) fn refuse_unconvertible(
    catalog: &Catalog,
    settings: &Settings,
    connection: &Connection,
    plan: &Plan,
) -> Result<()> {
    for step in &plan.steps {
        let Some(data_step) = catalog
            .get(step.version)
            .and_then(|migration| migration.data.as_ref())
        else {
            continue;
        };
        // A column that only comes into being on the way has no values yet.
        if !plan_has_column(connection, data_step.table(), data_step.column()) {
            continue;
        }
        let mut first = Vec::new();
        let mut count: u64 = 0;
        data::unconvertible(data_step, connection, &settings.time_zone, &mut |key, why| {
            count += 1;
            if first.len() < 10 {
                first.push(format!("{key} ({why})"));
            }
        })?;
        if count > 0 {
            let more = count - first.len() as u64;
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            return Err(Error::unchanged(
                ErrorKind::NotConvertible,
                format!(
                    "{} cannot convert {count} values of {}.{}: {}{more}",
                    step.stem,
                    data_step.table(),
                    data_step.column(),
                    first.join(", ")
                ),
            )
            .with_hint(Hint::Migrate));
        }
    }
    Ok(())
}

/// Refuses a plan with a rebuild that rows do not fit. A table that earlier steps change first is tried when it is as the
/// rebuild finds it.
pub(crate) fn refuse_unfit(catalog: &Catalog, connection: &Connection, plan: &Plan) -> Result<()> {
    for step in &plan.steps {
        let Some(rebuild) = catalog.get(step.version).and_then(Rebuild::of) else {
            continue;
        };
        let sql = "SELECT sql FROM main.sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE";
        let live: Option<String> = connection
            .query_row(sql, [rebuild.table()], |row| row.get(0))
            .optional()
            .while_doing("read the schema")?;
        let found = step.found.get(ObjectKind::Table, rebuild.table());
        if live.is_some() && live.as_ref() == found.map(|table| &table.sql) {
            trial::refuse_unfit(connection, &step.stem, &rebuild)?;
        }
    }
    Ok(())
}

fn plan_has_column(connection: &Connection, table: &str, column: &str) -> bool {
    connection
        .column_exists(Some("main"), table, column)
        .unwrap_or(false)
}

/// A path with a slip in it looks like an application that never had the file: it must not pass in silence.
pub(crate) fn warn_of_missing_file(
    catalog: &Catalog,
    settings: &Settings,
    plan: &Plan,
    observer: &dyn Observer,
) {
    if plan.start == Start::Fresh || settings.companion.symlink_metadata().is_ok() {
        return;
    }
    for step in &plan.steps {
        if catalog
            .get(step.version)
            .is_some_and(|migration| migration.import.is_some())
        {
            observer.warn(format!(
                "there is no {}: {} imports nothing from it",
                settings.companion.display(),
                step.stem
            ));
        }
    }
}
