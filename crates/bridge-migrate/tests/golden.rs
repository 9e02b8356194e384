//! The SQL of every migration, as files: an applied migration's checksum depends on every byte of it.
//!
//! `BLESS=1 cargo test -p bridge-migrate golden` writes the files anew.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use std::{collections::BTreeSet, fmt::Write, path::PathBuf};

use bridge_migrate_core::{Migration, RowChangeKind};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../migrations/golden")
}

fn golden(migration: &Migration) -> String {
    let mut text = String::from("-- up\n");
    text.push_str(&migration.up);
    if let Some(step) = &migration.data {
        writeln!(text, "-- {}", step.describe()).unwrap();
    }
    if let Some(import) = &migration.import {
        writeln!(text, "-- {}", import.describe()).unwrap();
    }
    for change in &migration.row_changes {
        let (verb, table) = match change.kind {
            RowChangeKind::Adds => ("adds rows to", &change.table),
            RowChangeKind::Removes => ("removes rows from", &change.table),
        };
        writeln!(text, "-- {verb} {table}").unwrap();
    }
    text.push_str("-- down\n");
    text.push_str(&migration.down);
    match &migration.data {
        Some(step) if step.is_journaled() => {
            writeln!(
                text,
                "-- data step: old values of {}.{} from the journal",
                step.table(),
                step.column()
            )
        }
        Some(step) => writeln!(
            text,
            "-- data step: {}.{} becomes NULL",
            step.table(),
            step.column()
        ),
        None => Ok(()),
    }
    .unwrap();
    text
}

#[test]
fn golden_sql_is_what_the_catalog_says() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut expected_files = BTreeSet::new();
    for migration in bridge_migrate::catalog().unwrap().migrations() {
        let file_name = format!("{}.sql", migration.stem());
        let path = folder().join(&file_name);
        expected_files.insert(file_name);
        let now = golden(migration);
        if bless {
            std::fs::write(&path, &now).unwrap();
        }
        let stored = std::fs::read_to_string(&path)
            .unwrap_or_default()
            .replace("\r\n", "\n");
        pretty_compare(&migration.stem(), &stored, &now);
    }
    let found_files: BTreeSet<_> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(found_files, expected_files, "golden files without a migration");
}

fn pretty_compare(stem: &str, stored: &str, now: &str) {
    assert!(
        stored == now,
        "the SQL of {stem} is not what migrations/golden/{stem}.sql says.\n\
         If it was never released: BLESS=1 cargo test -p bridge-migrate golden\n\
         stored:\n{stored}\nnow:\n{now}"
    );
}
