//! What holds of the normal form of any statement, and that SQLite reads it as it reads the original.

use proptest::prelude::*;
use proptest::sample::select;
use rusqlite::Connection;
use rusqlite::types::Value;

use super::samples::database;
use crate::schema::{TableDetail, normalise, token::tokenize};
use crate::sqlite::quote;

/// One token of a statement, before it has a spelling.
#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Keyword(&'static str),
    Name(String),
    Exact(String),
}

use Piece::{Exact, Keyword, Name};

fn exact(text: &str) -> Piece {
    Exact(text.to_owned())
}

/// Lower-case names, ordinary and odd.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z_][a-z0-9_]{0,3}",
        1 => select(vec![
            "order", "key", "left", "if", "rowid", "generated", "always", "a b", "x'y", "it\"s", "größe", "",
            "current_date", "check", "default", "1st", "true", "constraint", "as", "text", "desc", "cast", "\u{feff}"
        ])
        .prop_map(str::to_owned),
    ]
}

fn default_value() -> impl Strategy<Value = Vec<Piece>> {
    prop_oneof![
        Just(vec![]),
        select(vec![
            "1", "1.0", "x'00ff'", "'main'", "'Main'", "'it''s'", "0x1f", "''", "'{}'"
        ])
        .prop_map(|value| vec![Keyword("DEFAULT"), exact(value)]),
        Just(vec![Keyword("DEFAULT"), exact("-"), exact("7")]),
        Just(vec![Keyword("DEFAULT"), Keyword("CURRENT_TIMESTAMP")]),
        Just(vec![
            Keyword("DEFAULT"),
            exact("("),
            exact("1"),
            exact("+"),
            exact("2"),
            exact(")")
        ]),
        Just(vec![Keyword("DEFAULT"), Keyword("NULL")]),
    ]
}

fn column(name: String) -> impl Strategy<Value = Vec<Piece>> {
    let declared_type = select(vec![
        vec![],
        vec![Keyword("TEXT")],
        vec![Keyword("INTEGER")],
        vec![Keyword("VARCHAR"), exact("("), exact("10"), exact(")")],
        vec![Keyword("DOUBLE"), Keyword("PRECISION")],
    ]);
    let check = vec![
        Keyword("CHECK"),
        exact("("),
        Name(name.clone()),
        exact("<>"),
        exact("'Q'"),
        exact(")"),
    ];
    let more = select(vec![
        vec![],
        vec![Keyword("NOT"), Keyword("NULL")],
        vec![Keyword("UNIQUE")],
        vec![Keyword("COLLATE"), Name("nocase".to_owned())],
        vec![
            Keyword("REFERENCES"),
            Name("order".to_owned()),
            Keyword("ON"),
            Keyword("DELETE"),
            Keyword("SET"),
            Keyword("DEFAULT"),
        ],
        check,
    ]);
    (declared_type, default_value(), more, any::<bool>()).prop_map(
        move |(declared_type, default, more, late)| {
            let (first, second) = if late { (more, default) } else { (default, more) };
            [vec![Name(name.clone())], declared_type, first, second].concat()
        },
    )
}

/// A CREATE TABLE statement that SQLite accepts.
fn table() -> impl Strategy<Value = Vec<Piece>> {
    let columns = prop::collection::btree_set(name(), 1..5).prop_flat_map(|names| {
        names
            .into_iter()
            .map(|name| column(name).boxed())
            .collect::<Vec<_>>()
    });
    (name(), columns, 0..4usize).prop_map(|(name, columns, constraint)| {
        let first = columns[0][0].clone();
        let mut pieces = vec![Keyword("CREATE"), Keyword("TABLE"), Name(name), exact("(")];
        for (index, column) in columns.into_iter().enumerate() {
            if index > 0 {
                pieces.push(exact(","));
            }
            pieces.extend(column);
        }
        let list = [exact("("), first, exact(")")];
        match constraint {
            0 => pieces.extend(
                [exact(","), Keyword("PRIMARY"), Keyword("KEY")]
                    .into_iter()
                    .chain(list),
            ),
            1 => {
                pieces.extend(
                    [exact(","), Keyword("FOREIGN"), Keyword("KEY")]
                        .into_iter()
                        .chain(list.clone()),
                );
                pieces.extend(
                    [Keyword("REFERENCES"), Name("if".to_owned())]
                        .into_iter()
                        .chain(list),
                );
            }
            _ => {}
        }
        pieces.push(exact(")"));
        pieces
    })
}

/// The statement in a spelling that `choices` decide.
fn spell(pieces: &[Piece], choices: &[u8]) -> String {
    let mut choices = choices.iter().copied().cycle();
    let mut choose = |options: u8| choices.next().unwrap_or(0) % options;
    let mut sql = String::new();
    for piece in pieces {
        if sql.ends_with('-') {
            // Before a comment, it would be part of the comment.
            sql.push(' ');
        }
        sql.push_str(
            ["", " ", "\n\t", "/* ' */", "-- \"\n", " \r\n", "/**/ ", "\x0c"][usize::from(choose(8))],
        );
        let text = match piece {
            Exact(text) => text.clone(),
            Keyword(word) if choose(2) == 0 => word.to_lowercase(),
            Keyword(word) => (*word).to_owned(),
            Name(name) => spell_name(name, choose(6)),
        };
        // Two words, or two operators, must not become one.
        let joins = |character: char| character.is_alphanumeric() || "_$\"'`[]-+<>".contains(character);
        if sql.ends_with(joins) && text.starts_with(joins) {
            sql.push(' ');
        }
        sql.push_str(&text);
    }
    sql
}

fn spell_name(name: &str, choice: u8) -> String {
    let bare = Connection::open_in_memory()
        .unwrap()
        .prepare(&format!(
            "EXPLAIN CREATE TABLE {name} ({name} CHECK ({name} <> ''), UNIQUE ({name}) )"
        ))
        .is_ok()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name != "true"
        && !name.starts_with("current_");
    match choice {
        0 if bare => name.to_owned(),
        1 if bare => name.to_ascii_uppercase(),
        2 => format!("`{}`", name.replace('`', "``")),
        3 if !name.contains(']') => format!("[{}]", name.to_ascii_uppercase()),
        4 => quote::identifier(&name.to_ascii_uppercase()),
        _ => quote::identifier(name),
    }
}

/// What SQLite makes of a CREATE TABLE statement: all that its pragmas tell, and a row of defaults.
fn meaning(sql: &str) -> (Vec<String>, Option<Vec<Value>>) {
    let connection = database(sql);
    let table: String = connection
        .query_row("SELECT name FROM sqlite_schema WHERE type = 'table'", [], |row| {
            row.get(0)
        })
        .unwrap();
    let detail = TableDetail::read(&connection, &table).unwrap();
    let mut facts: Vec<_> = detail
        .columns
        .iter()
        .map(|column| {
            // SQLite keeps the white space and comments in a type such as VARCHAR (10).
            let declared_type: Vec<_> = tokenize(&column.declared_type)
                .into_iter()
                .map(|token| token.text)
                .collect();
            let declared_type = declared_type.join(" ");
            format!(
                "{} {} {} {:?}",
                column.name, declared_type, column.not_null, column.primary_key
            )
        })
        .chain(detail.foreign_keys.iter().map(|key| format!("{key:?}")))
        .map(|fact| fact.to_ascii_lowercase())
        .collect();
    facts.push(table.to_ascii_lowercase());
    // A check or a parent that is not there may refuse the row: then only the pragmas are compared.
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    let name = quote::identifier(&table);
    let row = connection
        .execute(&format!("INSERT INTO {name} DEFAULT VALUES"), [])
        .ok()
        .map(|_| {
            connection
                .query_row(&format!("SELECT * FROM {name}"), [], |row| {
                    // The time may pass between two tables.
                    (0..detail.columns.len())
                        .map(|index| {
                            row.get(index).map(|value| match value {
                                Value::Text(text) if text.starts_with("20") => Value::Text("now".to_owned()),
                                other => other,
                            })
                        })
                        .collect()
                })
                .unwrap()
        });
    (facts, row)
}

fn sql_soup() -> impl Strategy<Value = String> {
    let words = vec![
        "CREATE",
        "TABLE",
        "TEMP",
        "UNIQUE",
        "INDEX",
        "VIRTUAL",
        "VIEW",
        "TRIGGER",
        "IF",
        "NOT",
        "EXISTS",
        "main",
        ".",
        "(",
        ")",
        ",",
        ";",
        "a",
        "\"B\"",
        "'c'",
        "[d]",
        "1",
        ".5",
        "-",
        "+",
        "*",
        "/",
        ">",
        "DEFAULT",
        "CHECK",
        "AS",
        "PRIMARY",
        "KEY",
        "REFERENCES",
        "ON",
        "OF",
        "SET",
        "\u{a0}",
        "x'00'",
        "\"",
        "'",
        "--\n",
        "/*",
        "GENERATED",
        "ALWAYS",
        "CONSTRAINT",
        "?",
        ":a",
        "\"if\"",
        "left",
        "é",
        "2e",
    ];
    prop::collection::vec((select(words), select(vec!["", " "])), 0..24).prop_map(|words| {
        words
            .into_iter()
            .flat_map(|(word, blank)| [word, blank])
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_normal_form_of_a_normal_form_is_itself(sql in prop_oneof![any::<String>(), sql_soup()]) {
        let normal = normalise(&sql);
        prop_assert_eq!(normalise(&normal), normal);
        let created = normalise(&format!("CREATE TABLE t ({sql})"));
        prop_assert_eq!(normalise(&created), created);
    }

    #[test]
    fn all_spellings_of_a_table_have_one_normal_form_that_sqlite_reads_alike(
        table in table(),
        first in prop::collection::vec(any::<u8>(), 1..40),
        second in prop::collection::vec(any::<u8>(), 1..40),
    ) {
        let (first, second) = (spell(&table, &first), spell(&table, &second));
        let normal = normalise(&first);
        prop_assert_eq!(&normalise(&second), &normal);
        prop_assert_eq!(&normalise(&normal), &normal);
        let expected = meaning(&first);
        prop_assert_eq!(&meaning(&second), &expected);
        prop_assert_eq!(meaning(&normal), expected);
    }

    #[test]
    fn two_tables_have_one_normal_form_only_if_they_are_the_same(
        first in table(),
        second in table(),
        choices in prop::collection::vec(any::<u8>(), 1..40),
    ) {
        let equal = normalise(&spell(&first, &choices)) == normalise(&spell(&second, &choices));
        prop_assert_eq!(equal, first == second);
    }

    #[test]
    fn a_change_of_one_token_shows(
        table in table(),
        place in any::<prop::sample::Index>(),
        choices in prop::collection::vec(any::<u8>(), 1..40),
    ) {
        let mut changed = table.clone();
        let index = place.index(table.len());
        changed[index] = match &table[index] {
            Name(name) => Name(format!("{name}z")),
            Keyword("TEXT") => Keyword("BLOB"),
            Keyword("DELETE") => Keyword("UPDATE"),
            Keyword(_) => Keyword("changed"),
            Exact(text) if text.starts_with('\'') => exact("'changed'"),
            Exact(_) => exact("99"),
        };
        prop_assert_ne!(normalise(&spell(&changed, &choices)), normalise(&spell(&table, &choices)));
    }
}
