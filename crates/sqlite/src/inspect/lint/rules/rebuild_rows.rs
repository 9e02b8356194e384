//! What making a table anew does to rows: the sequence mark, and the actions of other tables' foreign keys.

use super::super::linted::details;
use super::super::{Found, Linted, Place, scratch};
use crate::schema::{ForeignKeyAction, ObjectKind, script, token::tokenize};
use crate::sqlite::{ask::Ask, sqlite_error::SqliteContext};
use bridge_migrate_core::Result;

/// A mark that no empty table reaches by itself.
const MARK: i64 = 1_000_000;

pub(super) fn lost_sequence(linted: &Linted<'_>) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for table in linted.rebuilt() {
        let counts = tokenize(&table.sql)
            .iter()
            .any(|token| token.is_word("autoincrement"));
        if !counts {
            continue;
        }
        let doing = "try a rebuild with a sequence mark";
        let connection = scratch(linted.before)?;
        connection
            .execute(
                "INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)",
                (&table.name, MARK),
            )
            .while_doing(doing)?;
        script::run(&connection, &linted.migration.up).while_doing(doing)?;
        let mark: Option<i64> = connection
            .value(
                "SELECT max(seq) FROM sqlite_sequence WHERE lower(name) = lower(?1)",
                [&table.name],
            )
            .while_doing(doing)?;
        if mark.is_none_or(|mark| mark < MARK) {
            found.push(Found::error(
                "BM205",
                linted.place_of(&[&table.name]),
                format!(
                    "making {} anew loses its mark in sqlite_sequence: numbers of deleted rows are given out again",
                    table.name
                ),
                format!(
                    "copy the mark: UPDATE sqlite_sequence SET seq = (SELECT seq FROM sqlite_sequence WHERE name = \
                     '{0}') for the new table, before the old one is dropped",
                    table.name
                ),
            ));
        }
    }
    Ok(found)
}

pub(super) fn fired_actions(linted: &Linted<'_>) -> Result<Vec<Found>> {
    let connection = scratch(linted.before)?;
    let children = details(&connection, linted.before)?;
    let mut gone: Vec<String> = Vec::new();
    let mut found = Vec::new();
    for statement in &linted.up {
        let Some(table) = statement
            .object(2)
            .filter(|_| statement.begins(&["drop", "table"]))
        else {
            continue;
        };
        for (child, detail) in &children {
            let acts = detail.foreign_keys.iter().find(|key| {
                key.parent_table.eq_ignore_ascii_case(&table)
                    && !matches!(
                        key.on_delete,
                        ForeignKeyAction::NoAction | ForeignKeyAction::Restrict
                    )
            });
            let is_other = !child.eq_ignore_ascii_case(&table);
            if acts.is_none() || !is_other || gone.iter().any(|gone| gone.eq_ignore_ascii_case(child)) {
                continue;
            }
            found.push(Found::error(
                "BM206",
                Place::Up(statement.line),
                format!(
                    "DROP TABLE {table} deletes its rows first, and {child} has a foreign key on it that acts: where \
                     foreign keys are on, rows of {child} are deleted or lose their reference"
                ),
                format!("change {table} in place, or make {child} anew without the action first"),
            ));
        }
        gone.push(table);
    }
    Ok(found)
}

pub(super) fn followed_away(linted: &Linted<'_>) -> Result<Vec<Found>> {
    let before = details(&scratch(linted.before)?, linted.before)?;
    let after = details(&scratch(&linted.after)?, &linted.after)?;
    let mut found = Vec::new();
    for (child, detail) in &after {
        for key in &detail.foreign_keys {
            let parent = &key.parent_table;
            let is_new = !before.iter().any(|(table, detail)| {
                table.eq_ignore_ascii_case(child)
                    && detail
                        .foreign_keys
                        .iter()
                        .any(|old| old.parent_table.eq_ignore_ascii_case(parent))
            });
            if is_new && linted.after.get(ObjectKind::Table, parent).is_none() {
                found.push(Found::error(
                    "BM207",
                    linted.place_of(&[parent]),
                    format!("the foreign key of {child} refers to {parent}, which is not there afterwards"),
                    "make the new table under another name, drop the old one, and rename the new one: foreign keys \
                     follow a table that is renamed",
                ));
            }
        }
    }
    Ok(found)
}
