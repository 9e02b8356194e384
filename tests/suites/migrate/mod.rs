//! `migrate`: from a database under no version control to the last release.

mod journey;
mod options;
mod secrets;
mod threads;
mod timestamps;
