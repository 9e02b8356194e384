//! The ways back.

pub(crate) mod import;
pub mod restore;
pub mod rollback;
pub mod undo;
