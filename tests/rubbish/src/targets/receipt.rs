//! The receipt of a rehearsal: one that was altered allows nothing that the true one would not.

use std::cell::OnceCell;
use std::fs;
use std::path::PathBuf;

use bridge_migrate_core::{ErrorKind, Result, Settings, Silent};
use bridge_migrate_sqlite::receipt::{self, Receipt};
use bridge_migrate_sqlite::rehearse::{RehearseOptions, rehearse};
use bridge_migrate_sqlite::{AdoptionOptions, plan};
use bridge_migrate_sqlite::{Plan, PlanOptions};

use super::edit::edited;
use crate::ground::{CATALOG, ORIGINAL, Place};

struct Ground {
    place: Place,
    plan: Plan,
    path: PathBuf,
    sound: Receipt,
}

thread_local! {
    static GROUND: OnceCell<Ground> = const { OnceCell::new() };
}

/// What reads receipts.
#[derive(Debug, Clone, Copy)]
pub struct Readers {
    /// The receipt of the last rehearsal.
    pub last: fn(&Settings) -> Result<Option<Receipt>>,
    /// Refuses unless it allows the plan.
    pub require: fn(&Settings, &Plan) -> Result<()>,
}

/// The product's.
pub const OURS: Readers = Readers {
    last: receipt::last,
    require: |settings, plan| receipt::require(&CATALOG, settings, plan),
};

/// Puts the bytes, or the edited text of a sound receipt, into its place and asks whether the migration is allowed.
///
/// # Panics
/// As [`check`].
pub fn receipt(data: &[u8]) {
    check(&OURS, data);
}

/// The same with those readers.
///
/// # Panics
/// When a receipt of another rehearsal is believed, or the sound one is not.
pub fn check(readers: &Readers, data: &[u8]) {
    GROUND.with(|ground| check_at(readers, ground.get_or_init(prepare), data));
}

fn prepare() -> Ground {
    let place = ORIGINAL.place();
    let options = RehearseOptions {
        target: bridge_migrate_core::Target::Latest,
        adoption: AdoptionOptions::default(),
        allow_drift: false,
        keep: false,
        smoke_test: None,
    };
    rehearse(&CATALOG, &place.settings, options, &Silent).unwrap();
    let plan = plan(&CATALOG, &place.settings, PlanOptions::default()).unwrap();
    receipt::require(&CATALOG, &place.settings, &plan).expect("the rehearsal allows the migration");
    Ground {
        path: receipt::path(&place.settings).unwrap(),
        sound: receipt::last(&place.settings).unwrap().unwrap(),
        plan,
        place,
    }
}

fn check_at(readers: &Readers, ground: &Ground, data: &[u8]) {
    let settings = &ground.place.settings;
    let text = serde_json::to_vec_pretty(&ground.sound).unwrap();
    fs::write(&ground.path, edited(&text, data)).unwrap();
    let read = (readers.last)(settings);
    let allowed = (readers.require)(settings, &ground.plan);
    match read {
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::ReceiptInvalid);
            let refused = allowed.expect_err("a receipt that cannot be read allows it");
            assert_eq!(refused.kind(), ErrorKind::ReceiptInvalid);
        }
        Ok(None) => panic!("the file is there"),
        Ok(Some(receipt)) => {
            if let Err(error) = &allowed {
                assert_eq!(error.kind(), ErrorKind::ReceiptInvalid);
                assert_ne!(receipt, ground.sound, "not believed: {error}");
            } else {
                assert!(
                    is_of_the_same_rehearsal(&ground.sound, &receipt),
                    "believed: {receipt:?}"
                );
            }
            fs::write(&ground.path, serde_json::to_vec(&receipt).unwrap()).unwrap();
            assert_eq!((readers.last)(settings).unwrap(), Some(receipt), "printed");
        }
    }
}

/// Equal in all that decides; when it was made may differ within the days that it counts.
fn is_of_the_same_rehearsal(sound: &Receipt, found: &Receipt) -> bool {
    let tables = |one: &Receipt, other: &Receipt| {
        one.magnitudes
            .iter()
            .all(|(table, digits)| other.magnitudes.get(table).copied().unwrap_or(0) == *digits)
    };
    found.format == 1
        && found.ok
        && found.created_at.get(..6) == sound.created_at.get(..6)
        && (&found.tool, &found.sqlite, &found.time_zone) == (&sound.tool, &sound.sqlite, &sound.time_zone)
        && (&found.catalog, &found.schema) == (&sound.catalog, &sound.schema)
        && (found.from, found.to) == (sound.from, sound.to)
        && tables(sound, found)
}
