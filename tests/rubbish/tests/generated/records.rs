//! What the tool itself leaves in databases and beside them: history, manifests, receipts, notes.

use proptest::prelude::*;
use proptest::sample::select;

use crate::inputs::Inputs;

/// Edits of a sound text, as its target reads them.
fn edits(old_and_new: &'static [(&'static str, &'static str)]) -> impl Strategy<Value = Vec<u8>> {
    let edit = prop_oneof![
        3 => (select(old_and_new), "(0|9|-|null|\"x\"|[a-z0-9]{1,3})?").prop_map(|((old, new), more)| format!("{old}=>{new}{more}")),
        1 => (0..2000_usize, 0..3_usize, "[0-9a-f\",:{}]{0,2}").prop_map(|(at, removed, new)| format!("{at} {removed} {new}")),
    ];
    prop::collection::vec(edit, 1..3).prop_map(|edits| format!("~{}", edits.join("\n")).into_bytes())
}

/// For the target `manifest`.
pub(crate) fn manifest() -> Inputs {
    let places = &[
        ("\"sha256\": \"", "\"sha256\": \""),
        ("\"sha256\": \"?", "\"sha256\": \"e"),
        ("\"bytes\": ", "\"bytes\": "),
        ("\"page_size\": 4", "\"page_size\": "),
        ("\"page_count\": ", "\"page_count\": "),
        ("\"user_version\": ", "\"user_version\": 1"),
        ("\"messages\": ", "\"messages\": "),
        ("\"votes\": ", "\"messages\": "),
        ("\"format\": 1", "\"format\": 1"),
        ("\"file\": \"tokens", "\"file\": \"../tokens"),
        ("\"companion\": {", "\"companion\": {\"file\": \"x\", "),
        ("\"tables\": {", "\"tables\": {\"a\": 1, "),
        ("\"release\": ", "\"release\": "),
    ];
    Inputs::new(
        "manifest",
        350,
        edits(places),
        &["~", "=>", "\"bytes\": 1", "null", "{", "}", "\n", "\"sha256\": "],
    )
}

#[test]
fn an_altered_manifest_is_noticed() {
    manifest().try_all();
}

/// For the target `receipt`.
pub(crate) fn receipt() -> Inputs {
    let places = &[
        ("\"ok\": true", "\"ok\": "),
        ("\"created_at\": \"2026-02-22", "\"created_at\": \"2026-02-1"),
        ("\"created_at\": \"", "\"created_at\": \""),
        ("\"tool\": \"", "\"tool\": \""),
        ("\"sqlite\": \"", "\"sqlite\": \""),
        ("\"time_zone\": \"UTC", "\"time_zone\": \"UTC"),
        ("\"catalog\": \"", "\"catalog\": \""),
        ("\"catalog\": \"?", "\"catalog\": \"e"),
        ("\"schema\": \"?", "\"schema\": \"e"),
        ("\"schema\": \"", "\"schema\": \""),
        ("\"from\": ", "\"from\": "),
        ("\"to\": 9", "\"to\": "),
        ("\"messages\": 3", "\"messages\": "),
        ("\"votes\": ", "\"votes\": "),
        ("\"format\": 1", "\"format\": "),
    ];
    Inputs::new(
        "receipt",
        350,
        edits(places),
        &["~", "=>", "true", "false", "0", "9", "\n", "\"ok\": "],
    )
}

#[test]
fn an_altered_receipt_allows_nothing_more() {
    receipt().try_all();
}

/// For the target `rollback_note`.
pub(crate) fn rollback_note() -> Inputs {
    let note = (
        select(vec![
            "collab.db",
            "/",
            "",
            "/nowhere/x",
            "collab.db.backup.20260222_153045",
            ".",
            "..",
            "/dev/null",
        ]),
        select(vec![
            "0",
            "1",
            "5",
            "9",
            "10",
            "4294967295",
            "-1",
            "1.5",
            "null",
            "\"9\"",
        ]),
        select(vec!["0", "1", "8", "9", "4294967295", "-1", "{}"]),
    )
        .prop_map(|(backup, from, to)| {
            format!("{{\"backup\": \"{backup}\", \"from\": {from}, \"to\": {to}}}").into_bytes()
        });
    Inputs::new(
        "rollback_note",
        300,
        note,
        &["{", "\"backup\": ", "\"to\": ", "9", "\"", ",", "null"],
    )
}

#[test]
fn whatever_a_rollbacks_note_says_nothing_is_lost() {
    rollback_note().try_all();
}

/// For the target `history`.
pub(crate) fn history() -> Inputs {
    let line = (
        select(vec![
            "refinery_schema_history",
            "refinery_schema_history",
            "schema_version",
            "migration_steps",
            "migration_steps",
            "migration_runs",
            "migration_progress",
            "migration_affected_records",
            "migration_accepted_objects",
        ]),
        0..10_u8,
        prop_oneof![
            4 => select(vec![
                "version", "name", "applied_on", "checksum", "applied_at", "way_back", "down_sql", "fingerprint",
                "cursor", "direction", "backup", "started_at", "release", "phase", "duration_ms",
            ]).prop_map(str::to_owned),
            1 => Just("-".to_owned()),
            1 => Just("+".to_owned()),
            2 => (0..15_u8).prop_map(|column| column.to_string()),
        ],
        prop_oneof![
            2 => Just("n".to_owned()),
            2 => select(vec!["i0", "i-1", "i1", "i5", "i10", "i4294967296", "i9223372036854775807", "i-9223372036854775808"]).prop_map(str::to_owned),
            1 => select(vec!["r3.0", "r1e300", "r-0.0"]).prop_map(str::to_owned),
            3 => select(vec![
                "t", "ttk_rubbish", "t1", "t5", "t1.2.0", "t2026-02-22T15:30:45Z", "t18446744073709551616", "tDROP TABLE messages;",
                "tjournal", "tstatements", "tscan 5", "tup", "tdown", "tclear notes.x", "tnone",
            ]).prop_map(str::to_owned),
            1 => "t\\PC{0,6}",
            1 => "b[a-z]{0,3}",
        ],
    )
        .prop_map(|(table, row, column, value)| format!("{table} {row} {column} {value}"));
    let text = (any::<bool>(), prop::collection::vec(line, 0..5)).prop_map(|(loose, lines)| {
        format!("{}{}", if loose { "!\n" } else { "" }, lines.join("\n")).into_bytes()
    });
    Inputs::new(
        "history",
        100,
        text,
        &[
            "!\n",
            "\n",
            " - ",
            " + ",
            "i5",
            "n",
            "b\u{0}",
            "refinery_schema_history ",
        ],
    )
}

#[test]
fn no_history_makes_a_panic_or_passes_for_another() {
    history().try_all();
}
