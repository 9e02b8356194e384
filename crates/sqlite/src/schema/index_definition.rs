//! A CREATE INDEX statement taken apart, each part as it is written.

use super::table_definition::{closing, items, slice};
use super::{head::Head, object::ObjectKind, token::tokenize};

/// What a CREATE INDEX statement says; slices of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IndexDefinition<'a> {
    /// CREATE UNIQUE INDEX.
    pub(crate) unique: bool,
    /// All between the parentheses.
    pub(crate) keys: &'a str,
    /// The condition after WHERE.
    pub(crate) filter: Option<&'a str>,
}

impl<'a> IndexDefinition<'a> {
    /// Takes `sql` apart; `None` if it is no CREATE INDEX.
    pub(crate) fn parse(sql: &'a str) -> Option<Self> {
        let tokens = tokenize(sql);
        let head = Head::parse(&tokens).filter(|head| head.kind == ObjectKind::Index)?;
        // The name, ON, the table.
        let body = tokens.get(head.name + 3..)?;
        let body_is_list = tokens.get(head.name + 1)?.is_word("on") && body.first()?.is_operator("(");
        let close = closing(body, 0).filter(|_| body_is_list)?;
        let rest = body.get(close + 1..)?;
        let rest = match rest {
            [rest @ .., last] if last.is_operator(";") => rest,
            rest => rest,
        };
        let filter = match rest {
            [] => None,
            [word, condition @ ..] if word.is_word("where") && !condition.is_empty() => {
                Some(slice(sql, condition))
            }
            _ => return None,
        };
        Some(Self {
            unique: head.unique,
            keys: slice(sql, body.get(1..close)?),
            filter,
        })
    }

    /// Each key as an expression, without its direction.
    pub(crate) fn expressions(&self) -> Vec<&'a str> {
        items(&tokenize(self.keys))
            .into_iter()
            .map(|item| match item {
                [expression @ .., last] if !expression.is_empty() && last.is_one_of("asc desc") => {
                    slice(self.keys, expression)
                }
                whole => slice(self.keys, whole),
            })
            .collect()
    }
}
