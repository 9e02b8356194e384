//! The tables that hold what the token file holds.

use std::collections::HashMap;

use bridge_migrate_core::{CompanionTable, Error, ErrorKind, Hint, Result, TableRows, Value};

pub(super) const TOKENS: CompanionTable = CompanionTable {
    name: "auth_tokens",
    columns: &["token_hash", "client_id", "created_at", "expires_at"],
};

pub(super) const REVOKED: CompanionTable = CompanionTable {
    name: "revoked_tokens",
    columns: &["token_hash", "revoked_at"],
};

pub(super) const TABLES: &[CompanionTable] = &[TOKENS, REVOKED];

/// What both tables hold, each row in the order of its columns.
pub(super) struct Stored<'a> {
    pub(super) tokens: Vec<&'a [Value; 4]>,
    pub(super) revoked: Vec<&'a [Value; 2]>,
}

impl<'a> Stored<'a> {
    /// # Errors
    /// [`ErrorKind::SchemaMismatch`] when the database has no such tables.
    pub(super) fn of(tables: &'a [TableRows]) -> Result<Self> {
        Ok(Self {
            tokens: rows_of(tables, TOKENS)?,
            revoked: rows_of(tables, REVOKED)?,
        })
    }

    pub(super) fn tokens_by_hash(&self) -> HashMap<&'a Value, &'a [Value; 4]> {
        self.tokens.iter().map(|&row| (&row[0], row)).collect()
    }
}

fn rows_of<const N: usize>(tables: &[TableRows], table: CompanionTable) -> Result<Vec<&[Value; N]>> {
    match tables.iter().find(|rows| rows.table == table) {
        Some(TableRows { rows, .. }) => Ok(rows.iter().filter_map(|row| row[..].try_into().ok()).collect()),
        None => Err(Error::new(
            ErrorKind::SchemaMismatch,
            format!(
                "cannot compare the token file with the database: it has no table {}",
                table.name
            ),
        )
        .with_truth("Tokens are in the database from release 1.1.0 on.")
        .with_hint(Hint::Migrate)),
    }
}
