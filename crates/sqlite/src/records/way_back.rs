//! How an applied migration goes back, in the words that the database keeps for programs that do not know it.

use std::fmt;

use rusqlite::Connection;

use crate::schema::TableDetail;
use crate::sqlite::sqlite_error::SqliteContext;
use bridge_migrate_core::{Migration, Result};

/// How an applied migration goes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WayBack {
    /// By the statements that are stored with it.
    Statements,
    /// By the old values in the journal.
    Journal {
        /// The table whose records changed.
        table: String,
        /// The column that changed.
        column: String,
        /// The column that the journal knows a record by, where that is not the first of the primary key.
        key: Option<String>,
    },
    /// By clearing a column that it filled.
    Clear {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// Nothing is applied yet: what was prepared beside the servers is given up.
    Prepared,
    /// In a way that this program does not know: a newer one applied it.
    Unknown(String),
}

impl WayBack {
    /// The way back of a migration of the catalog.
    pub(crate) fn of(migration: &Migration) -> Self {
        match &migration.data {
            None => Self::Statements,
            Some(step) => {
                let (table, column) = (step.table().to_owned(), step.column().to_owned());
                if step.is_journaled() {
                    let key = None;
                    Self::Journal { table, column, key }
                } else {
                    Self::Clear { table, column }
                }
            }
        }
    }

    /// As [`Self::of`], as it is recorded: with what the way back cannot find in the schema.
    ///
    /// # Errors
    /// When SQLite cannot look into the table.
    pub(crate) fn recorded(migration: &Migration, connection: &Connection) -> Result<Self> {
        let mut way_back = Self::of(migration);
        if let (Self::Journal { table, key, .. }, Some(step)) = (&mut way_back, &migration.data) {
            let detail = match TableDetail::read(connection, table) {
                // A later migration dropped it, and all are adopted.
                Err(rusqlite::Error::QueryReturnedNoRows) => return Ok(way_back),
                detail => detail.while_doing("find the key of the table")?,
            };
            let first = detail.columns.iter().find(|column| column.primary_key == Some(1));
            let is_first = first.is_some_and(|first| first.name.eq_ignore_ascii_case(step.key()));
            *key = (!is_first).then(|| step.key().to_owned());
        }
        Ok(way_back)
    }

    /// Whether it was recorded of this migration.
    pub(crate) fn is_of(&self, migration: &Migration) -> bool {
        let mut own = Self::of(migration);
        if let (Self::Journal { key: Some(_), .. }, Self::Journal { key, .. }) = (self, &mut own) {
            *key = migration.data.as_ref().map(|step| step.key().to_owned());
        }
        *self == own
    }

    /// Reads what [`fmt::Display`] wrote.
    pub(crate) fn parse(text: &str) -> Self {
        let named = |rest: &str| {
            let (table, column) = rest.split_once('.')?;
            Some((table.to_owned(), column.to_owned()))
        };
        match text {
            "statements" => return Self::Statements,
            "prepared" => return Self::Prepared,
            _ => {}
        }
        if let Some(rest) = text.strip_prefix("journal ") {
            let (place, key) = match rest.rsplit_once(" by ") {
                Some((place, key)) => (place, Some(key.to_owned())),
                None => (rest, None),
            };
            if let Some((table, column)) = named(place) {
                return Self::Journal { table, column, key };
            }
        }
        if let Some((table, column)) = text.strip_prefix("clear ").and_then(named) {
            return Self::Clear { table, column };
        }
        Self::Unknown(text.to_owned())
    }
}

impl fmt::Display for WayBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Statements => f.write_str("statements"),
            Self::Prepared => f.write_str("prepared"),
            Self::Journal { table, column, key } => {
                write!(f, "journal {table}.{column}")?;
                key.iter().try_for_each(|key| write!(f, " by {key}"))
            }
            Self::Clear { table, column } => write!(f, "clear {table}.{column}"),
            Self::Unknown(text) => f.write_str(text),
        }
    }
}
