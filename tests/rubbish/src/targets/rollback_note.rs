//! The note that an interrupted rollback leaves: whatever it says, nothing is lost.

use std::cell::OnceCell;
use std::fs;

use bridge_migrate_core::{ErrorKind, Result, Settings, Silent, Target};
use bridge_migrate_sqlite::migrate;
use bridge_migrate_sqlite::rollback::{RollbackOptions, Strategy, rollback};

use support::engine::without_backup;

use crate::ground::{CATALOG, LATEST, Place};

thread_local! {
    static GROUND: OnceCell<Place> = const { OnceCell::new() };
}

/// What finds the note.
#[derive(Debug, Clone, Copy)]
pub struct Commands {
    /// Migrates to the last release.
    pub migrate: fn(&Settings) -> Result<()>,
    /// Goes back to it.
    pub rollback: fn(&Settings) -> Result<()>,
}

/// The product's.
pub const OURS: Commands = Commands {
    migrate: |settings| migrate(&CATALOG, settings, without_backup(), &Silent).map(drop),
    rollback: |settings| {
        let options = RollbackOptions {
            target: Target::Latest,
            strategy: Strategy::Auto,
            companion: Default::default(),
        };
        rollback(&CATALOG, settings, options, &mut |_| false, &Silent).map(drop)
    },
};

/// Puts the bytes beside a database as such a note, then migrates and goes back.
///
/// # Panics
/// As [`check`].
pub fn rollback_note(data: &[u8]) {
    check(&OURS, data);
}

/// The same with those commands.
///
/// # Panics
/// When one of them does not refuse, or when the database is another afterwards.
pub fn check(commands: &Commands, data: &[u8]) {
    GROUND.with(|ground| {
        let place = ground.get_or_init(Place::new);
        // After a failure they are other files.
        LATEST.put(place);
        let note = place.beside(".rollback.json");
        fs::write(&note, data).unwrap();
        let migrated = (commands.migrate)(&place.settings);
        let kind = migrated
            .expect_err("migrated before a rollback was completed")
            .kind();
        assert!(
            matches!(kind, ErrorKind::NotReversible | ErrorKind::BackupInvalid),
            "{kind:?}"
        );
        let back = (commands.rollback)(&place.settings);
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
