//! Runs what the servers of a release run on a schema, and says what breaks and what silently changes.

use std::collections::{BTreeMap, BTreeSet};

use naming::Release;
use rusqlite::{Connection, ErrorCode, params_from_iter};

use super::breach::{GONE, LOST, OTHER_ROWS, REFUSED, RESET, TRIGGER, UNREADABLE};
use super::reach::{acting_children, reach, replaces, target};
use super::replace::{reset_columns, unknown_columns};
use super::{Breach, ContractStatement, statements_of};
use crate::schema::{ObjectKind, Snapshot, TableDefinition, TableDetail, expected, token::tokenize};
use crate::sqlite::{ask::Ask, count::count_rows, sqlite_error::SqliteContext};
use bridge_migrate_core::{Catalog, Error, ErrorKind, Finding, Hint, Result, Severity};

/// Runs every statement of `release` on a database at `version`, empty or populated, in a transaction that is
/// rolled back, and says what broke and what silently changed. What the migrations since that release allow
/// is a note, with their reason.
///
/// The connection must be outside a transaction; how it has foreign keys is put back afterwards.
///
/// # Errors
/// [`ErrorKind::Usage`] when the catalog has no contract of that release; SQLite's own failures when the
/// database cannot be read or written, as opposed to a statement of the contract.
pub fn check(
    catalog: &Catalog,
    version: u32,
    release: Release,
    connection: &Connection,
) -> Result<Vec<Finding>> {
    let schemas = expected::schemas(catalog)?;
    let known = known_schema(catalog, release, &schemas);
    let found = breaches(catalog, release, known, connection)?;
    Ok(found
        .iter()
        .map(|breach| {
            let mut finding = breach.finding();
            let answerable = breach.answerable(&schemas);
            let allowed = catalog
                .migrations()
                .iter()
                .filter(|migration| migration.version <= version && migration.release > release)
                .filter(|migration| answerable.is_none_or(|at| usize::try_from(migration.version) == Ok(at)))
                .find_map(|migration| migration.allows(breach.code).map(|reason| (migration, reason)));
            if let Some((migration, reason)) = allowed {
                finding.severity = Severity::Note;
                finding.message = format!("{}; {} allows it: {reason}", finding.message, migration.stem());
            }
            finding
        })
        .collect())
}

/// The one of `schemas` that the servers of `release` were written for.
pub(crate) fn known_schema<'a>(
    catalog: &Catalog,
    release: Release,
    schemas: &'a [Snapshot],
) -> Option<&'a Snapshot> {
    let last = catalog
        .migrations()
        .iter()
        .rfind(|migration| migration.release == release)?;
    schemas.get(usize::try_from(last.version).ok()?)
}

/// Like [`check`], before anything is allowed; `known` is the schema that the release was written for.
pub(crate) fn breaches(
    catalog: &Catalog,
    release: Release,
    known: Option<&Snapshot>,
    connection: &Connection,
) -> Result<Vec<Breach>> {
    let Some((foreign_keys, statements)) = statements_of(catalog, release)? else {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("there are no contract statements of release {release}"),
        )
        .with_hint(Hint::Lint));
    };
    let doing = "run contract statements";
    let had: bool = connection.setting("foreign_keys").while_doing(doing)?;
    connection
        .pragma_update(None, "foreign_keys", foreign_keys)
        .while_doing(doing)?;
    let schema = expected::read(connection)?;
    let mut server = Server {
        connection,
        release,
        foreign_keys,
        known,
        schema: &schema,
        found: Vec::new(),
    };
    let outcome = server.run_all(&statements).while_doing(doing);
    connection
        .pragma_update(None, "foreign_keys", had)
        .while_doing(doing)?;
    outcome?;
    Ok(server.found)
}

/// A server of the release, on the database.
struct Server<'a> {
    connection: &'a Connection,
    release: Release,
    foreign_keys: bool,
    known: Option<&'a Snapshot>,
    schema: &'a Snapshot,
    found: Vec<Breach>,
}

type Counts = BTreeMap<String, u64>;

impl Server<'_> {
    fn run_all(&mut self, statements: &[ContractStatement]) -> rusqlite::Result<()> {
        // Rolled back when it is dropped, unless a trigger's RAISE(ROLLBACK) was faster.
        let transaction = self.connection.unchecked_transaction()?;
        for statement in statements {
            if let Err(error) = self.run(statement) {
                let code = classify(&error);
                self.note(code, statement, failure(statement, &error));
            }
            if self.connection.is_autocommit() {
                return Ok(());
            }
        }
        for statement in statements {
            self.probe(statement)?;
        }
        transaction.rollback()
    }

    fn run(&mut self, statement: &ContractStatement) -> rusqlite::Result<()> {
        let mut prepared = self.connection.prepare(&statement.sql)?;
        let columns: Vec<String> = prepared.column_names().map(str::to_owned).collect();
        for read in &statement.reads {
            if !columns.iter().any(|column| column.eq_ignore_ascii_case(read)) {
                let message = format!("the server reads column {read}, which does not come back any more");
                self.note(UNREADABLE, statement, message);
            }
        }
        let reached = match target(&tokenize(&statement.sql)) {
            Some(table) => reach(self.connection, self.schema, &table, self.foreign_keys)?,
            None => Default::default(),
        };
        for run in &statement.runs {
            if !columns.is_empty() {
                let mut rows = prepared.query(params_from_iter(run))?;
                while rows.next()?.is_some() {}
                continue;
            }
            let before = self.count(reached.iter())?;
            let changed = prepared.execute(params_from_iter(run))?;
            if let Some(expected) = statement.changes.filter(|expected| *expected != changed as u64) {
                let message = format!("it changes {changed} rows, and the server expects {expected}");
                self.note(OTHER_ROWS, statement, message);
            }
            self.compare(statement, &before)?;
        }
        Ok(())
    }

    /// What a REPLACE of an existing row does, after all statements have run: its children are there then.
    fn probe(&mut self, statement: &ContractStatement) -> rusqlite::Result<()> {
        let tokens = tokenize(&statement.sql);
        let Some(table) = target(&tokens).filter(|_| replaces(&tokens)) else {
            return Ok(());
        };
        let Some(object) = self.schema.get(ObjectKind::Table, &table) else {
            return Ok(());
        };
        let detail = TableDetail::read(self.connection, &table)?;
        let known = self
            .known
            .and_then(|known| known.get(ObjectKind::Table, &table))
            .and_then(|object| TableDefinition::parse(&object.sql));
        let columns = unknown_columns(&detail, known.as_ref());
        let has_rowid = TableDefinition::parse(&object.sql)
            .is_none_or(|definition| !definition.options.contains("without rowid"));
        self.note_new_actions(statement, &table)?;
        let reached = reach(self.connection, self.schema, &table, self.foreign_keys)?;
        for run in &statement.runs {
            self.connection.execute_batch("SAVEPOINT contract_probe")?;
            let before = self.count(reached.iter())?;
            let reset = reset_columns(self.connection, statement, run, &table, has_rowid, &columns);
            let compared = match &reset {
                Ok(_) => self.compare(statement, &before),
                // It fails as it failed before, which is reported.
                Err(_) => Ok(()),
            };
            if self.connection.is_autocommit() {
                return Ok(());
            }
            self.connection
                .execute_batch("ROLLBACK TO contract_probe; RELEASE contract_probe")?;
            compared?;
            for column in reset.unwrap_or_default() {
                let message =
                    format!("INSERT OR REPLACE sets {table}.{column} of an existing row back to its default");
                self.note_about(RESET, statement, message, Some((table.clone(), column)));
            }
        }
        Ok(())
    }

    /// REPLACE deletes the old row, and so fires actions of tables that the release does not know and that the
    /// database may have no rows of yet.
    fn note_new_actions(&mut self, statement: &ContractStatement, table: &str) -> rusqlite::Result<()> {
        if !self.foreign_keys {
            return Ok(());
        }
        let new: BTreeSet<String> = self
            .schema
            .of_kind(ObjectKind::Table)
            .filter(|child| {
                let known = self
                    .known
                    .and_then(|known| known.get(ObjectKind::Table, &child.name));
                known.is_none_or(|known| known.normal() != child.normal())
            })
            .map(|child| child.name.clone())
            .collect();
        for child in acting_children(self.connection, &new, table)? {
            let message = format!(
                "INSERT OR REPLACE of a row of {table} deletes or changes the rows of {child} that refer to it"
            );
            self.note(LOST, statement, message);
        }
        Ok(())
    }

    fn count<'t>(&self, tables: impl Iterator<Item = &'t String>) -> rusqlite::Result<Counts> {
        tables
            .map(|table| {
                let rows = count_rows(self.connection, table).unwrap_or_default();
                Ok((table.clone(), rows))
            })
            .collect()
    }

    fn compare(&mut self, statement: &ContractStatement, before: &Counts) -> rusqlite::Result<()> {
        let after = self.count(before.keys())?;
        for (table, then) in before {
            let now = after.get(table).copied().unwrap_or_default();
            if now < *then {
                self.note(
                    LOST,
                    statement,
                    format!("{} rows of {table} disappear", then - now),
                );
            }
        }
        Ok(())
    }

    fn note(&mut self, code: &'static str, statement: &ContractStatement, message: String) {
        self.note_about(code, statement, message, None);
    }

    fn note_about(
        &mut self,
        code: &'static str,
        statement: &ContractStatement,
        message: String,
        column: Option<(String, String)>,
    ) {
        let breach = Breach {
            code,
            release: self.release,
            statement: statement.name.clone(),
            message,
            column,
        };
        if !self.found.contains(&breach) {
            self.found.push(breach);
        }
    }
}

fn classify(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_error() {
        Some(error) if error.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_TRIGGER => TRIGGER,
        Some(error) if error.code == ErrorCode::ConstraintViolation => REFUSED,
        _ => GONE,
    }
}

fn failure(statement: &ContractStatement, error: &rusqlite::Error) -> String {
    let why = match error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    };
    let sql: Vec<&str> = statement.sql.split_whitespace().collect();
    format!("`{}` fails: {why}", sql.join(" "))
}
