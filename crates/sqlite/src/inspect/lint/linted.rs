//! One migration, as the rules see it.

use std::collections::BTreeSet;

use rusqlite::Connection;

use super::{Place, scratch, statement::Statement};
use crate::schema::script::{Rebuild, Taken};
use crate::schema::{
    Object, ObjectKind, Snapshot, TableDefinition, TableDetail, effects::Effects, expected, probe::message,
};
use crate::sqlite::sqlite_error::SqliteContext;
use bridge_migrate_core::{Catalog, Migration, Result};

/// One migration with its statements, what they do, and the schema before and after them.
pub(super) struct Linted<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) migration: &'a Migration,
    pub(super) before: &'a Snapshot,
    /// The schema before, when the statements do not run.
    pub(super) after: Snapshot,
    pub(super) up: Vec<Statement<'a>>,
    pub(super) down: Vec<Statement<'a>>,
    pub(super) effects: Effects,
    /// What `up` is when it is no list of statements.
    pub(super) rebuild: Option<Rebuild>,
}

impl<'a> Linted<'a> {
    /// Runs the statements on an empty copy of the schema before; with SQLite's words when they do not run.
    pub(super) fn new(
        catalog: &'a Catalog,
        migration: &'a Migration,
        before: &'a Snapshot,
    ) -> Result<(Self, Option<String>)> {
        let mut connection = scratch(before)?;
        let ran = Effects::of_statements(&mut connection, &migration.up);
        let (effects, after, failure) = match ran {
            Ok(effects) => (effects, expected::read(&connection)?, None),
            Err(error) => (Effects::default(), before.clone(), Some(message(&error))),
        };
        let linted = Self {
            catalog,
            migration,
            before,
            after,
            up: Statement::all(&migration.up),
            down: Statement::all(&migration.down),
            effects,
            rebuild: Rebuild::of(migration),
        };
        Ok((linted, failure))
    }

    /// The statements of both directions, each with its place.
    pub(super) fn both_ways(&self) -> impl Iterator<Item = (&Statement<'a>, fn(usize) -> Place)> {
        let up = self
            .up
            .iter()
            .map(|statement| (statement, Place::Up as fn(usize) -> Place));
        let down = self
            .down
            .iter()
            .map(|statement| (statement, Place::Down as fn(usize) -> Place));
        up.chain(down)
    }

    /// The first statement that names all of these.
    pub(super) fn place_of(&self, names: &[&str]) -> Place {
        self.up
            .iter()
            .find(|statement| names.iter().all(|name| statement.names(name)))
            .map_or(Place::Whole, |statement| Place::Up(statement.line))
    }

    /// Tables that are there before and after, and are another table under the same name.
    pub(super) fn rebuilt(&self) -> Vec<&Object> {
        let touched: BTreeSet<String> = self
            .effects
            .dropped
            .union(&self.effects.created)
            .map(|table| table.to_ascii_lowercase())
            .collect();
        self.before
            .of_kind(ObjectKind::Table)
            .filter(|table| touched.contains(&table.name.to_ascii_lowercase()))
            .filter(|table| self.after.get(ObjectKind::Table, &table.name).is_some())
            .collect()
    }

    /// What a column of the rebuilt table was called before.
    pub(super) fn name_before(&self, column: String) -> String {
        let mut taken = self.rebuild.iter().flat_map(Rebuild::taken);
        let taken = taken.find(|taken| taken.column.eq_ignore_ascii_case(&column));
        taken.and_then(Taken::old).unwrap_or(column)
    }

    /// Every table of the schema after, taken apart, with itself before.
    pub(super) fn tables(&self) -> Vec<(String, TableDefinition, Option<TableDefinition>)> {
        self.after
            .of_kind(ObjectKind::Table)
            .filter_map(|table| {
                let after = TableDefinition::parse(&table.sql)?;
                let before = self
                    .before
                    .get(ObjectKind::Table, &table.name)
                    .and_then(|table| TableDefinition::parse(&table.sql));
                Some((table.name.clone(), after, before))
            })
            .collect()
    }

    /// Objects that are new, or another than before.
    pub(super) fn changed(&self) -> impl Iterator<Item = &Object> {
        self.after.iter().filter(|object| {
            self.before
                .get(object.kind, &object.name)
                .is_none_or(|before| before.normal() != object.normal())
        })
    }
}

/// What SQLite says of each table of a schema.
pub(super) fn details(connection: &Connection, schema: &Snapshot) -> Result<Vec<(String, TableDetail)>> {
    schema
        .of_kind(ObjectKind::Table)
        .map(|table| {
            TableDetail::read(connection, &table.name)
                .map(|detail| (table.name.clone(), detail))
                .while_doing(format_args!("read the columns of {}", table.name))
        })
        .collect()
}
