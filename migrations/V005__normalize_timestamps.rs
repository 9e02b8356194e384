//! Rewrites `messages.timestamp` to UTC, in the form in which Python prints it.
//!
//! # Why
//! Servers sort and compare timestamps as text, which is right only if all of them are in one form. Old
//! servers and clients left local times without an offset, other offsets and `Z`. What such a local time
//! means is decided by the time zone that the operator states. A text that is no timestamp stays as it is
//! and is listed.
//!
//! # Rollback
//! Puts the old text back into each record that was changed and has not been changed since, from the journal.
//! Nothing is lost.

use crate::authoring::{Definition, Phase, Rewrite, Rewritten, TimeZone};
use crate::timestamps::{is_normal_form, to_utc_isoformat};

pub(crate) fn migration() -> Definition {
    Definition::new("1.1.0", Phase::Backfill).data(Rewrite::new(
        "to UTC ISO 8601 as Python prints it",
        "messages",
        "id",
        "timestamp",
        normalize,
    ))
}

fn normalize(text: &str, time_zone: &TimeZone) -> Rewritten {
    if is_normal_form(text) {
        return Rewritten::Keep;
    }
    match to_utc_isoformat(text, time_zone) {
        Some(normal) => Rewritten::Change(normal),
        None => Rewritten::Skip("not a timestamp"),
    }
}
