//! The schema migrations of the Claude Multi-Agent Bridge, for programs that embed them.
//!
//! A server that wants a current database at start needs one call:
//!
//! ```
//! use bridge_migrate::{Migrator, Target};
//! # let folder = tempfile::tempdir()?;
//! # let (path, logs) = (folder.path().join("collab.db"), folder.path().join("logs"));
//!
//! let migrator = Migrator::new(path).log_dir(logs).to(Target::parse("1.1.0")?);
//! let plan = migrator.plan()?;
//! let steps: Vec<_> = plan.steps.iter().map(|step| step.name.as_str()).collect();
//! assert_eq!(
//!     steps,
//!     ["initial_schema", "room_preferences", "member_metadata", "auth_tokens", "normalize_timestamps"]
//! );
//!
//! let done = migrator.run()?;
//! assert_eq!(done.to.to_string(), "1.1.0 (V005)");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The rooms of this crate stand in this order, each on those before it:
//!
//! 1. `timestamps`: the timestamps that the Bridge's Python wrote
//! 2. `tokens`: the token file
//! 3. `authoring`: the words in which migrations are written
//! 4. `catalog`: the migrations
//! 5. `neighbours`: databases of the Bridge near the place where none is
//! 6. `migrator`: what a server does with its database at start

pub mod authoring;
mod catalog;
mod migrator;
mod neighbours;
pub mod timestamps;
pub mod tokens;

pub use bridge_migrate_core::{
    Error, ErrorKind, Event, Hint, Keep, Observer, Phase, Position, Reached, Release, Result, Strategy,
    Target, TimeZone,
};
pub use bridge_migrate_sqlite::status::{Presence, Status};
pub use bridge_migrate_sqlite::{MigrateOutcome, Plan, Step, StepOutcome};
pub use catalog::{SCHEMA_VERSION, catalog};
pub use migrator::Migrator;
pub use neighbours::neighbours;

/// What the README tells an embedder compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
