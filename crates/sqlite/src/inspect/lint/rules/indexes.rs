//! Indexes over tables that have rows.

use super::super::{Found, Linted, Place};
use crate::schema::ObjectKind;
use bridge_migrate_core::Result;

pub(super) fn locks(linted: &Linted<'_>) -> Result<Vec<Found>> {
    let rebuilt = linted.rebuilt();
    Ok(linted
        .up
        .iter()
        .filter_map(|statement| {
            let leading = if statement.begins(&["create", "unique", "index"]) {
                3
            } else if statement.begins(&["create", "index"]) {
                2
            } else {
                return None;
            };
            let name = statement.object(leading)?;
            let index = linted.after.get(ObjectKind::Index, &name)?;
            let table = linted.before.get(ObjectKind::Table, &index.table)?;
            // One that is made anew with its table is part of what that costs.
            (!rebuilt.iter().any(|object| object.is_named(&table.name))).then(|| {
                Found::warning(
                    "BM210",
                    Place::Up(statement.line),
                    format!(
                        "index {name} reads all rows of {} with the write lock held, and nothing says for how long",
                        table.name
                    ),
                    "measure it with `rehearse`, and say it in the file: `//! lint: allow(BM210): 2 s for 5 M rows`",
                )
            })
        })
        .collect())
}
