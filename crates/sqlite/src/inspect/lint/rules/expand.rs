//! What old servers still need, and only a contract migration may take away.

use naming::Phase;

use super::super::{Found, Linted};
use crate::schema::{ObjectKind, TableDefinition};
use bridge_migrate_core::Result;

pub(super) fn dropped_too_early(linted: &Linted<'_>) -> Result<Vec<Found>> {
    if linted.migration.phase == Phase::Contract {
        return Ok(Vec::new());
    }
    let mut gone: Vec<(String, String)> = Vec::new();
    for object in linted.before.iter() {
        if !matches!(object.kind, ObjectKind::Table | ObjectKind::View) {
            continue;
        }
        let Some(after) = linted.after.get(object.kind, &object.name) else {
            gone.push((object.name.clone(), format!("{} {}", object.kind, object.name)));
            continue;
        };
        let (Some(before), Some(after)) = (
            TableDefinition::parse(&object.sql),
            TableDefinition::parse(&after.sql),
        ) else {
            continue;
        };
        gone.extend(
            before
                .columns
                .iter()
                .filter(|column| after.column(&column.name).is_none())
                .map(|column| {
                    (
                        object.name.clone(),
                        format!("column {}.{}", object.name, column.name),
                    )
                }),
        );
    }
    Ok(gone
        .into_iter()
        .map(|(table, what)| {
            Found::error(
                "BM209",
                linted.place_of(&[&table]),
                format!(
                    "{what} is dropped or renamed in phase {}, while servers that use it run",
                    linted.migration.phase
                ),
                "add the new beside the old now, and drop the old in a contract migration of a later release",
            )
        })
        .collect())
}
