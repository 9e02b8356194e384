//! Gives each room a place for its preferences: a JSON object in `rooms.preferences`.
//!
//! # Why
//! Servers of 1.1.0 keep settings of a room. The column may be NULL and has a default because old servers
//! write rooms with an INSERT OR REPLACE that does not name it: their rows must still go in, and get `{}`.
//!
//! # Rollback
//! Drops the column, and with it the preferences of all rooms.
//!
//! lint: allow(BM306): Servers of 1.0.0 set the preferences of a room back to `{}` when they write it anew, which
//! they do only when it is opened; a table of its own would cost every read of a room a join for good. Settings
//! are to be made once the old servers are gone.

use crate::authoring::{Definition, Phase, text};

pub(crate) fn migration() -> Definition {
    Definition::new("1.1.0", Phase::Expand)
        .up(|m| {
            m.change_table("rooms", |t| {
                t.add_column("preferences", text().nullable(true).default("{}"));
            });
        })
        .down(|m| m.change_table("rooms", |t| t.drop_column("preferences")))
}
