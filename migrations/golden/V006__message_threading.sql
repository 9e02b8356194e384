-- up
ALTER TABLE "messages" ADD COLUMN "thread_id" TEXT;
CREATE TRIGGER "messages_fill_thread"
AFTER INSERT ON "messages"
FOR EACH ROW WHEN NEW.thread_id IS NULL
BEGIN
    UPDATE messages
    SET thread_id = CASE
        WHEN NEW.reply_to IS NULL OR NEW.reply_to = NEW.id THEN NEW.id
        WHEN NOT EXISTS (SELECT 1 FROM messages WHERE id = NEW.reply_to) THEN NEW.id
        ELSE (SELECT thread_id FROM messages WHERE id = NEW.reply_to)
    END
    WHERE rowid = NEW.rowid;
END;
-- down
DROP TRIGGER "messages_fill_thread";
ALTER TABLE "messages" DROP COLUMN "thread_id";
