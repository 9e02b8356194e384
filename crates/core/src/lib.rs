//! The migration engine: plans, locks, backups, steps and history for any catalog on SQLite.
//!
//! It knows SQLite and refinery. It must never know a terminal, arguments, environment variables, barrel,
//! or the tables of any application.

pub mod catalog;
pub mod clock;
pub mod connection;
pub mod data;
pub mod effects;
pub mod error;
pub mod event;
pub mod expected;
pub mod foreign_keys;
pub mod history;
pub mod journal;
pub mod ledger;
pub mod lock;
pub mod quote;

pub mod schema;
pub mod schema_version;
pub mod settings;
pub mod time_zone;
pub mod tool_tables;
mod transaction;

pub use naming::{Phase, Release, Target};
pub use rusqlite;
