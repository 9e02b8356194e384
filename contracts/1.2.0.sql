-- What servers of release 1.2.0 run besides what those of 1.1.0 run, or instead of it: threads, reactions, edits
-- and deletions. 1.0.0.sql says how this file is read.

-- foreign keys: off

-- statement: read_messages
-- Shows a room's latest messages, without those that were deleted.
-- values: 'contract-room', 50
-- reads: id, room_id, from_client, text, timestamp, type, channel, reply_to, thread_id, edited_at, deleted_at
SELECT * FROM messages WHERE room_id = ? AND deleted_at IS NULL ORDER BY timestamp DESC LIMIT ?;

-- statement: read_channel
-- Shows a channel's messages since a time, without those that were deleted.
-- values: 'contract-room', 'main', '2026-02-22T00:00:00+00:00', 50
-- reads: id, room_id, from_client, text, timestamp, type, channel, reply_to, thread_id, edited_at, deleted_at
SELECT * FROM messages
WHERE room_id = ? AND channel = ? AND timestamp > ? AND deleted_at IS NULL
ORDER BY timestamp DESC LIMIT ?;

-- statement: read_thread
-- Shows the thread of a message.
-- values: 'contract-message'
-- reads: id, room_id, from_client, text, timestamp, type, channel, reply_to, thread_id, edited_at, deleted_at
SELECT * FROM messages WHERE thread_id = ? ORDER BY timestamp;

-- statement: react
-- Reacts to a message; again does nothing.
-- values: 'contract-message', 'contract-client', '👍', '2026-02-22T15:30:45.123456+00:00'
-- values: 'contract-message', 'contract-reviewer', '👍', '2026-02-22T15:30:45.123456+00:00'
-- changes: 1
INSERT INTO reactions (message_id, client_id, emoji, created_at) VALUES (?, ?, ?, ?)
ON CONFLICT (message_id, client_id, emoji) DO NOTHING;

-- statement: take_reaction_back
-- Takes a reaction back.
-- values: 'contract-message', 'contract-reviewer', '👍'
-- changes: 1
DELETE FROM reactions WHERE message_id = ? AND client_id = ? AND emoji = ?;

-- statement: list_reactions
-- Lists the reactions to a message.
-- values: 'contract-message'
-- reads: client_id, emoji, created_at
SELECT client_id, emoji, created_at FROM reactions WHERE message_id = ? ORDER BY created_at;

-- statement: list_own_reactions
-- Lists a client's reactions.
-- values: 'contract-client'
-- reads: message_id, emoji, created_at
SELECT message_id, emoji, created_at FROM reactions WHERE client_id = ?;

-- statement: edit
-- Edits a message; the old text is kept.
-- values: 'It''s said better', '2026-02-22T15:30:45.123456+00:00', 'contract-message'
-- changes: 1
UPDATE messages SET text = ?, edited_at = ? WHERE id = ?;

-- statement: delete
-- Deletes a message; its text is kept.
-- values: '2026-02-22T15:30:45.123456+00:00', 'contract-reply'
-- changes: 1
UPDATE messages SET deleted_at = ?, text = '' WHERE id = ? AND deleted_at IS NULL;

-- statement: sign_revision
-- Says who made the latest change of a message.
-- values: 'contract-client', 'contract-message'
-- changes: 1
UPDATE message_revisions SET changed_by = ?
WHERE message_id = ?
  AND revision = (SELECT max(revision) FROM message_revisions AS r WHERE r.message_id = message_revisions.message_id);

-- statement: list_revisions
-- Shows what a message said before.
-- values: 'contract-message'
-- reads: revision, text, changed_by, changed_at, change
SELECT revision, text, changed_by, changed_at, change FROM message_revisions
WHERE message_id = ? ORDER BY revision;
