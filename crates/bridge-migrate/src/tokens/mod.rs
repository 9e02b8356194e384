//! The token file: what of it goes into the database, and how the two compare.
//!
//! No token leaves this module: only its SHA-256 does, and no error tells a value.

mod compare;
mod document;
mod file;
mod import;

#[cfg(test)]
mod tests;

pub use compare::{Agreement, Comparison, compare};
pub use document::{Document, Flaw, Token, TokenHash, parse};
pub use import::TokenImport;
