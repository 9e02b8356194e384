-- up
CREATE INDEX "idx_messages_thread" ON "messages" ("thread_id") WHERE thread_id IS NOT NULL;
-- down
DROP INDEX "idx_messages_thread";
