//! Names and texts that are not quoted as SQLite reads them.

use bridge_migrate_sqlite::literal;
use rubbish::targets::quoting::{OURS, Quoting, check};
use support::dump::hex;

use super::assert_noticed;
use crate::words;

type Quote = fn(&str) -> String;

#[test]
fn wrong_quotes_of_a_name_are_noticed() {
    let mistakes: [(&str, Quote, &str); 4] = [
        ("a quote not doubled", |name| format!("\"{name}\""), "is no name"),
        (
            "brackets, which cannot be escaped",
            |name| format!("[{name}]"),
            "is no name",
        ),
        (
            "quoted only where a blank asks for it",
            |name| match name.contains(' ') {
                true => (OURS.identifier)(name),
                false => name.to_owned(),
            },
            "is no name",
        ),
        (
            "cut at a NUL",
            |name| (OURS.identifier)(name.split('\0').next().unwrap()),
            "cannot be a name",
        ),
    ];
    for (mistake, identifier, why) in mistakes {
        let quoting = Quoting { identifier, ..OURS };
        assert_noticed(&words::quoting(), mistake, |data| check(&quoting, data), why);
    }
}

#[test]
fn wrong_quotes_of_a_text_are_noticed() {
    let another = "comes back as another";
    let mistakes: [(&str, Quote, &str); 4] = [
        (
            "a quote not doubled",
            |text| format!("'{text}'"),
            "is no expression",
        ),
        (
            "a backslash before a quote",
            |text| format!("'{}'", text.replace('\'', "\\'")),
            "is no expression",
        ),
        ("NUL left out", |text| literal(&text.replace('\0', "")), another),
        (
            "bytes of another encoding",
            |text| format!("(CAST(x'{}' AS TEXT))", hex(text.as_bytes())),
            another,
        ),
    ];
    for (mistake, literal, why) in mistakes {
        let quoting = Quoting { literal, ..OURS };
        assert_noticed(&words::quoting(), mistake, |data| check(&quoting, data), why);
    }
}
