//! The words of SQLite's grammar that mean something else bare than in quotes.

use std::sync::LazyLock;

use super::token::is_one_of;

/// Lower-case words that stay quoted in a normal form.
///
/// Most of SQLite's keywords may also stand as names, bare, and mean the same as when quoted
/// (<https://sqlite.org/lang_keywords.html>). These may not, or mean another thing: a keyword without that freedom,
/// a join operator (`FROM a left JOIN b`), a constant, a function without parentheses, `CAST`, `RAISE`, and the `IF`
/// of IF NOT EXISTS. In order, for the search.
static RESERVED: LazyLock<Vec<&str>> = LazyLock::new(|| {
    "add all alter and as autoincrement between case cast check collate commit constraint create cross \
        current_date current_time current_timestamp default deferrable delete distinct drop else escape \
        except exists false filter foreign from full group having if in index indexed inner insert intersect \
        into is isnull join left limit natural not nothing notnull null on or order outer over primary raise \
        references returning right select set table then to transaction true union unique update using \
        values when where window within"
        .split(' ')
        .collect()
});

/// Whether `word`, which is in lower case, must be quoted to be a name.
pub(super) fn is_reserved(word: &str) -> bool {
    RESERVED.binary_search(&word).is_ok()
}

/// Whether the bare `word`, in any case, is a value by itself after DEFAULT; any other word there is a string.
pub(crate) fn is_constant(word: &str) -> bool {
    is_one_of(
        word,
        "null true false current_date current_time current_timestamp",
    )
}

/// Whether the bare `word`, in any case, is a join operator that may also be a name.
pub(super) fn is_join_operator(word: &str) -> bool {
    is_one_of(word, "cross full inner left natural outer right indexed")
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    /// All keywords of SQLite 3.54, from its documentation.
    const KEYWORDS: &str = "abort action add after all alter always analyze and as asc attach autoincrement before \
        begin between by cascade case cast check collate column commit conflict constraint create cross current \
        current_date current_time current_timestamp database default deferrable deferred delete desc detach \
        distinct do drop each else end escape except exclude exclusive exists explain fail filter first following \
        for foreign from full generated glob group groups having if ignore immediate in index indexed initially \
        inner insert instead intersect into is isnull join key last left like limit match materialized natural no \
        not nothing notnull null nulls of offset on or order others outer over partition plan pragma preceding \
        primary query raise range recursive references regexp reindex release rename replace restrict returning \
        right rollback row rows savepoint select set table temp temporary then ties to transaction trigger \
        unbounded union unique update using vacuum values view virtual when where window with without";

    #[test]
    fn the_list_is_in_order() {
        assert!(RESERVED.is_sorted());
    }

    #[test]
    fn every_word_that_sqlite_does_not_take_as_a_bare_name_is_reserved() {
        let connection = Connection::open_in_memory().unwrap();
        let mut refused = Vec::new();
        for word in KEYWORDS.split_whitespace() {
            for sql in [
                format!("EXPLAIN CREATE TABLE t (x, {word} text, CHECK ({word} > 0), UNIQUE ({word}))"),
                format!("EXPLAIN CREATE TABLE {word} (a text REFERENCES {word} ({word}))"),
                format!("EXPLAIN SELECT x.{word} FROM (SELECT 1 AS {word}) AS x"),
            ] {
                if connection.prepare(&sql).is_err() && !is_reserved(word) {
                    refused.push(sql);
                }
            }
        }
        assert_eq!(refused, [""; 0]);
    }
}
