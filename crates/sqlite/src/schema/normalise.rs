//! The normal form of a CREATE statement: one text for all spellings that SQLite takes to mean the same.
//!
//! These do not matter: white space, comments, the case of keywords and of names, how a name is quoted,
//! IF NOT EXISTS, TEMP, the schema before the object's name, and the semicolon at the end. All else does: columns,
//! types, defaults, constraints, and the order of each.
//!
//! Where SQLite might read two spellings in different ways, their normal forms differ: a difference that is none is
//! shown to a person, who can judge it; a difference that is hidden is lost.

use super::head::Head;
use super::keyword::{is_constant, is_reserved};
use super::role::{Role, roles};
use super::token::{Token, TokenKind, tokenize};
use crate::sqlite::quote;

/// The normal form of the CREATE statement `sql`.
///
/// It is SQL too, in lower case, on one line unless a literal or name in it has line breaks; its own normal form is
/// itself. A text that SQLite could not even cut into tokens is its own normal form, without white space around.
///
/// The arguments of a virtual table belong to its module, and stay as they are.
pub fn normalise(sql: &str) -> String {
    let mut tokens = tokenize(sql);
    if tokens.iter().any(|token| token.kind == TokenKind::Invalid) {
        return sql.trim_ascii().to_owned();
    }
    while tokens.last().is_some_and(|token| token.is_operator(";")) {
        tokens.pop();
    }
    let head = Head::parse(&tokens);
    let roles = roles(&tokens, head.as_ref());
    let mut pieces = Pieces::with_room_for(sql, tokens.len());
    let Some(head) = head else {
        pieces.extend(tokens.iter().zip(roles));
        return pieces.join();
    };
    let opening = [
        Some("create"),
        head.unique.then_some("unique"),
        head.virtual_table.then_some("virtual"),
        Some(head.kind.as_str()),
    ];
    for word in opening.into_iter().flatten() {
        pieces.lower(TokenKind::Word, word);
    }
    let rest = tokens.iter().zip(roles).skip(head.name);
    if !head.virtual_table {
        pieces.extend(rest);
        return pieces.join();
    }
    pieces.extend(rest.take(1));
    let mut normal = pieces.join();
    if let (Some(first), Some(last)) = (tokens.get(head.name + 1), tokens.last()) {
        normal.push(' ');
        normal.push_str(sql.get(first.start..last.end()).unwrap_or_default());
    }
    normal
}

/// A token of the normal form.
#[derive(Clone, Copy)]
struct Piece<'a> {
    kind: TokenKind,
    text: &'a str,
}

impl Piece<'_> {
    fn is(self, operator: &str) -> bool {
        self.kind == TokenKind::Operator && self.text == operator
    }

    fn is_name(self) -> bool {
        matches!(self.kind, TokenKind::Word | TokenKind::Quoted)
    }

    fn is_keyword(self) -> bool {
        self.kind == TokenKind::Word && (is_reserved(self.text) || self.text == "key")
    }
}

/// The tokens of the normal form. Their texts stand in one allocation: every start of a server reads the schema.
struct Pieces {
    text: String,
    ends: Vec<(TokenKind, usize)>,
}

impl Pieces {
    /// For the normal form of `sql`.
    fn with_room_for(sql: &str, tokens: usize) -> Self {
        Self {
            text: String::with_capacity(sql.len()),
            ends: Vec::with_capacity(tokens + 4),
        }
    }

    fn extend<'t>(&mut self, tokens: impl Iterator<Item = (&'t Token<'t>, Role)>) {
        for (token, role) in tokens {
            self.push(token, role);
        }
    }

    fn push(&mut self, token: &Token<'_>, role: Role) {
        let name = || token.name().unwrap_or_default();
        match (token.kind, role) {
            (TokenKind::Word | TokenKind::Quoted | TokenKind::Text, Role::Name) => self.name(&name()),
            (TokenKind::Word, Role::Default) if !is_constant(token.text) => {
                self.exact(TokenKind::Text, &quote::literal(token.text));
            }
            (TokenKind::Quoted, Role::Default) => self.exact(TokenKind::Text, &quote::literal(&name())),
            (TokenKind::Quoted, Role::Exact) => self.exact(TokenKind::Quoted, &quote::identifier(&name())),
            (TokenKind::Quoted, Role::Verbatim) => self.exact(TokenKind::Quoted, token.text),
            (TokenKind::Quoted, _) => self.name(&name()),
            (TokenKind::Word | TokenKind::Number | TokenKind::Blob, _) => self.lower(token.kind, token.text),
            (TokenKind::Text | TokenKind::Operator | TokenKind::Parameter | TokenKind::Invalid, _) => {
                self.exact(token.kind, token.text);
            }
        }
    }

    fn exact(&mut self, kind: TokenKind, text: &str) {
        self.text.push_str(text);
        self.ends.push((kind, self.text.len()));
    }

    fn lower(&mut self, kind: TokenKind, text: &str) {
        let start = self.text.len();
        self.exact(kind, text);
        if let Some(added) = self.text.get_mut(start..) {
            added.make_ascii_lowercase();
        }
    }

    /// A name: bare where that means the same as in quotes.
    fn name(&mut self, name: &str) {
        self.lower(TokenKind::Word, name);
        let folded = self.ends.len().checked_sub(1).and_then(|last| self.at(last));
        if folded.is_none_or(|folded| is_bare(folded.text)) {
            return;
        }
        self.ends.pop();
        self.text.truncate(self.text.len() - name.len());
        self.exact(TokenKind::Quoted, &quote::identifier(&name.to_ascii_lowercase()));
    }

    fn at(&self, index: usize) -> Option<Piece<'_>> {
        let (kind, end) = *self.ends.get(index)?;
        let start = match index.checked_sub(1) {
            Some(before) => self.ends.get(before)?.1,
            None => 0,
        };
        let text = self.text.get(start..end)?;
        Some(Piece { kind, text })
    }

    fn join(&self) -> String {
        let mut joined = String::with_capacity(self.text.len() + self.ends.len());
        for index in 0..self.ends.len() {
            if index > 0 && self.is_spaced(index) {
                joined.push(' ');
            }
            joined.push_str(self.at(index).map_or("", |piece| piece.text));
        }
        joined
    }

    /// Whether a space stands before the piece at `index`.
    fn is_spaced(&self, index: usize) -> bool {
        let at = |index: Option<usize>| index.and_then(|index| self.at(index));
        let (Some(previous), Some(next)) = (at(index.checked_sub(1)), at(Some(index))) else {
            return false;
        };
        let is_tight_dot = |dot: usize| {
            at(Some(dot)).is_some_and(|piece| piece.is("."))
                && at(dot.checked_sub(1)).is_some_and(Piece::is_name)
                && at(Some(dot + 1)).is_some_and(|after| after.is_name() || after.is("*"))
        };
        let is_sign = || {
            let before = at(index.checked_sub(2));
            (previous.is("-") || previous.is("+"))
                && next.kind == TokenKind::Number
                && before.is_none_or(|piece| {
                    piece.is_keyword() || (piece.kind == TokenKind::Operator && !piece.is(")"))
                })
        };
        let is_operator = |piece: Piece<'_>| piece.kind == TokenKind::Operator;
        let joined_to_next = is_operator(next)
            && (matches!(next.text, "," | ";" | ")")
                || (next.is("(") && previous.is_name() && !previous.is_keyword())
                || is_tight_dot(index));
        let joined_to_previous =
            is_operator(previous) && (previous.is("(") || is_tight_dot(index - 1) || is_sign());
        !(joined_to_next || joined_to_previous)
    }
}

/// Whether a name in lower case means the same without quotes.
fn is_bare(name: &str) -> bool {
    name.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$')
        && name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && !is_reserved(name)
}
