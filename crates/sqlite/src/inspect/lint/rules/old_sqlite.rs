//! What the SQLite of a server's Python, 3.37 at the oldest, cannot read: one such object and the server cannot
//! open the schema at all.

use super::super::{Found, Subject};
use crate::schema::token::{Token, TokenKind, tokenize};
use bridge_migrate_core::Result;

/// Functions with the version that brought them.
const FUNCTIONS: [(&str, &str); 13] = [
    ("unixepoch", "3.38"),
    ("format", "3.38"),
    ("octet_length", "3.43"),
    ("timediff", "3.43"),
    ("concat", "3.44"),
    ("concat_ws", "3.44"),
    ("string_agg", "3.44"),
    ("jsonb", "3.45"),
    ("jsonb_set", "3.45"),
    ("jsonb_object", "3.45"),
    ("jsonb_array", "3.45"),
    ("json_pretty", "3.46"),
    ("unistr", "3.50"),
];

pub(super) fn too_new(subject: &Subject<'_>) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for object in subject.changed() {
        let tokens = tokenize(&object.sql);
        let newest = (0..tokens.len()).find_map(|index| newer(&tokens, index));
        if let Some((what, version)) = newest {
            found.push(Found::error(
                "BM217",
                subject.place_of(&[&object.name]),
                format!(
                    "{} {} uses {what}, which SQLite knows since {version}: servers with an older one fail",
                    object.kind, object.name
                ),
                "write it in a way that SQLite 3.37 can read",
            ));
        }
    }
    Ok(found)
}

fn newer(tokens: &[Token<'_>], index: usize) -> Option<(String, &'static str)> {
    let token = tokens.get(index)?;
    let word = |index: usize, word: &str| tokens.get(index).is_some_and(|token| token.is_word(word));
    if token.is_operator("->") || token.is_operator("->>") {
        return Some((token.text.to_owned(), "3.38"));
    }
    if token.kind == TokenKind::Number && token.text.contains('_') {
        return Some((format!("the number {}", token.text), "3.46"));
    }
    if word(index, "is") {
        let distinct = if word(index + 1, "not") {
            index + 2
        } else {
            index + 1
        };
        if word(distinct, "distinct") && word(distinct + 1, "from") {
            return Some(("IS DISTINCT FROM".to_owned(), "3.39"));
        }
    }
    let outer = usize::from(word(index + 1, "outer"));
    if (word(index, "right") || word(index, "full")) && word(index + 1 + outer, "join") {
        return Some((format!("{} JOIN", token.text.to_ascii_uppercase()), "3.39"));
    }
    let is_call =
        token.kind == TokenKind::Word && tokens.get(index + 1).is_some_and(|token| token.is_operator("("));
    FUNCTIONS
        .iter()
        .find(|(function, _)| is_call && token.text.eq_ignore_ascii_case(function))
        .map(|(function, version)| (format!("{function}()"), *version))
}
