//! Lets messages be edited and deleted without losing what they said: `message_revisions` keeps the old text.
//!
//! # Why
//! Triggers keep the text, whoever changes it and with whatever statement. A deletion marks the message in
//! `deleted_at` and may blank the text in the same UPDATE: that is one revision, not two. An edit sets
//! `edited_at` unless the writer did. `changed_by` is NULL: a trigger cannot know who writes, and a server
//! that does may say so afterwards.
//!
//! Messages without an id have no revisions, since nothing could refer to them; editing them works as ever.
//! The time is printed as Python prints it, in UTC. SQLite's clock counts milliseconds; the rest is zeros.
//!
//! # Rollback
//! Drops the revisions, and which messages were edited or deleted and when. The messages keep their present
//! text: deleted ones are shown again by servers that hide them by `deleted_at`, and old texts are lost.

use crate::authoring::{Definition, Phase, ReferentialAction, Trigger, integer, text};

/// The time now in the normal form of timestamps, which has no fraction when it would be zero.
const NOW: &str = "replace(strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000+00:00', '.000000+00:00', '+00:00')";

pub(crate) fn migration() -> Definition {
    Definition::new("1.2.0", Phase::Expand)
        .up(|m| {
            m.change_table("messages", |t| {
                t.add_column("edited_at", text().nullable(true));
                t.add_column("deleted_at", text().nullable(true));
            });
            m.create_table("message_revisions", |t| {
                t.add_column("message_id", text());
                t.add_column("revision", integer());
                t.add_column("text", text());
                t.add_column("changed_by", text().nullable(true));
                t.add_column("changed_at", text());
                t.add_column("change", text());
                t.check("message_revisions_change", "change IN ('edit', 'delete')");
                t.primary_key(&["message_id", "revision"]);
                t.foreign_key(&["message_id"])
                    .references("messages", &["id"])
                    .on_delete(ReferentialAction::Cascade);
            });
            m.create_trigger(keep_edited());
            m.create_trigger(keep_deleted());
        })
        .down(|m| {
            m.drop_trigger("messages_keep_deleted");
            m.drop_trigger("messages_keep_edited");
            m.drop_table("message_revisions");
            m.change_table("messages", |t| {
                t.drop_column("deleted_at");
                t.drop_column("edited_at");
            });
        })
}

fn keep_edited() -> Trigger {
    Trigger::after_update_of("messages_keep_edited", "messages", &["text"])
        .when("OLD.text IS NOT NEW.text AND (OLD.deleted_at IS NOT NULL OR NEW.deleted_at IS NULL)")
        .run(&keep_old_text("edit"))
        .run(&format!(
            "
UPDATE messages
SET edited_at = {NOW}
WHERE rowid = NEW.rowid AND NEW.edited_at IS OLD.edited_at"
        ))
}

fn keep_deleted() -> Trigger {
    Trigger::after_update_of("messages_keep_deleted", "messages", &["deleted_at"])
        .when("OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL")
        .run(&keep_old_text("delete"))
}

fn keep_old_text(change: &str) -> String {
    format!(
        "
INSERT INTO message_revisions (message_id, revision, text, changed_at, change)
SELECT
    NEW.id,
    (SELECT coalesce(max(revision), 0) + 1 FROM message_revisions WHERE message_id = NEW.id),
    OLD.text,
    {NOW},
    '{change}'
WHERE NEW.id IS NOT NULL"
    )
}
