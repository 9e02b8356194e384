//! The migration engine.

pub mod time_zone;
