//! The schema migrations of the Claude Multi-Agent Bridge, for programs that embed them.
//!
//! A server that wants a current database at start needs one call; everything else is in [`engine`].
//! Its rooms stand in this order, each on those before it:
//!
//! 1. `timestamps`: the timestamps that the Bridge's Python wrote
//! 2. `tokens`: the token file
//! 3. `authoring`: the words in which migrations are written
//! 4. `catalog`: the migrations
//! 5. `neighbours`: databases of the Bridge near the place where none is
//!
//! ```
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("collab.db");
//! let mut settings = bridge_migrate::settings(path);
//! # settings.log_dir = folder.path().join("logs");
//! let outcome = bridge_migrate::ensure_current(&settings)?;
//! assert_eq!(outcome.to.release.map(|release| release.to_string()).as_deref(), Some(bridge_migrate::SCHEMA_VERSION));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod authoring;
mod catalog;
mod neighbours;
pub mod timestamps;
pub mod tokens;

pub use bridge_migrate_sqlite as engine;
pub use catalog::{SCHEMA_VERSION, catalog};
pub use neighbours::neighbours;

use std::path::PathBuf;

use bridge_migrate_core::{Result, Settings, Silent, Zone};
use engine::{MigrateOptions, MigrateOutcome, migrate};

/// Settings for `database` as the program has them by default: in them, a timestamp without an offset is in the time zone
/// of this machine, which is what the Bridge's Python takes it for. Reads the variable `TZ`; where it means nothing,
/// only what reads such a timestamp is refused.
pub fn settings(database: impl Into<PathBuf>) -> Settings {
    Settings {
        time_zone: Zone::of_machine(std::env::var_os("TZ")),
        ..Settings::new(database)
    }
}

/// Takes the database to [`SCHEMA_VERSION`] if it is not there yet. Of many servers that call this at once, one
/// migrates and the others wait for it; where there is nothing to do, no lock is taken and nothing is written.
///
/// # Errors
/// As [`migrate`]: the error says what is true of the database and what to do next.
pub fn ensure_current(settings: &Settings) -> Result<MigrateOutcome> {
    migrate(&catalog()?, settings, MigrateOptions::default(), &Silent)
}
