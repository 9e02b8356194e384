//! What each token of a CREATE statement stands for, as far as its normal form depends on it.
//!
//! SQLite reads one and the same spelling in different ways: `"main"` is a name in a column list, a string after
//! DEFAULT, and in an expression a name where a column has it and a string where none has.

use std::borrow::Cow;

use super::token::{Token, TokenKind};
use super::{head::Head, keyword::is_join_operator, object::ObjectKind};

/// What a token stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// What its spelling says: a bare word is folded, a quoted identifier is a name, a literal is a literal.
    Plain,
    /// A name, however it is spelt.
    Name,
    /// The value after DEFAULT: a word or quoted identifier is a string, unless it is a constant.
    Default,
    /// A quoted identifier whose exact spelling may matter.
    Exact,
    /// A quoted identifier whose kind of quotes matters, too.
    Verbatim,
}

/// The role of each of `tokens`, whose head is `head`; without one, nothing is known of any.
pub(super) fn roles(tokens: &[Token<'_>], head: Option<&Head>) -> Vec<Role> {
    let Some(head) = head else {
        return vec![Role::Exact; tokens.len()];
    };
    let mut roles: Vec<_> = (0..tokens.len()).map(|index| general(tokens, index)).collect();
    let mut pass = Pass {
        tokens,
        roles: &mut roles,
    };
    pass.set(head.name, Role::Name);
    let body = head.name + 1;
    match head.kind {
        ObjectKind::Table => pass.table(body),
        ObjectKind::Index => pass.index(body),
        ObjectKind::View => {
            pass.list(body);
        }
        ObjectKind::Trigger => pass.trigger(body),
    }
    roles
}

/// The role of a token in a statement about whose columns nothing is known, such as a view or a trigger.
///
/// A lower-case `"draft"` is read as the name: were it a string, then the bare `draft` of which it could not be
/// told apart would not be valid there. Upper case could be a string's, so it stays.
fn general(tokens: &[Token<'_>], index: usize) -> Role {
    let Some(token) = tokens.get(index) else {
        return Role::Plain;
    };
    let is_upper = || token.text.bytes().any(|byte| byte.is_ascii_uppercase());
    if token.text.starts_with('"') && is_upper() && !is_certainly_name(tokens, index) {
        Role::Exact
    } else {
        Role::Plain
    }
}

/// Whether the grammar allows only a name here, and no string.
fn is_certainly_name(tokens: &[Token<'_>], index: usize) -> bool {
    let after_dot = preceded_by(tokens, index, |token| token.is_operator("."));
    let before_dot = tokens
        .get(index + 1)
        .is_some_and(|token| token.is_operator(".") || token.is_operator("("));
    let after_word = preceded_by(tokens, index, |token| {
        [
            "from",
            "join",
            "into",
            "update",
            "table",
            "references",
            "constraint",
            "collate",
        ]
        .iter()
        .any(|word| token.is_word(word))
    });
    after_dot || before_dot || after_word
}

fn preceded_by(tokens: &[Token<'_>], index: usize, test: impl Fn(&Token<'_>) -> bool) -> bool {
    index
        .checked_sub(1)
        .and_then(|previous| tokens.get(previous))
        .is_some_and(test)
}

/// Whether `token` begins a table constraint where a column definition could stand.
pub(super) fn begins_table_constraint(token: &Token<'_>) -> bool {
    ["constraint", "primary", "unique", "check", "foreign"]
        .iter()
        .any(|word| token.is_word(word))
}

/// Whether the token at `index` begins a column constraint, which ends the column's type.
pub(super) fn begins_column_constraint(tokens: &[Token<'_>], index: usize) -> bool {
    let word = |index: usize, word: &str| tokens.get(index).is_some_and(|token| token.is_word(word));
    let simple = [
        "constraint",
        "primary",
        "not",
        "null",
        "unique",
        "check",
        "default",
        "collate",
        "references",
        "as",
    ];
    simple.iter().any(|starter| word(index, starter))
        || (word(index, "generated") && word(index + 1, "always"))
}

/// What the innermost parentheses hold.
#[derive(Clone, Copy)]
enum Inside {
    /// The columns and constraints of a table.
    Body,
    /// A list of names.
    Names,
    /// An expression, in which the table's columns may be named or, in a default, may not.
    Expression { columns: bool },
    /// Numbers of a type, or anything else.
    Other,
}

struct Pass<'a, 't> {
    tokens: &'a [Token<'t>],
    roles: &'a mut [Role],
}

impl<'t> Pass<'_, 't> {
    fn set(&mut self, index: usize, role: Role) {
        if let Some(slot) = self.roles.get_mut(index) {
            *slot = role;
        }
    }

    /// Whether the token at `index` is the bare keyword `word`, and nothing yet says that it is a name.
    fn word(&self, index: Option<usize>, word: &str) -> bool {
        index.is_some_and(|index| {
            self.roles.get(index) == Some(&Role::Plain)
                && self.tokens.get(index).is_some_and(|token| token.is_word(word))
        })
    }

    fn operator(&self, index: usize, operator: &str) -> bool {
        self.tokens
            .get(index)
            .is_some_and(|token| token.is_operator(operator))
    }

    /// Whether the token at `index` is the first after an opening parenthesis or a comma.
    fn begins_item(&self, index: usize) -> bool {
        preceded_by(self.tokens, index, |token| {
            token.is_operator("(") || token.is_operator(",")
        })
    }

    fn table(&mut self, body: usize) {
        if !self.operator(body, "(") {
            return;
        }
        let columns = self.column_names(body);
        let mut stack = vec![Inside::Body];
        for index in body + 1..self.tokens.len() {
            let Some(inside) = stack.last().copied() else {
                return;
            };
            if self.operator(index, "(") {
                stack.push(self.opened(inside, index));
            } else if self.operator(index, ")") {
                stack.pop();
            } else {
                match inside {
                    Inside::Body => self.body_token(index),
                    Inside::Names if self.begins_item(index) => self.set(index, Role::Name),
                    Inside::Names | Inside::Other => self.set(index, Role::Plain),
                    Inside::Expression { columns: known } => {
                        self.expression_token(index, if known { &columns } else { &[] });
                    }
                }
            }
        }
    }

    /// What the parenthesis at `index`, itself inside `outer`, opens.
    fn opened(&self, outer: Inside, index: usize) -> Inside {
        let before = |distance: usize| index.checked_sub(distance);
        match outer {
            Inside::Body if self.word(before(1), "check") || self.word(before(1), "as") => {
                Inside::Expression { columns: true }
            }
            Inside::Body if self.word(before(1), "default") => Inside::Expression { columns: false },
            Inside::Body
                if self.word(before(1), "key")
                    || self.word(before(1), "unique")
                    || self.word(before(2), "references") =>
            {
                Inside::Names
            }
            Inside::Expression { .. } => outer,
            Inside::Body | Inside::Names | Inside::Other => Inside::Other,
        }
    }

    fn body_token(&mut self, index: usize) {
        let before = index.checked_sub(1);
        if self.begins_item(index) {
            let constraint = self.tokens.get(index).is_some_and(begins_table_constraint);
            if !constraint {
                self.set(index, Role::Name);
                self.column_type(index + 1);
            }
        } else if self.word(before, "default") {
            // Not the action SET DEFAULT of a foreign key.
            let action = self.word(index.checked_sub(2), "set");
            self.set(index, if action { Role::Plain } else { Role::Default });
        } else if ["constraint", "references", "collate"]
            .iter()
            .any(|word| self.word(before, word))
        {
            self.set(index, Role::Name);
        }
    }

    /// Quotes matter in a type of several tokens: SQLite reads `"big" int` as `big`, with another affinity, and
    /// `[big] int` as `big] in`.
    fn column_type(&mut self, start: usize) {
        let end = self.type_end(start);
        let several = end > start + 1 || self.operator(end, "(");
        for index in start..end {
            let role = match self.tokens.get(index) {
                Some(token) if several && token.kind == TokenKind::Quoted => {
                    if index == start && token.text.starts_with('[') {
                        Role::Verbatim
                    } else {
                        Role::Exact
                    }
                }
                _ => Role::Plain,
            };
            self.set(index, role);
        }
    }

    fn type_end(&self, start: usize) -> usize {
        let in_type = |index: usize| {
            self.tokens.get(index).is_some_and(|token| {
                matches!(token.kind, TokenKind::Word | TokenKind::Quoted | TokenKind::Text)
            }) && !begins_column_constraint(self.tokens, index)
        };
        (start..).find(|index| !in_type(*index)).unwrap_or(start)
    }

    fn column_names(&self, body: usize) -> Vec<Cow<'t, str>> {
        let mut depth = 0usize;
        let mut names = Vec::new();
        for index in body..self.tokens.len() {
            let Some(token) = self.tokens.get(index) else {
                break;
            };
            if token.is_operator("(") {
                depth += 1;
            } else if token.is_operator(")") {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            } else if depth == 1 && self.begins_item(index) && !begins_table_constraint(token) {
                names.extend(token.name());
            }
        }
        names
    }

    fn expression_token(&mut self, index: usize, columns: &[Cow<'_, str>]) {
        let Some(token) = self.tokens.get(index) else {
            return;
        };
        let is_column = |name: &str| columns.iter().any(|column| column.eq_ignore_ascii_case(name));
        let role = match token.kind {
            TokenKind::Quoted if token.text.starts_with('"') => {
                let name = token.name().is_some_and(|name| is_column(&name));
                if name || is_certainly_name(self.tokens, index) {
                    Role::Plain
                } else {
                    Role::Exact
                }
            }
            TokenKind::Word if is_join_operator(token.text) && is_column(token.text) => Role::Name,
            _ => Role::Plain,
        };
        self.set(index, role);
    }

    /// `ON table (columns)` of an index, and an expression after it.
    fn index(&mut self, body: usize) {
        if !self.word(Some(body), "on") {
            return;
        }
        self.set(body + 1, Role::Name);
        self.list(body + 2);
    }

    /// Marks the names in the list in parentheses at `open`; other items of it are expressions.
    fn list(&mut self, open: usize) {
        if !self.operator(open, "(") {
            return;
        }
        let mut depth = 0usize;
        for index in open..self.tokens.len() {
            if self.operator(index, "(") {
                depth += 1;
            } else if self.operator(index, ")") {
                depth -= 1;
                if depth == 0 {
                    return;
                }
            } else if depth == 1 && self.begins_item(index) && self.ends_name(index + 1) {
                self.set(index, Role::Name);
            }
        }
    }

    /// Whether the token at `index` can only follow an item that is nothing but a name.
    fn ends_name(&self, index: usize) -> bool {
        self.operator(index, ",")
            || self.operator(index, ")")
            || ["collate", "asc", "desc"]
                .iter()
                .any(|word| self.word(Some(index), word))
    }

    /// `UPDATE OF columns ON table` of a trigger; what follows is general.
    fn trigger(&mut self, body: usize) {
        let Some(on) = (body..self.tokens.len()).find(|index| self.word(Some(*index), "on")) else {
            return;
        };
        self.set(on + 1, Role::Name);
        let columns = (body..on)
            .find(|index| self.word(Some(*index), "of") && !self.word(index.checked_sub(1), "instead"));
        for index in columns.map_or(on, |of| of + 1)..on {
            if !self.operator(index, ",") {
                self.set(index, Role::Name);
            }
        }
    }
}
