CREATE TABLE IF NOT EXISTS rooms (
                room_id TEXT PRIMARY KEY,
                topic TEXT NOT NULL,
                created_at TEXT NOT NULL,
                active INTEGER DEFAULT 1
            );
CREATE INDEX IF NOT EXISTS idx_active ON rooms(active);
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
CREATE INDEX IF NOT EXISTS idx_room_time ON messages(room_id, timestamp);
CREATE INDEX IF NOT EXISTS idx_channel ON messages(room_id, channel);
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
CREATE TABLE IF NOT EXISTS votes (
                decision_id TEXT NOT NULL,
                voter TEXT NOT NULL,
                approve INTEGER DEFAULT 1,
                veto INTEGER DEFAULT 0,
                voted_at TEXT NOT NULL,

                PRIMARY KEY (decision_id, voter),
                FOREIGN KEY (decision_id) REFERENCES decisions(id)
            );
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
CREATE TABLE IF NOT EXISTS channels (
                channel_id TEXT NOT NULL,
                room_id TEXT NOT NULL,
                name TEXT NOT NULL,
                topic TEXT,
                created_at TEXT NOT NULL,

                PRIMARY KEY (room_id, channel_id),
                FOREIGN KEY (room_id) REFERENCES rooms(room_id)
            );
