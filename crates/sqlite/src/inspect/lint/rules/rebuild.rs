//! Tables that are made anew: whether that is needed, and what gets lost.

use std::collections::BTreeSet;

use rusqlite::Connection;

use super::super::{Found, Linted, scratch};
use crate::schema::affinity::{Affinity, is_strict};
use crate::schema::script::{Rebuild, Taken};
use crate::schema::{ColumnDefinition, ObjectKind, TableDefinition, TableDetail};
use crate::sqlite::sqlite_error::SqliteContext;
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
        .filter_map(|(table, after, before)| Some((table, renamed(before?, linted.rebuild.as_ref()), after)))
        .collect()
}

/// The table before a rebuild, with the columns that it takes under another name called as they are afterwards.
fn renamed(mut before: TableDefinition, rebuild: Option<&Rebuild>) -> TableDefinition {
    let taken = rebuild.map_or(&[] as &[Taken], Rebuild::taken);
    for column in &mut before.columns {
        let is_old = |taken: &&Taken| {
            taken
                .old()
                .is_some_and(|old| old.eq_ignore_ascii_case(&column.name))
        };
        let mut new = taken.iter().filter(is_old);
        if let (Some(new), None) = (new.next(), new.next()) {
            column.name.clone_from(&new.column);
        }
    }
    before
}

pub(super) fn unneeded(linted: &Linted<'_>) -> Result<Vec<Found>> {
    Ok(definitions(linted)
        .iter()
        .filter(|(_, before, after)| alter_can_do(before, after))
        .filter(|_| {
            let mut taken = linted.rebuild.iter().flat_map(Rebuild::taken);
            taken.all(|taken| taken.old().is_some())
        })
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
/// sets and drops NOT NULL and checks, those that have a name.
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
    let checks = |definition: &TableDefinition| -> Vec<String> {
        let of_columns = definition.columns.iter().flat_map(|column| &column.constraints);
        let all = of_columns.chain(&definition.constraints);
        all.filter(|constraint| is_check(constraint)).cloned().collect()
    };
    let left = checks(after);
    let checks_go_by_name = checks(before)
        .iter()
        .all(|check| left.contains(check) || check.starts_with("constraint "));
    same_order
        && checks_go_by_name
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
                format!(
                    "create the {} again after the table, or use rebuild_table, which keeps it",
                    object.kind
                ),
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
                "write them into the new table; drop what has a name by drop_constraint, a NOT NULL by drop_not_null",
            ));
        }
    }
    Ok(found)
}

pub(super) fn lost_values(linted: &Linted<'_>) -> Result<Vec<Found>> {
    let Some(rebuild) = &linted.rebuild else {
        return Ok(Vec::new());
    };
    let table = rebuild.table();
    let mut found = Vec::new();
    for (_, before, after) in definitions(linted) {
        for column in before.columns.iter().filter(|column| !column.is_generated()) {
            let name = &column.name;
            let taken = rebuild.taken();
            let Some(now) = after.column(name) else {
                if !taken.iter().any(|taken| taken.reads(name)) {
                    found.push(Found::error(
                        "BM219",
                        linted.place_of(&[table]),
                        format!("nothing takes the values of {table}.{name}: they are gone afterwards"),
                        "take them with `from` or `fill`; or allow this and say why nobody needs them",
                    ));
                }
                continue;
            };
            let is_copied = taken
                .iter()
                .any(|taken| taken.column.eq_ignore_ascii_case(name) && taken.old().is_some());
            let (was, is) = (&column.declared_type, &now.declared_type);
            let gets_strict = is_strict(&after) && !is_strict(&before) && is != "any";
            if is_copied
                && (gets_strict || Affinity::of_column(&after, name) < Affinity::of_column(&before, name))
            {
                found.push(Found::warning(
                    "BM219",
                    linted.place_of(&[table]),
                    format!(
                        "the type of {table}.{name} holds less than before ({was:?} → {is:?}): a value that is not \
                         the same in both stops the migration"
                    ),
                    "say with `fill` what becomes of such values; or allow this and say why there are none",
                ));
            }
        }
    }
    Ok(found)
}

pub(super) fn new_keys(linted: &Linted<'_>) -> Result<Vec<Found>> {
    let rebuilt = linted.rebuilt();
    if rebuilt.is_empty() {
        return Ok(Vec::new());
    }
    let (before, after) = (scratch(linted.before)?, scratch(&linted.after)?);
    let mut found = Vec::new();
    for table in rebuilt {
        let doing = format!("read the keys of {}", table.name);
        let old = keys(&before, &table.name, |column| column).while_doing(&doing)?;
        let new = keys(&after, &table.name, |column| linted.name_before(column)).while_doing(&doing)?;
        for key in new.difference(&old) {
            let columns: Vec<&str> = key.iter().map(String::as_str).collect();
            found.push(Found::error(
                "BM220",
                linted.place_of(&[&table.name]),
                format!(
                    "{} gets a key on {}: rows that are the same there stop the migration, and a server's INSERT OR \
                     REPLACE replaces other rows than before",
                    table.name,
                    columns.join(", ")
                ),
                "look at what servers of all releases write; then allow this and say why it harms none",
            ));
        }
    }
    Ok(found)
}

/// The columns of each key that the definition of a table declares, in lower case and as `called` has them.
fn keys(
    connection: &Connection,
    table: &str,
    called: impl Fn(String) -> String,
) -> rusqlite::Result<BTreeSet<BTreeSet<String>>> {
    let mut indexes: Vec<String> = Vec::new();
    connection.pragma(Some("main"), "index_list", table, |row| {
        if row.get::<_, String>("origin")? != "c" {
            indexes.push(row.get("name")?);
        }
        Ok(())
    })?;
    let mut keys = vec![TableDetail::read(connection, table)?.into_key_columns()];
    for index in indexes {
        let mut key = Vec::new();
        connection.pragma(Some("main"), "index_info", &index, |row| {
            key.extend(row.get::<_, Option<String>>("name")?);
            Ok(())
        })?;
        keys.push(key);
    }
    let named = |key: Vec<String>| {
        key.into_iter()
            .map(|name| called(name).to_ascii_lowercase())
            .collect()
    };
    Ok(keys
        .into_iter()
        .filter(|key| !key.is_empty())
        .map(named)
        .collect())
}
