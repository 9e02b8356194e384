-- up
ALTER TABLE "messages" ADD COLUMN "edited_at" TEXT;
ALTER TABLE "messages" ADD COLUMN "deleted_at" TEXT;
CREATE TABLE "message_revisions" (
    "message_id" TEXT NOT NULL,
    "revision" INTEGER NOT NULL,
    "text" TEXT NOT NULL,
    "changed_by" TEXT,
    "changed_at" TEXT NOT NULL,
    "change" TEXT NOT NULL,
    CONSTRAINT "message_revisions_change" CHECK (change IN ('edit', 'delete')),
    PRIMARY KEY ("message_id", "revision"),
    FOREIGN KEY ("message_id") REFERENCES "messages" ("id") ON DELETE CASCADE
);
CREATE TRIGGER "messages_keep_edited"
AFTER UPDATE OF "text" ON "messages"
FOR EACH ROW WHEN OLD.text IS NOT NEW.text AND (OLD.deleted_at IS NOT NULL OR NEW.deleted_at IS NULL)
BEGIN
    INSERT INTO message_revisions (message_id, revision, text, changed_at, change)
    SELECT
        NEW.id,
        (SELECT coalesce(max(revision), 0) + 1 FROM message_revisions WHERE message_id = NEW.id),
        OLD.text,
        replace(strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000+00:00', '.000000+00:00', '+00:00'),
        'edit'
    WHERE NEW.id IS NOT NULL;
    UPDATE messages
    SET edited_at = replace(strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000+00:00', '.000000+00:00', '+00:00')
    WHERE rowid = NEW.rowid AND NEW.edited_at IS OLD.edited_at;
END;
CREATE TRIGGER "messages_keep_deleted"
AFTER UPDATE OF "deleted_at" ON "messages"
FOR EACH ROW WHEN OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL
BEGIN
    INSERT INTO message_revisions (message_id, revision, text, changed_at, change)
    SELECT
        NEW.id,
        (SELECT coalesce(max(revision), 0) + 1 FROM message_revisions WHERE message_id = NEW.id),
        OLD.text,
        replace(strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000+00:00', '.000000+00:00', '+00:00'),
        'delete'
    WHERE NEW.id IS NOT NULL;
END;
-- down
DROP TRIGGER "messages_keep_deleted";
DROP TRIGGER "messages_keep_edited";
DROP TABLE "message_revisions";
ALTER TABLE "messages" DROP COLUMN "deleted_at";
ALTER TABLE "messages" DROP COLUMN "edited_at";
