//! Looks inside a backup and says what is wrong with it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::check::{Depth, check_copy};
use super::{Backup, companion::flaw_of, contents::Contents, names::lossy_name};
use bridge_migrate_core::digest::{FileDigest, digest_file};
use bridge_migrate_core::{ErrorKind, Observer, Result, Settings};

/// What kind of thing is wrong with a backup. The serialised names are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProblemKind {
    /// There is no manifest: an interrupted backup, or a copy made by hand.
    ManifestMissing,
    /// The manifest cannot be read.
    ManifestInvalid,
    /// A file that the manifest names is not there.
    FileMissing,
    /// A file has another length than the manifest says: cut short, or written to.
    LengthDiffers,
    /// A file's bytes are not those that were verified.
    DigestDiffers,
    /// SQLite finds the copy damaged.
    Damaged,
    /// The copy holds something else than the manifest says.
    ContentsDiffer,
    /// The copy of the companion file is not whole.
    CompanionInvalid,
}

/// One thing that is wrong with a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What kind.
    pub kind: ProblemKind,
    /// Which file.
    #[serde(serialize_with = "bridge_migrate_core::serial::path")]
    pub file: PathBuf,
    /// What, as a sentence's end: `collab.db.backup.… is damaged: …`.
    pub message: String,
}

/// Compares a backup with its manifest and checks the copy for damage; nothing is wrong when the answer is
/// empty. `full` also checks that the indexes agree with their tables, which takes about ten times as long.
///
/// # Errors
/// When a file cannot be read although it is there.
pub fn verify(
    settings: &Settings,
    backup: &Backup,
    full: bool,
    observer: &dyn Observer,
) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    let mut report = |kind, file: &Path, message: String| {
        problems.push(Problem {
            kind,
            file: file.to_owned(),
            message,
        });
    };
    if backup.manifest.is_none() {
        let (kind, why) = if backup.manifest_path.exists() {
            let why = backup.problem.clone();
            (
                ProblemKind::ManifestInvalid,
                why.unwrap_or_else(|| "the manifest cannot be read".to_owned()),
            )
        } else {
            let why = format!("{} does not exist", lossy_name(&backup.manifest_path));
            (ProblemKind::ManifestMissing, why)
        };
        report(kind, &backup.manifest_path, why);
    }
    let manifest = backup.manifest.as_ref();

    let depth = if full { Depth::Full } else { Depth::Quick };
    match check_copy(&backup.database, depth, None, observer) {
        Ok(checked) => {
            let name = lossy_name(&backup.database);
            if let Some(manifest) = manifest {
                let entry = &manifest.database;
                if let Some((kind, message)) = difference(&name, &entry.digest, &checked.digest) {
                    report(kind, &backup.database, message);
                }
                if let Some(contents) = &checked.contents {
                    for message in differing_contents(&entry.contents, contents) {
                        report(ProblemKind::ContentsDiffer, &backup.database, message);
                    }
                }
            }
            let said = manifest.and_then(|manifest| manifest.version);
            if let (Some(found), Some(said)) = (checked.position, said)
                && found.version != said
            {
                let found = found.version;
                let message = format!("{name} is at V{found:03}, and its manifest says V{said:03}");
                report(ProblemKind::ContentsDiffer, &backup.database, message);
            }
            for damage in checked.damage {
                report(
                    ProblemKind::Damaged,
                    &backup.database,
                    format!("{name} is damaged: {damage}"),
                );
            }
        }
        Err(error) if error.kind() == ErrorKind::Missing => {
            report(
                ProblemKind::FileMissing,
                &backup.database,
                missing(&backup.database),
            );
        }
        Err(error) => return Err(error),
    }

    let companion = manifest.and_then(|manifest| manifest.companion.as_ref());
    match (companion, &backup.companion) {
        (Some(entry), Some(path)) => match digest_file(path, &lossy_name(path), observer) {
            Ok(digest) => {
                if let Some((kind, message)) = difference(&lossy_name(path), &entry.digest, &digest) {
                    report(kind, path, message);
                } else if let Some(message) = flaw_of(settings.companion_format, path)? {
                    report(ProblemKind::CompanionInvalid, path, message);
                }
            }
            Err(error) if error.kind() == ErrorKind::Missing => {
                report(ProblemKind::FileMissing, path, missing(path));
            }
            Err(error) => return Err(error),
        },
        (Some(_), None) => report(
            ProblemKind::ManifestInvalid,
            &backup.manifest_path,
            "the manifest names a file outside its folder".to_owned(),
        ),
        (None, _) => {}
    }
    Ok(problems)
}

fn missing(path: &Path) -> String {
    format!("{} does not exist", lossy_name(path))
}

fn difference(name: &str, wanted: &FileDigest, found: &FileDigest) -> Option<(ProblemKind, String)> {
    if found.bytes != wanted.bytes {
        return Some((
            ProblemKind::LengthDiffers,
            format!("{name} has {} bytes instead of {}", found.bytes, wanted.bytes),
        ));
    }
    // Compared without case: some tools print capitals, and people edit.
    (!found.sha256.eq_ignore_ascii_case(&wanted.sha256)).then(|| {
        (
            ProblemKind::DigestDiffers,
            format!(
                "{name} has the digest {} instead of {}",
                found.sha256, wanted.sha256
            ),
        )
    })
}

/// What differs between the contents that a manifest promises and those found.
pub(crate) fn differing_contents(wanted: &Contents, found: &Contents) -> Vec<String> {
    let numbers = [
        ("pages", wanted.page_count, found.page_count),
        ("bytes in a page", wanted.page_size.into(), found.page_size.into()),
    ];
    let mut differences: Vec<_> = numbers
        .into_iter()
        .filter(|(_, wanted, found)| wanted != found)
        .map(|(what, wanted, found)| format!("{found} {what} instead of {wanted}"))
        .collect();
    for (what, wanted, found) in [
        ("application_id", wanted.application_id, found.application_id),
        ("user_version", wanted.user_version, found.user_version),
    ] {
        if wanted != found {
            differences.push(format!("{what} {found} instead of {wanted}"));
        }
    }
    differences.extend(differing_rows(wanted, found));
    differences
}

/// The tables whose number of rows differs.
pub(crate) fn differing_rows(wanted: &Contents, found: &Contents) -> Vec<String> {
    let tables: BTreeSet<_> = wanted.tables.keys().chain(found.tables.keys()).collect();
    tables
        .into_iter()
        .filter_map(
            |table| match (wanted.tables.get(table), found.tables.get(table)) {
                (Some(wanted), Some(found)) if wanted == found => None,
                (Some(wanted), Some(found)) => {
                    Some(format!("table {table} has {found} rows instead of {wanted}"))
                }
                (Some(_), None) => Some(format!("table {table} is missing")),
                (None, _) => Some(format!("table {table} is not in the manifest")),
            },
        )
        .collect()
}
