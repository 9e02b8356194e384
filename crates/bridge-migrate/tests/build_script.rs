//! The build script's reading of the folder: what it takes from a file, and how it refuses one.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

#[path = "../build/migrations.rs"]
mod migrations;

use std::path::Path;

use migrations::{describe, read, registry};
use naming::MigrationName;

const GOOD: &str = "\
//! Adds a thing.
//!
//! # Why
//! It is needed.
//!
//! # Rollback
//! Drops the thing;
//! nothing \"else\" is lost.

use crate::authoring::{Definition, Phase};

// Definition::new(\"9.9.9\", Phase::Contract) is not what this is.
pub(crate) fn migration() -> Definition {
    Definition::new(
        \"1.1.0\",
        Phase::Expand,
    )
}
";

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn refusal(files: &[(&str, &str)]) -> String {
    read(folder(files).path()).unwrap_err().join("\n")
}

#[test]
fn a_file_gives_its_release_summary_and_rollback_whatever_its_line_endings() {
    let name = || MigrationName::new(1, "a_thing").unwrap();
    let source = describe(name(), GOOD).unwrap();
    assert_eq!(source.summary, "Adds a thing.");
    assert_eq!(source.rollback, "Drops the thing; nothing \"else\" is lost.");
    assert_eq!(source.release.to_string(), "1.1.0");
    assert_eq!(describe(name(), &GOOD.replace('\n', "\r\n")).unwrap(), source);
    let licensed = format!("// Copyright\n\n{GOOD}");
    assert_eq!(describe(name(), &licensed).unwrap(), source);
}

#[test]
fn the_registry_lists_every_file_in_order_and_ends_with_the_last_release() {
    let folder = folder(&[
        ("V002__second.rs", &GOOD.replace("1.1.0", "1.2.0")),
        ("V001__first.rs", GOOD),
        ("migrations.lock", ""),
    ]);
    std::fs::create_dir(folder.path().join("golden")).unwrap();
    let sources = read(folder.path()).unwrap();
    let rust = registry(Path::new("/the \"folder\""), &sources).unwrap();
    insta::assert_snapshot!(rust, @r#"
        #[path = "/the \"folder\"/V001__first.rs"]
        mod v001_first;
        #[path = "/the \"folder\"/V002__second.rs"]
        mod v002_second;

        /// The release that the last migration completes.
        pub const SCHEMA_VERSION: &str = "1.2.0";

        fn registry() -> Vec<Registered> {
            vec![
                Registered { version: 1, name: "first", summary: "Adds a thing.", rollback: "Drops the thing; nothing \"else\" is lost.", allowed: &[], definition: v001_first::migration() },
                Registered { version: 2, name: "second", summary: "Adds a thing.", rollback: "Drops the thing; nothing \"else\" is lost.", allowed: &[], definition: v002_second::migration() },
            ]
        }
        "#);
}

#[test]
fn a_wrong_name_is_refused_by_name() {
    let refused = refusal(&[("V001__first.rs", GOOD), ("V2_second.rs", GOOD)]);
    assert!(refused.contains("V2_second.rs"), "{refused}");
}

#[test]
fn a_gap_is_refused_by_the_files_around_it() {
    let refused = refusal(&[("V001__first.rs", GOOD), ("V003__third.rs", GOOD)]);
    assert!(
        refused.contains("V001__first.rs") && refused.contains("V003__third.rs"),
        "{refused}"
    );
}

#[test]
fn a_number_used_twice_is_refused_by_both_files() {
    let refused = refusal(&[("V001__first.rs", GOOD), ("V001__other.rs", GOOD)]);
    assert!(
        refused.contains("V001__first.rs") && refused.contains("V001__other.rs"),
        "{refused}"
    );
}

#[test]
fn what_a_file_lacks_is_said_for_every_file_at_once() {
    let refused = refusal(&[
        ("V001__no_docs.rs", GOOD.split_once("\n\n").unwrap().1),
        (
            "V002__no_summary.rs",
            &GOOD.replacen("//! Adds a thing.\n//!\n", "", 1),
        ),
        ("V003__no_rollback.rs", &GOOD.replace("# Rollback", "# Sequel")),
        (
            "V004__empty_rollback.rs",
            &GOOD.replace("//! Drops the thing;\n//! nothing \"else\" is lost.\n", ""),
        ),
        ("V005__no_release.rs", &GOOD.replace("\"1.1.0\"", "RELEASE")),
        ("V006__odd_release.rs", &GOOD.replace("1.1.0", "1.1")),
    ]);
    insta::assert_snapshot!(refused, @r#"
    migrations/V001__no_docs.rs: it must start with `//!` and what it does, in a sentence
    migrations/V002__no_summary.rs: it must start with `//!` and what it does, in a sentence
    migrations/V003__no_rollback.rs: its module docs must say, under `//! # Rollback`, what going back does and what it loses
    migrations/V004__empty_rollback.rs: its module docs must say, under `//! # Rollback`, what going back does and what it loses
    migrations/V005__no_release.rs: it must name its release as in `Definition::new("1.1.0", Phase::Expand)`
    migrations/V006__odd_release.rs: `1.1` is not a release: write three numbers without leading zeros, as in `1.1.0`
    "#);
}

#[test]
fn a_folder_in_the_place_of_a_file_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("V001__first.rs")).unwrap();
    let refused = read(folder.path()).unwrap_err().join("\n");
    assert!(refused.starts_with("migrations/V001__first.rs: "), "{refused}");
}

fn with_lint(lines: &str) -> String {
    GOOD.replacen("\n\n", &format!("\n//!\n{lines}\n\n"), 1)
}

#[test]
fn what_a_file_allows_is_taken_with_its_reason_and_is_no_part_of_the_rollback() {
    let folder = tempfile::tempdir().unwrap();
    let text = with_lint(
        "//! lint: allow(BM210): Two seconds\n//! at most.\n//! lint: allow(BM306)\n//!\n//! # More\n//! Text.",
    );
    std::fs::write(folder.path().join("V001__first.rs"), text).unwrap();
    let sources = read(folder.path()).unwrap();
    assert_eq!(
        sources[0].allowed,
        [
            ("BM210".to_owned(), "Two seconds at most.".to_owned()),
            ("BM306".to_owned(), String::new())
        ]
    );
    assert!(!sources[0].rollback.contains("lint"), "{}", sources[0].rollback);
}

#[test]
fn a_lint_line_that_allows_nothing_is_refused() {
    let refused = refusal(&[("V001__first.rs", &with_lint("//! lint: off"))]);
    assert_eq!(
        refused,
        "migrations/V001__first.rs: `lint: off` must be written as `lint: allow(BM210): why`"
    );
}
