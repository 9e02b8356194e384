//! SQL: schemas in pairs, and the statements of migrations.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::inputs::Inputs;

const SQL_WORDS: &[&str] = &[
    "CREATE TABLE a (x)",
    "DEFAULT ",
    "'",
    "\"",
    "[",
    "]",
    "(",
    ")",
    ",",
    ";",
    " NOT NULL",
    " COLLATE NOCASE",
    " AS ",
    "--",
    "/*",
    "*/",
    "\n==\n",
    "REFERENCES b",
    " UNIQUE",
    "x'00'",
    "1e",
    ".5",
];

fn column() -> impl Strategy<Value = String> {
    let name = select(vec!["x", "y", "\"Z\"", "[a b]", "`it\"s`", "\"select\"", "größe"]);
    let declared = select(vec![
        "",
        "TEXT",
        "integer",
        "VARCHAR (10)",
        "DECIMAL(10, 2)",
        "DOUBLE PRECISION",
        "\"odd type\"",
    ]);
    let more = prop::collection::vec(
        select(vec![
            "NOT NULL",
            "DEFAULT 1",
            "DEFAULT 1.0",
            "DEFAULT 'Main'",
            "DEFAULT \"Main\"",
            "DEFAULT main",
            "DEFAULT (1 + 2)",
            "DEFAULT -1",
            "DEFAULT +1",
            "DEFAULT NULL",
            "DEFAULT CURRENT_TIMESTAMP",
            "DEFAULT true",
            "DEFAULT x'0F'",
            "UNIQUE",
            "PRIMARY KEY",
            "COLLATE NOCASE",
            "COLLATE binary",
            "CHECK (x <> 'Q')",
            "CHECK (x <> \"q\")",
            "REFERENCES b",
            "REFERENCES b (c) ON DELETE CASCADE",
            "REFERENCES b ON UPDATE SET NULL DEFERRABLE INITIALLY DEFERRED",
            "CONSTRAINT n NOT NULL",
            "AS (1)",
            "GENERATED ALWAYS AS (x || 'A') STORED",
        ]),
        0..3,
    );
    (name, declared, more).prop_map(|(name, declared, more)| format!("{name} {declared} {}", more.join(" ")))
}

fn schema() -> impl Strategy<Value = String> {
    let options = select(vec!["", " STRICT", " WITHOUT ROWID", " WITHOUT ROWID, STRICT"]);
    let constraint = select(vec![
        "",
        ", UNIQUE (x)",
        ", PRIMARY KEY (x)",
        ", FOREIGN KEY (x) REFERENCES c (d) ON DELETE SET DEFAULT",
        ", CHECK (1 < 2)",
        ", CONSTRAINT p PRIMARY KEY (x DESC)",
    ]);
    let more = select(vec![
        "",
        "; CREATE INDEX i ON t (x)",
        "; CREATE UNIQUE INDEX i ON t (x DESC) WHERE x > 'A'",
        "; CREATE INDEX i ON t (lower(x), x COLLATE rtrim)",
        "; CREATE VIEW v AS SELECT x AS \"Y\" FROM t",
        "; CREATE INDEX i ON t ((\"x\"))",
    ]);
    (prop::collection::vec(column(), 1..4), constraint, options, more).prop_map(
        |(columns, constraint, options, more)| {
            format!(
                "CREATE TABLE t ({}{constraint}){options}{more}",
                columns.join(", ")
            )
        },
    )
}

/// For the target `normalise`.
pub(crate) fn normalise() -> Inputs {
    // The second is often the first with another word, so that a normal form that forgets it is found out.
    let words = select(vec![
        "1", "2", "'main'", "\"main\"", "nocase", "CASCADE", "x", "DESC", "TEXT", "NOT NULL", "", "unique",
    ]);
    let pair = (
        schema(),
        schema(),
        any::<Index>(),
        words,
        prop::bool::weighted(0.8),
    )
        .prop_map(|(one, other, at, word, related)| {
            let mut pieces: Vec<&str> = one.split(' ').collect();
            let at = at.index(pieces.len());
            pieces[at] = word;
            let second = if related { pieces.join(" ") } else { other };
            format!("{one}\n==\n{second}").into_bytes()
        });
    Inputs::new("normalise", 2500, pair, SQL_WORDS)
}

#[test]
fn no_two_schemas_that_sqlite_tells_apart_have_one_normal_form() {
    normalise().try_all();
}

/// For the target `script`.
pub(crate) fn script() -> Inputs {
    let statement = prop_oneof![
        3 => schema(),
        1 => select(vec![
            "DROP TABLE t", "ALTER TABLE t ADD COLUMN w TEXT NOT NULL DEFAULT ''", "ALTER TABLE t RENAME TO u", "ALTER TABLE t DROP COLUMN x",
            "UPDATE t SET x = 1", "INSERT INTO t (x) VALUES (';')", "PRAGMA foreign_keys = OFF", "BEGIN", "COMMIT", "CREATE TRIGGER g AFTER INSERT ON t BEGIN UPDATE t SET x = 1; END",
            "CREATE TRIGGER g AFTER INSERT ON t BEGIN", "END", "SELECT ';'", "CREATE TABLE IF NOT EXISTS main.t (x)", "DROP INDEX IF EXISTS i", "VACUUM",
        ]).prop_map(str::to_owned),
        1 => "[a-zA-Z0-9'\"(),;*\n -]{0,20}",
    ];
    let script =
        prop::collection::vec(statement, 0..5).prop_map(|statements| statements.join(";\n").into_bytes());
    Inputs::new("script", 800, script, SQL_WORDS)
}

#[test]
fn statements_are_cut_and_judged_whatever_they_are() {
    script().try_all();
}
