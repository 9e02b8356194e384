//! Imports of the companion file run again: they add what came since and change nothing else.

use serde::Serialize;

use crate::catalog::companion_rows::{add_missing, put};
use crate::files::{database_file::for_catalog, lock::MigrationLock};
use crate::going_back::restore::agree;
use crate::migrate::step::checks::conserving;
use crate::plan::drift;
use crate::records::{
    history::History, runs::Run, schema_reader::SchemaReader, state::State, transaction::WriteTransaction,
};
use crate::schema::{Difference, ObjectKind, effects::Writes, refusal::refusal};
use crate::sqlite::{connection, sqlite_error::SqliteContext};
use bridge_migrate_core::{Catalog, Error, ErrorKind, Hint, Observer, Result, Settings};

/// What running the imports again changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ImportedAgain {
    /// Rows that were not there yet.
    pub added: u64,
    /// Rows that had other values than the file says.
    pub overwritten: u64,
    /// Whether the companion file got what only the database said of its entries: that they are revoked.
    pub file_written: bool,
}

/// Runs the imports of all applied migrations again. With `overwrites` the file's values take the place of others, but
/// for revocations.
///
/// # Errors
/// When no applied migration imports anything, or the companion file is malformed.
pub fn import_again(
    catalog: &Catalog,
    settings: &Settings,
    overwrites: bool,
    observer: &dyn Observer,
) -> Result<ImportedAgain> {
    let settings = &for_catalog(catalog, settings)?;
    let _lock = MigrationLock::take(settings, "tokens import", observer)?;
    let writer = connection::open_writer(&settings.database, settings.busy_timeout)?;
    let history = History::read(&writer)?.unwrap_or_default();
    history.check(catalog)?;
    let imports: Vec<_> = catalog
        .migrations()
        .iter()
        .filter(|migration| migration.version <= history.version())
        .filter_map(|migration| migration.import.as_ref())
        .collect();
    if imports.is_empty() {
        return Err(
            Error::new(ErrorKind::Usage, "the database has no tables to import into yet")
                .with_truth(format!(
                    "It is at V{:03}. Nothing was changed.",
                    history.version()
                ))
                .with_hint(Hint::Migrate),
        );
    }
    let filled = |difference: &Difference| {
        let (Difference::ObjectUnexpected { object, table, .. }
        | Difference::ObjectChanged { object, table, .. }) = difference
        else {
            return false;
        };
        *object == ObjectKind::Trigger
            && imports
                .iter()
                .flat_map(|import| import.tables())
                .any(|filled| filled.name.eq_ignore_ascii_case(table))
    };
    let mut strangers = drift::find(catalog, &writer, &State::read(&writer)?)?;
    strangers.retain(filled);
    if !strangers.is_empty() {
        let what = "somebody put triggers on the tables that are filled";
        return Err(refusal(what, &strangers, &settings.database));
    }
    let version = history.version();
    let run = Run::begin(settings, "tokens import", version, version);
    run.with_log(settings, observer, |run, _| {
        let (mut added, mut overwritten) = (0, 0);
        for import in imports {
            let rows = import.read(settings.inputs())?;
            let transaction = WriteTransaction::begin(&writer, settings.busy_timeout)?;
            let writes = Writes::Statements {
                sql: "",
                fills: import.tables(),
            };
            let (new, other) =
                conserving(&writer, &SchemaReader::new(&writer), "the import", writes, || {
                    let new = add_missing(&writer, &rows)?;
                    let revocations = settings.companion_format.revocations();
                    let mut other = 0;
                    for rows in rows
                        .iter()
                        .filter(|rows| overwrites && !revocations.contains(&rows.table.name))
                    {
                        other += put(&writer, rows).while_doing("overwrite what the file says otherwise")?;
                    }
                    Ok((new, other))
                })?;
            // Where nothing was missing, the database stays as it is; the log has the run.
            if new + other > 0 {
                run.record(&writer, settings, version)?;
                transaction.commit()?;
            }
            added += new;
            overwritten += other;
        }
        let file_written = agree(settings, &writer)?;
        if file_written && added + overwritten == 0 {
            let transaction = WriteTransaction::begin(&writer, settings.busy_timeout)?;
            run.record(&writer, settings, version)?;
            transaction.commit()?;
        }
        Ok(ImportedAgain {
            added,
            overwritten,
            file_written,
        })
    })
}
