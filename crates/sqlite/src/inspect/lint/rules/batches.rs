//! Changes of rows that hold the write lock for as long as the table is.

use super::super::{Found, Linted, Place};
use crate::catalog::contracts::target;
use crate::schema::ObjectKind;

pub(super) fn rows_outside_a_data_step(linted: &Linted<'_>) -> Vec<Found> {
    linted
        .up
        .iter()
        .filter(|statement| statement.begins(&["update"]) || statement.begins(&["delete"]))
        .filter_map(|statement| {
            let table = target(&statement.tokens)?;
            linted.before.get(ObjectKind::Table, &table)?;
            let verb = statement.tokens.first()?.text.to_ascii_uppercase();
            Some(Found::error(
                "BM208",
                Place::Up(statement.line),
                format!(
                    "{verb} of {table} takes as long as the table is large, with the write lock held all the while, and \
                     keeps no old value"
                ),
                "write a data step: it moves rows in batches within the lock budget, and journals old values",
            ))
        })
        .collect()
}
