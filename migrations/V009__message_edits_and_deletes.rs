//! Lets messages be edited and deleted without losing what they said: `message_revisions` keeps the old text.
//!
//! # Why
//! Triggers keep the text, whoever changes it and with whatever statement: an edit, a deletion that marks the
//! message in `deleted_at` (and may blank the text in the same UPDATE: that is one revision, not two), a DELETE
//! of the row (`remove`), and a row that another one takes the place of, by its id or its row number
//! (`replace`). An edit sets `edited_at` unless the writer did. `changed_by` is NULL: a trigger cannot know who
//! writes, and a server that does may say so afterwards.
//!
//! Revisions outlive their message, so they do not refer to it as a foreign key, whose cascade would erase
//! them; reactions go with the row, on connections that have foreign keys on, also when it is replaced. A
//! revision stands under the id that the message had then; those of messages without an id stand under NULL.
//!
//! SQLite runs no DELETE trigger for a row that is replaced, and BEFORE triggers also for a statement that then
//! changes nothing. What tells the two apart is the conflict policy of the outer statement, which holds within
//! its triggers: OR REPLACE turns the NULL into the default `replace`, and otherwise the revision is ignored.
//! After an explicit OR ABORT, FAIL or ROLLBACK, what fails is that NULL, where it was the id.
//! A unique key that `messages` gains later belongs into the conditions of both BEFORE triggers.
//!
//! The time is printed as Python prints it, in UTC. SQLite's clock counts milliseconds; the rest is zeros.
//!
//! # Rollback
//! Drops the revisions, and which messages were edited or deleted and when; all of it is kept in a file, from
//! which `kept reclaim` takes it back. The messages keep their present text: deleted ones are shown again by
//! servers that hide them by `deleted_at`. What is edited, deleted or replaced from then on leaves no revision.

use crate::authoring::{Definition, Phase, Trigger, integer, text};

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
                t.add_column("message_id", text().nullable(true));
                t.add_column("revision", integer());
                t.add_column("text", text());
                t.add_column("changed_by", text().nullable(true));
                t.add_column("changed_at", text());
                t.add_column("change", text().default("replace"));
                t.check(
                    "message_revisions_change",
                    "change IN ('edit', 'delete', 'remove', 'replace')",
                );
                t.primary_key(&["message_id", "revision"]);
            });
            m.create_trigger(mark_edited());
            m.create_trigger(keep_edited());
            m.create_trigger(keep_deleted());
            m.create_trigger(keep_removed());
            m.create_trigger(keep_replaced_by_insert());
            m.create_trigger(keep_replaced_by_update());
        })
        .down(|m| {
            m.drop_trigger("messages_keep_replaced_by_update");
            m.drop_trigger("messages_keep_replaced_by_insert");
            m.drop_trigger("messages_keep_removed");
            m.drop_trigger("messages_keep_deleted");
            m.drop_trigger("messages_keep_edited");
            m.drop_trigger("messages_mark_edited");
            m.drop_table("message_revisions");
            m.change_table("messages", |t| {
                t.drop_column("deleted_at");
                t.drop_column("edited_at");
            });
        })
}

/// A change of the id is an edit, too: the old one is known by its revision only.
fn keep_edited() -> Trigger {
    Trigger::after_update_of("messages_keep_edited", "messages", &["id", "text"])
        .when(
            "(OLD.text IS NOT NEW.text OR OLD.id IS NOT NEW.id) \
             AND (OLD.deleted_at IS NOT NULL OR NEW.deleted_at IS NULL)",
        )
        .run(&keep_old_text("edit"))
}

/// Apart from the trigger that keeps: while one runs it does not run again for what another one writes.
fn mark_edited() -> Trigger {
    Trigger::after_update_of("messages_mark_edited", "messages", &["text"])
        .when(
            "OLD.text IS NOT NEW.text AND NEW.edited_at IS OLD.edited_at \
             AND (OLD.deleted_at IS NOT NULL OR NEW.deleted_at IS NULL)",
        )
        .run(&format!(
            "
UPDATE messages
SET edited_at = {NOW}
WHERE rowid = NEW.rowid"
        ))
}

fn keep_deleted() -> Trigger {
    Trigger::after_update_of("messages_keep_deleted", "messages", &["deleted_at"])
        .when("OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL")
        .run(&keep_old_text("delete"))
}

fn keep_removed() -> Trigger {
    Trigger::after_delete("messages_keep_removed", "messages").run(&keep_old_text("remove"))
}

fn keep_replaced_by_insert() -> Trigger {
    Trigger::before_insert("messages_keep_replaced_by_insert", "messages")
        .run(&keep_what_is_replaced("m.id = NEW.id OR m.rowid = NEW.rowid"))
}

fn keep_replaced_by_update() -> Trigger {
    Trigger::before_update("messages_keep_replaced_by_update", "messages")
        .when("NEW.id IS NOT OLD.id OR NEW.rowid IS NOT OLD.rowid")
        .run(&keep_what_is_replaced(
            "(m.id = NEW.id OR m.rowid = NEW.rowid) AND m.rowid IS NOT OLD.rowid",
        ))
}

fn keep_old_text(change: &str) -> String {
    format!(
        "
INSERT INTO message_revisions (message_id, revision, text, changed_at, change)
SELECT
    OLD.id,
    (SELECT coalesce(max(revision), 0) + 1 FROM message_revisions WHERE message_id IS OLD.id),
    OLD.text,
    {NOW},
    '{change}'"
    )
}

/// The same text under the same id is not lost.
fn keep_what_is_replaced(is_in_the_way: &str) -> String {
    format!(
        "
INSERT OR IGNORE INTO message_revisions (message_id, revision, text, changed_at, change)
SELECT
    m.id,
    (SELECT coalesce(max(revision), 0) + 1 FROM message_revisions WHERE message_id IS m.id),
    m.text,
    {NOW},
    NULL
FROM messages AS m
WHERE ({is_in_the_way}) AND NOT (m.id IS NEW.id AND m.text IS NEW.text)"
    )
}
