//! A normal form that forgets something.

use bridge_migrate_sqlite::schema::{Object, Snapshot, normalise as normal_form};
use rubbish::targets::normalise::{Forms, check};
use rusqlite::Connection;

use super::assert_noticed;
use crate::sql;

/// A schema with other normal forms.
fn read(connection: &Connection, normal_form: fn(&str) -> String) -> rusqlite::Result<Snapshot> {
    let objects = Snapshot::read(connection)?;
    Ok(objects
        .iter()
        .map(|object| Object {
            normal: normal_form(&object.sql).into(),
            ..object.clone()
        })
        .collect())
}

fn without_collation(sql: &str) -> String {
    normal_form(sql).replace(" collate nocase", "")
}

fn in_lower_case(sql: &str) -> String {
    normal_form(sql).to_lowercase()
}

/// A quoted name that is a keyword loses its quotes.
fn without_quotes(sql: &str) -> String {
    normal_form(sql).replace("\"select\"", "select")
}

fn without_strict(sql: &str) -> String {
    normal_form(sql).replace("strict, ", "").replace(" strict", "")
}

/// The quotes of names are doubled once more.
fn with_quotes(sql: &str) -> String {
    normal_form(sql).replace('"', "\"\"")
}

#[test]
fn a_forgetful_normal_form_is_noticed() {
    let another = "the normal form means another schema";
    let mistakes = [
        (
            "a collation lost",
            Forms {
                normal_form: without_collation,
                snapshot: |connection| read(connection, without_collation),
            },
            another,
        ),
        (
            "texts in lower case",
            Forms {
                normal_form: in_lower_case,
                snapshot: |connection| read(connection, in_lower_case),
            },
            another,
        ),
        (
            "a quoted name as a keyword",
            Forms {
                normal_form: without_quotes,
                snapshot: |connection| read(connection, without_quotes),
            },
            "no SQL, ",
        ),
        (
            "STRICT lost",
            Forms {
                normal_form: without_strict,
                snapshot: |connection| read(connection, without_strict),
            },
            another,
        ),
        (
            "quotes doubled",
            Forms {
                normal_form: with_quotes,
                snapshot: |connection| read(connection, with_quotes),
            },
            "done twice",
        ),
    ];
    for (mistake, forms, why) in mistakes {
        assert_noticed(&sql::normalise(), mistake, |data| check(&forms, data), why);
    }
}
