//! A receipt that is believed although it is of another rehearsal.

use std::fs;

use bridge_migrate_core::{Error, ErrorKind};
use bridge_migrate_sqlite::receipt;
use rubbish::targets::receipt::{OURS, Readers, check};

use super::assert_noticed;
use crate::records;

#[test]
fn belief_in_another_receipt_is_noticed() {
    let mistakes = [
        (
            "whatever can be read",
            Readers {
                require: |settings, _| (OURS.last)(settings).map(drop),
                ..OURS
            },
            "believed: ",
        ),
        (
            "its age ignored",
            Readers {
                require: |settings, plan| {
                    let path = receipt::path(settings)?;
                    let before = fs::read(&path).unwrap();
                    if let Some(mut young) = (OURS.last)(settings)? {
                        young.created_at = "2026-02-22T15:30:45.000000Z".to_owned();
                        fs::write(&path, serde_json::to_vec(&young).unwrap()).unwrap();
                    }
                    let required = (OURS.require)(settings, plan);
                    fs::write(&path, before).unwrap();
                    required
                },
                ..OURS
            },
            "believed: ",
        ),
        (
            "none needed when it cannot be read",
            Readers {
                require: |settings, plan| match (OURS.last)(settings) {
                    Ok(_) => (OURS.require)(settings, plan),
                    Err(_) => Ok(()),
                },
                ..OURS
            },
            "a receipt that cannot be read allows it",
        ),
        (
            "never enough",
            Readers {
                require: |_, _| Err(Error::new(ErrorKind::ReceiptInvalid, "never")),
                ..OURS
            },
            "not believed: ",
        ),
    ];
    for (mistake, readers, why) in mistakes {
        assert_noticed(&records::receipt(), mistake, |data| check(&readers, data), why);
    }
}
