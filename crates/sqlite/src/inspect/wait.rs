//! `wait`: returns when another process has taken the database to a version. For servers at start.

use std::time::{Duration, Instant};

use naming::Target;

use crate::files::database_file::{FileState, in_real_place, inspect};
use crate::files::lock;
use crate::inspect::status::{Presence, status};
use crate::records::history::History;
use crate::sqlite::connection;
use bridge_migrate_core::{Catalog, Error, ErrorKind, Hint, Position, Result, Settings};

const POLL: Duration = Duration::from_millis(100);

/// Waits until the database is at `target` or beyond, and tells where it is. Reads only.
///
/// # Errors
/// [`ErrorKind::Timeout`] when it is not there in time; [`ErrorKind::UnknownTarget`] at once.
pub fn wait(catalog: &Catalog, settings: &Settings, target: Target, timeout: Duration) -> Result<Position> {
    let started = Instant::now();
    loop {
        let left = timeout.saturating_sub(started.elapsed());
        let (history, is_locked) = match read(settings, left) {
            Err(error) if error.kind() == ErrorKind::Busy => (None, true),
            history => (history?, false),
        };
        let version = history.as_ref().map_or(0, History::version);
        if let Some(history) = &history {
            history.check(catalog)?;
        }
        let wanted = match target {
            Target::Back(_) | Target::Forward(_) => {
                return Err(Error::new(
                    ErrorKind::Usage,
                    format!("`{target}` is relative: wait for what?"),
                )
                .with_hint(Hint::Wait));
            }
            _ => catalog.resolve(target, version)?,
        };
        if history.is_some() && version >= wanted {
            return Ok(Position::of(catalog, version));
        }
        if started.elapsed() >= timeout {
            let wanted = Position::of(catalog, wanted);
            let (found, next) = match history {
                _ if is_locked => (
                    format!("is still locked: whether it is at {wanted} is not known"),
                    Hint::Status,
                ),
                Some(_) => (
                    format!("is at {}, not at {wanted}", Position::of(catalog, version)),
                    Hint::Status,
                ),
                None => (unmanaged(catalog, settings, wanted), Hint::Migrate),
            };
            let mut truth = lock::who_is_in_the_way(&settings.database, is_locked);
            if !is_locked && status(catalog, settings).is_ok_and(|status| !status.drift.is_empty()) {
                truth.push_str(" The schema was changed by hand, which a migration refuses.");
            }
            return Err(Error::new(
                ErrorKind::Timeout,
                format!("after {} s the database {found}", timeout.as_secs()),
            )
            .with_truth(truth)
            .with_hint(next));
        }
        std::thread::sleep(POLL.min(timeout.saturating_sub(started.elapsed())));
    }
}

/// What `status` knows of a database that is not managed, as the end of a sentence.
fn unmanaged(catalog: &Catalog, settings: &Settings, wanted: Position) -> String {
    match status(catalog, settings).map(|status| status.presence) {
        Ok(Presence::Missing) => format!("is not there yet; {wanted} was waited for"),
        Ok(Presence::Empty) => format!("is empty, not at {wanted}"),
        Ok(Presence::Adoptable(adoption)) => {
            let found = Position::of(catalog, adoption.version);
            format!("is not managed yet: it looks like {found}, and {wanted} was waited for")
        }
        Ok(Presence::Unrecognized { .. }) => {
            format!("is not managed, and its schema is that of no version; {wanted} was waited for")
        }
        // It came under management just now, or cannot be looked at.
        Ok(Presence::Managed | Presence::Locked(_)) | Err(_) => {
            format!("is not managed; {wanted} was waited for")
        }
    }
}

/// The history as it is now; `None` while there is no managed database.
fn read(settings: &Settings, at_most: Duration) -> Result<Option<History>> {
    let settings = match in_real_place(settings) {
        Ok(settings) => settings,
        Err(error) if error.kind() == ErrorKind::Missing => return Ok(None),
        Err(error) => return Err(error),
    };
    // However little time is left, a server that is just writing does not keep the answer back.
    let timeout = at_most.clamp(settings.without_waiting().busy_timeout, settings.busy_timeout);
    let path = &settings.database;
    match inspect(path)? {
        FileState::Missing | FileState::Empty => Ok(None),
        FileState::Database { .. } => connection::with_reader(path, timeout, |reader| History::read(reader)),
    }
}
