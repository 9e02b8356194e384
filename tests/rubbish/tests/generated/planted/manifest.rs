//! A manifest that is believed although it was altered.

use std::path::Path;

use bridge_migrate_core::{Result, Settings};
use bridge_migrate_sqlite::backup::{Backup, Completeness, Problem, ProblemKind};
use rubbish::targets::manifest::{OURS, Readers, check};

use super::assert_noticed;
use crate::records;

/// All problems but those of a kind.
fn without(backup: &Backup, kind: ProblemKind) -> Result<Vec<Problem>> {
    let mut problems = (OURS.verify)(backup)?;
    problems.retain(|problem| problem.kind != kind);
    Ok(problems)
}

/// With the companion wherever its entry says, if the system can have such a name.
fn load_from_anywhere(settings: &Settings, path: &Path) -> Result<Backup> {
    let mut backup = (OURS.load)(settings, path)?;
    let entry = backup
        .manifest
        .as_ref()
        .and_then(|manifest| manifest.companion.as_ref())
        .filter(|entry| !entry.file.contains('\0'));
    if let Some(entry) = entry {
        backup.companion = Some(backup.database.with_file_name(&entry.file));
    }
    Ok(backup)
}

#[test]
fn belief_in_an_altered_manifest_is_noticed() {
    let mistakes = [
        (
            "the digest ignored",
            Readers {
                verify: |backup| without(backup, ProblemKind::DigestDiffers),
                ..OURS
            },
            "believed: ",
        ),
        (
            "the rows ignored",
            Readers {
                verify: |backup| without(backup, ProblemKind::ContentsDiffer),
                ..OURS
            },
            "believed: ",
        ),
        (
            "the lengths ignored",
            Readers {
                verify: |backup| without(backup, ProblemKind::LengthDiffers),
                ..OURS
            },
            "believed: ",
        ),
        (
            "a malformed manifest passed over",
            Readers {
                verify: |backup| without(backup, ProblemKind::ManifestInvalid),
                ..OURS
            },
            "nothing is wrong without a manifest",
        ),
        (
            "complete without a manifest",
            Readers {
                load: |settings, path| {
                    let mut backup = (OURS.load)(settings, path)?;
                    if backup.manifest.is_none() {
                        backup.state = Completeness::Complete;
                    }
                    Ok(backup)
                },
                ..OURS
            },
            "complete without a manifest",
        ),
        (
            "a file elsewhere",
            Readers {
                load: load_from_anywhere,
                ..OURS
            },
            "a file of another folder",
        ),
        (
            "a sound one suspected",
            Readers {
                verify: |backup| {
                    Ok(vec![Problem {
                        kind: ProblemKind::ManifestInvalid,
                        file: backup.manifest_path.clone(),
                        message: String::new(),
                    }])
                },
                ..OURS
            },
            "not believed: ",
        ),
    ];
    for (mistake, readers, why) in mistakes {
        assert_noticed(&records::manifest(), mistake, |data| check(&readers, data), why);
    }
}
