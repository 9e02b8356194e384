-- up
ALTER TABLE "messages" ADD COLUMN "edited_at" TEXT;
ALTER TABLE "messages" ADD COLUMN "deleted_at" TEXT;
CREATE TABLE "message_revisions" (
    "message_id" TEXT,
    "revision" INTEGER NOT NULL,
    "text" TEXT NOT NULL,
    "changed_by" TEXT,
    "changed_at" TEXT NOT NULL,
    "change" TEXT NOT NULL DEFAULT 'replace',
    CONSTRAINT "message_revisions_change" CHECK (change IN ('edit', 'delete', 'remove', 'replace')),
    PRIMARY KEY ("message_id", "revision")
);
CREATE TRIGGER "messages_mark_edited"
AFTER UPDATE OF "text" ON "messages"
FOR EACH ROW WHEN OLD.text IS NOT NEW.text AND NEW.edited_at IS OLD.edited_at AND (OLD.deleted_at IS NOT NULL OR NEW.deleted_at IS NULL)
BEGIN
    UPDATE messages
    SET edited_at = replace(strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000+00:00', '.000000+00:00', '+00:00')
    WHERE rowid = NEW.rowid;
END;
CREATE TRIGGER "messages_keep_edited"
AFTER UPDATE OF "id", "text" ON "messages"
FOR EACH ROW WHEN (OLD.text IS NOT NEW.text OR OLD.id IS NOT NEW.id) AND (OLD.deleted_at IS NOT NULL OR NEW.deleted_at IS NULL)
BEGIN
    INSERT INTO message_revisions (message_id, revision, text, changed_at, change)
    SELECT
        OLD.id,
        (SELECT coalesce(max(revision), 0) + 1 FROM message_revisions WHERE message_id IS OLD.id),
        OLD.text,
        replace(strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000+00:00', '.000000+00:00', '+00:00'),
        'edit';
END;
CREATE TRIGGER "messages_keep_deleted"
AFTER UPDATE OF "deleted_at" ON "messages"
FOR EACH ROW WHEN OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL
BEGIN
    INSERT INTO message_revisions (message_id, revision, text, changed_at, change)
    SELECT
        OLD.id,
        (SELECT coalesce(max(revision), 0) + 1 FROM message_revisions WHERE message_id IS OLD.id),
        OLD.text,
        replace(strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000+00:00', '.000000+00:00', '+00:00'),
        'delete';
END;
CREATE TRIGGER "messages_keep_removed"
AFTER DELETE ON "messages"
FOR EACH ROW
BEGIN
    INSERT INTO message_revisions (message_id, revision, text, changed_at, change)
    SELECT
        OLD.id,
        (SELECT coalesce(max(revision), 0) + 1 FROM message_revisions WHERE message_id IS OLD.id),
        OLD.text,
        replace(strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000+00:00', '.000000+00:00', '+00:00'),
        'remove';
END;
CREATE TRIGGER "messages_keep_replaced_by_insert"
BEFORE INSERT ON "messages"
FOR EACH ROW
BEGIN
    INSERT OR IGNORE INTO message_revisions (message_id, revision, text, changed_at, change)
    SELECT
        m.id,
        (SELECT coalesce(max(revision), 0) + 1 FROM message_revisions WHERE message_id IS m.id),
        m.text,
        replace(strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000+00:00', '.000000+00:00', '+00:00'),
        NULL
    FROM messages AS m
    WHERE (m.id = NEW.id OR m.rowid = NEW.rowid) AND NOT (m.id IS NEW.id AND m.text IS NEW.text);
END;
CREATE TRIGGER "messages_keep_replaced_by_update"
BEFORE UPDATE ON "messages"
FOR EACH ROW WHEN NEW.id IS NOT OLD.id OR NEW.rowid IS NOT OLD.rowid
BEGIN
    INSERT OR IGNORE INTO message_revisions (message_id, revision, text, changed_at, change)
    SELECT
        m.id,
        (SELECT coalesce(max(revision), 0) + 1 FROM message_revisions WHERE message_id IS m.id),
        m.text,
        replace(strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000+00:00', '.000000+00:00', '+00:00'),
        NULL
    FROM messages AS m
    WHERE ((m.id = NEW.id OR m.rowid = NEW.rowid) AND m.rowid IS NOT OLD.rowid) AND NOT (m.id IS NEW.id AND m.text IS NEW.text);
END;
-- down
DROP TRIGGER "messages_keep_replaced_by_update";
DROP TRIGGER "messages_keep_replaced_by_insert";
DROP TRIGGER "messages_keep_removed";
DROP TRIGGER "messages_keep_deleted";
DROP TRIGGER "messages_keep_edited";
DROP TRIGGER "messages_mark_edited";
DROP TABLE "message_revisions";
ALTER TABLE "messages" DROP COLUMN "deleted_at";
ALTER TABLE "messages" DROP COLUMN "edited_at";
