//! The receipt of a rehearsal: one that was altered allows nothing that the true one would not.

use std::cell::OnceCell;
use std::fs;
use std::path::PathBuf;

use bridge_migrate_core::adoption::AdoptionOptions;
use bridge_migrate_core::apply;
use bridge_migrate_core::error::ErrorKind;
use bridge_migrate_core::event::Silent;
use bridge_migrate_core::plan::{Plan, PlanOptions};
use bridge_migrate_core::rehearsal::receipt::{self, Receipt};
use bridge_migrate_core::rehearsal::{RehearseOptions, rehearse};

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

/// Puts the bytes, or the edited text of a sound receipt, into its place and asks whether the migration is allowed.
///
/// # Panics
/// When a receipt of another rehearsal is believed.
pub fn receipt(data: &[u8]) {
    GROUND.with(|ground| check(ground.get_or_init(prepare), data));
}

fn prepare() -> Ground {
    let place = ORIGINAL.place();
    let options = RehearseOptions {
        target: bridge_migrate_core::Target::Latest,
        adoption: AdoptionOptions::default(),
        keep: false,
        smoke_test: None,
    };
    rehearse(&CATALOG, &place.settings, options, &Silent).unwrap();
    let plan = apply::plan(&CATALOG, &place.settings, PlanOptions::default()).unwrap();
    receipt::require(&CATALOG, &place.settings, &plan).expect("the rehearsal allows the migration");
    Ground {
        path: receipt::path(&place.settings).unwrap(),
        sound: receipt::last(&place.settings).unwrap().unwrap(),
        plan,
        place,
    }
}

fn check(ground: &Ground, data: &[u8]) {
    let settings = &ground.place.settings;
    let text = serde_json::to_vec_pretty(&ground.sound).unwrap();
    fs::write(&ground.path, edited(&text, data)).unwrap();
    let read = receipt::last(settings);
    let allowed = receipt::require(&CATALOG, settings, &ground.plan);
    match read {
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::ReceiptInvalid);
            assert_eq!(allowed.unwrap_err().kind(), ErrorKind::ReceiptInvalid);
        }
        Ok(None) => panic!("the file is there"),
        Ok(Some(receipt)) => {
            if let Err(error) = &allowed {
                assert_eq!(error.kind(), ErrorKind::ReceiptInvalid);
            } else {
                assert!(
                    is_of_the_same_rehearsal(&ground.sound, &receipt),
                    "believed: {receipt:?}"
                );
            }
            fs::write(&ground.path, serde_json::to_vec(&receipt).unwrap()).unwrap();
            assert_eq!(receipt::last(settings).unwrap(), Some(receipt), "printed");
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
