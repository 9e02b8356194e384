//! What statements would do to which tables, as SQLite's own compiler says while they run on an empty copy
//! of the schema.

use std::sync::{Arc, Mutex};
use std::{borrow::Cow, collections::BTreeSet};

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use crate::schema::script::{self, Rebuild};
use crate::schema::{Snapshot, expected, tool_tables::is_tool_table};
use crate::sqlite::{quote::identifier, sqlite_error::SqliteContext};
use bridge_migrate_core::{CompanionTable, Migration, Result};

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
    /// Tables of the tool that are written, each with the trigger that does it; an empty name for a statement itself.
    pub records: BTreeSet<(String, String)>,
}

/// What is about to write.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Writes<'a> {
    /// Statements, and then rows that are added to tables.
    Statements {
        sql: &'a str,
        fills: &'a [CompanionTable],
    },
    /// Values of one column.
    Column { table: &'a str, column: &'a str },
}

impl<'a> Writes<'a> {
    /// What the migration writes, apart from the tool's records.
    pub(crate) fn of(migration: &'a Migration) -> Self {
        match &migration.data {
            Some(step) => Self::Column {
                table: step.table(),
                column: step.column(),
            },
            None => Self::Statements {
                sql: &migration.up,
                fills: migration.import.as_ref().map_or(&[], |import| import.tables()),
            },
        }
    }
}

/// What a change would touch on the schema `on`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Forecast<'a> {
    pub(crate) writes: Writes<'a>,
    pub(crate) on: &'a Snapshot,
    pub(crate) effects: &'a Effects,
}

impl<'a> Forecast<'a> {
    /// The effects on the schema that is there now, which may have triggers that it had not when the plan was made.
    pub(crate) fn effects_on(&self, schema: &Snapshot) -> Result<Cow<'a, Effects>> {
        if schema == self.on {
            return Ok(Cow::Borrowed(self.effects));
        }
        let effects = Effects::of(&mut expected::replay(schema)?, self.writes);
        effects
            .map(Cow::Owned)
            .while_doing("find out what a change would touch")
    }
}

impl Effects {
    /// What `writes` would do to `scratch`; statements are run there.
    ///
    /// # Errors
    /// When SQLite refuses a statement, as it then would on the real database.
    pub(crate) fn of(scratch: &mut Connection, writes: Writes<'_>) -> rusqlite::Result<Self> {
        match writes {
            // Only its end is seen from outside.
            Writes::Statements { sql, fills: [] } if let Ok(Some(rebuild)) = Rebuild::parse(sql) => {
                script::run(scratch, sql)?;
                let tables = BTreeSet::from([rebuild.table().to_owned()]);
                Ok(Self {
                    dropped: tables.clone(),
                    created: tables.clone(),
                    indexed: tables,
                    ..Self::default()
                })
            }
            Writes::Statements { sql, fills } => observe(scratch, |scratch| {
                script::run(scratch, sql)?;
                fills
                    .iter()
                    .filter(|table| scratch.table_exists(Some("main"), table.name).unwrap_or(false))
                    .try_for_each(|table| {
                        let insert = format!("INSERT INTO {} DEFAULT VALUES", identifier(table.name));
                        scratch.prepare(&insert).map(drop)
                    })
            }),
            Writes::Column { table, column } => {
                let (table, column) = (identifier(table), identifier(column));
                observe(scratch, |scratch| {
                    let update = format!("UPDATE {table} SET {column} = {column}");
                    scratch.prepare(&update).map(drop)
                })
            }
        }
    }

    /// Runs `statements` on `scratch`, which must hold the schema they are for, and tells what they did.
    ///
    /// # Errors
    /// When SQLite refuses a statement, as it then would on the real database.
    pub(crate) fn of_statements(scratch: &mut Connection, statements: &str) -> rusqlite::Result<Self> {
        let writes = Writes::Statements {
            sql: statements,
            fills: &[],
        };
        Self::of(scratch, writes)
    }

    /// The tables whose row count can change and that stay.
    pub(crate) fn recounted(&self) -> BTreeSet<String> {
        self.inserted.union(&self.deleted).cloned().collect()
    }

    /// Tables that are copied and replaced under their own name.
    pub(crate) fn rebuilt(&self, before: &Snapshot, after: &Snapshot) -> Vec<String> {
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
            note(&mut effects, &context);
        }
        Authorization::Allow
    }))?;
    let outcome = run(scratch);
    scratch.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
    outcome?;
    let effects = seen.lock().map(|effects| effects.clone()).unwrap_or_default();
    Ok(effects)
}

fn note(effects: &mut Effects, context: &AuthContext<'_>) {
    let table = match context.action {
        AuthAction::Insert { table_name }
        | AuthAction::Delete { table_name }
        | AuthAction::Update { table_name, .. }
        | AuthAction::DropTable { table_name } => table_name,
        AuthAction::CreateTable { table_name } => {
            effects.created.insert(table_name.to_owned());
            return;
        }
        AuthAction::CreateIndex { table_name, .. } => {
            effects.indexed.insert(table_name.to_owned());
            return;
        }
        _ => return,
    };
    if is_tool_table(table) {
        let trigger = context.accessor.unwrap_or_default();
        effects.records.insert((table.to_owned(), trigger.to_owned()));
        return;
    }
    let is_sqlites = table
        .get(..7)
        .is_some_and(|prefix| prefix.eq_ignore_ascii_case("sqlite_"));
    if is_sqlites {
        return;
    }
    let table = table.to_owned();
    match context.action {
        AuthAction::Insert { .. } => effects.inserted.insert(table),
        AuthAction::Delete { .. } => effects.deleted.insert(table),
        AuthAction::Update { column_name, .. } => effects.updated.insert((table, column_name.to_owned())),
        _ => effects.dropped.insert(table),
    };
}
