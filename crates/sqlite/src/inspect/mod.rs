//! Looking, without a change.

pub mod checklist;
pub mod doctor;
pub mod lint;
pub mod repair;
pub mod status;
pub mod verify;
pub mod wait;
