//! How an applied migration goes back, in the words that the database keeps for programs that do not know it.

use std::fmt;

use bridge_migrate_core::Migration;

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
                    Self::Journal { table, column }
                } else {
                    Self::Clear { table, column }
                }
            }
        }
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
        if let Some((table, column)) = text.strip_prefix("journal ").and_then(named) {
            return Self::Journal { table, column };
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
            Self::Journal { table, column } => write!(f, "journal {table}.{column}"),
            Self::Clear { table, column } => write!(f, "clear {table}.{column}"),
            Self::Unknown(text) => f.write_str(text),
        }
    }
}
