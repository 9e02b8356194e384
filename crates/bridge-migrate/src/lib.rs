//! The migrations of the Bridge.

pub mod authoring;
mod catalog;
pub mod timestamps;
pub mod tokens;

pub use catalog::{SCHEMA_VERSION, catalog};
