//! What a way back would drop: tables and columns that are there before and not after.

use crate::schema::{ObjectKind, Snapshot, TableDefinition};

/// Something with values in it that a way back drops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// A whole table.
    Table(String),
    /// A column of a table that stays.
    Column {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
}

impl Dropped {
    pub(crate) fn table(&self) -> &str {
        match self {
            Self::Table(table) | Self::Column { table, .. } => table,
        }
    }

    pub(crate) fn column(&self) -> Option<&str> {
        match self {
            Self::Column { column, .. } => Some(column),
            Self::Table(_) => None,
        }
    }
}

/// Compares the schemas before and after.
pub(crate) fn find(before: &Snapshot, after: &Snapshot) -> Vec<Dropped> {
    let mut dropped = Vec::new();
    for table in before.of_kind(ObjectKind::Table) {
        let Some(stays) = after.get(ObjectKind::Table, &table.name) else {
            dropped.push(Dropped::Table(table.name.clone()));
            continue;
        };
        let (Some(then), Some(now)) = (
            TableDefinition::parse(&table.sql),
            TableDefinition::parse(&stays.sql),
        ) else {
            continue;
        };
        // A generated column has no values of its own.
        for column in then.columns.iter().filter(|column| !column.is_generated()) {
            if now.column(&column.name).is_none() {
                dropped.push(Dropped::Column {
                    table: table.name.clone(),
                    column: column.name.clone(),
                });
            }
        }
    }
    dropped
}
