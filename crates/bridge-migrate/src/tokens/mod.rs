//! The token file: what of it goes into the database, and how the two compare.
//!
//! No token leaves this module: only its SHA-256 does, and no error tells a value.

mod compare;
mod document;
mod file;
mod import;
mod merge;
mod stored;

#[cfg(test)]
mod tests;

pub use bridge_migrate_core::Flaw;
pub use compare::{Agreement, Comparison, compare};
pub use document::{Document, Token, TokenHash, parse};
pub use file::TokenFile;
pub use import::TokenImport;
