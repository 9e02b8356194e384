//! Databases, folders and a clock that the targets stand on: made once, copied for each input, in memory where the
//! system has a place for that.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bridge_migrate_core::{Catalog, Settings, Silent, Target};
use bridge_migrate_sqlite::migrate;
use support::engine::{StandingClock, in_memory, without_backup};
use support::{Population, TestDatabase};
use tempfile::TempDir;

/// The Bridge's own migrations.
pub static CATALOG: LazyLock<Catalog> = LazyLock::new(|| bridge_migrate::catalog().unwrap());

/// A small database of release 1.0.0 that a server filled, and its token file.
pub static ORIGINAL: LazyLock<Files> = LazyLock::new(|| Files::at(None));

/// The same at the last release.
pub static LATEST: LazyLock<Files> = LazyLock::new(|| Files::at(Some(Target::Latest)));

/// The bytes of a database and of its token file.
#[derive(Debug, Clone)]
pub struct Files {
    /// The database.
    pub database: Vec<u8>,
    /// The token file.
    pub tokens: Vec<u8>,
}

impl Files {
    fn at(target: Option<Target>) -> Self {
        in_memory();
        let database = TestDatabase::with(&Population {
            odd_timestamps: 50,
            // Rows in each of the nine tables.
            decisions: 4,
            tasks: 6,
            files: 2,
            code_executions: 4,
            ..Population::of_messages(60)
        });
        if let Some(target) = target {
            let mut options = without_backup();
            options.plan.target = target;
            migrate(&CATALOG, &settings(&database.path()), options, &Silent).unwrap();
        }
        Self {
            database: fs::read(database.path()).unwrap(),
            tokens: fs::read(database.tokens()).unwrap(),
        }
    }

    /// A folder of its own with both files.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn place(&self) -> Place {
        let place = Place::new();
        self.put(&place);
        place
    }

    /// Writes both files into a folder.
    ///
    /// # Panics
    /// When they cannot be written.
    pub fn put(&self, place: &Place) {
        fs::write(&place.settings.database, &self.database).unwrap();
        fs::write(&place.settings.companion, &self.tokens).unwrap();
    }
}

/// A folder for a database, which goes away with it.
#[derive(Debug)]
pub struct Place {
    folder: TempDir,
    /// The settings for the database in it.
    pub settings: Settings,
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
            .prefix("bridge-rubbish-")
            .tempdir()
            .unwrap();
        let settings = settings(&folder.path().canonicalize().unwrap().join("collab.db"));
        Self { folder, settings }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The database.
    pub fn database(&self) -> &Path {
        &self.settings.database
    }

    /// A file beside the database, named after it.
    pub fn beside(&self, suffix: &str) -> PathBuf {
        bridge_migrate_sqlite::with_suffix(&self.settings.database, suffix)
    }
}

fn settings(database: &Path) -> Settings {
    let mut settings = Settings::new(database);
    settings.log_dir = database.with_file_name("logs");
    settings.lock_timeout = Duration::ZERO;
    settings.busy_timeout = Duration::from_millis(200);
    settings.clock = Arc::new(StandingClock);
    settings
}
