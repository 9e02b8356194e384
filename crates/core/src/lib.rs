//! The migration engine: plans, locks, backups, steps and history for any catalog on SQLite.
//!
//! It knows SQLite and refinery. It must never know a terminal, arguments, environment variables, barrel,
//! or the tables of any application.

mod adopt;
pub mod adoption;
pub mod apply;
pub mod backup;
pub mod catalog;
pub mod checklist;
pub mod clock;
pub mod connection;
pub mod contracts;
pub mod data;
pub mod digest;
pub mod disk;
pub mod doctor;
pub mod drift;
pub mod effects;
pub mod error;
pub mod event;
pub mod expected;
mod failed_run;
pub mod finding;
mod first_start;
pub mod foreign_keys;
pub mod history;
pub mod import;
pub mod journal;
pub mod kept;
mod kernel_locks;
pub mod ledger;
pub mod lint;
pub mod lock;
mod open_watch;
mod pace;
pub mod plan;
pub mod position;
mod preconditions;
pub mod quote;
mod raw_file;
mod refinery_step;
pub mod regular_file;
pub mod rehearsal;
pub mod restore;
pub mod rollback;
mod rollback_journal;
pub mod room;
pub mod run_log;
pub mod runs;
pub mod schema;
mod schema_reader;
pub mod schema_version;
pub mod settings;
pub mod state;
pub mod status;
pub mod step;
pub mod time_zone;
pub mod tool_tables;
mod transaction;
pub mod undo;
pub mod verify;
pub mod wait;
pub mod way_back;
pub mod whole_file;

pub use naming::{Phase, Release, Target};
pub use rusqlite;
