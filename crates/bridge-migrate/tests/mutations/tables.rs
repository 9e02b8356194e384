//! Mistakes in tables, indexes, triggers and statements.

use bridge_migrate_core::Phase;
use bridge_migrate_sqlite::schema::script::{Rebuild, Taken};

use super::Mutation;

/// A table that is made anew by the book, but for what the caller leaves out or adds.
fn rebuild(table: &str, columns: &str, names: &str) -> String {
    format!(
        "CREATE TABLE \"new\" ({columns});\nINSERT INTO \"new\" ({names}) SELECT {names} FROM \"{table}\";\n\
         DROP TABLE \"{table}\";\nALTER TABLE \"new\" RENAME TO \"{table}\""
    )
}

/// The same by `rebuild_table`, for `column` or `old AS column` in `names`.
fn rebuilt(table: &str, columns: &str, names: &str) -> String {
    let taken = names.split(", ").map(|name| {
        let (value, column) = name.split_once(" AS ").unwrap_or((name, name));
        let (column, value) = (column.to_owned(), value.to_owned());
        Taken { column, value }
    });
    let definition = format!("CREATE TABLE \"{table}\" ({columns})");
    let rebuild = Rebuild::new(table, &definition, taken.collect()).unwrap();
    rebuild.to_string().trim_end().trim_end_matches(';').to_owned()
}

const VOTES_COLUMNS: &str = "decision_id TEXT NOT NULL, voter TEXT NOT NULL, approve INTEGER DEFAULT 1, veto INTEGER DEFAULT 0, \
    voted_at TEXT NOT NULL, PRIMARY KEY (decision_id, voter), FOREIGN KEY (decision_id) REFERENCES decisions (id)";
const VOTES: &str = "decision_id, voter, approve, veto, voted_at";
const MESSAGES: &str = "id TEXT PRIMARY KEY, room_id TEXT NOT NULL, from_client TEXT NOT NULL, \"text\" TEXT NOT NULL, \
    \"timestamp\" TEXT NOT NULL, \"type\" TEXT DEFAULT 'message', channel TEXT DEFAULT 'main', reply_to TEXT, thread_id TEXT, \
    edited_at TEXT, deleted_at TEXT, FOREIGN KEY (room_id) REFERENCES rooms (room_id)";
const MESSAGE_NAMES: &str = "id, room_id, from_client, \"text\", \"timestamp\", \"type\", channel, reply_to, thread_id, edited_at, deleted_at";

pub(crate) const TABLES: &[Mutation] = &[
    ("V002 is NOT NULL without a default", "BM201", |c| {
        c.up(2, "TEXT DEFAULT '{}'", "TEXT NOT NULL")
    }),
    ("V006 is NOT NULL without a default", "BM201", |c| {
        c.up(6, "\"thread_id\" TEXT", "\"thread_id\" TEXT NOT NULL")
    }),
    ("V009 has DEFAULT NULL on a NOT NULL column", "BM201", |c| {
        c.up(
            9,
            "\"edited_at\" TEXT",
            "\"edited_at\" TEXT NOT NULL DEFAULT NULL",
        );
    }),
    ("votes is made anew for a check", "BM202", |c| {
        let columns = "decision_id TEXT NOT NULL, voter TEXT NOT NULL, approve INTEGER DEFAULT 1, veto INTEGER DEFAULT 0, \
             voted_at TEXT NOT NULL, CHECK (approve IN (0, 1)), PRIMARY KEY (decision_id, voter), \
             FOREIGN KEY (decision_id) REFERENCES decisions (id)";
        c.add(Phase::Expand, &rebuild("votes", columns, VOTES), "");
    }),
    ("votes is made anew for nothing", "BM202", |c| {
        let columns = "decision_id TEXT NOT NULL, voter TEXT NOT NULL, approve INTEGER DEFAULT 1, veto INTEGER DEFAULT 0, \
             voted_at TEXT NOT NULL, PRIMARY KEY (decision_id, voter), FOREIGN KEY (decision_id) REFERENCES decisions (id)";
        c.add(Phase::Expand, &rebuild("votes", columns, VOTES), "");
    }),
    ("votes is rebuilt to rename a column", "BM202", |c| {
        let columns = VOTES_COLUMNS.replace("veto ", "vetoed ");
        c.add(
            Phase::Contract,
            &rebuilt("votes", &columns, &VOTES.replace("veto,", "veto AS vetoed,")),
            "",
        );
    }),
    ("votes is rebuilt without its vetoes", "BM219", |c| {
        let columns = VOTES_COLUMNS.replace("veto INTEGER DEFAULT 0, ", "");
        c.add(
            Phase::Contract,
            &rebuilt("votes", &columns, &VOTES.replace("veto, ", "")),
            "",
        );
    }),
    ("votes is rebuilt with a narrower type", "BM219", |c| {
        let columns = VOTES_COLUMNS.replace("voted_at TEXT", "voted_at INTEGER");
        c.add(Phase::Contract, &rebuilt("votes", &columns, VOTES), "");
    }),
    ("votes is rebuilt with a key on the time", "BM220", |c| {
        let columns = VOTES_COLUMNS.replace("voted_at TEXT", "voted_at TEXT UNIQUE");
        c.add(Phase::Contract, &rebuilt("votes", &columns, VOTES), "");
    }),
    ("messages is made anew without its indexes", "BM203", |c| {
        c.add(Phase::Expand, &rebuild("messages", MESSAGES, MESSAGE_NAMES), "");
    }),
    ("messages is made anew without one trigger", "BM203", |c| {
        let up = rebuild("messages", MESSAGES, MESSAGE_NAMES);
        let indexes = "CREATE INDEX idx_room_time ON messages (room_id, \"timestamp\"); CREATE INDEX idx_channel ON messages \
            (room_id, channel); CREATE INDEX idx_messages_thread ON messages (thread_id) WHERE thread_id IS NOT NULL";
        c.add(Phase::Expand, &format!("{up};\n{indexes}"), "");
    }),
    ("a view is dropped for a rebuild and forgotten", "BM203", |c| {
        c.more(
            8,
            "CREATE VIEW results AS SELECT * FROM votes",
            "DROP VIEW results",
        );
        let columns = "decision_id BLOB NOT NULL, voter TEXT NOT NULL, approve INTEGER DEFAULT 1, veto INTEGER DEFAULT 0, \
             voted_at TEXT NOT NULL, PRIMARY KEY (decision_id, voter), FOREIGN KEY (decision_id) REFERENCES decisions (id)";
        c.add(
            Phase::Expand,
            &format!("DROP VIEW results;\n{}", rebuild("votes", columns, VOTES)),
            "",
        );
    }),
    ("votes is made anew without its foreign key", "BM204", |c| {
        let columns = "decision_id TEXT NOT NULL, voter TEXT NOT NULL, approve INTEGER DEFAULT 1, veto INTEGER DEFAULT 0, \
             voted_at TEXT NOT NULL, PRIMARY KEY (decision_id, voter)";
        c.add(Phase::Expand, &rebuild("votes", columns, VOTES), "");
    }),
    ("votes is made anew without a default", "BM204", |c| {
        let columns = "decision_id TEXT NOT NULL, voter TEXT NOT NULL, approve INTEGER, veto INTEGER DEFAULT 0, \
             voted_at TEXT NOT NULL, PRIMARY KEY (decision_id, voter), FOREIGN KEY (decision_id) REFERENCES decisions (id)";
        c.add(Phase::Expand, &rebuild("votes", columns, VOTES), "");
    }),
    ("reactions is made anew without its foreign key", "BM204", |c| {
        let columns = "message_id TEXT NOT NULL, client_id TEXT NOT NULL, emoji TEXT NOT NULL, created_at TEXT NOT NULL, \
             PRIMARY KEY (message_id, client_id, emoji)";
        c.add(
            Phase::Expand,
            &rebuild("reactions", columns, "message_id, client_id, emoji, created_at"),
            "",
        );
    }),
    ("a numbered table loses its mark", "BM205", |c| {
        c.more(
            8,
            "CREATE TABLE notes (n INTEGER PRIMARY KEY AUTOINCREMENT, note TEXT)",
            "DROP TABLE notes",
        );
        c.add(
            Phase::Expand,
            &rebuild(
                "notes",
                "n INTEGER PRIMARY KEY AUTOINCREMENT, note BLOB",
                "n, note",
            ),
            "",
        );
    }),
    ("messages is made anew under its reactions", "BM206", |c| {
        c.add(Phase::Expand, &rebuild("messages", MESSAGES, MESSAGE_NAMES), "");
    }),
    ("messages is renamed away", "BM207", |c| {
        let up = format!(
            "ALTER TABLE messages RENAME TO old; CREATE TABLE messages ({MESSAGES}); INSERT INTO messages SELECT * FROM old; DROP TABLE old"
        );
        c.add(Phase::Expand, &up, "");
    }),
    ("V006 fills its column itself", "BM208", |c| {
        c.more(6, "UPDATE messages SET thread_id = id WHERE reply_to IS NULL", "")
    }),
    ("old messages are deleted", "BM208", |c| {
        c.add(
            Phase::Contract,
            "DELETE FROM messages WHERE \"timestamp\" < '2025'",
            "",
        );
    }),
    ("a column is dropped in the expand phase", "BM209", |c| {
        c.add(
            Phase::Expand,
            "ALTER TABLE files DROP COLUMN content_type",
            "ALTER TABLE files ADD COLUMN content_type TEXT",
        );
    }),
    ("a table is renamed in the expand phase", "BM209", |c| {
        c.add(
            Phase::Expand,
            "ALTER TABLE tasks RENAME TO jobs",
            "ALTER TABLE jobs RENAME TO tasks",
        );
    }),
    ("V010 no longer says why its index is made so", "BM210", |c| {
        c.at(10).allowed.clear()
    }),
    ("V009 makes an index over messages", "BM210", |c| {
        c.more(
            9,
            "CREATE INDEX edited ON messages (edited_at)",
            "DROP INDEX edited",
        );
    }),
    ("V008 has CURRENT_TIMESTAMP for a default", "BM211", |c| {
        c.up(
            8,
            "\"created_at\" TEXT NOT NULL",
            "\"created_at\" TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP",
        );
    }),
    ("V009 has the clock in a default", "BM211", |c| {
        c.up(
            9,
            "\"changed_at\" TEXT NOT NULL",
            "\"changed_at\" TEXT NOT NULL DEFAULT (datetime('now'))",
        );
    }),
    ("V004 has chance in a default", "BM211", |c| {
        c.up(
            4,
            "\"client_id\" TEXT NOT NULL",
            "\"client_id\" TEXT DEFAULT (hex(randomblob(8)))",
        )
    }),
    ("the key of V008 leads with the client", "BM212", |c| {
        c.up(
            8,
            "(\"message_id\", \"client_id\", \"emoji\")",
            "(\"client_id\", \"message_id\", \"emoji\")",
        );
    }),
    ("V001 no longer says why it has no indexes", "BM212", |c| {
        c.at(1).allowed.clear()
    }),
    ("the trigger of V006 has a text in double quotes", "BM213", |c| {
        c.up(
            6,
            "WHEN NEW.thread_id IS NULL",
            "WHEN NEW.thread_id IS NULL AND NEW.channel <> \"secret\"",
        );
    }),
    ("the check of V009 has a text in double quotes", "BM213", |c| {
        c.up(9, "IN ('edit', 'delete'", "IN (\"edit\", 'delete'")
    }),
    ("the default of V002 is in double quotes", "BM213", |c| {
        c.up(2, "'{}'", "\"{}\"")
    }),
    ("the table of V008 is written as a text", "BM213", |c| {
        c.up(8, "CREATE TABLE \"reactions\"", "CREATE TABLE 'reactions'")
    }),
    ("a column of V004 is a bare keyword", "BM213", |c| {
        c.up(
            4,
            "\"revoked_at\" TEXT NOT NULL",
            "\"revoked_at\" TEXT NOT NULL,\n    key TEXT",
        );
    }),
    ("V004 turns foreign keys off", "BM214", |c| {
        c.more(4, "PRAGMA foreign_keys = OFF", "")
    }),
    ("V006 commits", "BM214", |c| {
        c.up(6, "CREATE TRIGGER", "COMMIT;\nCREATE TRIGGER")
    }),
    ("V009 cleans up on the way back", "BM214", |c| {
        c.at(9).down.push_str("VACUUM;\n")
    }),
    ("V008 makes its table unless it is there", "BM215", |c| {
        c.up(8, "CREATE TABLE", "CREATE TABLE IF NOT EXISTS")
    }),
    ("V008 drops its table if it is there", "BM215", |c| {
        c.down(8, "DROP TABLE", "DROP TABLE IF EXISTS")
    }),
    ("V006 writes schema_version", "BM216", |c| {
        c.more(
            6,
            "INSERT INTO schema_version VALUES ('1.2.0', 'now', 'V006')",
            "",
        );
    }),
    ("V009 makes a temporary table", "BM216", |c| {
        c.more(9, "CREATE TEMP TABLE kept AS SELECT 1 AS x", "DROP TABLE kept")
    }),
    ("the trigger of V009 asks JSON with an arrow", "BM217", |c| {
        c.up(
            9,
            "WHERE rowid = NEW.rowid;",
            "WHERE rowid = NEW.rowid AND NEW.type ->> '$' IS NULL;",
        );
    }),
    ("a view compares with IS DISTINCT FROM", "BM217", |c| {
        c.more(
            9,
            "CREATE VIEW changed AS SELECT id FROM messages WHERE edited_at IS NOT DISTINCT FROM deleted_at",
            "DROP VIEW changed",
        );
    }),
    ("the trigger of V006 has a wrong name in it", "BM218", |c| {
        c.up(6, "SET thread_id = CASE", "SET thread = CASE")
    }),
    ("a view reads a column that is not there", "BM218", |c| {
        c.more(
            9,
            "CREATE VIEW changed AS SELECT id, changed_at FROM messages",
            "DROP VIEW changed",
        );
    }),
];
