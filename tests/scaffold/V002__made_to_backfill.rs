//! Made to backfill.
//!
//! # Why
//! PENDING: what needs this change, and what would go wrong without it.
//!
//! # Rollback
//! PENDING: what going back does, and what it loses.

use crate::authoring::{Definition, Phase, Rewrite, Rewritten, TimeZone};

pub(crate) fn migration() -> Definition {
    // PENDING: replace this example: what becomes of the values, in which table, known by which key, in which
    // column. Their old values are kept, and going back puts them back.
    Definition::new("1.3.0", Phase::Backfill).data(Rewrite::new(
        "without spaces around it",
        "rooms",
        "room_id",
        "topic",
        rewrite,
    ))
}

fn rewrite(value: &str, _: &TimeZone) -> Rewritten {
    let trimmed = value.trim();
    if trimmed == value {
        Rewritten::Keep
    } else {
        Rewritten::Change(trimmed.to_owned())
    }
}
