//! Gives each message the id at the root of its reply chain: `messages.thread_id`, kept by a trigger.
//!
//! # Why
//! Servers of 1.2.0 show a thread at once; following `reply_to` row by row takes a query for each message.
//! Old servers do not know the column, so a trigger fills it for the rows that they insert. A message that
//! answers none, itself, or one that does not exist begins a thread of its own. One that answers a message
//! whose thread is not known yet is left to the backfill that follows.
//!
//! The column has no index yet: the backfill writes it in the order of the rows, and an index in the order of random
//! ids would cost it more than the rows do. The index comes when they are filled.
//!
//! # Rollback
//! Drops the column. `reply_to` still has what it was computed from: nothing is lost.

use crate::authoring::{Definition, Phase, Trigger, text};

pub(crate) fn migration() -> Definition {
    Definition::new("1.2.0", Phase::Expand)
        .up(|m| {
            m.change_table("messages", |t| t.add_column("thread_id", text().nullable(true)));
            m.create_trigger(fill_thread());
        })
        .down(|m| {
            m.drop_trigger("messages_fill_thread");
            m.change_table("messages", |t| t.drop_column("thread_id"));
        })
}

fn fill_thread() -> Trigger {
    Trigger::after_insert("messages_fill_thread", "messages")
        .when("NEW.thread_id IS NULL")
        .run(
            "
UPDATE messages
SET thread_id = CASE
    WHEN NEW.reply_to IS NULL OR NEW.reply_to = NEW.id THEN NEW.id
    WHEN NOT EXISTS (SELECT 1 FROM messages WHERE id = NEW.reply_to) THEN NEW.id
    ELSE (SELECT thread_id FROM messages WHERE id = NEW.reply_to)
END
WHERE rowid = NEW.rowid",
        )
}
