//! A lock that believes what stands in its file.

use std::fs;
use std::path::Path;

use bridge_migrate_core::{Error, ErrorKind, Holder};
use bridge_migrate_sqlite::lock_path;
use rubbish::targets::lock::{Lock, OURS, check};

use super::assert_noticed;
use crate::files;

fn written(database: &Path) -> Option<Holder> {
    serde_json::from_slice(&fs::read(lock_path(database)).unwrap()).ok()
}

#[test]
fn belief_in_the_file_is_noticed() {
    let mistakes = [
        (
            "held when somebody stands there",
            Lock {
                holder: written,
                ..OURS
            },
            "the lock is held",
        ),
        (
            "a panic on rubbish",
            Lock {
                holder: |database| Some(written(database).expect("the file names a holder")),
                ..OURS
            },
            "the file names a holder",
        ),
        (
            "the last holder told",
            Lock {
                holder: |database| (OURS.holder)(database).or_else(|| written(database)),
                ..OURS
            },
            "nobody holds it, whatever stands in it",
        ),
        (
            "free when it is empty",
            Lock {
                take: |settings| match fs::read(lock_path(&settings.database)).unwrap().as_slice() {
                    [] => Ok(Box::new(())),
                    _ => (OURS.take)(settings),
                },
                ..OURS
            },
            "the lock is held by another",
        ),
        (
            "emptied before it is taken",
            Lock {
                take: |settings| {
                    fs::write(lock_path(&settings.database), "").unwrap();
                    (OURS.take)(settings)
                },
                ..OURS
            },
            "what the holder wrote is gone",
        ),
        (
            "taken whatever stands there",
            Lock {
                take: |settings| {
                    let lock = (OURS.take)(settings);
                    if lock
                        .as_ref()
                        .is_err_and(|error| error.kind() == ErrorKind::ForeignFile)
                    {
                        return Ok(Box::new(()));
                    }
                    lock
                },
                ..OURS
            },
            "somebody else's file is no lock",
        ),
        (
            "emptied when it is refused",
            Lock {
                take: |settings| {
                    let lock = (OURS.take)(settings);
                    if lock
                        .as_ref()
                        .is_err_and(|error| error.kind() == ErrorKind::ForeignFile)
                    {
                        fs::write(lock_path(&settings.database), "").unwrap();
                    }
                    lock
                },
                ..OURS
            },
            "somebody else's file is emptied",
        ),
        (
            "not given while somebody stands there",
            Lock {
                take: |settings| match written(&settings.database) {
                    Some(_) => Err(Error::new(ErrorKind::Locked, "somebody stands there")),
                    None => (OURS.take)(settings),
                },
                ..OURS
            },
            "the lock is free",
        ),
    ];
    for (mistake, lock, why) in mistakes {
        assert_noticed(&files::lock(), mistake, |data| check(&lock, data), why);
    }
}
