//! What statements would do to which tables, as SQLite's own compiler says while they run on an empty copy
//! of the schema.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use crate::error::{Result, SqliteContext};
use crate::quote::identifier;

/// The tables that statements touch, also through triggers and views. Names as SQLite reports them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects {
    /// Rows are added.
    pub inserted: BTreeSet<String>,
    /// Rows are removed.
    pub deleted: BTreeSet<String>,
    /// Values change: table and column.
    pub updated: BTreeSet<(String, String)>,
    /// Created.
    pub created: BTreeSet<String>,
    /// Dropped.
    pub dropped: BTreeSet<String>,
    /// An index is built over the table's rows.
    pub indexed: BTreeSet<String>,
}

impl Effects {
    /// Runs `statements` on `scratch`, which must hold the schema they are for, and tells what they did.
    ///
    /// # Errors
    /// When SQLite refuses a statement, as it then would on the real database.
    pub fn of_statements(scratch: &mut Connection, statements: &str) -> rusqlite::Result<Self> {
        observe(scratch, |scratch| scratch.execute_batch(statements))
    }

    /// What changing `table.column` does, triggers of that table included.
    ///
    /// # Errors
    /// When SQLite refuses the statement.
    pub fn of_update(scratch: &mut Connection, table: &str, column: &str) -> Result<Self> {
        let (table_name, column_name) = (identifier(table), identifier(column));
        observe(scratch, |scratch| {
            scratch
                .prepare(&format!("UPDATE {table_name} SET {column_name} = {column_name}"))
                .map(drop)
        })
        .while_doing(format_args!(
            "find out what an update of {table}.{column} would touch"
        ))
    }

    /// The tables whose row count can change and that stay.
    pub fn recounted(&self) -> BTreeSet<String> {
        self.inserted.union(&self.deleted).cloned().collect()
    }

    /// Tables that are copied and replaced under their own name.
    pub fn rebuilt(&self, before: &crate::schema::Snapshot, after: &crate::schema::Snapshot) -> Vec<String> {
        use crate::schema::ObjectKind::Table;
        self.dropped
            .iter()
            .filter(|table| before.get(Table, table).is_some() && after.get(Table, table).is_some())
            .cloned()
            .collect()
    }
}

fn observe(
    scratch: &mut Connection,
    run: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> rusqlite::Result<Effects> {
    let seen = Arc::new(Mutex::new(Effects::default()));
    let writer = Arc::clone(&seen);
    scratch.authorizer(Some(move |context: AuthContext<'_>| {
        if let Ok(mut effects) = writer.lock() {
            note(&mut effects, context.action);
        }
        Authorization::Allow
    }))?;
    let outcome = run(scratch);
    scratch.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
    outcome?;
    let effects = seen.lock().map(|effects| effects.clone()).unwrap_or_default();
    Ok(effects)
}

fn note(effects: &mut Effects, action: AuthAction<'_>) {
    let is_ours = |table: &str| {
        !table
            .get(..7)
            .is_some_and(|prefix| prefix.eq_ignore_ascii_case("sqlite_"))
    };
    match action {
        AuthAction::Insert { table_name } if is_ours(table_name) => {
            effects.inserted.insert(table_name.to_owned());
        }
        AuthAction::Delete { table_name } if is_ours(table_name) => {
            effects.deleted.insert(table_name.to_owned());
        }
        AuthAction::Update {
            table_name,
            column_name,
        } if is_ours(table_name) => {
            effects
                .updated
                .insert((table_name.to_owned(), column_name.to_owned()));
        }
        AuthAction::CreateTable { table_name } => {
            effects.created.insert(table_name.to_owned());
        }
        AuthAction::DropTable { table_name } => {
            effects.dropped.insert(table_name.to_owned());
        }
        AuthAction::CreateIndex { table_name, .. } => {
            effects.indexed.insert(table_name.to_owned());
        }
        _ => {}
    }
}
