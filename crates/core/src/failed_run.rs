//! What a run that failed left: found by looking, since a commit can fail after it happened.
//!
//! SQLite reports a failure when it has removed the journal, which is the commit, and cannot put that on disk
//! (`SQLITE_IOERR_DIR_FSYNC`). A command of several transactions may have made some of them.

use crate::connection::open_reader;
use crate::error::{Error, Reached, Result};
use crate::position::Position;
use crate::runs::{Run, read_runs};
use crate::settings::Settings;

/// Adds to the error of `run` where the database stands, if the run changed it and the error does not say so yet.
pub(crate) fn with_what_is_left(error: Error, settings: &Settings, run: &Run) -> Error {
    let known = error.reached().map(|reached| reached.version);
    match look(settings, run) {
        Ok(Some(position)) if known != Some(position.version) => with_part_done(error, position),
        // What cannot be read cannot be told.
        _ => error,
    }
}

/// Adds to the error of a run that a part of it is committed, and where the database stands.
pub(crate) fn with_part_done(error: Error, position: Position) -> Error {
    error
        .with_truth(format!(
            "The database is whole, at {position}. A part is done; run the same command again to go on."
        ))
        .with_reached(Reached {
            version: position.version,
            release: position.release,
        })
}

/// Where the database stands; `None` when the run committed nothing.
fn look(settings: &Settings, run: &Run) -> Result<Option<Position>> {
    // After a failed commit, the run's own connection may not know.
    let reader = open_reader(&settings.database, settings.busy_timeout)?;
    if read_runs(&reader)?
        .iter()
        .all(|recorded| recorded.run != run.name)
    {
        return Ok(None);
    }
    Position::read(&reader).map(Some)
}
