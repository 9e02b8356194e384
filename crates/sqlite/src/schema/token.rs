//! The tokens of SQLite's SQL, by the rules of SQLite's own tokenizer.

use std::borrow::Cow;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// A bare word: a keyword or an unquoted identifier. Which of the two, only the grammar can tell.
    Word,
    /// An identifier in `"x"`, `[x]` or `` `x` ``. Where no column has the name, SQLite may read `"x"` as a string.
    Quoted,
    /// A string literal, `'x'`.
    Text,
    /// An integer, a real or a hexadecimal number, without its sign.
    Number,
    /// A blob literal, `x'00ff'`.
    Blob,
    /// An operator or punctuation.
    Operator,
    /// A parameter: `?`, `?1`, `:name`, `@name`, `$name`, `#1`.
    Parameter,
    /// What SQLite would call an unrecognised token, such as a string without an end.
    Invalid,
}

/// One token, a slice of the SQL text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// What the token is.
    pub kind: TokenKind,
    /// The token as written, with its quotes.
    pub text: &'a str,
    /// Where it starts in the SQL, in bytes.
    pub start: usize,
}

impl<'a> Token<'a> {
    /// Whether this is the bare word `word`, in any case.
    pub fn is_word(&self, word: &str) -> bool {
        self.kind == TokenKind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// Whether this is one of these keywords or unquoted names, in any case.
    pub(crate) fn is_one_of(&self, words: &str) -> bool {
        self.kind == TokenKind::Word && is_one_of(self.text, words)
    }

    /// Whether this is the operator or punctuation `operator`.
    pub fn is_operator(&self, operator: &str) -> bool {
        self.kind == TokenKind::Operator && self.text == operator
    }

    /// The name that the token stands for where SQLite wants a name: a bare word, a quoted identifier without
    /// its quotes, or the content of a string literal, which SQLite accepts as a name too.
    pub fn name(&self) -> Option<Cow<'a, str>> {
        match self.kind {
            TokenKind::Word => Some(Cow::Borrowed(self.text)),
            TokenKind::Quoted | TokenKind::Text => Some(unquoted(self.text)),
            _ => None,
        }
    }

    /// The first byte after the token.
    pub fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

/// Whether `word` is one of these, in any case.
pub(crate) fn is_one_of(word: &str, words: &str) -> bool {
    words.split(' ').any(|known| known.eq_ignore_ascii_case(word))
}

fn unquoted(text: &str) -> Cow<'_, str> {
    let mut characters = text.chars();
    let (Some(open), Some(_)) = (characters.next(), characters.next_back()) else {
        return Cow::Borrowed(text);
    };
    let inner = characters.as_str();
    if open != '[' && inner.contains(open) {
        let doubled = String::from_iter([open, open]);
        Cow::Owned(inner.replace(&doubled, open.encode_utf8(&mut [0; 4])))
    } else {
        Cow::Borrowed(inner)
    }
}

/// The tokens of `sql`, without white space and comments.
///
/// Never fails: what SQLite would not recognise is a token of kind [`TokenKind::Invalid`].
pub fn tokenize(sql: &str) -> Vec<Token<'_>> {
    // Most of SQL's tokens, with the blanks around, take more than four bytes.
    let mut tokens = Vec::with_capacity(sql.len() / 4 + 1);
    let mut start = 0;
    while let Some(rest) = sql.get(start..).filter(|rest| !rest.is_empty()) {
        let blank = blank_length(rest);
        if blank > 0 {
            start += blank;
            continue;
        }
        let (kind, length) = measure(rest);
        // `measure` ends on a character boundary and takes at least one byte; were it ever not so, the rest of
        // the text is one invalid token.
        let (kind, text) = match rest.get(..length).filter(|text| !text.is_empty()) {
            Some(text) => (kind, text),
            None => (TokenKind::Invalid, rest),
        };
        tokens.push(Token { kind, text, start });
        start += text.len();
    }
    tokens
}

/// The length of the white space or comment at the start of `rest`; 0 if there is none.
fn blank_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    match bytes {
        // After one of the others, a vertical tab is white space to SQLite, too.
        [b' ' | b'\t' | b'\n' | b'\x0c' | b'\r', ..] => {
            run(bytes, 0, |byte| matches!(byte, b' ' | b'\t'..=b'\r'))
        }
        // A byte order mark.
        [0xef, 0xbb, 0xbf, ..] => 3,
        [b'-', b'-', ..] => rest.find('\n').unwrap_or(rest.len()),
        // `/*` as the very end is no comment; any other comment without an end runs to the end of the text.
        [b'/', b'*', _, ..] => rest
            .get(2..)
            .and_then(|body| body.find("*/"))
            .map_or(rest.len(), |end| end + 4),
        _ => 0,
    }
}

/// The kind and length in bytes of the token at the start of `rest`, which is not empty.
fn measure(rest: &str) -> (TokenKind, usize) {
    let bytes = rest.as_bytes();
    let at = |index: usize| bytes.get(index).copied().unwrap_or(0);
    match at(0) {
        quote @ (b'\'' | b'"' | b'`') => match closing(bytes, quote) {
            Some(length) if quote == b'\'' => (TokenKind::Text, length),
            Some(length) => (TokenKind::Quoted, length),
            None => (TokenKind::Invalid, rest.len()),
        },
        b'[' => match rest.find(']') {
            Some(end) => (TokenKind::Quoted, end + 1),
            None => (TokenKind::Invalid, rest.len()),
        },
        b'x' | b'X' if at(1) == b'\'' => blob(rest),
        b'0'..=b'9' => number(bytes),
        b'.' if at(1).is_ascii_digit() => number(bytes),
        b'?' => (TokenKind::Parameter, 1 + run(bytes, 1, u8::is_ascii_digit)),
        b'$' | b'@' | b'#' | b':' => parameter(bytes),
        first if is_name_byte(first) => (TokenKind::Word, run(bytes, 0, |byte| is_name_byte(*byte))),
        first => match (first, at(1), at(2)) {
            (b'-', b'>', b'>') => (TokenKind::Operator, 3),
            (b'-', b'>', _)
            | (b'=' | b'!' | b'<' | b'>', b'=', _)
            | (b'<', b'>' | b'<', _)
            | (b'>', b'>', _)
            | (b'|', b'|', _) => (TokenKind::Operator, 2),
            (
                b'-' | b'+' | b'*' | b'/' | b'%' | b'=' | b'<' | b'>' | b'|' | b'&' | b'~' | b'(' | b')'
                | b',' | b';' | b'.',
                ..,
            ) => (TokenKind::Operator, 1),
            // Every other character of ASCII, as all others are name bytes.
            _ => (TokenKind::Invalid, 1),
        },
    }
}

/// How many bytes from `from` on satisfy `accept`.
fn run(bytes: &[u8], from: usize, accept: impl Fn(&u8) -> bool) -> usize {
    bytes.iter().skip(from).take_while(|byte| accept(byte)).count()
}

/// SQLite's identifier characters: letters, digits, `_`, `$` and all beyond ASCII.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// The length up to and with the closing quote; a doubled quote is part of the text.
fn closing(bytes: &[u8], quote: u8) -> Option<usize> {
    let mut index = 1;
    loop {
        if *bytes.get(index)? != quote {
            index += 1;
        } else if bytes.get(index + 1) == Some(&quote) {
            index += 2;
        } else {
            return Some(index + 1);
        }
    }
}

fn blob(rest: &str) -> (TokenKind, usize) {
    let Some(digits) = rest.get(2..).and_then(|body| body.find('\'')) else {
        return (TokenKind::Invalid, rest.len());
    };
    let hexadecimal = rest
        .get(2..2 + digits)
        .is_some_and(|body| body.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let kind = if hexadecimal && digits % 2 == 0 {
        TokenKind::Blob
    } else {
        TokenKind::Invalid
    };
    (kind, digits + 3)
}

fn number(bytes: &[u8]) -> (TokenKind, usize) {
    let at = |index: usize| bytes.get(index).copied().unwrap_or(0);
    let digit = |byte: &u8| byte.is_ascii_digit() || *byte == b'_';
    let mut length;
    if at(0) == b'0' && matches!(at(1), b'x' | b'X') && at(2).is_ascii_hexdigit() {
        length = 2 + run(bytes, 2, |byte| byte.is_ascii_hexdigit() || *byte == b'_');
    } else {
        length = run(bytes, 0, digit);
        if at(length) == b'.' {
            length += 1;
            length += run(bytes, length, digit);
        }
        let signed = usize::from(matches!(at(length + 1), b'+' | b'-'));
        if matches!(at(length), b'e' | b'E') && at(length + 1 + signed).is_ascii_digit() {
            length += 1 + signed;
            length += run(bytes, length, digit);
        }
    }
    match run(bytes, length, |byte| is_name_byte(*byte)) {
        0 => (TokenKind::Number, length),
        trailing => (TokenKind::Invalid, length + trailing),
    }
}

fn parameter(bytes: &[u8]) -> (TokenKind, usize) {
    let name = run(bytes, 1, |byte| is_name_byte(*byte));
    (
        if name == 0 {
            TokenKind::Invalid
        } else {
            TokenKind::Parameter
        },
        1 + name,
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rusqlite::Connection;

    use super::*;

    fn kinds(sql: &str) -> Vec<(TokenKind, &str)> {
        tokenize(sql)
            .into_iter()
            .map(|token| (token.kind, token.text))
            .collect()
    }

    #[test]
    fn white_space_and_comments_are_skipped() {
        assert_eq!(
            kinds("\u{feff}a -- to the end\n\t/* in * between */ b/*no end"),
            [(TokenKind::Word, "a"), (TokenKind::Word, "b")]
        );
        assert_eq!(
            kinds("a/*"),
            [
                (TokenKind::Word, "a"),
                (TokenKind::Operator, "/"),
                (TokenKind::Operator, "*")
            ]
        );
        assert_eq!(kinds("a/**/b").len(), 2);
        assert_eq!(
            kinds("a \x0b\x0b\nb"),
            [(TokenKind::Word, "a"), (TokenKind::Word, "b")]
        );
    }

    #[test]
    fn each_way_to_quote_is_read() {
        for (sql, name) in [
            ("\"a\"\"b\"", "a\"b"),
            ("[a\"b]", "a\"b"),
            ("`a``b`", "a`b"),
            ("größe", "größe"),
        ] {
            let tokens = tokenize(sql);
            assert_eq!(tokens.len(), 1, "{sql}");
            assert_eq!(tokens[0].name().as_deref(), Some(name), "{sql}");
        }
        assert_eq!(kinds("'it''s'"), [(TokenKind::Text, "'it''s'")]);
        assert_eq!(kinds("'a' 'b'").len(), 2);
    }

    #[test]
    fn numbers_blobs_parameters_and_operators_are_read_as_sqlite_reads_them() {
        for number in ["0", "1.5", ".5", "1.", "1e5", "1E-05", "0xFf", "1_000"] {
            assert_eq!(kinds(number), [(TokenKind::Number, number)]);
        }
        assert_eq!(kinds("X'00fF'"), [(TokenKind::Blob, "X'00fF'")]);
        for parameter in ["?", "?12", ":a", "@b", "$c", "#1"] {
            assert_eq!(kinds(parameter), [(TokenKind::Parameter, parameter)]);
        }
        let operators = "->> -> || << >> <= >= <> == != - + * / % = < > | & ~ ( ) , ; .";
        for (operator, (kind, text)) in operators.split(' ').zip(kinds(operators)) {
            assert_eq!((kind, text), (TokenKind::Operator, operator));
        }
    }

    #[test]
    fn what_sqlite_refuses_is_invalid() {
        for sql in [
            "'open", "\"open", "[open", "`open", "12ab", "x'0'", "x'0g'", "x'00", "!", "^", ":", "\0", "\x0b",
        ] {
            assert_eq!(tokenize(sql)[0].kind, TokenKind::Invalid, "{sql:?}");
            let refused = Connection::open_in_memory()
                .unwrap()
                .prepare(&format!("SELECT {sql}"))
                .is_err();
            assert!(refused, "SQLite accepts {sql:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_cut_into_slices_in_order(sql in any::<String>()) {
            let mut end = 0;
            for token in tokenize(&sql) {
                prop_assert!(token.start >= end);
                prop_assert_eq!(&sql[token.start..token.end()], token.text);
                prop_assert!(!token.text.is_empty());
                end = token.end();
            }
        }

        #[test]
        fn a_single_valid_token_is_one_value_for_sqlite(
            sql in prop_oneof!["'([a-z]|''){0,4}'", "[0-9]{1,3}(\\.[0-9]{0,2})?([eE][+-]?[0-9])?", "[xX]'([0-9a-f]{2}){0,3}'", "0[xX][0-9a-fA-F]{1,4}"],
            before in "[ \n\t\r]{0,2}(/\\*x\\*/)?(--y\n)?",
        ) {
            let tokens = format!("{before}{sql}");
            prop_assert_eq!(tokenize(&tokens).len(), 1);
            let connection = Connection::open_in_memory().unwrap();
            let query = format!("SELECT {tokens}");
            prop_assert!(connection.query_row(&query, [], |_| Ok(())).is_ok());
        }
    }
}
