//! Data steps as declarations: what is to become of a column's values. An engine executes them, in batches.

use crate::time_zone::TimeZone;

/// A change of one column's values, row by row, that can stop and go on at any batch.
#[derive(Debug)]
pub enum DataStep {
    /// Rewrites a text column value by value, keeping old values in the journal.
    Rewrite(Rewrite),
    /// Fills a column with the keys at the roots of chains.
    ChainRoots(ChainRoots),
}

/// Rewrites `table.column`, whose records are known by `key`.
#[derive(Debug)]
pub struct Rewrite {
    /// What it does; part of the migration's checksum.
    pub description: &'static str,
    /// The table.
    pub table: &'static str,
    /// The column that people know a record by.
    pub key: &'static str,
    /// The column that changes.
    pub column: &'static str,
    /// What becomes of a value. One that it made stays as it is: rows may be met again.
    pub rewrite: fn(&str, &TimeZone) -> Rewritten,
}

impl Rewrite {
    /// A rewrite of `table.column`, whose records are known by `key`. The description is part of the migration's checksum.
    pub fn new(
        description: &'static str,
        table: &'static str,
        key: &'static str,
        column: &'static str,
        rewrite: fn(&str, &TimeZone) -> Rewritten,
    ) -> Self {
        Self {
            description,
            table,
            key,
            column,
            rewrite,
        }
    }
}

/// What becomes of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rewritten {
    /// It is right as it is.
    Keep,
    /// It becomes this.
    Change(String),
    /// It cannot be rewritten, and stays; why, without the value.
    Skip(&'static str),
}

/// Fills `table.root`, where it is NULL, with the key at the root of the chain that `parent` makes over `key`. A chain
/// ends at a row without a parent, at a row whose parent does not exist, or in a cycle, whose root is its smallest key.
#[derive(Debug)]
pub struct ChainRoots {
    /// The table.
    pub table: &'static str,
    /// The column that people know a record by.
    pub key: &'static str,
    /// The column with the key of the row above.
    pub parent: &'static str,
    /// The column to fill.
    pub root: &'static str,
}

impl ChainRoots {
    /// Roots of the chains that `parent` makes over `key`, written to `root`.
    pub fn new(table: &'static str, key: &'static str, parent: &'static str, root: &'static str) -> Self {
        Self {
            table,
            key,
            parent,
            root,
        }
    }
}

impl DataStep {
    /// What it does, in a sentence that never changes once released: the history keeps its checksum.
    pub fn describe(&self) -> String {
        match self {
            Self::Rewrite(step) => format!(
                "data step: rewrite {}.{}: {}",
                step.table, step.column, step.description
            ),
            Self::ChainRoots(step) => format!(
                "data step: fill {}.{} with the {} at the root of the chain of {}; a cycle's root is its smallest {}",
                step.table, step.root, step.key, step.parent, step.key
            ),
        }
    }

    /// The table whose rows change.
    pub fn table(&self) -> &'static str {
        match self {
            Self::Rewrite(step) => step.table,
            Self::ChainRoots(step) => step.table,
        }
    }

    /// The column that people know a record of the table by.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Rewrite(step) => step.key,
            Self::ChainRoots(step) => step.key,
        }
    }

    /// The column that changes.
    pub fn column(&self) -> &'static str {
        match self {
            Self::Rewrite(step) => step.column,
            Self::ChainRoots(step) => step.root,
        }
    }

    /// Whether old values go to the journal. A step that fills a column which was NULL before needs none: its way back
    /// is NULL.
    pub fn is_journaled(&self) -> bool {
        matches!(self, Self::Rewrite(_))
    }
}

impl From<Rewrite> for DataStep {
    fn from(step: Rewrite) -> Self {
        Self::Rewrite(step)
    }
}

impl From<ChainRoots> for DataStep {
    fn from(step: ChainRoots) -> Self {
        Self::ChainRoots(step)
    }
}
