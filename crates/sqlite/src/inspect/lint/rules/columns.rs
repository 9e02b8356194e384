//! New columns: what old rows and old servers get in them.

use super::super::{Found, Linted};
use crate::schema::{script::Rebuild, token::tokenize};
use bridge_migrate_core::Result;

pub(super) fn not_null_without_default(linted: &Linted<'_>) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for (table, after, before) in linted.tables() {
        let Some(before) = before else { continue };
        for column in &after.columns {
            // The contract statements tell what becomes of servers.
            let mut taken = linted.rebuild.iter().flat_map(Rebuild::taken);
            let is_filled = taken.any(|taken| taken.column.eq_ignore_ascii_case(&column.name));
            let has_default = column.default.as_deref().is_some_and(|default| default != "null");
            if before.column(&column.name).is_some()
                || !column.not_null
                || has_default
                || column.is_generated()
                || is_filled
            {
                continue;
            }
            found.push(Found::error(
                "BM201",
                linted.place_of(&[&table, &column.name]),
                format!(
                    "{table}.{} is NOT NULL and has no default: rows that are there have no value for it, and \
                     servers that do not know it cannot insert",
                    column.name
                ),
                "add it nullable or with a constant default, fill it in a backfill, and tighten it in a contract \
                 migration",
            ));
        }
    }
    Ok(found)
}

/// Words in a default whose value depends on when or where it is evaluated.
const DIFFERENT: &str = "current_date current_time current_timestamp date time datetime julianday strftime unixepoch random \
    randomblob last_insert_rowid total_changes";

pub(super) fn different_each_time(linted: &Linted<'_>) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for (table, after, before) in linted.tables() {
        for column in &after.columns {
            let Some(default) = &column.default else { continue };
            let known = before.as_ref().and_then(|before| before.column(&column.name));
            if known.is_some_and(|known| known.default.as_ref() == Some(default)) {
                continue;
            }
            let tokens = tokenize(default);
            let different = tokens.iter().find(|token| token.is_one_of(DIFFERENT));
            if let Some(word) = different {
                found.push(Found::error(
                    "BM211",
                    linted.place_of(&[&table, &column.name]),
                    format!(
                        "the default of {table}.{} depends on when it is evaluated (`{}`): the same migration makes \
                         other rows each time",
                        column.name, word.text
                    ),
                    "let the server write the value, or a trigger, and leave the default out",
                ));
            }
        }
    }
    Ok(found)
}
