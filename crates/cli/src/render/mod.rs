//! What each command answers: its keys for scripts, its text for people.

pub(crate) mod backup;
pub(crate) mod checklist;
pub(crate) mod doctor;
pub(crate) mod findings;
pub(crate) mod history;
pub(crate) mod kept;
pub(crate) mod log;
pub(crate) mod migrate;
pub(crate) mod plan;
pub(crate) mod rehearse;
pub(crate) mod repair;
pub(crate) mod restore;
pub(crate) mod rollback;
pub(crate) mod schema;
pub(crate) mod status;
pub(crate) mod text;
pub(crate) mod tokens;
pub(crate) mod undo;
pub(crate) mod wait;
