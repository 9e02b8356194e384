//! What an older SQLite cannot parse: one object that uses it, and the whole schema cannot be opened.

use crate::schema::token::{Token, TokenKind, tokenize};

/// Functions with the minor version of SQLite 3 that brought them.
const FUNCTIONS: [(&str, u32); 13] = [
    ("unixepoch", 38),
    ("format", 38),
    ("octet_length", 43),
    ("timediff", 43),
    ("concat", 44),
    ("concat_ws", 44),
    ("string_agg", 44),
    ("jsonb", 45),
    ("jsonb_set", 45),
    ("jsonb_object", 45),
    ("jsonb_array", 45),
    ("json_pretty", 46),
    ("unistr", 50),
];

/// What a statement uses that SQLite 3.37 does not know, and the minor version that brought it, in order.
pub(crate) fn newer_syntax(sql: &str) -> Vec<(String, u32)> {
    let tokens = tokenize(sql);
    (0..tokens.len())
        .filter_map(|index| newer(&tokens, index))
        .collect()
}

fn newer(tokens: &[Token<'_>], index: usize) -> Option<(String, u32)> {
    let token = tokens.get(index)?;
    let word = |index: usize, word: &str| tokens.get(index).is_some_and(|token| token.is_word(word));
    if token.is_operator("->") || token.is_operator("->>") {
        return Some((token.text.to_owned(), 38));
    }
    if token.kind == TokenKind::Number && token.text.contains('_') {
        return Some((format!("the number {}", token.text), 46));
    }
    if word(index, "is") {
        let distinct = if word(index + 1, "not") {
            index + 2
        } else {
            index + 1
        };
        if word(distinct, "distinct") && word(distinct + 1, "from") {
            return Some(("IS DISTINCT FROM".to_owned(), 39));
        }
    }
    let outer = usize::from(word(index + 1, "outer"));
    if (word(index, "right") || word(index, "full")) && word(index + 1 + outer, "join") {
        return Some((format!("{} JOIN", token.text.to_ascii_uppercase()), 39));
    }
    let is_call =
        token.kind == TokenKind::Word && tokens.get(index + 1).is_some_and(|token| token.is_operator("("));
    FUNCTIONS
        .iter()
        .find(|(function, _)| is_call && token.text.eq_ignore_ascii_case(function))
        .map(|(function, version)| (format!("{function}()"), *version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_old_servers_cannot_parse_is_named() {
        for (used, what) in [
            ("a ->> '$.b' FROM t", "->>"),
            ("1_000", "the number 1_000"),
            ("* FROM t RIGHT JOIN u", "RIGHT JOIN"),
            ("* FROM t full outer join u", "FULL JOIN"),
            ("a IS NOT DISTINCT FROM b FROM t", "IS DISTINCT FROM"),
            ("concat (a, b) FROM t", "concat()"),
            ("jsonb(a) FROM t", "jsonb()"),
        ] {
            let found = newer_syntax(&format!("CREATE VIEW v AS SELECT {used}"));
            assert_eq!(found.first().map(|(what, _)| what.as_str()), Some(what));
        }
    }

    #[test]
    fn names_and_texts_are_no_syntax() {
        for sql in [
            "CREATE VIEW v AS SELECT 'a -> b', right, \"full\", format FROM t WHERE a IS NOT b",
            "CREATE TABLE v (a TEXT NOT NULL, format TEXT, concat) WITHOUT ROWID, STRICT",
            "CREATE VIEW v AS SELECT 1 -- RIGHT JOIN\n",
        ] {
            assert_eq!(newer_syntax(sql), [], "{sql}");
        }
    }
}
