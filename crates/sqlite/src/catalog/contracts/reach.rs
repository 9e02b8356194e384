//! What a write of one table can reach besides that table: by triggers, and by actions of foreign keys.

use std::collections::BTreeSet;

use rusqlite::Connection;

use crate::schema::token::{Token, tokenize};
use crate::schema::{ForeignKeyAction, ObjectKind, Snapshot, TableDetail};

/// The table that an INSERT, UPDATE or DELETE writes, as it names it; none for another statement.
pub(crate) fn target(tokens: &[Token<'_>]) -> Option<String> {
    let first = tokens.first()?;
    let after = |word: &str| {
        tokens
            .iter()
            .position(|token| token.is_word(word))
            .map(|at| at + 1)
    };
    let mut at = if first.is_word("insert") || first.is_word("replace") {
        after("into")?
    } else if first.is_word("delete") {
        after("from")?
    } else if first.is_word("update") {
        if tokens.get(1)?.is_word("or") { 3 } else { 1 }
    } else {
        return None;
    };
    if tokens.get(at + 1).is_some_and(|token| token.is_operator(".")) {
        at += 2;
    }
    tokens.get(at)?.name().map(|name| name.into_owned())
}

/// Whether the statement replaces rows that are there.
pub(crate) fn replaces(tokens: &[Token<'_>]) -> bool {
    let word = |index: usize, word: &str| tokens.get(index).is_some_and(|token| token.is_word(word));
    word(0, "replace") || (word(0, "insert") && word(1, "or") && word(2, "replace"))
}

/// The tables, in lower case and without `table` itself, whose rows a write of `table` can remove.
pub(super) fn reach(
    connection: &Connection,
    schema: &Snapshot,
    table: &str,
    foreign_keys: bool,
) -> rusqlite::Result<BTreeSet<String>> {
    let tables: BTreeSet<String> = schema
        .of_kind(ObjectKind::Table)
        .map(|object| object.name.to_ascii_lowercase())
        .collect();
    let start = table.to_ascii_lowercase();
    let mut reached = BTreeSet::new();
    let mut pending = vec![start.clone()];
    while let Some(from) = pending.pop() {
        let mut next = BTreeSet::new();
        for trigger in schema.of_kind(ObjectKind::Trigger) {
            if trigger.table.eq_ignore_ascii_case(&from) {
                next.extend(
                    tokenize(&trigger.sql)
                        .iter()
                        .filter_map(Token::name)
                        .map(|name| name.to_ascii_lowercase())
                        .filter(|name| tables.contains(name)),
                );
            }
        }
        if foreign_keys {
            next.extend(acting_children(connection, &tables, &from)?);
        }
        pending.extend(next.into_iter().filter(|table| reached.insert(table.clone())));
    }
    reached.remove(&start);
    Ok(reached)
}

/// Those of `tables` with a foreign key on `parent` that deletes or changes their rows when a row of it goes.
pub(super) fn acting_children(
    connection: &Connection,
    tables: &BTreeSet<String>,
    parent: &str,
) -> rusqlite::Result<Vec<String>> {
    let mut children = Vec::new();
    for child in tables {
        let detail = TableDetail::read(connection, child)?;
        let acts = detail.foreign_keys.iter().any(|key| {
            key.parent_table.eq_ignore_ascii_case(parent)
                && !matches!(
                    key.on_delete,
                    ForeignKeyAction::NoAction | ForeignKeyAction::Restrict
                )
        });
        if acts {
            children.push(child.clone());
        }
    }
    Ok(children)
}
