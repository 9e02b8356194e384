-- What servers of release 1.1.0 run besides what those of 1.0.0 run, or instead of it: preferences of rooms,
-- metadata of members, and tokens in the database. 1.0.0.sql says how this file is read.

-- foreign keys: off

-- statement: write_room
-- Opens a room, or writes it anew without touching what it does not name.
-- values: 'contract-room', 'A room for the contract', '2026-02-22T15:30:45.123456+00:00'
-- changes: 1
INSERT INTO rooms (room_id, topic, created_at, active) VALUES (?, ?, ?, 1)
ON CONFLICT (room_id) DO UPDATE SET topic = excluded.topic, created_at = excluded.created_at, active = 1;

-- statement: prefer
-- Keeps the preferences of a room.
-- values: '{"theme": "dark"}', 'contract-room'
-- changes: 1
UPDATE rooms SET preferences = ? WHERE room_id = ?;

-- statement: write_member
-- Lets a client into a room, or writes it anew with what it says of itself.
-- values: 'contract-room', 'contract-client', 'coder', '2026-02-22T15:30:45.123456+00:00', 1.0, '{"model": "large"}'
-- values: 'contract-room', 'contract-reviewer', 'reviewer', '2026-02-22T15:30:45.123456+00:00', 2.5, '{}'
-- changes: 1
INSERT INTO members (room_id, client_id, role, joined_at, active, vote_weight, metadata)
VALUES (?, ?, ?, ?, 1, ?, ?)
ON CONFLICT (room_id, client_id) DO UPDATE SET
    role = excluded.role, joined_at = excluded.joined_at, active = 1,
    vote_weight = excluded.vote_weight, metadata = excluded.metadata;

-- statement: issue_token
-- Keeps the hash of a token that it hands out.
-- values: '5e1f0bd3a4e7c1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7081920', 'contract-client', '2026-02-22T15:30:45.123456+00:00', '2026-03-24T15:30:45.123456+00:00'
-- values: '6f1f0bd3a4e7c1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7081921', 'contract-reviewer', '2026-02-22T15:30:45.123456+00:00', NULL
-- changes: 1
INSERT INTO auth_tokens (token_hash, client_id, created_at, expires_at) VALUES (?, ?, ?, ?);

-- statement: revoke_token
-- Revokes a token; again does nothing.
-- values: '6f1f0bd3a4e7c1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7081921', '2026-02-22T15:30:45.123456+00:00'
-- changes: 1
INSERT INTO revoked_tokens (token_hash, revoked_at) VALUES (?, ?)
ON CONFLICT (token_hash) DO NOTHING;

-- statement: look_token_up
-- Finds out whose a token is, and until when.
-- values: '5e1f0bd3a4e7c1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7081920'
-- reads: client_id, created_at, expires_at
SELECT client_id, created_at, expires_at FROM auth_tokens
WHERE token_hash = ? AND NOT EXISTS (SELECT 1 FROM revoked_tokens WHERE revoked_tokens.token_hash = auth_tokens.token_hash);

-- statement: forget_expired_tokens
-- Forgets tokens that are past their time.
-- values: '1970-01-01T00:00:00+00:00', 'contract-client'
-- changes: 0
DELETE FROM auth_tokens WHERE expires_at < ? AND client_id = ?;

-- statement: read_room
-- Shows a room with its preferences.
-- values: 'contract-room'
-- reads: room_id, topic, created_at, active, preferences
SELECT * FROM rooms WHERE room_id = ?;

-- statement: list_members
-- Lists who is or was in a room, with what they say of themselves.
-- values: 'contract-room'
-- reads: room_id, client_id, role, joined_at, active, contributions, vote_weight, metadata
SELECT * FROM members WHERE room_id = ?;
