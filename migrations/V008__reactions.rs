//! Creates the table of reactions to messages.
//!
//! # Why
//! A client reacts to a message at most once with the same emoji, which the primary key says; it leads with
//! the message, so that showing the reactions to a message needs no other index. Those of one client, shown
//! on its page and removed with it, do. A reaction goes with its message, on connections that have foreign
//! keys on.
//!
//! # Rollback
//! Drops the table, and with it all reactions.
//!
//! lint: allow(BM105): It and V009 make tables and columns of their own, and neither need the backfill nor are needed
//! by it; the order of this release was fixed before the rule.

use crate::authoring::{Definition, Phase, ReferentialAction, text};

pub(crate) fn migration() -> Definition {
    Definition::new("1.2.0", Phase::Expand)
        .up(|m| {
            m.create_table("reactions", |t| {
                t.add_column("message_id", text());
                t.add_column("client_id", text());
                t.add_column("emoji", text());
                t.add_column("created_at", text());
                t.primary_key(&["message_id", "client_id", "emoji"]);
                t.foreign_key(&["message_id"])
                    .references("messages", &["id"])
                    .on_delete(ReferentialAction::Cascade);
            });
            m.create_index("idx_reactions_client", "reactions", &["client_id"]);
        })
        .down(|m| m.drop_table("reactions"))
}
