//! The restore point of a rollback: where it is, whether it is as it was, and what it lacks.

use std::collections::BTreeSet;

use rusqlite::Connection;

use crate::backup::{self, Backup, Manifest};
use crate::records::runs;
use bridge_migrate_core::{Error, ErrorKind, Hint, Keep, Loss, Position, Result, Settings, Silent};

use super::{Strategy, plan::reason, since, steps::Imported};

/// The restore point, and what going back to it would lose.
///
/// # Errors
/// Why there is none.
pub(super) fn find(
    settings: &Settings,
    connection: &Connection,
    version: u32,
    written: &BTreeSet<String>,
    imported: &[Imported],
    keep: Keep,
) -> Result<(Backup, Vec<Loss>)> {
    let point = restore_point(settings, connection, version)?;
    let loses =
        since::of_restoring(settings, connection, &point, written, imported, keep).map_err(|error| {
            match error.kind() {
                ErrorKind::CompanionInvalid => none(format!(
                    "{}; the one of the `backup` does without it",
                    reason(&error)
                ))
                .with_hint(by(version, Strategy::Restore, Keep::Backup)),
                _ => error,
            }
        })?;
    Ok((point, loses))
}

/// There is no restore point to go back to.
fn none(why: String) -> Error {
    Error::new(ErrorKind::NotReversible, why)
}

/// The backup of the newest run that went up from `version`.
fn restore_point(settings: &Settings, connection: &Connection, version: u32) -> Result<Backup> {
    let run = runs::read_runs(connection)?
        .into_iter()
        .rfind(|run| run.command == "migrate" && run.from == version)
        .ok_or_else(|| none(format!("no run began at V{version:03}")))?;
    let manifest = run.backup.ok_or_else(|| {
        let run = &run.run;
        none(format!("run {run}, which began at V{version:03}, made no backup"))
    })?;
    let database = manifest.strip_suffix(".json").unwrap_or(&manifest);
    let is_it = |manifest: &Manifest| manifest.run.as_ref() == Some(&run.run);
    let backup = backup::find_again(settings, database.as_ref(), is_it)?
        .filter(|backup| backup.state == backup::Completeness::Complete)
        .ok_or_else(|| none(format!("the restore point {database} is gone or not complete")))?;
    match backup::verify(settings, &backup, false, &Silent)?.first() {
        None => Ok(backup),
        Some(problem) => {
            // Which one it is: a folder that was copied has its own.
            let (database, message) = (backup.database.display(), &problem.message);
            Err(none(format!(
                "the restore point {database} is not as it was: {message}"
            )))
        }
    }
}

/// The system or SQLite gave no answer about the restore point: no other way is taken in its place unasked.
pub(super) fn unread(unread: Error, from: Position, down_to: Option<u32>) -> Error {
    let error = unread.with_truth(format!(
        "The restore point could not be looked at. The database is at {from}. Nothing was changed."
    ));
    match down_to {
        Some(to) => error.with_other_way(by(to, Strategy::Down, Keep::Merge), "goes back without it."),
        None => error,
    }
}

/// A look at one way back.
pub(super) fn by(to: u32, strategy: Strategy, companion: Keep) -> Hint {
    Hint::RollbackBy {
        to,
        strategy,
        companion,
        confirmed: false,
    }
}
