//! Files that the program reads: the token file, configurations, locks, logs, contracts.

use std::collections::{BTreeMap, BTreeSet};

use bridge_migrate::tokens::{Document, Token, parse};
use proptest::prelude::*;
use proptest::sample::select;
use sha2::{Digest as _, Sha256};
use support::{dump, proof};

use crate::inputs::Inputs;

const JSON_WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "\"",
    ":",
    ",",
    "null",
    "true",
    "1.5",
    "\\u0000",
    "\\ud83c\\udf89",
    "\\n",
];

fn lines(line: impl Strategy<Value = String>, most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(line, 0..most).prop_map(|lines| lines.join("\n").into_bytes())
}

/// A JSON value of the kinds that stand in the program's files.
fn json_value() -> impl Strategy<Value = String> {
    let text = prop_oneof![any::<String>(), "[a-z_/.:0-9 -]{0,12}"]
        .prop_map(|text| serde_json::Value::from(text).to_string());
    let leaf = prop_oneof![
        3 => text,
        1 => any::<i64>().prop_map(|number| number.to_string()),
        1 => any::<f64>().prop_map(|number| serde_json::json!(number).to_string()),
        1 => select(vec!["null", "true", "false", "-0", "1e400", "18446744073709551616", "0", "1", "9"]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(("[a-c]", inner), 0..3).prop_map(|items| {
                let items: Vec<String> = items
                    .iter()
                    .map(|(key, value)| format!("\"{key}\":{value}"))
                    .collect();
                format!("{{{}}}", items.join(","))
            }),
        ]
    })
}

/// An object whose keys are those that a reader wants, mostly with values that it wants.
fn object(entries: Vec<(&'static str, BoxedStrategy<String>)>) -> impl Strategy<Value = String> {
    let entry = select(entries).prop_flat_map(|(key, right)| {
        prop_oneof![6 => right, 1 => json_value().boxed()]
            .prop_map(move |value| format!("\"{key}\": {value}"))
    });
    prop::collection::vec(entry, 0..9).prop_map(|entries| format!("{{{}}}", entries.join(", ")))
}

fn quoted(pattern: &'static str) -> BoxedStrategy<String> {
    pattern.prop_map(|text| format!("\"{text}\"")).boxed()
}

/// For the target `tokens`.
pub(crate) fn tokens() -> Inputs {
    let known = || {
        object(vec![
            ("client_id", quoted("[a-z]{0,4}")),
            ("created_at", quoted("2026-0[1-9]-01")),
            ("expires_at", json_value().boxed()),
            ("note", json_value().boxed()),
        ])
    };
    let tokens = prop::collection::vec((quoted("tk_[a-f0-9]{1,3}"), known()), 0..4)
        .prop_map(|entries| {
            let entries: Vec<String> = entries
                .into_iter()
                .map(|(token, known)| format!("{token}: {known}"))
                .collect();
            format!("{{{}}}", entries.join(","))
        })
        .boxed();
    let revoked = prop::collection::vec(quoted("tk_[a-f0-9]{1,3}"), 0..4)
        .prop_map(|list| format!("[{}]", list.join(",")))
        .boxed();
    let file = object(vec![
        ("tokens", tokens.clone()),
        ("tokens", tokens),
        ("revoked", revoked),
        ("other", json_value().boxed()),
    ]);
    Inputs::new("tokens", 4000, file.prop_map(String::into_bytes), JSON_WORDS)
}

#[test]
fn token_files_lose_and_invent_nothing() {
    tokens().try_all();
}

/// A token as a server writes it, what is known of it, and a choice of spellings.
type Entry = (String, String, Option<String>, bool);

#[test]
fn a_token_file_that_is_written_in_any_spelling_is_read_as_it_was_meant() {
    const CASES: u32 = 2000;
    let entry = (
        prop_oneof!["\\PC{1,12}", "[ab]"],
        any::<String>(),
        prop::option::of("\\PC{0,8}"),
        any::<bool>(),
    );
    let model = (
        prop::collection::vec(entry, 0..6),
        prop::collection::btree_set("\\PC{1,12}", 0..4),
        any::<bool>(),
    );
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: CASES,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    runner
        .run(&model, |(entries, revoked, revoked_first)| {
            prop_assert_eq!(
                parse(print(&entries, &revoked, revoked_first).as_bytes()),
                Ok(meant(&entries, &revoked))
            );
            Ok(())
        })
        .unwrap();
    proof::count(CASES.into(), "inputs", "token files printed from what they mean");
}

fn meant(entries: &[Entry], revoked: &BTreeSet<String>) -> Document {
    let digest = |token: &String| dump::hex(&Sha256::digest(token));
    let mut tokens = BTreeMap::new();
    for (token, client_id, created_at, _) in entries {
        let known = Token {
            client_id: client_id.clone(),
            created_at: created_at.clone(),
            expires_at: None,
        };
        tokens.insert(digest(token), known);
    }
    Document {
        tokens,
        revoked: revoked.iter().map(digest).collect(),
    }
}

fn print(entries: &[Entry], revoked: &BTreeSet<String>, revoked_first: bool) -> String {
    let tokens: Vec<String> = entries
        .iter()
        .map(|(token, client_id, created_at, escape)| {
            let created_at = created_at
                .as_ref()
                .map_or("null".to_owned(), |time| spelled(time, !escape));
            let (token, client_id) = (spelled(token, *escape), spelled(client_id, *escape));
            format!("{token}:{{\"created_at\" : {created_at},\"x\":[{{}}],\n\"client_id\":{client_id}}}")
        })
        .collect();
    let tokens = format!("\"tokens\": {{{}}}", tokens.join(" , "));
    let revoked: Vec<String> = revoked
        .iter()
        .map(|token| spelled(token, revoked_first))
        .collect();
    let revoked = format!("\"revoked\":[{}]", revoked.join(","));
    if revoked_first {
        format!("{{{revoked}, {tokens}}}")
    } else {
        format!("{{{tokens}, {revoked}}}")
    }
}

/// A JSON text as it is, or with every character escaped, as Python does beyond ASCII.
fn spelled(text: &str, escape: bool) -> String {
    if !escape {
        return serde_json::Value::from(text).to_string();
    }
    let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    format!("\"{escaped}\"")
}

/// For the target `config`.
pub(crate) fn config() -> Inputs {
    let key = "(db|tokens|backup-dir|log-dir|timezone|plain|json|quiet|verbose|no-progress|color|backup_dir|colour|\"db\"|db[.]x)";
    let value = "(\"[a-z/.]{0,6}\"|'[A-Z]{1,3}'|true|false|\"(auto|always|never|Never|ALWAYS|)\"|1|[{] never = [{][}] [}]|\\[\\]|2026-02-22|\"\\\\u00e9\")";
    let line = (key, value, "( # x)?").prop_map(|(key, value, comment)| format!("{key} = {value}{comment}"));
    Inputs::new(
        "config",
        3000,
        lines(line, 5),
        &[
            "db = \"", "color = ", "true", "\"", "'''", "[x]", "\n", "\\u0041", "=",
        ],
    )
}

#[test]
fn configurations_are_what_their_toml_says() {
    config().try_all();
}

/// For the target `lock`.
pub(crate) fn lock() -> Inputs {
    let holder = object(vec![
        ("pid", "[0-9]{1,9}".boxed()),
        ("host", quoted("[a-z]{0,3}")),
        ("since", quoted("2026")),
        ("command", quoted("migrate")),
        ("tool", quoted("[a-z]{1,3}")),
    ]);
    Inputs::new("lock", 2000, holder.prop_map(String::into_bytes), JSON_WORDS)
}

#[test]
fn a_lock_is_the_kernels_whatever_stands_in_its_file() {
    lock().try_all();
}

/// For the target `run_log`.
pub(crate) fn run_log() -> Inputs {
    let event = object(vec![
        (
            "event",
            quoted("(adopted|waiting|step_started|step_finished|batch_committed|run_finished|warning|other)"),
        ),
        ("event", quoted("(step_started|step_finished)")),
        ("time", quoted("2026-02-22[T ][0-2]0:00:00(Z|[.]5|[+]01:00)?")),
        ("run", quoted("[0-9a-g]{8}")),
        ("version", "[0-9]{1,2}".boxed()),
        ("name", quoted("(initial_schema|auth_tokens|tk_secret)")),
        ("command", quoted("(migrate|undo|tk_secret)")),
        ("error", quoted("(busy|corrupt|tk_secret)")),
        ("from", json_value().boxed()),
        ("max_lock_ms", json_value().boxed()),
    ]);
    Inputs::new("run_log", 1500, lines(event, 6), JSON_WORDS)
}

#[test]
fn nothing_of_a_log_comes_through_but_what_the_program_knows() {
    run_log().try_all();
}

/// For the target `contract`.
pub(crate) fn contract() -> Inputs {
    let line = prop_oneof![
        Just("-- foreign keys: off".to_owned()),
        "-- (statement|gone): [a-d]".prop_map(String::from),
        "-- statement: [a-z]{1,4}\n-- [a-z :]{1,9}\nSELECT [a1'b'(), ]{1,9};".prop_map(String::from),
        "-- statement: [a-z]{1,4}\n-- For it.\n-- values: (1|-2[.]5|'a''b'|NULL|x'00ff'|1e999)\n(-- changes: [0-9]\n)?(-- reads: [a-c](, [a-c])?\n)?SELECT [?]( -- x ;\n)?( /[*];[*]/)?;".prop_map(String::from),
        "-- [a-z:' ]{0,8}".prop_map(String::from),
        "[;?'a \u{0}]{0,4}".prop_map(String::from),
    ];
    let text = (prop::bool::weighted(0.9), lines(line, 6)).prop_map(|(head, mut rest)| {
        if head {
            rest.splice(0..0, *b"-- foreign keys: on\n");
        }
        rest
    });
    Inputs::new(
        "contract",
        4000,
        text,
        &[
            "-- statement: x\n",
            "-- values: 1\n",
            ";",
            "?",
            "'",
            "--",
            "\n",
            "-- reads: a\n",
        ],
    )
}

#[test]
fn contracts_read_the_same_when_they_are_printed() {
    contract().try_all();
}
