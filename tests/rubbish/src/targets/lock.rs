//! The lock file, whose content is for people: who holds the lock, the kernel decides.

use std::cell::OnceCell;
use std::fs::{self, File};

use bridge_migrate_core::error::ErrorKind;
use bridge_migrate_core::event::Silent;
use bridge_migrate_core::lock::{Holder, MigrationLock, current_holder, lock_path};

use super::one_line::assert_one_line;
use crate::ground::Place;

thread_local! {
    static GROUND: OnceCell<Place> = const { OnceCell::new() };
}

/// Puts the bytes into a lock file that is held, and then into one that is free.
///
/// # Panics
/// When a held lock is given away, or a free one is not given.
pub fn lock(data: &[u8]) {
    GROUND.with(|ground| check(ground.get_or_init(Place::new), data));
}

fn check(place: &Place, data: &[u8]) {
    let path = lock_path(place.database());
    fs::write(&path, data).unwrap();
    let holder = File::open(&path).unwrap();
    holder.lock().unwrap();
    let told = current_holder(place.database()).expect("the lock is held");
    let written: Option<Holder> = serde_json::from_slice(data).ok();
    if let Some(written) = written.filter(|_| data.len() <= 4096) {
        assert_eq!(told, written);
        let line = serde_json::to_vec(&told).unwrap();
        assert_eq!(
            serde_json::from_slice::<Holder>(&line).ok(),
            Some(told),
            "printed"
        );
    } else {
        assert_eq!((told.pid, told.host.as_str()), (0, "unknown"));
    }
    let take = || MigrationLock::take(&place.settings, "rubbish", &Silent);
    let error = take().expect_err("the lock is held by another");
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(fs::read(&path).unwrap() == data, "what the holder wrote is gone");
    holder.unlock().unwrap();
    assert_eq!(
        current_holder(place.database()),
        None,
        "nobody holds it, whatever stands in it"
    );

    let taken = take().expect("the lock is free");
    let own = current_holder(place.database()).expect("we hold it");
    assert_eq!((own.pid, own.command.as_str()), (std::process::id(), "rubbish"));
    assert_one_line(&own.tool);
    drop(taken);
    assert_eq!(fs::read(&path).unwrap(), b"", "a free lock tells of nobody");
}
