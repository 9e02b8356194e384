//! What the tool keeps in the database: history, runs, progress, kept rows.

pub(crate) mod cause_of;
pub(crate) mod failed_run;
pub mod history;
pub mod kept;
pub(crate) mod recorded_position;
pub mod run_log;
pub mod runs;
pub(crate) mod schema_reader;
pub mod schema_version;
pub mod state;
pub(crate) mod transaction;
pub(crate) mod unfinished;
pub mod way_back;
