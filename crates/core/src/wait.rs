//! `wait`: returns when another process has taken the database to a version. For servers at start.

use std::time::{Duration, Instant};

use naming::Target;

use crate::apply::in_real_place;
use crate::catalog::Catalog;
use crate::connection::{self, FileState};
use crate::error::{Error, ErrorKind, Hint, Result};
use crate::history::History;
use crate::lock;
use crate::position::Position;
use crate::settings::Settings;
use crate::status::status;

const POLL: Duration = Duration::from_millis(100);

/// Waits until the database is at `target` or beyond, and tells where it is. Reads only.
///
/// # Errors
/// [`ErrorKind::Timeout`] when it is not there in time; [`ErrorKind::UnknownTarget`] at once.
pub fn wait(catalog: &Catalog, settings: &Settings, target: Target, timeout: Duration) -> Result<Position> {
    let started = Instant::now();
    loop {
        let history = read(settings)?;
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
                .with_hint(Hint::tool(["wait", "--for", "latest"])));
            }
            _ => catalog.resolve(target, version)?,
        };
        if history.is_some() && version >= wanted {
            return Ok(Position::of(catalog, version));
        }
        if started.elapsed() >= timeout {
            let mut truth = lock::current_holder(&settings.database).map_or_else(
                || "No process holds the migration lock.".to_owned(),
                |holder| {
                    format!(
                        "Process {} on {} is migrating since {}.",
                        holder.pid, holder.host, holder.since
                    )
                },
            );
            if status(catalog, settings).is_ok_and(|status| !status.drift.is_empty()) {
                truth.push_str(" The schema was changed by hand, which `migrate` refuses.");
            }
            return Err(Error::new(
                ErrorKind::Timeout,
                format!(
                    "after {} s the database is at {}, not at {}",
                    timeout.as_secs(),
                    Position::of(catalog, version),
                    Position::of(catalog, wanted)
                ),
            )
            .with_truth(truth)
            .with_hint(Hint::tool(["status"])));
        }
        std::thread::sleep(POLL.min(timeout.saturating_sub(started.elapsed())));
    }
}

/// The history as it is now; `None` while there is no managed database.
fn read(settings: &Settings) -> Result<Option<History>> {
    let settings = match in_real_place(settings) {
        Ok(settings) => settings,
        Err(error) if error.kind() == ErrorKind::Missing => return Ok(None),
        Err(error) => return Err(error),
    };
    let (path, timeout) = (&settings.database, settings.busy_timeout);
    match connection::inspect(path)? {
        FileState::Missing | FileState::Empty => Ok(None),
        FileState::Database { .. } => connection::with_reader(path, timeout, |reader| History::read(reader)),
    }
}
