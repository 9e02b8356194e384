//! What the SQLite of a server's Python, 3.37 at the oldest, cannot read: one such object and the server cannot
//! open the schema at all.

use super::super::{Found, Linted};
use crate::schema::since::newer_syntax;
use bridge_migrate_core::Result;

pub(super) fn too_new(linted: &Linted<'_>) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for object in linted.changed() {
        if let Some((what, since)) = newer_syntax(&object.sql).first() {
            found.push(Found::error(
                "BM217",
                linted.place_of(&[&object.name]),
                format!(
                    "{} {} uses {what}, which SQLite knows since 3.{since}: servers with an older one fail",
                    object.kind, object.name
                ),
                "write it in a way that SQLite 3.37 can read",
            ));
        }
    }
    Ok(found)
}
