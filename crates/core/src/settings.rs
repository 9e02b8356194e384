//! What a caller decides before anything runs: which files, how long, whose clock.

use std::{path::PathBuf, sync::Arc, time::Duration};

use crate::catalog::{AnyBytes, Companion, Inputs};
use crate::clock::{Clock, SystemClock};
use crate::error::{ErrorKind, Result};
use crate::files::folder_of;
use crate::time_zone::Zone;

/// Files, limits and inputs of one run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The database file.
    pub database: PathBuf,
    /// The companion file (the Bridge's token file), if there is to be one.
    pub companion: PathBuf,
    /// The companion's format; the catalog has it.
    pub companion_format: &'static dyn Companion,
    /// Where backups go.
    pub backup_dir: PathBuf,
    /// Where run logs go.
    pub log_dir: PathBuf,
    /// What a timestamp without an offset means.
    pub time_zone: Zone,
    /// The longest time that a transaction may hold the write lock.
    pub lock_budget: Duration,
    /// Whether large tables change in one transaction each, however long servers wait for it, and no trees are exchanged
    /// in SQLite's own schema table.
    pub plain: bool,
    /// How long to wait for the migration lock.
    pub lock_timeout: Duration,
    /// How long to wait for SQLite's own lock, which the server holds for moments.
    pub busy_timeout: Duration,
    /// Time and chance.
    pub clock: Arc<dyn Clock>,
    /// Name and version of the program, for the records.
    pub tool: String,
}

/// The lock budget of a transaction unless told otherwise: a twentieth of the server's busy timeout.
const DEFAULT_LOCK_BUDGET: Duration = Duration::from_millis(250);
/// How long to wait for the migration lock unless told otherwise.
const DEFAULT_LOCK_TIMEOUT: Duration = Duration::from_secs(300);
/// How long to wait for SQLite's own lock unless told otherwise.
const DEFAULT_BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// How long to wait for SQLite's own lock however little is wanted: a server's transaction takes moments.
const SHORTEST_BUSY_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a look may wait whose answer is not needed.
const BRIEFLY: Duration = Duration::from_millis(250);

impl Settings {
    /// Settings for `database` with its companion and its backups beside it.
    pub fn new(database: impl Into<PathBuf>) -> Self {
        let database = database.into();
        let folder = folder_of(&database);
        Self {
            companion: folder.join("tokens.json"),
            companion_format: &AnyBytes,
            backup_dir: folder,
            log_dir: PathBuf::from("logs"),
            database,
            time_zone: Zone::default(),
            lock_budget: DEFAULT_LOCK_BUDGET,
            plain: false,
            lock_timeout: DEFAULT_LOCK_TIMEOUT,
            busy_timeout: DEFAULT_BUSY_TIMEOUT,
            clock: Arc::new(SystemClock),
            tool: concat!("bridge-migrate ", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }

    /// What the catalog's declarations read.
    pub fn inputs(&self) -> Inputs<'_> {
        Inputs {
            companion: &self.companion,
            time_zone: &self.time_zone,
            clock: &*self.clock,
        }
    }

    /// Waits for no lock longer than `limit`: neither for the migration lock nor for SQLite's own, which a server may
    /// hold for a second in any case.
    pub fn limit_waiting(&mut self, limit: Duration) {
        self.lock_timeout = limit;
        self.busy_timeout = self.busy_timeout.min(limit.max(SHORTEST_BUSY_TIMEOUT));
    }

    /// Settings for what is left to look at when a first look ended as `looked`: whoever kept the database locked for
    /// all of that wait is not waited for again.
    pub fn after<T>(&self, looked: &Result<T>) -> Self {
        match looked {
            Err(error) if error.kind() == ErrorKind::Busy => self.without_waiting(),
            _ => self.clone(),
        }
    }

    /// The same settings for a look that must not take long, whoever keeps the database locked.
    pub fn without_waiting(&self) -> Self {
        Self {
            busy_timeout: self.busy_timeout.min(BRIEFLY),
            ..self.clone()
        }
    }
}
