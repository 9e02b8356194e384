-- up
CREATE TABLE "reactions" (
    "message_id" TEXT NOT NULL,
    "client_id" TEXT NOT NULL,
    "emoji" TEXT NOT NULL,
    "created_at" TEXT NOT NULL,
    PRIMARY KEY ("message_id", "client_id", "emoji"),
    FOREIGN KEY ("message_id") REFERENCES "messages" ("id") ON DELETE CASCADE
);
CREATE INDEX "idx_reactions_client" ON "reactions" ("client_id");
-- down
DROP TABLE "reactions";
