//! What a server does with its database at start: bring it up to date, or see where it stands.

use std::{path::PathBuf, time::Duration};

use bridge_migrate_core::{Observer, Phase, Position, Result, Settings, Silent, Target, TimeZone, Zone};
use bridge_migrate_sqlite::status::{Status, status};
use bridge_migrate_sqlite::{MigrateOptions, MigrateOutcome, Plan, migrate, plan, wait};

use crate::catalog::catalog;

/// Takes a database to what this program needs, or tells where it stands.
///
/// ```
/// use std::time::Duration;
///
/// use bridge_migrate::{Event, Migrator, Observer, Presence, Target};
///
/// /// Shows each step when it is done.
/// struct Steps;
///
/// impl Observer for Steps {
///     fn observe(&self, event: &Event) {
///         if let Event::StepFinished { name, rows_changed, .. } = event {
///             println!("{name}: {rows_changed} rows");
///         }
///     }
/// }
///
/// # let folder = tempfile::tempdir()?;
/// # let (path, logs) = (folder.path().join("collab.db"), folder.path().join("logs"));
/// let migrator = Migrator::new(path).log_dir(logs).observer(&Steps);
/// assert_eq!(migrator.status()?.presence, Presence::Missing);
///
/// let done = migrator.run()?;
/// assert!(done.created && done.run.is_some());
/// assert_eq!(migrator.wait_for(Target::Latest, Duration::ZERO)?, done.to);
///
/// let again = migrator.run()?;
/// assert!(again.applied.is_empty() && again.run.is_none(), "there is nothing left to do");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Migrator<'a> {
    settings: Settings,
    options: MigrateOptions,
    observer: &'a dyn Observer,
}

impl<'a> Migrator<'a> {
    /// For the database at `path`, with its token file and its backups beside it and logs in `logs`, to the newest
    /// release. A timestamp without an offset is in the time zone of this machine, which is what the Bridge's Python
    /// takes it for; the variable `TZ` is read here.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            settings: Settings {
                time_zone: Zone::of_machine(std::env::var_os("TZ")),
                ..Settings::new(path)
            },
            options: MigrateOptions::default(),
            observer: &Silent,
        }
    }

    /// Where the token file is.
    #[must_use]
    pub fn token_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.companion = path.into();
        self
    }

    /// Where backups go.
    #[must_use]
    pub fn backup_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.settings.backup_dir = folder.into();
        self
    }

    /// Where the logs of runs go.
    #[must_use]
    pub fn log_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.settings.log_dir = folder.into();
        self
    }

    /// What a timestamp without an offset means.
    #[must_use]
    pub fn time_zone(mut self, zone: TimeZone) -> Self {
        self.settings.time_zone = Zone::named(zone);
        self
    }

    /// How long to wait for another migration, and for SQLite's own lock.
    #[must_use]
    pub fn lock_timeout(mut self, limit: Duration) -> Self {
        self.settings.limit_waiting(limit);
        self
    }

    /// Where to go, instead of to the newest release.
    #[must_use]
    pub fn to(mut self, target: Target) -> Self {
        self.options.plan.target = target;
        self
    }

    /// Stops before the first migration of another phase: with [`Phase::Expand`], servers of the release before go on.
    #[must_use]
    pub fn phase(mut self, phase: Phase) -> Self {
        self.options.plan.phase = Some(phase);
        self
    }

    /// Who sees what happens, on the thread that runs.
    #[must_use]
    pub fn observer(mut self, observer: &'a dyn Observer) -> Self {
        self.observer = observer;
        self
    }

    /// What [`run`](Self::run) would do. Reads only.
    ///
    /// # Errors
    /// When the target is unknown or lies behind the database, when history or schema contradict the migrations, or
    /// when a step could not run on this schema.
    pub fn plan(&self) -> Result<Plan> {
        plan(&catalog()?, &self.settings, self.options.plan)
    }

    /// Takes the database there. Of many that call this at once, one migrates and the others wait for it; where there
    /// is nothing to do, no lock is taken and nothing is written.
    ///
    /// # Errors
    /// Any kind. The error says what is true of the database, where it stands if something had been committed, and
    /// what to do next.
    pub fn run(&self) -> Result<MigrateOutcome> {
        migrate(&catalog()?, &self.settings, self.options, self.observer)
    }

    /// Where the database stands. Reads only.
    ///
    /// # Errors
    /// When the file cannot be read or is no database, or when its history contradicts the migrations.
    pub fn status(&self) -> Result<Status> {
        status(&catalog()?, &self.settings)
    }

    /// Waits until another process has taken the database to `target` or beyond, and tells where it is. Reads only.
    ///
    /// # Errors
    /// [`Timeout`](crate::ErrorKind::Timeout) when it is not there in time.
    pub fn wait_for(&self, target: Target, timeout: Duration) -> Result<Position> {
        wait(&catalog()?, &self.settings, target, timeout)
    }
}
