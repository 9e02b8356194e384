-- What operators add over the years. None of it stops the server.
CREATE INDEX operators_index ON messages(from_client, timestamp DESC) WHERE reply_to IS NOT NULL;
CREATE INDEX "it's an ""index""" ON messages(length(text));
CREATE VIEW operators_view AS SELECT m.id, m.text, r.topic FROM messages m JOIN rooms r USING (room_id);
CREATE VIEW "view of a view" AS SELECT count(*) AS n FROM operators_view;
CREATE TABLE "operator's ""log""" ("a b" TEXT, "select" INTEGER DEFAULT (1 + 1), noted GENERATED ALWAYS AS ("select" * 2));
CREATE TABLE bookmarks (message_id TEXT REFERENCES messages(id) ON DELETE CASCADE, note TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (message_id)) WITHOUT ROWID;
CREATE TABLE counters (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT COLLATE NOCASE UNIQUE);
INSERT INTO "operator's ""log""" ("a b") VALUES ('row'), (NULL), (X'00');
INSERT INTO bookmarks VALUES ('same', 'kept'), ('orphan', ''), ('message of nobody', 'violates');
INSERT INTO counters (name) VALUES ('one'), ('two');
DELETE FROM counters;
CREATE TRIGGER operators_trigger AFTER INSERT ON messages WHEN new.type = 'question'
    BEGIN INSERT INTO "operator's ""log""" ("a b") VALUES ('asked ' || new.id); END;
