//! The migration engine.

pub mod quote;
pub mod schema;
