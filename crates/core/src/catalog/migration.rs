//! One migration as a value: what it is called, what it changes, how it goes back.

use naming::{Phase, Release};

use super::{CompanionTable, DataStep, Inputs, TableRows};
use crate::error::Result;

/// One numbered schema or data change.
#[derive(Debug)]
pub struct Migration {
    /// The number, from 1.
    pub version: u32,
    /// The name, in snake case.
    pub name: String,
    /// The release that it belongs to.
    pub release: Release,
    /// What servers it can live with.
    pub phase: Phase,
    /// What it does, in a sentence.
    pub summary: String,
    /// What going back does and what it loses, in a paragraph.
    pub rollback: String,
    /// The statements that apply it; empty for a data step.
    pub up: String,
    /// The statements that take it back; empty for a data step.
    pub down: String,
    /// The batched change of rows, instead of `up` and `down`.
    pub data: Option<DataStep>,
    /// Rows that come from the companion file, in the transaction of `up`.
    pub import: Option<Box<dyn Import>>,
    /// The row counts that may differ afterwards. What is not declared must not change.
    pub row_changes: Vec<RowChange>,
    /// The last release whose servers no longer work once it is applied; only a contract migration ends one.
    pub retires: Option<Release>,
    /// Findings that its file allows: the code, and why.
    pub allowed: Vec<(String, String)>,
}

impl Migration {
    /// A migration that has nothing to do yet, and that all servers can live with.
    ///
    /// ```
    /// use bridge_migrate_core::{Catalog, Migration, Release};
    ///
    /// let notes = Migration::new(1, "notes", Release::new(1, 0, 0))
    ///     .up("CREATE TABLE notes (body TEXT NOT NULL);")
    ///     .down("DROP TABLE notes;")
    ///     .rollback("Drops the notes.");
    /// let catalog = Catalog::new("Notes", vec![notes])?;
    /// assert_eq!(catalog.migrations()[0].stem(), "V001__notes");
    /// # Ok::<(), bridge_migrate_core::Error>(())
    /// ```
    pub fn new(version: u32, name: impl Into<String>, release: Release) -> Self {
        Self {
            version,
            name: name.into(),
            release,
            phase: Phase::Expand,
            summary: String::new(),
            rollback: String::new(),
            up: String::new(),
            down: String::new(),
            data: None,
            import: None,
            row_changes: Vec::new(),
            retires: None,
            allowed: Vec::new(),
        }
    }

    /// What servers it can live with.
    #[must_use]
    pub fn phase(mut self, phase: Phase) -> Self {
        self.phase = phase;
        self
    }

    /// What it does, in a sentence.
    #[must_use]
    pub fn summary(mut self, summary: impl Into<String>) -> Self {
        self.summary = summary.into();
        self
    }

    /// What going back does and what it loses, in a paragraph.
    #[must_use]
    pub fn rollback(mut self, rollback: impl Into<String>) -> Self {
        self.rollback = rollback.into();
        self
    }

    /// The statements that apply it.
    #[must_use]
    pub fn up(mut self, sql: impl Into<String>) -> Self {
        self.up = sql.into();
        self
    }

    /// The statements that take it back.
    #[must_use]
    pub fn down(mut self, sql: impl Into<String>) -> Self {
        self.down = sql.into();
        self
    }

    /// A batched change of rows, instead of statements, in a phase of its own.
    #[must_use]
    pub fn data(mut self, step: impl Into<DataStep>) -> Self {
        self.phase = Phase::Backfill;
        self.data = Some(step.into());
        self
    }

    /// Why its file allows findings with this code; none when it does not, or gives no reason.
    pub fn allows(&self, code: &str) -> Option<&str> {
        self.allowed
            .iter()
            .find(|(allowed, reason)| allowed == code && !reason.is_empty())
            .map(|(_, reason)| reason.as_str())
    }

    /// Whether its data step reads timestamps that may have no offset.
    pub fn reads_times(&self) -> bool {
        matches!(self.data, Some(DataStep::Rewrite(_)))
    }

    /// `V001__initial_schema`, as history and `schema_version` record it.
    pub fn stem(&self) -> String {
        format!("V{:03}__{}", self.version, self.name)
    }

    /// The text whose checksum the history keeps: the statements, or what the data step says of itself.
    pub fn recorded_sql(&self) -> String {
        match &self.data {
            Some(step) => format!("-- {}\n", step.describe()),
            None => self.up.clone(),
        }
    }
}

/// A declared change of a table's row count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowChange {
    /// The table.
    pub table: String,
    /// In which direction its count may move.
    pub kind: RowChangeKind,
}

/// How a table's row count may move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowChangeKind {
    /// Rows may be added, none removed.
    Adds,
    /// Rows may be removed, none added.
    Removes,
}

/// Reads rows out of the companion file. An import adds what is missing and changes nothing else.
pub trait Import: std::fmt::Debug + Send + Sync {
    /// What is imported, in a few words.
    fn describe(&self) -> String;

    /// The tables that it fills.
    fn tables(&self) -> &'static [CompanionTable];

    /// The rows that the companion file holds; none when there is no such file. A row whose key is in its table already
    /// is left as it is.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::CompanionInvalid`] when the file is malformed or too large, after
    /// retries that outlast a server that is rewriting it.
    fn read(&self, inputs: Inputs<'_>) -> Result<Vec<TableRows>>;

    /// What the database has in its tables and the companion file has not: lost, but for a file, when the tables are
    /// dropped. One line for each record, fit for everybody's eyes.
    ///
    /// # Errors
    /// As [`Import::read`], and when the database lacks a table.
    fn only_in_database(&self, rows: &[TableRows], inputs: Inputs<'_>) -> Result<Vec<String>>;
}
