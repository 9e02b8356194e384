//! Tables that are made anew: whether that is needed, and what gets lost.

use super::super::{Found, Linted};
use crate::schema::{ColumnDefinition, ObjectKind, TableDefinition};
use bridge_migrate_core::Result;

fn is_check(constraint: &str) -> bool {
    constraint.contains("check (")
}

fn definitions(linted: &Linted<'_>) -> Vec<(String, TableDefinition, TableDefinition)> {
    let rebuilt = linted.rebuilt();
    linted
        .tables()
        .into_iter()
        .filter(|(table, ..)| rebuilt.iter().any(|object| object.is_named(table)))
        .filter_map(|(table, after, before)| Some((table, before?, after)))
        .collect()
}

pub(super) fn unneeded(linted: &Linted<'_>) -> Result<Vec<Found>> {
    Ok(definitions(linted)
        .iter()
        .filter(|(_, before, after)| alter_can_do(before, after))
        .map(|(table, ..)| {
            Found::warning(
                "BM202",
                linted.place_of(&[table]),
                format!(
                    "it makes {table} anew, copying every row with the write lock held, for a change that ALTER TABLE \
                     can do in place"
                ),
                "use add_column, drop_column, rename_column, set_not_null, drop_not_null, add_check or drop_constraint",
            )
        })
        .collect())
}

/// Whether ALTER TABLE leads from one definition to the other: it adds columns at the end, drops columns, and
/// sets and drops NOT NULL and checks.
fn alter_can_do(before: &TableDefinition, after: &TableDefinition) -> bool {
    let kept: Vec<&ColumnDefinition> = before
        .columns
        .iter()
        .filter(|column| after.column(&column.name).is_some())
        .collect();
    let same_order = kept
        .iter()
        .zip(&after.columns)
        .all(|(before, after)| before.name.eq_ignore_ascii_case(&after.name));
    let without_checks = |constraints: &[String]| -> Vec<String> {
        constraints
            .iter()
            .filter(|constraint| !is_check(constraint))
            .cloned()
            .collect()
    };
    let same_columns = kept.iter().all(|column| {
        after.column(&column.name).is_some_and(|after| {
            after.declared_type == column.declared_type
                && after.default == column.default
                && without_checks(&after.constraints) == without_checks(&column.constraints)
        })
    });
    let added_plainly = after
        .columns
        .iter()
        .filter(|column| before.column(&column.name).is_none())
        .all(|column| {
            let default = column.default.as_deref();
            without_checks(&column.constraints).is_empty()
                && !default.is_some_and(|default| default.starts_with('(') || default.starts_with("current_"))
                && (!column.not_null || default.is_some())
        });
    let dropped_plainly = before
        .columns
        .iter()
        .filter(|column| after.column(&column.name).is_none())
        .all(|column| without_checks(&column.constraints).is_empty());
    same_order
        && same_columns
        && added_plainly
        && dropped_plainly
        && before.options == after.options
        && without_checks(&before.constraints) == without_checks(&after.constraints)
}

pub(super) fn lost_objects(linted: &Linted<'_>) -> Result<Vec<Found>> {
    let rebuilt = linted.rebuilt();
    if rebuilt.is_empty() {
        return Ok(Vec::new());
    }
    let dropped = |kind: ObjectKind, name: &str| {
        linted.up.iter().any(|statement| {
            statement.begins(&["drop", kind.as_str()])
                && statement
                    .object(2)
                    .is_some_and(|object| object.eq_ignore_ascii_case(name))
        })
    };
    Ok(linted
        .before
        .iter()
        .filter(|object| match object.kind {
            ObjectKind::Table => false,
            // A view has to be dropped to let a table be renamed, and is easily forgotten.
            ObjectKind::View => true,
            ObjectKind::Index | ObjectKind::Trigger => {
                rebuilt.iter().any(|table| table.is_named(&object.table))
                    && !dropped(object.kind, &object.name)
            }
        })
        .filter(|object| linted.after.get(object.kind, &object.name).is_none())
        .map(|object| {
            Found::error(
                "BM203",
                linted.place_of(&[&object.table]),
                format!(
                    "making the table anew loses {} {} on {}",
                    object.kind, object.name, object.table
                ),
                format!("create the {} again after the table", object.kind),
            )
        })
        .collect())
}

pub(super) fn lost_constraints(linted: &Linted<'_>) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for (table, before, after) in definitions(linted) {
        let mut lost: Vec<String> = before
            .constraints
            .iter()
            .filter(|constraint| !after.constraints.contains(constraint))
            .cloned()
            .collect();
        for column in &before.columns {
            let Some(now) = after.column(&column.name) else {
                continue;
            };
            let name = &column.name;
            lost.extend(
                column
                    .constraints
                    .iter()
                    .filter(|constraint| !now.constraints.contains(constraint))
                    .map(|constraint| format!("{name} {constraint}")),
            );
            if column.not_null && !now.not_null {
                lost.push(format!("{name} not null"));
            }
            if let (Some(default), None) = (&column.default, &now.default) {
                lost.push(format!("{name} default {default}"));
            }
        }
        if before.options != after.options && !before.options.is_empty() {
            lost.push(before.options.clone());
        }
        if !lost.is_empty() {
            found.push(Found::error(
                "BM204",
                linted.place_of(&[&table]),
                format!("making {table} anew loses: {}", lost.join("; ")),
                "write them into the new table, or drop them by name with drop_constraint, drop_not_null",
            ));
        }
    }
    Ok(found)
}
