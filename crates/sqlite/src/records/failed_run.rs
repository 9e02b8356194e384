//! What a run that failed left: found by looking, since a commit can fail after it happened.
//!
//! SQLite reports a failure when it has removed the journal, which is the commit, and cannot put that on disk
//! (`SQLITE_IOERR_DIR_FSYNC`). A command of several transactions may have made some of them.

use std::path::Path;

use crate::records::recorded_position::recorded_position;
use crate::records::runs::{Run, read_runs};
use crate::sqlite::connection::{open_immutable, with_reader};
use bridge_migrate_core::{Error, ErrorKind, Hint, Position, Result, Settings};

const A_PART: &str = "A part is done; run the same command again to go on.";

/// Adds to the error of `run` where the database stands, if the run changed it and the error does not say so yet.
pub(crate) fn with_what_is_left(error: Error, settings: &Settings, run: &Run) -> Error {
    let known = error.reached().map(|reached| reached.version);
    let error = match (position_now(settings, run), run.committed_at.get()) {
        (Ok(Some((position, recorded))), _) if known != Some(position.version) => {
            stands(error, position, &what_next(run, recorded, position.version))
        }
        (Err(_), Some(position)) => stands(error, position, A_PART),
        // What cannot be read cannot be told.
        _ => error,
    };
    // The one who held SQLite's lock may be gone.
    let is_refused_lock = error.kind() == ErrorKind::Busy && std::error::Error::source(&error).is_some();
    if is_refused_lock && error.reached().is_some() {
        return error.with_hint(Hint::Again);
    }
    error
}

fn stands(error: Error, position: Position, what_next: &str) -> Error {
    error
        .with_truth(format!("The database is whole, at {position}. {what_next}"))
        .with_reached(position.into())
}

/// Adds to an error that came after the content of `copy` took the database's place where that is: the run that did
/// it may have left no record there. `done` says what is true besides, and what to do.
pub(crate) fn after_replacing(error: Error, settings: &Settings, copy: &Path, done: &str) -> Error {
    let looked = with_reader(&settings.database, settings.busy_timeout, |reader| {
        recorded_position(reader)
    })
    // The same disk may not give the database now; what is there now is what is in the copy.
    .or_else(|_| recorded_position(&open_immutable(copy)?));
    match looked {
        Ok(position) => error
            .with_truth(format!("The database is restored, at {position}. {done}"))
            .with_reached(position.into()),
        Err(_) => error.with_truth(format!("The database is restored. {done}")),
    }
}

/// `recorded` is the version that the run reached, `now` the one that the database has.
fn what_next(run: &Run, recorded: u32, now: u32) -> String {
    if recorded != now {
        // Whoever removed the lock file let another process go on.
        return format!("This run took it to V{recorded:03}; another has changed it since.");
    }
    // One that leaves the version as it is does not tell by the version how far it came.
    let is_all = now == run.to && (run.from != run.to || run.command == "adopt");
    if is_all {
        "All that was asked for is done.".to_owned()
    } else {
        A_PART.to_owned()
    }
}

/// Where the database stands, and the version that the run recorded; `None` when the run committed nothing.
fn position_now(settings: &Settings, run: &Run) -> Result<Option<(Position, u32)>> {
    // After a failed commit, the run's own connection may not know.
    with_reader(&settings.database, settings.busy_timeout, |reader| {
        let runs = read_runs(reader)?;
        match runs.iter().find(|recorded| recorded.run == run.name) {
            Some(recorded) => Ok(Some((recorded_position(reader)?, recorded.reached))),
            None => Ok(None),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_run_says_whether_there_is_more_to_do() {
        let settings = Settings::new("a.db");
        let said = |command, from, to, recorded, now| {
            what_next(&Run::begin(&settings, command, from, to), recorded, now)
        };
        let again = "A part is done; run the same command again to go on.";
        let all = "All that was asked for is done.";
        assert_eq!(said("migrate", 1, 9, 5, 5), again);
        assert_eq!(said("undo", 9, 9, 9, 9), again);
        // The commit of the last step happened although it failed.
        assert_eq!(said("migrate", 1, 9, 9, 9), all);
        assert_eq!(said("rollback", 9, 1, 1, 1), all);
        assert_eq!(said("adopt", 1, 1, 1, 1), all);
        assert_eq!(
            said("migrate", 1, 9, 5, 9),
            "This run took it to V005; another has changed it since."
        );
    }
}
