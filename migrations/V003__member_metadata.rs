//! Gives each member of a room a place for what clients say of it: a JSON object in `members.metadata`.
//!
//! # Why
//! Servers of 1.1.0 keep what a client tells of itself. The column may be NULL and has a default because old
//! servers write members with an INSERT OR REPLACE that does not name it: their rows get `{}`.
//!
//! # Rollback
//! Drops the column, and with it the metadata of all members.
//!
//! lint: allow(BM306): Servers of 1.0.0 set the metadata of a member back to `{}` when the client joins again; a
//! client of 1.1.0 says it anew each time it joins.

use crate::authoring::{Definition, Phase, text};

pub(crate) fn migration() -> Definition {
    Definition::new("1.1.0", Phase::Expand)
        .up(|m| {
            m.change_table("members", |t| {
                t.add_column("metadata", text().nullable(true).default("{}"));
            });
        })
        .down(|m| m.change_table("members", |t| t.drop_column("metadata")))
}
