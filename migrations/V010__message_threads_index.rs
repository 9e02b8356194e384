//! Indexes `messages.thread_id`: `idx_messages_thread`.
//!
//! # Why
//! Servers of 1.2.0 look for the messages of a thread. It comes after the backfill, which would otherwise put each
//! message into the index one by one, in random order. Messages without a thread are left out: nobody looks for them.
//!
//! # Rollback
//! Drops the index. It held nothing of its own: nothing is lost.
//!
//! lint: allow(BM210): Its rows are there before it, so that it reads all of them. `plan` says how long writers wait
//! for that in a given database.

use crate::authoring::{Definition, Phase};

pub(crate) fn migration() -> Definition {
    Definition::new("1.2.0", Phase::Expand)
        .up(|m| {
            m.create_partial_index(
                "idx_messages_thread",
                "messages",
                &["thread_id"],
                "thread_id IS NOT NULL",
            );
        })
        .down(|m| m.drop_index("idx_messages_thread"))
}
