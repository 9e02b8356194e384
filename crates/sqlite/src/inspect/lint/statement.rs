//! SQL cut into statements, each with its tokens and the line that it begins in.

use crate::schema::token::{Token, tokenize};

/// One statement of a migration.
#[derive(Debug, Clone)]
pub(super) struct Statement<'a> {
    /// The tokens, without the `;` at the end.
    pub(super) tokens: Vec<Token<'a>>,
    /// The line that it begins in, from 1.
    pub(super) line: usize,
    sql: &'a str,
}

impl<'a> Statement<'a> {
    /// The statements of `sql`. A trigger's body belongs to its statement, which ends with `; END;`.
    pub(super) fn all(sql: &'a str) -> Vec<Self> {
        let mut statements = Vec::new();
        let mut tokens: Vec<Token<'a>> = Vec::new();
        for token in tokenize(sql) {
            if !token.is_operator(";") {
                tokens.push(token);
                continue;
            }
            let in_body = is_trigger(&tokens)
                && !matches!(tokens.as_slice(), [.., before, end] if before.is_operator(";") && end.is_word("end"));
            if in_body {
                tokens.push(token);
            } else {
                statements.extend(Self::new(sql, std::mem::take(&mut tokens)));
            }
        }
        statements.extend(Self::new(sql, tokens));
        statements
    }

    fn new(sql: &'a str, tokens: Vec<Token<'a>>) -> Option<Self> {
        let start = tokens.first()?.start;
        let before = sql.get(..start)?;
        Some(Self {
            line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
            tokens,
            sql,
        })
    }

    /// The line of one of its tokens.
    pub(super) fn line_of(&self, token: &Token<'_>) -> usize {
        self.sql.get(..token.start).map_or(self.line, |before| {
            before.bytes().filter(|byte| *byte == b'\n').count() + 1
        })
    }

    /// Whether the token at `index` is the bare word.
    pub(super) fn word(&self, index: usize, word: &str) -> bool {
        self.tokens.get(index).is_some_and(|token| token.is_word(word))
    }

    /// Whether it begins with these bare words.
    pub(super) fn begins(&self, words: &[&str]) -> bool {
        words
            .iter()
            .enumerate()
            .all(|(index, word)| self.word(index, word))
    }

    /// Whether one of its tokens stands for the name.
    pub(super) fn names(&self, name: &str) -> bool {
        self.tokens
            .iter()
            .any(|token| token.name().is_some_and(|found| found.eq_ignore_ascii_case(name)))
    }

    /// The name after its leading words and `IF [NOT] EXISTS`, such as the table of DROP TABLE.
    pub(super) fn object(&self, leading: usize) -> Option<String> {
        let mut at = leading;
        if self.word(at, "if") {
            at += if self.word(at + 1, "not") { 3 } else { 2 };
        }
        if self
            .tokens
            .get(at + 1)
            .is_some_and(|token| token.is_operator("."))
        {
            at += 2;
        }
        self.tokens.get(at)?.name().map(|name| name.into_owned())
    }
}

fn is_trigger(tokens: &[Token<'_>]) -> bool {
    let word = |index: usize, word: &str| tokens.get(index).is_some_and(|token| token.is_word(word));
    word(0, "create")
        && (word(1, "trigger") || ((word(1, "temp") || word(1, "temporary")) && word(2, "trigger")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_triggers_body_is_no_statement_of_its_own() {
        let sql = "-- one\nCREATE TABLE \"a;b\" (x DEFAULT ';');\n\nCREATE TRIGGER t AFTER INSERT ON a BEGIN\n\
                   UPDATE a SET x = CASE WHEN 1 THEN 2 END; DELETE FROM a; END;\nDROP TABLE a";
        let found: Vec<_> = Statement::all(sql)
            .iter()
            .map(|statement| {
                (
                    statement.line,
                    statement.tokens[1].text,
                    is_trigger(&statement.tokens),
                )
            })
            .collect();
        assert_eq!(
            found,
            [(2, "TABLE", false), (4, "TRIGGER", true), (6, "TABLE", false)]
        );
    }

    #[test]
    fn the_object_of_a_statement_is_found_behind_if_exists_and_a_schema() {
        for sql in [
            "DROP TABLE a",
            "DROP TABLE IF EXISTS main.\"a\"",
            "CREATE TABLE IF NOT EXISTS [a] (x)",
        ] {
            assert_eq!(Statement::all(sql)[0].object(2).as_deref(), Some("a"), "{sql}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_cut_without_losing_a_token(sql in prop_oneof![any::<String>(), "(create |trigger |end|;|x |case |\n){0,20}"]) {
            let statements = Statement::all(&sql);
            let kept: usize = statements.iter().map(|statement| statement.tokens.len()).sum();
            let all = tokenize(&sql).iter().filter(|token| !token.is_operator(";")).count();
            prop_assert!(kept >= all);
            for statement in &statements {
                let _ = (statement.object(2), statement.line_of(&statement.tokens[0]));
            }
        }
    }
}
