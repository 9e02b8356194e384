//! Row counts that can change without being declared: such a step would be rolled back on a real database.

use super::super::{Found, Linted};
use crate::schema::ObjectKind;
use bridge_migrate_core::{Result, RowChangeKind};

pub(super) fn undeclared(linted: &Linted<'_>) -> Result<Vec<Found>> {
    let rebuilt: Vec<String> = linted
        .rebuilt()
        .into_iter()
        .map(|table| table.name.to_ascii_lowercase())
        .collect();
    let effects = &linted.effects;
    let added = effects.inserted.iter().map(|table| (table, RowChangeKind::Adds));
    let removed = effects
        .deleted
        .iter()
        .map(|table| (table, RowChangeKind::Removes));
    let mut found = Vec::new();
    for (table, kind) in added.chain(removed) {
        let declared = linted
            .migration
            .row_changes
            .iter()
            .any(|change| change.kind == kind && change.table.eq_ignore_ascii_case(table));
        let existed = linted.before.get(ObjectKind::Table, table).is_some();
        if declared || !existed || rebuilt.contains(&table.to_ascii_lowercase()) {
            continue;
        }
        let (change, call) = match kind {
            RowChangeKind::Adds => ("adds rows to", "adds_rows_to"),
            RowChangeKind::Removes => ("removes rows from", "removes_rows_from"),
        };
        found.push(Found::error(
            "BM109",
            linted.place_of(&[table]),
            format!(
                "it {change} {table} and does not declare it: the conservation ledger would roll it back"
            ),
            format!("declare it with `.{call}(\"{table}\")`"),
        ));
    }
    Ok(found)
}
