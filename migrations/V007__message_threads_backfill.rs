//! Fills `messages.thread_id` of all messages that were there before the column.
//!
//! # Why
//! It is a migration of its own because it moves every row: it runs in batches while servers go on writing.
//! A thread begins at a message that answers none, or one that does not exist. Messages that answer each
//! other in a circle have no beginning: their thread is the smallest of their ids.
//!
//! # Rollback
//! Sets the column to NULL again, also where the trigger filled it. `reply_to` still has what it was computed
//! from: nothing is lost.

use crate::authoring::{ChainRoots, Definition, Phase};

pub(crate) fn migration() -> Definition {
    Definition::new("1.2.0", Phase::Backfill).data(ChainRoots::new("messages", "id", "reply_to", "thread_id"))
}
