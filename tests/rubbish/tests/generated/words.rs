//! What people type and servers write: timestamps, names of files, targets.

use proptest::prelude::*;

use crate::inputs::Inputs;

fn bytes(strategy: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<u8>> {
    strategy.prop_map(String::into_bytes)
}

/// For the target `timestamp`.
pub(crate) fn timestamp() -> Inputs {
    let forms = "(0001-01-0[1-3]|9999-12-3[01]|[12][0-9]{3}-(0[0-9]|1[0-3])-([0-2][0-9]|3[0-2])|[12][0-9]{3}(0[1-9]|1[0-2])[0-3][0-9])\
        ([T a:é🎉][0-2][0-9](:[0-6][0-9](:[0-6][0-9]([.,][0-9]{1,9})?)?|[0-5][0-9]([0-5][0-9]([.,][0-9]{1,7})?)?)?\
        (Z|[+-][0-2][0-9](:?[0-9][0-9](:?[0-5][0-9]([.,][0-9]{1,7})?)?)?)?)?";
    Inputs::new(
        "timestamp",
        6000,
        bytes(forms.prop_map(String::from)),
        &["T", "Z", "+05:30", "-00:00", ":", ".", "W08", "24"],
    )
}

#[test]
fn timestamps_are_what_an_independent_reading_says() {
    timestamp().try_all();
}

/// For the target `migration_name`.
pub(crate) fn migration_name() -> Inputs {
    let names =
        "(V(00[0-9]|0?[0-9]{1,4}|[0-9]{6,9})_{1,3}[a-z][a-z0-9_]{0,8}[_A-Zé]?[.](rs|sql|RS)?(\n|\n\n)?){1,4}";
    Inputs::new(
        "migration_name",
        4000,
        bytes(names.prop_map(String::from)),
        &["V", "__", ".rs", "00", "_", "\n", "a"],
    )
}

#[test]
fn names_of_migration_files_follow_the_grammar() {
    migration_name().try_all();
}

/// For the target `target`.
pub(crate) fn target() -> Inputs {
    let targets =
        "(latest|[Vv+-]?[0-9]{0,9}(__[a-z]{0,3})?|[0-9]{1,11}([.][0-9]{0,11}){1,3}|[Vv+-]{1,3}[0-9٣]{1,3})";
    Inputs::new(
        "target",
        6000,
        bytes(targets.prop_map(String::from)),
        &["latest", "V", "+", "-", ".", "0", "1.1.0", "__"],
    )
}

#[test]
fn targets_are_what_the_command_line_contract_says() {
    target().try_all();
}

/// For the target `quoting`.
pub(crate) fn quoting() -> Inputs {
    let texts = prop_oneof![
        any::<String>(),
        "[a\u{0}'\"`\\[\\];\u{1}\u{2}%_é\n -]{0,16}",
        "\\PC{0,12}\n\\PC{0,12}"
    ];
    Inputs::new(
        "quoting",
        1500,
        bytes(texts),
        &["\"", "'", "\0", "\n", "sqlite_", "]", "--", "/*", "other"],
    )
}

#[test]
fn any_name_and_any_text_come_back_from_sqlite() {
    quoting().try_all();
}
