//! Views and triggers that worked before, or are new, and do not work.

use super::super::{Found, Linted, scratch};
use crate::schema::probe::complaint;
use bridge_migrate_core::Result;

pub(super) fn broken(linted: &Linted<'_>) -> Result<Vec<Found>> {
    let before = scratch(linted.before)?;
    let after = scratch(&linted.after)?;
    Ok(linted
        .after
        .iter()
        .filter_map(|object| {
            let why = complaint(&after, object)?;
            let was_broken = linted
                .before
                .get(object.kind, &object.name)
                .is_some_and(|object| complaint(&before, object).is_some());
            (!was_broken).then(|| {
                Found::error(
                    "BM218",
                    linted.place_of(&[&object.name]),
                    format!("{} {} does not work: {why}", object.kind, object.name),
                    format!("make the {} anew for the new schema", object.kind),
                )
            })
        })
        .collect())
}
