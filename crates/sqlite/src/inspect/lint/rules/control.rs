//! Statements that are the tool's affair: transactions, pragmas, files, its own tables.

use super::super::statement::Statement;
use super::super::{Found, Linted};
use crate::schema::tool_tables::is_tool_table;

const CONTROL: &str = "pragma begin commit end rollback savepoint release attach detach vacuum";

pub(super) fn is_control(statement: &Statement<'_>) -> bool {
    statement
        .tokens
        .first()
        .is_some_and(|token| token.is_one_of(CONTROL))
}

pub(super) fn control(linted: &Linted<'_>) -> Vec<Found> {
    linted
        .both_ways()
        .filter(|(statement, _)| is_control(statement))
        .filter_map(|(statement, place)| {
            let word = statement.tokens.first()?.text.to_ascii_uppercase();
            Some(Found::error(
                "BM214",
                place(statement.line),
                format!(
                    "{word} inside a migration: the tool runs each one in a transaction of its own, with its history, \
                     and sets what pragmas it needs"
                ),
                "take it out",
            ))
        })
        .collect()
}

pub(super) fn guards(linted: &Linted<'_>) -> Vec<Found> {
    linted
        .both_ways()
        .filter(|(statement, _)| {
            let head = statement.tokens.get(..6).unwrap_or(&statement.tokens);
            (statement.begins(&["create"]) || statement.begins(&["drop"]))
                && head.windows(2).any(|pair| {
                    matches!(pair, [a, b] if a.is_word("if") && (b.is_word("exists") || b.is_word("not")))
                })
        })
        .map(|(statement, place)| {
            Found::warning(
                "BM215",
                place(statement.line),
                "IF EXISTS or IF NOT EXISTS passes over an object that should not be there, or should: drift stays \
                 unnoticed",
                "take it out: the tool knows what is there, and adopts what servers made",
            )
        })
        .collect()
}

pub(super) fn foreign_objects(linted: &Linted<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for (statement, place) in linted.both_ways() {
        if statement.begins(&["create", "temp"]) || statement.begins(&["create", "temporary"]) {
            found.push(Found::error(
                "BM216",
                place(statement.line),
                "it makes a temporary object, which is gone when the connection is, and which a run that goes on \
                 elsewhere does not find",
                "use a subquery or a common table expression",
            ));
        }
        let own = statement
            .tokens
            .iter()
            .filter_map(|token| token.name())
            .find(|name| is_tool_table(name));
        if let Some(table) = own {
            found.push(Found::error(
                "BM216",
                place(statement.line),
                format!("it names {table}, which the tool keeps itself"),
                "leave the tool's tables to the tool",
            ));
        }
    }
    found
}
