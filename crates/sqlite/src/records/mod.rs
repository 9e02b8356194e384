//! What the tool keeps in the database: history, runs, progress, kept rows.

pub(crate) mod cause_of;
pub(crate) mod failed_run;
pub(crate) mod history;
pub mod kept;
pub(crate) mod recorded_position;
pub(crate) mod run_log;
pub(crate) mod runs;
pub(crate) mod schema_reader;
pub(crate) mod schema_version;
pub(crate) mod state;
pub(crate) mod transaction;
pub(crate) mod unfinished;
pub(crate) mod way_back;
