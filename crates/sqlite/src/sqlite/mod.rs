//! SQLite itself: connections, its journal, its locks, its errors.

pub(crate) mod ask;
pub(crate) mod borrowed;
pub mod connection;
pub(crate) mod count;
pub(crate) mod disk_space;
pub(crate) mod foreign_keys;
pub(crate) mod open_watch;
pub(crate) mod pace;
pub(crate) mod page_check;
pub(crate) mod quote;
pub(crate) mod rollback_journal;
pub(crate) mod sqlite_error;
