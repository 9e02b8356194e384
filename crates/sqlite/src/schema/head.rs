//! The head of a CREATE statement: everything up to and with the name of the object.

use super::object::ObjectKind;
use super::token::{Token, TokenKind};

/// What stands before the body of a CREATE statement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) kind: ObjectKind,
    /// CREATE UNIQUE INDEX.
    pub(super) unique: bool,
    /// CREATE VIRTUAL TABLE.
    pub(super) virtual_table: bool,
    /// The token that names the object, after the schema's name.
    pub(super) name: usize,
}

impl Head {
    /// The head of `tokens`, or `None` when they are no CREATE statement of one of the four kinds.
    pub(super) fn parse(tokens: &[Token<'_>]) -> Option<Self> {
        let word = |index: usize, word: &str| tokens.get(index).is_some_and(|token| token.is_word(word));
        if !word(0, "create") {
            return None;
        }
        let temporary = word(1, "temp") || word(1, "temporary");
        let unique = word(1, "unique");
        let virtual_table = word(1, "virtual");
        let mut next = if temporary || unique || virtual_table {
            2
        } else {
            1
        };
        let kind = [
            ObjectKind::Table,
            ObjectKind::Index,
            ObjectKind::View,
            ObjectKind::Trigger,
        ]
        .into_iter()
        .find(|kind| word(next, kind.as_str()))?;
        let fits = match kind {
            ObjectKind::Table => !unique,
            ObjectKind::Index => !temporary && !virtual_table,
            ObjectKind::View | ObjectKind::Trigger => !unique && !virtual_table,
        };
        if !fits {
            return None;
        }
        next += 1;
        if word(next, "if") && word(next + 1, "not") && word(next + 2, "exists") {
            next += 3;
        }
        if tokens.get(next + 1).is_some_and(|token| token.is_operator(".")) {
            is_name(tokens.get(next)?).then_some(())?;
            next += 2;
        }
        is_name(tokens.get(next)?).then_some(())?;
        if tokens.get(next + 1).is_some_and(|token| token.is_operator(".")) {
            return None;
        }
        Some(Self {
            kind,
            unique,
            virtual_table,
            name: next,
        })
    }
}

fn is_name(token: &Token<'_>) -> bool {
    matches!(token.kind, TokenKind::Word | TokenKind::Quoted | TokenKind::Text)
}
