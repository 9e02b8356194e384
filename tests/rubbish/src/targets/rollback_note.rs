//! The note that an interrupted rollback leaves: whatever it says, nothing is lost.

use std::cell::OnceCell;
use std::fs;

use bridge_migrate_core::Target;
use bridge_migrate_core::apply;
use bridge_migrate_core::error::ErrorKind;
use bridge_migrate_core::event::Silent;
use bridge_migrate_core::rollback::{RollbackOptions, Strategy, rollback};

use support::engine::without_backup;

use crate::ground::{CATALOG, LATEST, Place};

thread_local! {
    static GROUND: OnceCell<Place> = const { OnceCell::new() };
}

/// Puts the bytes beside a database as such a note, then migrates and goes back.
///
/// # Panics
/// When one of them does not refuse, or when the database is another afterwards.
pub fn rollback_note(data: &[u8]) {
    GROUND.with(|ground| {
        let place = ground.get_or_init(|| LATEST.place());
        let note = place.beside(".rollback.json");
        fs::write(&note, data).unwrap();
        let migrated = apply::migrate(&CATALOG, &place.settings, without_backup(), &Silent);
        let kind = migrated.expect_err("a note that nobody completed").kind();
        assert!(
            matches!(kind, ErrorKind::NotReversible | ErrorKind::BackupInvalid),
            "{kind:?}"
        );
        let options = RollbackOptions {
            target: Target::Latest,
            strategy: Strategy::Auto,
        };
        let back = rollback(&CATALOG, &place.settings, options, &mut |_| false, &Silent);
        assert!(back.is_err(), "went back without a backup: {back:?}");
        assert!(
            fs::read(place.database()).unwrap() == LATEST.database,
            "the database is another"
        );
        assert!(
            fs::read(&place.settings.companion).unwrap() == LATEST.tokens,
            "the token file is another"
        );
        fs::write(&note, "").unwrap();
    });
}
