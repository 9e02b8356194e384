//! Commands that pass over a rollback's note, or do what it says.

use std::fs;

use bridge_migrate_core::{Result, Settings};
use bridge_migrate_sqlite::with_suffix;
use rubbish::targets::rollback_note::{Commands, OURS, check};
use serde_json::Value;

use super::assert_noticed;
use crate::records;

fn note(settings: &Settings) -> Option<Value> {
    let note = fs::read(with_suffix(&settings.database, ".rollback.json")).unwrap();
    serde_json::from_slice(&note).ok()
}

fn migrate_without_note(settings: &Settings) -> Result<()> {
    fs::remove_file(with_suffix(&settings.database, ".rollback.json")).unwrap();
    (OURS.migrate)(settings)
}

/// Copies back what the note names.
fn copy_back(settings: &Settings) -> Result<()> {
    if let Some(backup) = note(settings).as_ref().and_then(|note| note["backup"].as_str()) {
        let backup = settings.database.with_file_name(backup.replace('\0', ""));
        fs::write(&settings.database, fs::read(backup).unwrap_or_default()).unwrap();
    }
    (OURS.rollback)(settings)
}

#[test]
fn a_note_that_is_passed_over_or_obeyed_is_noticed() {
    let mistakes = [
        (
            "the note passed over",
            Commands {
                migrate: migrate_without_note,
                ..OURS
            },
            "migrated before a rollback was completed",
        ),
        (
            "a malformed note passed over",
            Commands {
                migrate: |settings| match note(settings) {
                    Some(_) => (OURS.migrate)(settings),
                    None => migrate_without_note(settings),
                },
                ..OURS
            },
            "migrated before a rollback was completed",
        ),
        (
            "the backup not looked at",
            Commands {
                rollback: copy_back,
                ..OURS
            },
            "the database is another",
        ),
        (
            "done without a backup",
            Commands {
                rollback: |_| Ok(()),
                ..OURS
            },
            "went back without a backup",
        ),
        (
            "the token file emptied first",
            Commands {
                rollback: |settings| {
                    fs::write(&settings.companion, "").unwrap();
                    (OURS.rollback)(settings)
                },
                ..OURS
            },
            "the token file is another",
        ),
    ];
    for (mistake, commands, why) in mistakes {
        assert_noticed(
            &records::rollback_note(),
            mistake,
            |data| check(&commands, data),
            why,
        );
    }
}
