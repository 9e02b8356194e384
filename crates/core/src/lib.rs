//! The migration engine.

pub mod quote;
