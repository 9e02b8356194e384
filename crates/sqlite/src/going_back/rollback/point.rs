//! The restore point of a rollback: where it is, whether it is as it was, and what it lacks.

use std::collections::BTreeSet;

use rusqlite::Connection;

use crate::backup::{self, Backup, Manifest};
use crate::records::runs;
use bridge_migrate_core::{Error, ErrorKind, Keep, Loss, Position, Result, Settings, Silent};

use super::plan::{reason, unless_unreadable};
use super::{Strategy, since, steps::Imported};

/// The restore point and what going back to it would lose, or why there is none.
pub(super) fn look(
    settings: &Settings,
    connection: &Connection,
    version: u32,
    written: &BTreeSet<String>,
    imported: &[Imported],
    keep: Keep,
) -> Result<std::result::Result<(Backup, Vec<Loss>), String>> {
    let point = match unless_unreadable(restore_point(settings, connection, version))? {
        Ok(Ok(point)) => point,
        Ok(Err(why)) => return Ok(Err(why)),
        Err(error) => return Ok(Err(reason(error))),
    };
    let loses = since::of_restoring(settings, connection, &point, written, imported, keep);
    Ok(unless_unreadable(loses)?
        .map_err(|error| match error.kind() {
            ErrorKind::CompanionInvalid => {
                format!("{}; the one of the backup does without it", reason(error))
            }
            _ => reason(error),
        })
        .map(|loses| (point, loses)))
}

/// The backup of the newest run that went up from `version`, or why it is none.
fn restore_point(
    settings: &Settings,
    connection: &Connection,
    version: u32,
) -> Result<std::result::Result<Backup, String>> {
    let runs = runs::read_runs(connection)?;
    let run = runs
        .into_iter()
        .rev()
        .find(|run| run.command == "migrate" && run.from == version);
    let Some(run) = run else {
        return Ok(Err(format!("no run began at V{version:03}")));
    };
    let Some(manifest) = run.backup else {
        return Ok(Err(format!(
            "run {}, which began at V{version:03}, made no backup",
            run.run
        )));
    };
    let database = manifest.strip_suffix(".json").unwrap_or(&manifest);
    let is_it = |manifest: &Manifest| manifest.run.as_ref() == Some(&run.run);
    let found = backup::find_again(settings, database.as_ref(), is_it)?;
    let Some(backup) = found.filter(|backup| backup.state == backup::State::Complete) else {
        return Ok(Err(format!(
            "the restore point {database} is gone or not complete"
        )));
    };
    // Which one it is: a folder that was copied has its own.
    let database = backup.database.display();
    let problems = backup::verify(settings, &backup, false, &Silent)?;
    Ok(match problems.first() {
        None => Ok(backup),
        Some(problem) => Err(format!(
            "the restore point {database} is not as it was: {}",
            problem.message
        )),
    })
}

/// The system or SQLite gave no answer about the restore point: no other way is taken in its place unasked.
pub(super) fn unread(unread: Error, strategy: Strategy, is_down_open: bool, from: Position) -> Error {
    let mut truth =
        format!("The restore point could not be looked at. The database is at {from}. Nothing was changed.");
    if strategy == Strategy::Auto && is_down_open {
        truth.push_str(" The way back `down` does without it.");
    }
    unread.with_truth(truth)
}
