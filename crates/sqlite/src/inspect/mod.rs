//! Looking, without a change.

pub mod checklist;
pub mod doctor;
pub mod lint;
pub(crate) mod repair;
pub mod status;
pub mod verify;
pub(crate) mod wait;
