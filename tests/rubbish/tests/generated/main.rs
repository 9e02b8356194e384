//! Rubbish that is nearly right: seeds with a few changes, and inputs made by a grammar, thousands for each target.

mod files;
mod mutation;
mod records;
mod runner;
mod sql;
mod words;
