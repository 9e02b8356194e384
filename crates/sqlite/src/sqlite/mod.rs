//! SQLite itself: connections, its journal, its locks, its errors.

pub(crate) mod borrowed;
pub mod connection;
pub mod count;
pub mod foreign_keys;
pub(crate) mod open_watch;
pub(crate) mod pace;
pub mod quote;
pub(crate) mod rollback_journal;
pub mod room;
pub mod sqlite_error;
