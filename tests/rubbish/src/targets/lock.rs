//! The lock file, whose content is for people: who holds the lock, the kernel decides.

use std::any::Any;
use std::cell::OnceCell;
use std::fs::{self, File};
use std::path::Path;

use bridge_migrate_core::{ErrorKind, Holder, Result, Settings, Silent};
use bridge_migrate_sqlite::{MigrationLock, current_holder, lock_path};

use super::one_line::assert_one_line;
use crate::ground::Place;

thread_local! {
    static GROUND: OnceCell<Place> = const { OnceCell::new() };
}

/// The command that takes the lock here.
pub const COMMAND: &str = "rubbish";

/// What is done with a lock.
#[derive(Debug, Clone, Copy)]
pub struct Lock {
    /// Who holds the lock of a database.
    pub holder: fn(&Path) -> Option<Holder>,
    /// Takes the lock, until the answer is dropped.
    pub take: fn(&Settings) -> Result<Box<dyn Any>>,
}

/// The product's.
pub const OURS: Lock = Lock {
    holder: current_holder,
    take: |settings| Ok(Box::new(MigrationLock::take(settings, COMMAND, &Silent)?)),
};

/// Puts the bytes into a lock file that is held, and then into one that is free.
///
/// # Panics
/// As [`check`].
pub fn lock(data: &[u8]) {
    check(&OURS, data);
}

/// The same with that lock.
///
/// # Panics
/// When a held lock is given away, or a free one is not given.
pub fn check(lock: &Lock, data: &[u8]) {
    GROUND.with(|ground| check_at(lock, ground.get_or_init(Place::new), data));
}

/// Whether a holder writes so, or has written so when the power fails.
fn is_of_a_holder(data: &[u8]) -> bool {
    let begins = br#"{"pid":"#;
    let zeros = data.iter().rev().take_while(|byte| **byte == 0).count();
    let written = &data[..data.len() - zeros];
    data.len() <= 4096 && (written.starts_with(begins) || begins.starts_with(written))
}

fn check_at(lock: &Lock, place: &Place, data: &[u8]) {
    let current_holder = lock.holder;
    let path = lock_path(place.database());
    fs::write(&path, data).unwrap();
    let holder = File::open(&path).unwrap();
    holder.lock().unwrap();
    let told = current_holder(place.database()).expect("the lock is held");
    // In a key that it does not know, JSON's reader passes over bytes that are no text.
    let written: Option<Holder> = std::str::from_utf8(data)
        .ok()
        .and_then(|text| serde_json::from_str(text).ok());
    if let Some(written) = written.filter(|_| data.len() <= 4096) {
        assert_eq!(told, written, "another holder is told than stands there");
        let line = serde_json::to_vec(&told).unwrap();
        assert_eq!(
            serde_json::from_slice::<Holder>(&line).ok(),
            Some(told),
            "printed"
        );
    } else {
        assert_eq!(
            (told.pid, told.host.as_str()),
            (0, "unknown"),
            "a holder is invented"
        );
    }
    let take = || (lock.take)(&place.settings);
    let error = take().map(drop).expect_err("the lock is held by another");
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(fs::read(&path).unwrap() == data, "what the holder wrote is gone");
    holder.unlock().unwrap();
    assert_eq!(
        current_holder(place.database()),
        None,
        "nobody holds it, whatever stands in it"
    );

    if !is_of_a_holder(data) {
        let error = take().map(drop).expect_err("somebody else's file is no lock");
        assert_eq!(error.kind(), ErrorKind::ForeignFile);
        assert!(
            fs::read(&path).unwrap() == data,
            "somebody else's file is emptied"
        );
        return;
    }
    let taken = take().expect("the lock is free");
    let own = current_holder(place.database()).expect("we hold it");
    assert_eq!((own.pid, own.command.as_str()), (std::process::id(), COMMAND));
    assert_one_line(&own.tool);
    drop(taken);
    assert_eq!(fs::read(&path).unwrap(), b"", "a free lock tells of nobody");
}
