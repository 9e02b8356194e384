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
use crate::quote;

/// The normal form of the CREATE statement `sql`.
///
/// It is SQL too, in lower case, on one line unless a literal or name in it has line breaks; its own normal form is
/// itself. A text that SQLite could not even cut into tokens is its own normal form, without white space around.
///
/// The arguments of a virtual table belong to its module, and stay as they are.
#[must_use]
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
    let piece = |(token, role): (&Token<'_>, &Role)| Piece::new(token, *role);
    let Some(head) = head else {
        return join(&tokens.iter().zip(&roles).map(piece).collect::<Vec<_>>());
    };
    let opening = [
        Some("create"),
        head.unique.then_some("unique"),
        head.virtual_table.then_some("virtual"),
        Some(head.kind.as_str()),
    ];
    let mut pieces: Vec<_> = opening.into_iter().flatten().map(Piece::word).collect();
    let rest = tokens.iter().zip(&roles).skip(head.name);
    if !head.virtual_table {
        pieces.extend(rest.map(piece));
        return join(&pieces);
    }
    pieces.extend(rest.take(1).map(piece));
    let mut normal = join(&pieces);
    if let (Some(first), Some(last)) = (tokens.get(head.name + 1), tokens.last()) {
        normal.push(' ');
        normal.push_str(sql.get(first.start..last.end()).unwrap_or_default());
    }
    normal
}

/// A token of the normal form.
struct Piece {
    kind: TokenKind,
    text: String,
}

impl Piece {
    fn new(token: &Token<'_>, role: Role) -> Self {
        let (kind, text) = match (token.kind, role) {
            (TokenKind::Word | TokenKind::Quoted | TokenKind::Text, Role::Name) => {
                return Self::name(&token.name().unwrap_or_default());
            }
            (TokenKind::Word, Role::Default) if !is_constant(token.text) => {
                (TokenKind::Text, quote::literal(token.text))
            }
            (TokenKind::Quoted, Role::Default) => {
                (TokenKind::Text, quote::literal(&token.name().unwrap_or_default()))
            }
            (TokenKind::Quoted, Role::Exact) => (
                TokenKind::Quoted,
                quote::identifier(&token.name().unwrap_or_default()),
            ),
            (TokenKind::Quoted, Role::Verbatim) => (TokenKind::Quoted, token.text.to_owned()),
            (TokenKind::Quoted, _) => return Self::name(&token.name().unwrap_or_default()),
            (TokenKind::Word | TokenKind::Number | TokenKind::Blob, _) => {
                (token.kind, token.text.to_ascii_lowercase())
            }
            (TokenKind::Text | TokenKind::Operator | TokenKind::Parameter | TokenKind::Invalid, _) => {
                (token.kind, token.text.to_owned())
            }
        };
        Self { kind, text }
    }

    fn word(text: &str) -> Self {
        Self {
            kind: TokenKind::Word,
            text: text.to_owned(),
        }
    }

    /// A name: bare where that means the same as in quotes.
    fn name(name: &str) -> Self {
        let folded = name.to_ascii_lowercase();
        let bare = folded
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$')
            && folded.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
            && !is_reserved(&folded);
        if bare {
            Self::word(&folded)
        } else {
            Self {
                kind: TokenKind::Quoted,
                text: quote::identifier(&folded),
            }
        }
    }

    fn is(&self, operator: &str) -> bool {
        self.kind == TokenKind::Operator && self.text == operator
    }

    fn is_name(&self) -> bool {
        matches!(self.kind, TokenKind::Word | TokenKind::Quoted)
    }

    fn is_keyword(&self) -> bool {
        self.kind == TokenKind::Word && (is_reserved(&self.text) || self.text == "key")
    }
}

fn join(pieces: &[Piece]) -> String {
    let mut text = String::new();
    for (index, piece) in pieces.iter().enumerate() {
        if index > 0 && is_spaced(pieces, index) {
            text.push(' ');
        }
        text.push_str(&piece.text);
    }
    text
}

/// Whether a space stands before the piece at `index`.
fn is_spaced(pieces: &[Piece], index: usize) -> bool {
    let at = |index: Option<usize>| index.and_then(|index| pieces.get(index));
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
    let joined = next.is(",")
        || next.is(";")
        || next.is(")")
        || previous.is("(")
        || (next.is("(") && previous.is_name() && !previous.is_keyword())
        || is_tight_dot(index)
        || is_tight_dot(index - 1)
        || is_sign();
    !joined
}
