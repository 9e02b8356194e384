//! Whether the oldest server's SQLite can still parse the schema: one that cannot loses the whole database.

use crate::schema::Snapshot;
use crate::schema::token::{Token, TokenKind, tokenize};

use super::{Asked, Item, Look};

pub(super) fn check(look: &Look<'_>, oldest: Option<(u32, u32)>) -> Item {
    let asked = Asked {
        code: "BC111",
        item: "sqlite",
        question: "can the SQLite of the oldest server read the new schema",
    };
    let plan = match &look.plan {
        Ok(plan) => plan,
        Err(error) => return asked.unknown(error),
    };
    let schema = plan.steps.last().map_or(&plan.managed, |step| &step.schema_after);
    let ours = rusqlite::version();
    let Some(oldest) = oldest else {
        return asked.ok(format!("ours is {ours}; that of the servers is not known"));
    };
    let (major, minor) = oldest;
    match newer_syntax(schema, oldest).first() {
        Some((object, what, since)) => asked.failed(
            format!(
                "{object} uses {what}, which SQLite has since 3.{since}; servers may carry {major}.{minor}"
            ),
            "write the migration without it, or end those servers first",
        ),
        None => asked.ok(format!(
            "ours is {ours}; nothing in the schema is newer than {major}.{minor}"
        )),
    }
}

/// Objects that use what `oldest` cannot parse: the object, what it uses, and the minor version that brought it.
fn newer_syntax(schema: &Snapshot, oldest: (u32, u32)) -> Vec<(String, &'static str, u32)> {
    let mut found = Vec::new();
    for object in schema {
        let tokens: Vec<Token<'_>> = tokenize(&object.sql);
        for (index, token) in tokens.iter().enumerate() {
            let next = |offset: usize, word: &str| {
                tokens
                    .get(index + offset)
                    .is_some_and(|token| token.is_word(word))
            };
            let is_call = tokens.get(index + 1).is_some_and(|token| token.is_operator("("));
            let is_joined = |word: &str| token.is_word(word) && (next(1, "join") || next(1, "outer"));
            let newer = if token.is_operator("->") || token.is_operator("->>") {
                Some(("the operator ->", 38))
            } else if is_joined("right") || is_joined("full") {
                Some(("RIGHT or FULL JOIN", 39))
            } else if token.is_word("is") && (next(1, "distinct") || (next(1, "not") && next(2, "distinct")))
            {
                Some(("IS DISTINCT FROM", 39))
            } else if token.kind == TokenKind::Number && token.text.contains('_') {
                Some(("a number with underscores", 46))
            } else if is_call && (token.is_word("unixepoch") || token.is_word("format")) {
                Some(("unixepoch() or format()", 38))
            } else if is_call && (token.is_word("octet_length") || token.is_word("timediff")) {
                Some(("octet_length() or timediff()", 43))
            } else if is_call && (token.is_word("concat") || token.is_word("concat_ws")) {
                Some(("concat()", 44))
            } else if is_call && token.is_word("unistr") {
                Some(("unistr()", 50))
            } else {
                None
            };
            if let Some((what, since)) = newer
                && oldest < (3, since)
            {
                found.push((format!("{} {}", object.kind, object.name), what, since));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Object, ObjectKind};

    fn newer(sql: &str) -> Option<&'static str> {
        let schema: Snapshot = [Object::new(ObjectKind::View, "v", "v", sql)]
            .into_iter()
            .collect();
        newer_syntax(&schema, (3, 37)).first().map(|(_, what, _)| *what)
    }

    #[test]
    fn what_old_servers_cannot_parse_is_named() {
        assert_eq!(
            newer("CREATE VIEW v AS SELECT a ->> '$.b' FROM t"),
            Some("the operator ->")
        );
        assert_eq!(
            newer("CREATE VIEW v AS SELECT 1_000"),
            Some("a number with underscores")
        );
        for join in ["RIGHT JOIN", "full outer join"] {
            assert_eq!(
                newer(&format!("CREATE VIEW v AS SELECT * FROM t {join} u")),
                Some("RIGHT or FULL JOIN")
            );
        }
        assert_eq!(
            newer("CREATE VIEW v AS SELECT a IS NOT DISTINCT FROM b FROM t"),
            Some("IS DISTINCT FROM")
        );
        assert_eq!(
            newer("CREATE VIEW v AS SELECT concat (a, b) FROM t"),
            Some("concat()")
        );
    }

    #[test]
    fn names_and_texts_are_no_syntax() {
        for sql in [
            "CREATE VIEW v AS SELECT 'a -> b', right, \"full\", format FROM t WHERE a IS NOT b",
            "CREATE TABLE v (a TEXT NOT NULL, format TEXT, concat) WITHOUT ROWID, STRICT",
            "CREATE VIEW v AS SELECT 1 -- RIGHT JOIN\n",
        ] {
            assert_eq!(newer(sql), None, "{sql}");
        }
    }
}
