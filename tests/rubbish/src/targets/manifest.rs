//! The manifest of a backup: printed and read again it is the same, and one that was altered is noticed.

use std::cell::OnceCell;
use std::fs;
use std::path::Path;

use bridge_migrate_core::{Result, Settings, Silent, digest::FileDigest};
use bridge_migrate_sqlite::backup::{self, Backup, BackupFacts, Completeness, Manifest, Problem};

use super::edit::edited;
use crate::ground::{LATEST, Place};

thread_local! {
    static GROUND: OnceCell<(Place, Backup)> = const { OnceCell::new() };
}

/// What reads manifests.
#[derive(Debug, Clone, Copy)]
pub struct Readers {
    /// The backup at a path, with its manifest.
    pub load: fn(&Settings, &Path) -> Result<Backup>,
    /// What is wrong with a backup.
    pub verify: fn(&Backup) -> Result<Vec<Problem>>,
}

/// The product's.
pub const OURS: Readers = Readers {
    load: backup::load,
    verify: |backup| backup::verify(&Settings::new(&backup.database), backup, false, &Silent),
};

/// Puts the bytes, or the edited manifest of a sound backup, into its place and looks at the backup.
///
/// # Panics
/// As [`check`].
pub fn manifest(data: &[u8]) {
    check(&OURS, data);
}

/// The same with those readers.
///
/// # Panics
/// When loading fails, when a manifest that promises other files or contents is believed, or when a sound one is not.
pub fn check(readers: &Readers, data: &[u8]) {
    GROUND.with(|ground| {
        let (place, sound) = ground.get_or_init(|| {
            let place = LATEST.place();
            let created = backup::create(&place.settings, &BackupFacts::default(), &Silent).unwrap();
            (place, created.backup)
        });
        check_at(readers, place, sound, data);
    });
}

fn check_at(readers: &Readers, place: &Place, sound: &Backup, data: &[u8]) {
    let text = serde_json::to_vec_pretty(sound.manifest.as_ref().unwrap()).unwrap();
    let data = &edited(&text, data);
    fs::write(&sound.manifest_path, data).unwrap();
    let load = || (readers.load)(&place.settings, &sound.database).unwrap();
    let loaded = load();
    let problems = (readers.verify)(&loaded).unwrap();
    let Some(manifest) = &loaded.manifest else {
        assert_eq!(
            loaded.state,
            Completeness::Incomplete,
            "complete without a manifest"
        );
        assert!(
            loaded.problem.is_some() && !problems.is_empty(),
            "nothing is wrong without a manifest"
        );
        return;
    };
    let printed = serde_json::to_vec(manifest).unwrap();
    fs::write(&sound.manifest_path, &printed).unwrap();
    assert_eq!(load().manifest.as_ref(), Some(manifest), "printed");
    let promised = sound.manifest.as_ref().unwrap();
    if differs(promised, manifest) {
        assert!(
            !problems.is_empty(),
            "believed: {}",
            String::from_utf8_lossy(data)
        );
    }
    let is_complete = loaded.state == Completeness::Complete;
    assert_eq!(
        is_complete,
        loaded.problem.is_none(),
        "complete with a problem, or incomplete without: {loaded:?}"
    );
    if manifest == promised {
        assert!(is_complete && problems.is_empty(), "not believed: {problems:?}");
    }
    if let Some(companion) = &loaded.companion {
        assert_eq!(
            companion.parent(),
            sound.database.parent(),
            "a file of another folder"
        );
    }
    // A list of backups, which does not read the copies, must not stop at this one.
    assert_eq!(backup::list(&place.settings).unwrap().len(), 1);
}

/// Whether it promises another copy of the database, or another companion than the one that is there, or another
/// version than the copy's. That there is none it may say: nothing else knows.
fn differs(sound: &Manifest, found: &Manifest) -> bool {
    let same_digest = |one: &FileDigest, other: &FileDigest| {
        one.bytes == other.bytes && one.sha256.eq_ignore_ascii_case(&other.sha256)
    };
    let other_companion = match (&sound.companion, &found.companion) {
        (Some(sound), Some(found)) => !same_digest(&sound.digest, &found.digest),
        _ => false,
    };
    let other_version = found.version.is_some() && found.version != sound.version;
    !same_digest(&sound.database.digest, &found.database.digest)
        || sound.database.contents != found.database.contents
        || other_companion
        || other_version
}
