//! What is run while the power fails: the engine's commands on small databases.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bridge_migrate_core::{Catalog, Event, Observer, Result, Settings, Silent, Target, TimeZone, Zone};
use bridge_migrate_sqlite::backup::{self, Backup, BackupFacts};
use bridge_migrate_sqlite::restore::{RestoreOptions, restore};
use bridge_migrate_sqlite::rollback::{RollbackOptions, Strategy, rollback};
use bridge_migrate_sqlite::undo::{UndoOptions, undo};
use bridge_migrate_sqlite::{AdoptionOptions, adopt, migrate};
use support::engine::{StandingClock, in_memory, without_backup};
use support::{Population, TestDatabase};
use tempfile::TempDir;

use crate::trace::{Told, Trace};
use crate::watch::Watching;

/// Enough rows for several batches of each data step, up and back.
const MESSAGES: u64 = 360;
/// In percent: each of these is a record of the journal.
const ODD_TIMESTAMPS: u8 = 80;

/// A command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Command {
    /// No database → 1.2.0.
    Fresh,
    /// 1.0.0 → 1.2.0.
    Migrate,
    /// 1.0.0 → 1.0.0, under management.
    Adopt,
    /// 1.2.0 → 1.0.0, by the stored statements and the journal.
    Rollback,
    /// Every record of the timestamp migration, at 1.2.0.
    Undo,
    /// 1.2.0 → a backup of 1.0.0.
    Restore,
}

impl Command {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Fresh,
        Self::Migrate,
        Self::Adopt,
        Self::Rollback,
        Self::Undo,
        Self::Restore,
    ];
}

/// A command on a database in one of the journal modes, as it stands before the command.
#[derive(Debug)]
pub struct Scenario {
    /// The command.
    pub command: Command,
    /// Whether the database keeps a write-ahead log.
    pub wal: bool,
    /// The database before; `None` for [`Command::Fresh`].
    pub before: Option<Vec<u8>>,
    /// The database of release 1.0.0 that everything began with.
    pub original: Option<Vec<u8>>,
    /// What the database's rows depend on.
    pub seed: u64,
    tokens: Vec<u8>,
    backup: Option<Backup>,
    catalog: Catalog,
    // Holds the backup.
    _folder: TempDir,
}

impl Scenario {
    /// Prepares a database on which every data step takes several batches.
    ///
    /// # Panics
    /// When that fails.
    pub fn new(command: Command, wal: bool, seed: u64) -> Self {
        in_memory();
        let population = Population {
            seed,
            odd_timestamps: ODD_TIMESTAMPS,
            ..Population::of_messages(MESSAGES)
        };
        let database = match command {
            Command::Fresh => TestDatabase::nothing(),
            _ => TestDatabase::with(&population),
        };
        if command != Command::Fresh {
            database.set_wal(wal);
        } else {
            database.write_tokens(seed, 40);
        }
        let mut scenario = Self {
            command,
            wal,
            before: None,
            original: fs::read(database.path()).ok(),
            seed,
            tokens: fs::read(database.tokens()).unwrap(),
            backup: None,
            catalog: bridge_migrate::catalog().unwrap(),
            _folder: tempfile::tempdir().unwrap(),
        };
        let settings = settings(&database.path());
        if command == Command::Restore {
            let kept = Settings {
                backup_dir: scenario._folder.path().to_owned(),
                ..settings.clone()
            };
            let created = backup::create(&kept, &BackupFacts::default(), &Silent).unwrap();
            scenario.backup = Some(created.backup);
        }
        if matches!(command, Command::Rollback | Command::Undo | Command::Restore) {
            migrate(&scenario.catalog, &settings, without_backup(), &Silent).unwrap();
        }
        scenario.before = fs::read(database.path()).ok();
        scenario
    }

    /// The scenario's name, for people and for `CRASH_POINT`.
    pub fn name(&self) -> String {
        let mode = if self.wal { "wal" } else { "journal" };
        format!("{:?}-{mode}", self.command).to_lowercase()
    }

    /// The catalog of the Bridge.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The version that the database has when the command is done; 0 means that it is not managed.
    pub fn goal(&self) -> u32 {
        match self.command {
            Command::Fresh | Command::Migrate | Command::Undo => self.catalog.last_version(),
            Command::Adopt | Command::Rollback => 1,
            Command::Restore => 0,
        }
    }

    /// Whether the command goes to smaller versions.
    pub fn goes_back(&self) -> bool {
        matches!(self.command, Command::Rollback | Command::Restore)
    }

    /// A folder with the database as it stands before the command.
    pub fn place(&self) -> Place {
        let place = Place::new();
        if let Some(before) = &self.before {
            fs::write(place.database(), before).unwrap();
        }
        self.put_tokens(&place);
        place
    }

    /// Puts the token file beside a database.
    pub fn put_tokens(&self, place: &Place) {
        fs::write(place.database().with_file_name("tokens.json"), &self.tokens).unwrap();
    }

    /// Runs the command.
    ///
    /// # Errors
    /// Those of the command.
    pub fn run(&self, database: &Path, observer: &dyn Observer) -> Result<()> {
        let settings = settings(database);
        match self.command {
            Command::Fresh | Command::Migrate => {
                migrate(&self.catalog, &settings, without_backup(), observer).map(drop)
            }
            Command::Adopt => adopt(&self.catalog, &settings, AdoptionOptions::default(), observer).map(drop),
            Command::Rollback => {
                let options = RollbackOptions {
                    target: Target::Version(1),
                    strategy: Strategy::Down,
                    companion: Default::default(),
                };
                rollback(&self.catalog, &settings, options, &mut |_| true, observer).map(drop)
            }
            Command::Undo => undo(&settings, 5, &UndoOptions::default(), observer).map(drop),
            Command::Restore => {
                let backup = self.backup.as_ref().expect("the scenario has a backup");
                restore(&settings, backup, &RestoreOptions::default(), observer).map(drop)
            }
        }
    }

    /// Migrates up to a version.
    ///
    /// # Panics
    /// When that fails.
    pub fn migrate_to(&self, database: &Path, version: u32) {
        let mut options = without_backup();
        options.plan.target = Target::Version(version);
        migrate(&self.catalog, &settings(database), options, &Silent).unwrap();
    }

    /// Records something else than the command.
    pub fn record_by(&self, run: impl FnOnce(&Path)) -> Trace {
        let place = self.place();
        let watching = Watching::recording(&place.database());
        run(&place.database());
        watching.finish()
    }

    /// Runs the command undisturbed and records it; the second is the place with the database after it.
    ///
    /// # Panics
    /// When the command fails.
    pub fn record(&self) -> (Trace, Place) {
        let place = self.place();
        let watching = Watching::recording(&place.database());
        let result = self.run(&place.database(), &Promises(&watching));
        result.unwrap_or_else(|error| panic!("{}: {error} {:?}", self.name(), error));
        watching.told(Told::Done);
        (watching.finish(), place)
    }
}

/// Notes in a recording what the engine promises.
struct Promises<'a>(&'a Watching);

impl Observer for Promises<'_> {
    fn observe(&self, event: &Event) {
        match event {
            Event::Adopted { version, .. }
            | Event::StepFinished {
                version, down: false, ..
            } => self.0.told(Told::At(*version)),
            Event::StepFinished {
                version, down: true, ..
            } => self.0.told(Told::At(version - 1)),
            _ => {}
        }
    }
}

/// A folder for one database, which goes away with it.
#[derive(Debug)]
pub struct Place {
    folder: TempDir,
}

impl Place {
    /// An empty folder.
    ///
    /// # Panics
    /// When it cannot be made.
    #[allow(clippy::new_without_default, reason = "it makes a folder")]
    pub fn new() -> Self {
        in_memory();
        let folder = tempfile::Builder::new()
            .prefix("bridge-crash-")
            .tempdir()
            .unwrap();
        Self { folder }
    }

    /// The database, by its real name, as SQLite calls it.
    ///
    /// # Panics
    /// When the folder is gone.
    pub fn database(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("collab.db")
    }
}

/// Settings whose batches shrink to the smallest at once, whatever the machine: there are many of them.
fn settings(database: &Path) -> Settings {
    let mut settings = Settings::new(database);
    settings.log_dir = database.with_file_name("logs");
    settings.time_zone = Zone::named(TimeZone::Utc);
    settings.lock_budget = Duration::ZERO;
    settings.clock = Arc::new(StandingClock);
    settings
}
