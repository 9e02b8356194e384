//! Damaged backups, and a sound backup that is put in the place of a damaged database.

use std::fs;

use bridge_migrate_core::{Error, ErrorKind, Silent};
use bridge_migrate_sqlite::backup::{self, Backup, BackupFacts};
use bridge_migrate_sqlite::restore::{RestoreOptions, Secured, restore};
use rubbish::ground::{LATEST, ORIGINAL, Place};

use crate::damage::some;
use crate::look::look;
use crate::proving::{Tally, in_time};

/// A database at 1.2.0 with a backup that was made of it at 1.0.0.
fn with_backup() -> (Place, Backup) {
    let place = ORIGINAL.place();
    let backup = backup::create(&place.settings, &BackupFacts::default(), &Silent)
        .unwrap()
        .backup;
    fs::write(place.database(), &LATEST.database).unwrap();
    (place, backup)
}

#[test]
fn a_damaged_backup_is_found_out_and_never_put_back() {
    let (place, backup) = with_backup();
    let sound = fs::read(&backup.database).unwrap();
    let mut tally = Tally::default();
    for damage in some(&sound, 0, 6) {
        let Some(bytes) = damage.of(&sound) else { continue };
        fs::write(&backup.database, &bytes).unwrap();
        let settings = place.settings.clone();
        let path = backup.database.clone();
        let answer = in_time(move || {
            let loaded = backup::load(&settings, &path)?;
            match backup::verify(&settings, &loaded, false, &Silent) {
                Ok(problems) => assert!(!problems.is_empty(), "nothing was found"),
                Err(error) => return Err(error),
            }
            let refused = restore(&settings, &loaded, &RestoreOptions::default(), &Silent);
            Err(refused.expect_err("it was put back"))
        });
        if fs::read(place.database()).unwrap() != LATEST.database {
            tally.fail(format!("{damage:?}: the database is another"));
        }
        tally.note(&format!("{damage:?}"), answer);
    }
    assert_eq!(tally.done, 0);
    tally.prove("backup verify and restore of a damaged backup");
}

#[test]
fn a_damaged_copy_without_a_manifest_is_put_back_only_if_sqlite_finds_nothing_wrong() {
    let mut tally = Tally::default();
    let (place, backup) = with_backup();
    let sound = fs::read(&backup.database).unwrap();
    fs::remove_file(&backup.manifest_path).unwrap();
    for damage in some(&sound, 0, 6) {
        let Some(bytes) = damage.of(&sound) else { continue };
        fs::write(&backup.database, &bytes).unwrap();
        fs::write(place.database(), &LATEST.database).unwrap();
        let is_sound = look(&backup.database).is_sound;
        let settings = place.settings.clone();
        let path = backup.database.clone();
        let answer = in_time(move || {
            let loaded = backup::load(&settings, &path)?;
            let options = RestoreOptions {
                accept_without_manifest: true,
                ..RestoreOptions::default()
            };
            restore(&settings, &loaded, &options, &Silent).map(drop)
        });
        match &answer {
            Ok(Ok(())) if !is_sound => tally.fail(format!("{damage:?} was put back")),
            Ok(Ok(())) if look(place.database()) != look(&backup.database) => {
                tally.fail(format!("{damage:?}: another content was put back"));
            }
            Ok(Err(_)) if fs::read(place.database()).unwrap() != LATEST.database => {
                tally.fail(format!("{damage:?}: refused, and the database is another"));
            }
            _ => {}
        }
        tally.note(&format!("{damage:?}"), answer);
    }
    tally.prove("restore of a damaged copy without a manifest");
}

#[test]
fn a_sound_backup_takes_the_place_of_any_damaged_database() {
    let (place, backup) = with_backup();
    let wanted = look(&backup.database);
    assert!(wanted.is_sound && wanted.rows() > 50);
    let mut tally = Tally::default();
    for damage in some(&LATEST.database, 1, 3) {
        let Some(bytes) = damage.of(&LATEST.database) else {
            continue;
        };
        fs::write(place.database(), &bytes).unwrap();
        let settings = place.settings.clone();
        let backup = backup.clone();
        let answer = in_time(move || {
            let outcome = restore(&settings, &backup, &RestoreOptions::default(), &Silent)?;
            if outcome.secured == Secured::Nothing {
                return Err(Error::new(ErrorKind::Io, "the damaged database was not secured"));
            }
            Ok(())
        });
        match &answer {
            Ok(Ok(())) if look(place.database()) != wanted => {
                tally.fail(format!("{damage:?}: it is not the backup"))
            }
            Ok(Err(error)) => tally.fail(format!(
                "{damage:?}: not restored: {:?}: {error}: {:?}",
                error.kind(),
                std::error::Error::source(error)
            )),
            _ => {}
        }
        tally.note(&format!("{damage:?}"), answer);
        // What was secured would otherwise pile up.
        for secured in backup::list(&place.settings).unwrap() {
            if secured.database != backup_of(&place) {
                let _ = fs::remove_file(&secured.database);
                let _ = fs::remove_file(&secured.manifest_path);
            }
        }
    }
    tally.prove("restore over a damaged database");
}

/// The oldest backup.
fn backup_of(place: &Place) -> std::path::PathBuf {
    let backups = backup::list(&place.settings).unwrap();
    let oldest = backups
        .into_iter()
        .filter(|backup| backup.stamp.is_some())
        .min_by_key(|backup| backup.stamp);
    oldest.unwrap().database
}
