//! The migration engine: plans, locks, backups, steps and history for any catalog on SQLite.
//!
//! It knows SQLite and refinery. It must never know a terminal, arguments, environment variables, barrel,
//! or the tables of any application.

pub mod backup;
pub mod catalog;
pub mod clock;
pub mod connection;
pub mod data;
pub mod digest;
pub mod disk;
pub mod error;
pub mod event;
pub mod journal;
pub mod lock;
pub mod quote;
mod raw_file;
pub mod restore;
pub mod settings;
pub mod time_zone;
pub mod whole_file;

pub use naming::{Phase, Release, Target};
pub use rusqlite;
