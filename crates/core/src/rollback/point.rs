//! The restore point of a rollback: where it is, whether it is as it was, and what it lacks.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::Connection;

use crate::backup::{self, Backup};
use crate::error::{Error, Result};
use crate::event::Silent;
use crate::position::Position;
use crate::runs;
use crate::settings::Settings;

use super::losses::Loss;
use super::plan::{reason, unless_unreadable};
use super::steps::Imported;
use super::{Strategy, since};

/// The restore point and what going back to it would lose, or why there is none.
pub(super) fn look(
    settings: &Settings,
    connection: &Connection,
    version: u32,
    written: &BTreeSet<String>,
    imported: &[Imported],
) -> Result<std::result::Result<(Backup, Vec<Loss>), String>> {
    let point = match unless_unreadable(restore_point(settings, connection, version))? {
        Ok(Ok(point)) => point,
        Ok(Err(why)) => return Ok(Err(why)),
        Err(error) => return Ok(Err(reason(error))),
    };
    let loses = since::of_restoring(settings, connection, &point, written, imported);
    Ok(unless_unreadable(loses)?
        .map_err(reason)
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
    let Some(backup) = find_backup(settings, database)? else {
        return Ok(Err(format!(
            "the restore point {database} is gone or not complete"
        )));
    };
    let problems = backup::verify(&backup, false, &Silent)?;
    Ok(match problems.first() {
        None => Ok(backup),
        Some(problem) => Err(format!(
            "the restore point {database} is not as it was: {}",
            problem.message
        )),
    })
}

/// The backup where it was made, or else in the backup folder: databases move together with their backups, and a
/// container knows other paths than its host.
fn find_backup(settings: &Settings, recorded: &str) -> Result<Option<Backup>> {
    let recorded = Path::new(recorded);
    let moved = recorded.file_name().map(|name| settings.backup_dir.join(name));
    let mut unread = None;
    for path in [Some(recorded), moved.as_deref()].into_iter().flatten() {
        match unless_unreadable(backup::find(settings, path.as_os_str())) {
            Ok(Ok(backup)) if backup.state == backup::State::Complete => return Ok(Some(backup)),
            Ok(_) => {}
            Err(error) => unread = Some(error),
        }
    }
    unread.map_or(Ok(None), Err)
}

/// The system or SQLite gave no answer about the restore point: no other way is taken in its place unasked.
pub(super) fn unread(unread: Error, strategy: Strategy, is_down_open: bool, from: Position) -> Error {
    let mut truth =
        format!("The restore point could not be looked at. The database is at {from}. Nothing was changed.");
    if strategy == Strategy::Auto && is_down_open {
        truth.push_str(" `--strategy down` goes back without it.");
    }
    unread.with_truth(truth)
}
