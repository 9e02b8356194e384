//! Names that SQLite reads as texts, and texts that it reads as names.

use super::super::statement::Statement;
use super::super::{Found, Linted, Place, scratch};
use crate::schema::probe::{complaint, message, without_quoted_strings};
use crate::schema::token::{Token, TokenKind};
use crate::schema::{expected, script};
use crate::sqlite::sqlite_error::SqliteContext;
use bridge_migrate_core::Result;

/// Keywords that SQLite takes as a bare name today, and that a later SQLite or another reader may not.
const KEYWORDS: &str = "abort action after always analyze asc attach before begin by cascade cast column conflict current \
    database deferred desc detach do each end exclude exclusive explain fail filter first following for \
    generated glob groups if ignore immediate initially instead key last like match materialized no \
    nulls of offset others over partition plan pragma preceding query raise range recursive regexp \
    reindex release rename replace restrict rollback row rows temp temporary ties trigger vacuum view \
    without";

/// Words after which only a name can stand.
const BEFORE_NAME: &str = "table index trigger view exists into update from join references column";

pub(super) fn spelling(linted: &Linted<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for (statement, place) in linted.both_ways() {
        for (index, token) in statement.tokens.iter().enumerate() {
            let message = if is_text_for_name(statement, index) {
                format!(
                    "{} stands where a name must, and is written as a text",
                    token.text
                )
            } else if is_default_without_quotes(statement, index) {
                format!(
                    "DEFAULT {} is the text '{}', although it is written as a name",
                    token.text,
                    token.name().unwrap_or_default()
                )
            } else if is_bare_keyword(statement, index) {
                format!("the name {} is a keyword, and stands without quotes", token.text)
            } else {
                continue;
            };
            found.push(Found::error(
                "BM213",
                place(statement.line_of(token)),
                message,
                "write names in \"double quotes\" and texts in 'single quotes'",
            ));
        }
    }
    found
}

fn previous<'a, 't>(statement: &'a Statement<'t>, index: usize) -> Option<&'a Token<'t>> {
    statement.tokens.get(index.checked_sub(1)?)
}

fn is_text_for_name(statement: &Statement<'_>, index: usize) -> bool {
    let is_text = statement
        .tokens
        .get(index)
        .is_some_and(|token| token.kind == TokenKind::Text);
    is_text && previous(statement, index).is_some_and(|before| before.is_one_of(BEFORE_NAME))
}

fn is_default_without_quotes(statement: &Statement<'_>, index: usize) -> bool {
    let Some(token) = statement.tokens.get(index) else {
        return false;
    };
    let constants = "null true false current_date current_time current_timestamp values";
    let follows_default = previous(statement, index).is_some_and(|before| before.is_word("default"));
    let is_action = index >= 2 && statement.word(index - 2, "set");
    let is_name = match token.kind {
        TokenKind::Quoted => true,
        TokenKind::Word => !token.is_one_of(constants),
        _ => false,
    };
    follows_default && !is_action && is_name
}

/// Whether the token begins a column's definition, names a new table, or is a column's new name.
fn is_bare_keyword(statement: &Statement<'_>, index: usize) -> bool {
    let is_keyword = statement
        .tokens
        .get(index)
        .is_some_and(|token| token.is_one_of(KEYWORDS));
    if !is_keyword {
        return false;
    }
    if statement.begins(&["create", "table"]) {
        let depth = statement
            .tokens
            .get(..index)
            .unwrap_or_default()
            .iter()
            .fold(0_i64, |depth, token| {
                depth + i64::from(token.is_operator("(")) - i64::from(token.is_operator(")"))
            });
        let begins_item = previous(statement, index)
            .is_some_and(|before| before.is_operator("(") || before.is_operator(","));
        return (depth == 1 && begins_item) || (index == 2 && !statement.word(3, "not"));
    }
    if statement.begins(&["alter", "table"]) {
        let after = |word: &str| previous(statement, index).is_some_and(|before| before.is_word(word));
        return index == 2
            || after("column")
            || (after("add") && !statement.word(index, "column"))
            || after("to");
    }
    false
}

/// Runs the statements with `"text"` read as a name only: what then fails is a text in the wrong quotes.
pub(super) fn strings_in_double_quotes(linted: &Linted<'_>) -> Result<Vec<Found>> {
    let connection = scratch(linted.before)?;
    without_quoted_strings(&connection).while_doing("make SQLite strict about quotes")?;
    let found = |place: Place, why: &str| {
        Found::error(
            "BM213",
            place,
            format!(
                "a text is written in double quotes, so that SQLite takes it for a name where one fits: {why}"
            ),
            "write names in \"double quotes\" and texts in 'single quotes'",
        )
    };
    if let Err(error) = script::run(&connection, &linted.migration.up) {
        return Ok(vec![found(Place::Whole, &message(&error))]);
    }
    let lenient = scratch(&linted.after)?;
    let schema = expected::read(&connection)?;
    Ok(schema
        .iter()
        .filter(|object| linted.before.get(object.kind, &object.name).is_none())
        .filter_map(|object| {
            let why = complaint(&connection, object)?;
            // Without the strictness it works: so the quotes are the reason.
            complaint(&lenient, object)
                .is_none()
                .then(|| found(linted.place_of(&[&object.name]), &why))
        })
        .collect())
}
