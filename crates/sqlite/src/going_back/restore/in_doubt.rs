//! What is true when putting the content back failed: a commit, or a rename, can fail after it happened.

use std::path::Path;

use super::{again, same_pages::same_pages};
use crate::files::database_file::{FileState, inspect};
use crate::records::failed_run::after_replacing;
use crate::sqlite::connection::{begin_reading, open_writer};
use crate::sqlite::sqlite_error::SqliteContext;
use bridge_migrate_core::{Error, Result, Settings};

/// What stands at the database's path.
enum Standing {
    AsInBackup,
    AsBefore,
    /// Neither: another process wrote since, or has it open so that its log stays.
    Other,
}

/// Adds to an error what is there now, found by looking. `put` is what was put there from `backup`; `before` is a copy of
/// what was there, if there is one.
pub(super) fn in_doubt(
    error: Error,
    settings: &Settings,
    (backup, put): (&Path, &Path),
    before: Option<&Path>,
) -> Error {
    match standing(settings, put, before) {
        Ok(Standing::AsInBackup) => {
            let rest = "The companion file is as it was. Run the restore again.";
            after_replacing(error, settings, backup, rest).with_hint(again(backup))
        }
        Ok(Standing::AsBefore) => error.with_truth("The database is as it was."),
        Ok(Standing::Other) | Err(_) => error
            .with_truth("The database is whole: as it was, or as in the backup. Run the restore again.")
            .with_hint(again(backup)),
    }
}

fn standing(settings: &Settings, backup: &Path, before: Option<&Path>) -> Result<Standing> {
    let database = &settings.database;
    if inspect(database)? == FileState::Missing {
        return Ok(match before {
            None => Standing::AsBefore,
            Some(_) => Standing::Other,
        });
    }
    let live = open_writer(database, settings.busy_timeout)?;
    // Of a database without a log this does nothing; blocked by readers, the log stays and is seen below.
    let _ = live.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    // What the failed transaction left, SQLite takes back for the first who reads.
    let _snapshot = begin_reading(&live).while_doing(format_args!("look at {}", database.display()))?;
    if same_pages(database, backup)? {
        return Ok(Standing::AsInBackup);
    }
    match before {
        Some(before) if same_pages(database, before)? => Ok(Standing::AsBefore),
        _ => Ok(Standing::Other),
    }
}
