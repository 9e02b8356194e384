-- What servers of release 1.0.0 run, and what each statement must do. The schema of every migration that such
-- a server can meet is checked against it: the statements run, with their values, in a transaction that is
-- rolled back.
--
-- How this file is read:
--   `-- foreign keys: off` or `on`, once, before the statements: how the server has PRAGMA foreign_keys.
--   `-- statement: NAME` begins a statement. A later release's file that uses the name again replaces the
--       statement; all others go on being run by later releases.
--   `-- gone: NAME` says that servers of this release no longer run the statement.
--   Plain comment lines under the name say what it is for; there must be one.
--   `-- values: 'a', 1, NULL, x'00'` are SQL literals for its `?`, in order. Several lines run it several times.
--   `-- changes: N` is how many rows each run must change.
--   `-- reads: a, b` are the columns that the server takes by name from the rows that come back.
-- The statement follows, ended by `;`. Statements run in the order of the file, so that what one writes the
-- next can read.

-- foreign keys: off

-- statement: start_rooms
-- Creates rooms at start, where it is missing.
CREATE TABLE IF NOT EXISTS rooms (
    room_id TEXT PRIMARY KEY,
    topic TEXT NOT NULL,
    created_at TEXT NOT NULL,
    active INTEGER DEFAULT 1
);

-- statement: start_members
-- Creates members at start, where it is missing.
CREATE TABLE IF NOT EXISTS members (
    room_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    role TEXT NOT NULL,
    joined_at TEXT NOT NULL,
    active INTEGER DEFAULT 1,
    contributions INTEGER DEFAULT 0,
    vote_weight REAL DEFAULT 1.0,
    PRIMARY KEY (room_id, client_id),
    FOREIGN KEY (room_id) REFERENCES rooms(room_id)
);

-- statement: start_messages
-- Creates messages at start, where it is missing.
CREATE TABLE IF NOT EXISTS messages (
    id TEXT PRIMARY KEY,
    room_id TEXT NOT NULL,
    from_client TEXT NOT NULL,
    text TEXT NOT NULL,
    timestamp TEXT NOT NULL,
    type TEXT DEFAULT 'message',
    channel TEXT DEFAULT 'main',
    reply_to TEXT,
    FOREIGN KEY (room_id) REFERENCES rooms(room_id)
);

-- statement: start_decisions
-- Creates decisions at start, where it is missing.
CREATE TABLE IF NOT EXISTS decisions (
    id TEXT PRIMARY KEY,
    room_id TEXT NOT NULL,
    text TEXT NOT NULL,
    proposed_by TEXT NOT NULL,
    proposed_at TEXT NOT NULL,
    vote_type TEXT NOT NULL,
    required_votes INTEGER,
    approved INTEGER DEFAULT 0,
    vetoed INTEGER DEFAULT 0,
    FOREIGN KEY (room_id) REFERENCES rooms(room_id)
);

-- statement: start_votes
-- Creates votes at start, where it is missing.
CREATE TABLE IF NOT EXISTS votes (
    decision_id TEXT NOT NULL,
    voter TEXT NOT NULL,
    approve INTEGER DEFAULT 1,
    veto INTEGER DEFAULT 0,
    voted_at TEXT NOT NULL,
    PRIMARY KEY (decision_id, voter),
    FOREIGN KEY (decision_id) REFERENCES decisions(id)
);

-- statement: start_tasks
-- Creates tasks at start, where it is missing.
CREATE TABLE IF NOT EXISTS tasks (
    id TEXT PRIMARY KEY,
    room_id TEXT NOT NULL,
    text TEXT NOT NULL,
    assignee TEXT,
    assigned_by TEXT NOT NULL,
    assigned_at TEXT NOT NULL,
    completed INTEGER DEFAULT 0,
    completed_at TEXT,
    FOREIGN KEY (room_id) REFERENCES rooms(room_id)
);

-- statement: start_files
-- Creates files at start, where it is missing.
CREATE TABLE IF NOT EXISTS files (
    id TEXT PRIMARY KEY,
    room_id TEXT NOT NULL,
    name TEXT NOT NULL,
    uploaded_by TEXT NOT NULL,
    uploaded_at TEXT NOT NULL,
    size INTEGER NOT NULL,
    content_type TEXT,
    channel TEXT DEFAULT 'main',
    content BLOB NOT NULL,
    FOREIGN KEY (room_id) REFERENCES rooms(room_id)
);

-- statement: start_code_executions
-- Creates code_executions at start, where it is missing.
CREATE TABLE IF NOT EXISTS code_executions (
    id TEXT PRIMARY KEY,
    room_id TEXT NOT NULL,
    executed_by TEXT NOT NULL,
    executed_at TEXT NOT NULL,
    language TEXT NOT NULL,
    code TEXT NOT NULL,
    output TEXT,
    error TEXT,
    exit_code INTEGER DEFAULT 0,
    execution_time_ms REAL,
    FOREIGN KEY (room_id) REFERENCES rooms(room_id)
);

-- statement: start_channels
-- Creates channels at start, where it is missing.
CREATE TABLE IF NOT EXISTS channels (
    channel_id TEXT NOT NULL,
    room_id TEXT NOT NULL,
    name TEXT NOT NULL,
    topic TEXT,
    created_at TEXT NOT NULL,
    PRIMARY KEY (room_id, channel_id),
    FOREIGN KEY (room_id) REFERENCES rooms(room_id)
);

-- statement: start_idx_active
-- Creates idx_active at start, where it is missing.
CREATE INDEX IF NOT EXISTS idx_active ON rooms(active);

-- statement: start_idx_room_time
-- Creates idx_room_time at start, where it is missing.
CREATE INDEX IF NOT EXISTS idx_room_time ON messages(room_id, timestamp);

-- statement: start_idx_channel
-- Creates idx_channel at start, where it is missing.
CREATE INDEX IF NOT EXISTS idx_channel ON messages(room_id, channel);

-- statement: write_room
-- Opens a room, or writes it anew.
-- values: 'contract-room', 'A room for the contract', '2026-02-22T15:30:45.123456+00:00'
-- changes: 1
INSERT OR REPLACE INTO rooms (room_id, topic, created_at, active) VALUES (?, ?, ?, 1);

-- statement: write_member
-- Lets a client into a room, or writes it anew.
-- values: 'contract-room', 'contract-client', 'coder', '2026-02-22T15:30:45.123456+00:00', 1.0
-- values: 'contract-room', 'contract-reviewer', 'reviewer', '2026-02-22T15:30:45.123456+00:00', 2.5
-- changes: 1
INSERT OR REPLACE INTO members (room_id, client_id, role, joined_at, active, vote_weight)
VALUES (?, ?, ?, ?, 1, ?);

-- statement: propose_decision
-- Proposes a decision.
-- values: 'contract-decision', 'contract-room', 'Keep the contract', 'contract-client', '2026-02-22T15:30:45.123456+00:00', 'simple_majority', 2
-- values: 'contract-veto', 'contract-room', 'Break it', 'contract-client', '2026-02-22T15:30:45.123456+00:00', 'veto', NULL
-- changes: 1
INSERT INTO decisions (id, room_id, text, proposed_by, proposed_at, vote_type, required_votes)
VALUES (?, ?, ?, ?, ?, ?, ?);

-- statement: write_vote
-- Votes, or changes a vote.
-- values: 'contract-decision', 'contract-client', 1, 0, '2026-02-22T15:30:45.123456+00:00'
-- values: 'contract-veto', 'contract-reviewer', 0, 1, '2026-02-22T15:30:45.123456+00:00'
-- changes: 1
INSERT OR REPLACE INTO votes (decision_id, voter, approve, veto, voted_at) VALUES (?, ?, ?, ?, ?);

-- statement: count_decision
-- Notes how a vote went.
-- values: 1, 0, 'contract-decision'
-- values: 0, 1, 'contract-veto'
-- changes: 1
UPDATE decisions SET approved = ?, vetoed = ? WHERE id = ?;

-- statement: reword_decision
-- Rewords a decision.
-- values: 'It''s kept', 'contract-decision'
-- changes: 1
UPDATE decisions SET text = ? WHERE id = ?;

-- statement: take_file
-- Takes a file.
-- values: 'contract-file', 'contract-room', 'a.bin', 'contract-client', '2026-02-22T15:30:45.123456+00:00', 4, 'application/octet-stream', 'main', x'00ff0a27'
-- values: 'contract-empty-file', 'contract-room', 'empty', 'contract-client', '2026-02-22T15:30:45.123456+00:00', 0, NULL, 'main', x''
-- changes: 1
INSERT INTO files (id, room_id, name, uploaded_by, uploaded_at, size, content_type, channel, content)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- statement: say
-- Takes a message.
-- values: 'contract-message', 'contract-room', 'contract-client', 'It''s said', '2026-02-22T15:30:45.123456+00:00', 'idea', 'main', NULL
-- values: 'contract-reply', 'contract-room', 'contract-reviewer', '', '2026-02-22T15:30:45.123456+00:00', 'answer', 'main', 'contract-message'
-- values: 'contract-dangling', 'contract-room', 'contract-reviewer', 'to nobody', '2026-02-22T15:30:45', 'message', 'main', 'contract-gone'
-- changes: 1
INSERT INTO messages (id, room_id, from_client, text, timestamp, type, channel, reply_to)
VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- statement: read_room
-- Shows a room.
-- values: 'contract-room'
-- reads: room_id, topic, created_at, active
SELECT * FROM rooms WHERE room_id = ?;

-- statement: list_open_rooms
-- Lists the open rooms.
-- reads: room_id, topic, created_at, active
SELECT * FROM rooms WHERE active = 1 ORDER BY created_at DESC;

-- statement: list_rooms
-- Lists all rooms.
-- reads: room_id, topic, created_at, active
SELECT * FROM rooms ORDER BY created_at DESC;

-- statement: list_present_members
-- Lists who is in a room.
-- values: 'contract-room'
-- reads: room_id, client_id, role, joined_at, active, contributions, vote_weight
SELECT * FROM members WHERE room_id = ? AND active = 1;

-- statement: list_members
-- Lists who is or was in a room.
-- values: 'contract-room'
-- reads: room_id, client_id, role, joined_at, active, contributions, vote_weight
SELECT * FROM members WHERE room_id = ?;

-- statement: read_messages
-- Shows a room's latest messages.
-- values: 'contract-room', 50
-- reads: id, room_id, from_client, text, timestamp, type, channel, reply_to
SELECT * FROM messages WHERE room_id = ? ORDER BY timestamp DESC LIMIT ?;

-- statement: read_channel
-- Shows a channel's messages since a time.
-- values: 'contract-room', 'main', '2026-02-22T00:00:00+00:00', 50
-- reads: id, room_id, from_client, text, timestamp, type, channel, reply_to
SELECT * FROM messages WHERE room_id = ? AND channel = ? AND timestamp > ? ORDER BY timestamp DESC LIMIT ?;

-- statement: read_file
-- Hands out a file.
-- values: 'contract-file'
-- reads: id, room_id, name, uploaded_by, uploaded_at, size, content_type, channel, content
SELECT * FROM files WHERE id = ?;

-- statement: count_members
-- Counts who is in a room.
-- values: 'contract-room'
SELECT COUNT(*) FROM members WHERE room_id = ? AND active = 1;

-- statement: count_messages
-- Counts a room's messages.
-- values: 'contract-room'
SELECT COUNT(*) FROM messages WHERE room_id = ?;

-- statement: count_decisions
-- Counts a room's decisions.
-- values: 'contract-room'
SELECT COUNT(*), SUM(approved), SUM(vetoed) FROM decisions WHERE room_id = ?;

-- statement: count_tasks
-- Counts a room's tasks.
-- values: 'contract-room'
SELECT COUNT(*), SUM(completed) FROM tasks WHERE room_id = ?;

-- statement: count_files
-- Counts a room's files.
-- values: 'contract-room'
SELECT COUNT(*), SUM(size) FROM files WHERE room_id = ?;

-- statement: count_code_executions
-- Counts a room's code executions.
-- values: 'contract-room'
SELECT COUNT(*) FROM code_executions WHERE room_id = ?;

-- statement: count_channels
-- Counts a room's channels.
-- values: 'contract-room'
SELECT COUNT(*) FROM channels WHERE room_id = ?;
