//! The ways back.

pub mod import;
pub mod restore;
pub mod rollback;
pub mod undo;
