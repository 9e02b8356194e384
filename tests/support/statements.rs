//! Every statement that the Bridge's 1.0.0 server runs, word for word, and a round of all of them.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use crate::database::connect;
use crate::python_time::utc;
use crate::schema_1_0_0::{columns_of, start_up};

/// Opens a room, or writes it anew.
pub const INSERT_ROOM: &str =
    "INSERT OR REPLACE INTO rooms (room_id, topic, created_at, active) VALUES (?, ?, ?, 1)";
/// Lets a client into a room, or writes it anew.
pub const INSERT_MEMBER: &str = "INSERT OR REPLACE INTO members (room_id, client_id, role, joined_at, active, vote_weight) VALUES (?, ?, ?, ?, 1, ?)";
/// Proposes a decision.
pub const INSERT_DECISION: &str = "INSERT INTO decisions (id, room_id, text, proposed_by, proposed_at, vote_type, required_votes) VALUES (?, ?, ?, ?, ?, ?, ?)";
/// Votes, or changes a vote.
pub const INSERT_VOTE: &str =
    "INSERT OR REPLACE INTO votes (decision_id, voter, approve, veto, voted_at) VALUES (?, ?, ?, ?, ?)";
/// Notes how a vote went.
pub const UPDATE_DECISION_RESULT: &str = "UPDATE decisions SET approved = ?, vetoed = ? WHERE id = ?";
/// Rewords a decision.
pub const UPDATE_DECISION_TEXT: &str = "UPDATE decisions SET text = ? WHERE id = ?";
/// Takes a file.
pub const INSERT_FILE: &str = "INSERT INTO files (id, room_id, name, uploaded_by, uploaded_at, size, content_type, channel, content) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
/// Takes a message.
pub const INSERT_MESSAGE: &str = "INSERT INTO messages (id, room_id, from_client, text, timestamp, type, channel, reply_to) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
/// One room.
pub const SELECT_ROOM: &str = "SELECT * FROM rooms WHERE room_id = ?";
/// The open rooms.
pub const SELECT_ACTIVE_ROOMS: &str = "SELECT * FROM rooms WHERE active = 1 ORDER BY created_at DESC";
/// All rooms.
pub const SELECT_ROOMS: &str = "SELECT * FROM rooms ORDER BY created_at DESC";
/// Who is in a room.
pub const SELECT_ACTIVE_MEMBERS: &str = "SELECT * FROM members WHERE room_id = ? AND active = 1";
/// Who is or was in a room.
pub const SELECT_MEMBERS: &str = "SELECT * FROM members WHERE room_id = ?";
/// A room's latest messages.
pub const SELECT_MESSAGES: &str = "SELECT * FROM messages WHERE room_id = ? ORDER BY timestamp DESC LIMIT ?";
/// A channel's messages since a time.
pub const SELECT_CHANNEL_MESSAGES: &str = "SELECT * FROM messages WHERE room_id = ? AND channel = ? AND timestamp > ? ORDER BY timestamp DESC LIMIT ?";
/// One file.
pub const SELECT_FILE: &str = "SELECT * FROM files WHERE id = ?";
/// How many are in a room.
pub const COUNT_MEMBERS: &str = "SELECT COUNT(*) FROM members WHERE room_id = ? AND active = 1";
/// How many messages a room has.
pub const COUNT_MESSAGES: &str = "SELECT COUNT(*) FROM messages WHERE room_id = ?";
/// A room's decisions.
pub const COUNT_DECISIONS: &str =
    "SELECT COUNT(*), SUM(approved), SUM(vetoed) FROM decisions WHERE room_id = ?";
/// A room's tasks.
pub const COUNT_TASKS: &str = "SELECT COUNT(*), SUM(completed) FROM tasks WHERE room_id = ?";
/// A room's files.
pub const COUNT_FILES: &str = "SELECT COUNT(*), SUM(size) FROM files WHERE room_id = ?";
/// A room's code executions.
pub const COUNT_CODE_EXECUTIONS: &str = "SELECT COUNT(*) FROM code_executions WHERE room_id = ?";
/// A room's channels.
pub const COUNT_CHANNELS: &str = "SELECT COUNT(*) FROM channels WHERE room_id = ?";

/// Everything that the server runs besides [`start_up`].
pub const STATEMENTS: [&str; 23] = [
    INSERT_ROOM,
    INSERT_MEMBER,
    INSERT_DECISION,
    INSERT_VOTE,
    UPDATE_DECISION_RESULT,
    UPDATE_DECISION_TEXT,
    INSERT_FILE,
    INSERT_MESSAGE,
    SELECT_ROOM,
    SELECT_ACTIVE_ROOMS,
    SELECT_ROOMS,
    SELECT_ACTIVE_MEMBERS,
    SELECT_MEMBERS,
    SELECT_MESSAGES,
    SELECT_CHANNEL_MESSAGES,
    SELECT_FILE,
    COUNT_MEMBERS,
    COUNT_MESSAGES,
    COUNT_DECISIONS,
    COUNT_TASKS,
    COUNT_FILES,
    COUNT_CODE_EXECUTIONS,
    COUNT_CHANNELS,
];

/// What a statement must answer: rows changed, the named columns of the one row that the statement finds, or anything.
enum Answer {
    Changed(usize),
    Row(&'static str, Vec<(&'static str, Value)>),
    Values(Vec<Value>),
    Rows(&'static str),
}

/// Starts the server on a database and lets it run each of its statements once, on rows of its own, reading back
/// by name what it wrote. The rows stay.
///
/// # Errors
/// The first statement that fails or answers something else, with why.
pub fn run_statements_once(path: &Path) -> Result<(), String> {
    static ROUNDS: AtomicU64 = AtomicU64::new(0);
    let round = format!(
        "{}-{}",
        std::process::id(),
        ROUNDS.fetch_add(1, Ordering::Relaxed)
    );
    for sql in start_up() {
        let connection = connect(path).map_err(|error| error.to_string())?;
        connection
            .execute_batch(sql)
            .map_err(|error| format!("{sql}: {error}"))?;
    }
    for (sql, values, answer) in round_of(&round) {
        let connection = connect(path).map_err(|error| error.to_string())?;
        check(&connection, sql, values, answer).map_err(|why| format!("{sql}: {why}"))?;
    }
    Ok(())
}

fn round_of(round: &str) -> Vec<(&'static str, Vec<Value>, Answer)> {
    let text = |text: &str| Value::Text(text.to_owned());
    let number = Value::Integer;
    let room = text(&format!("room-{round}"));
    let id = |kind: &str| text(&format!("{kind}-{round}"));
    let time = text(&utc(1_771_774_245, 123_456));
    let earlier = text(&utc(1_771_774_245, 0));
    let blob = Value::Blob(vec![0, 255, 10, 39]);
    let (client, channel) = (text("claude-0"), text("main"));
    let reworded = text("reworded 'twice' 🎉");
    let of_room = || vec![room.clone()];
    let whole_room = || {
        Answer::Row(
            "rooms",
            vec![
                ("room_id", room.clone()),
                ("topic", text("t")),
                ("created_at", time.clone()),
                ("active", number(1)),
            ],
        )
    };
    let whole_member = || {
        Answer::Row(
            "members",
            vec![
                ("room_id", room.clone()),
                ("client_id", client.clone()),
                ("role", text("coder")),
                ("joined_at", time.clone()),
                ("active", number(1)),
                ("contributions", number(0)),
                ("vote_weight", Value::Real(2.0)),
            ],
        )
    };
    let whole_message = || {
        Answer::Row(
            "messages",
            vec![
                ("id", id("message")),
                ("room_id", room.clone()),
                ("from_client", client.clone()),
                ("text", reworded.clone()),
                ("timestamp", time.clone()),
                ("type", text("idea")),
                ("channel", channel.clone()),
                ("reply_to", Value::Null),
            ],
        )
    };
    vec![
        (
            INSERT_ROOM,
            vec![room.clone(), text("t"), time.clone()],
            Answer::Changed(1),
        ),
        (
            INSERT_MEMBER,
            vec![
                room.clone(),
                client.clone(),
                text("coder"),
                time.clone(),
                Value::Real(2.0),
            ],
            Answer::Changed(1),
        ),
        (
            INSERT_DECISION,
            vec![
                id("decision"),
                room.clone(),
                text("x"),
                client.clone(),
                time.clone(),
                text("veto"),
                number(2),
            ],
            Answer::Changed(1),
        ),
        (
            INSERT_VOTE,
            vec![id("decision"), client.clone(), number(1), number(0), time.clone()],
            Answer::Changed(1),
        ),
        (
            UPDATE_DECISION_RESULT,
            vec![number(1), number(0), id("decision")],
            Answer::Changed(1),
        ),
        (
            UPDATE_DECISION_TEXT,
            vec![reworded.clone(), id("decision")],
            Answer::Changed(1),
        ),
        (
            INSERT_FILE,
            vec![
                id("file"),
                room.clone(),
                text("n"),
                client.clone(),
                time.clone(),
                number(4),
                text("text/plain"),
                channel.clone(),
                blob.clone(),
            ],
            Answer::Changed(1),
        ),
        (
            INSERT_MESSAGE,
            vec![
                id("message"),
                room.clone(),
                client.clone(),
                reworded.clone(),
                time.clone(),
                text("idea"),
                channel.clone(),
                Value::Null,
            ],
            Answer::Changed(1),
        ),
        (SELECT_ROOM, of_room(), whole_room()),
        (SELECT_ACTIVE_ROOMS, vec![], Answer::Rows("rooms")),
        (SELECT_ROOMS, vec![], Answer::Rows("rooms")),
        (SELECT_ACTIVE_MEMBERS, of_room(), whole_member()),
        (SELECT_MEMBERS, of_room(), whole_member()),
        (SELECT_MESSAGES, vec![room.clone(), number(50)], whole_message()),
        (
            SELECT_CHANNEL_MESSAGES,
            vec![room.clone(), channel.clone(), earlier, number(50)],
            whole_message(),
        ),
        (
            SELECT_FILE,
            vec![id("file")],
            Answer::Row("files", vec![("size", number(4)), ("content", blob)]),
        ),
        (COUNT_MEMBERS, of_room(), Answer::Values(vec![number(1)])),
        (COUNT_MESSAGES, of_room(), Answer::Values(vec![number(1)])),
        (
            COUNT_DECISIONS,
            of_room(),
            Answer::Values(vec![number(1), number(1), number(0)]),
        ),
        (
            COUNT_TASKS,
            of_room(),
            Answer::Values(vec![number(0), Value::Null]),
        ),
        (COUNT_FILES, of_room(), Answer::Values(vec![number(1), number(4)])),
        (COUNT_CODE_EXECUTIONS, of_room(), Answer::Values(vec![number(0)])),
        (COUNT_CHANNELS, of_room(), Answer::Values(vec![number(0)])),
    ]
}

fn check(connection: &Connection, sql: &str, values: Vec<Value>, answer: Answer) -> Result<(), String> {
    let text = |error: rusqlite::Error| error.to_string();
    let mut statement = connection.prepare(sql).map_err(text)?;
    if let Answer::Changed(expected) = answer {
        let changed = statement.execute(params_from_iter(values)).map_err(text)?;
        return if changed == expected {
            Ok(())
        } else {
            Err(format!("changed {changed} rows"))
        };
    }
    let width = statement.column_count();
    let mut rows = statement.query(params_from_iter(values)).map_err(text)?;
    let row = rows.next().map_err(text)?.ok_or("found no row")?;
    match answer {
        // Handled above; a changed count needs no row.
        Answer::Changed(_) => {}
        Answer::Values(expected) => {
            let found = (0..width)
                .map(|index| row.get(index))
                .collect::<rusqlite::Result<Vec<Value>>>();
            let found = found.map_err(text)?;
            if found != expected {
                return Err(format!("gave {found:?} instead of {expected:?}"));
            }
        }
        Answer::Row(table, expected) => {
            has_columns(row, table)?;
            for (column, value) in expected {
                let found: Value = row.get(column).map_err(text)?;
                if found != value {
                    return Err(format!("{column} is {found:?} instead of {value:?}"));
                }
            }
            if rows.next().map_err(text)?.is_some() {
                return Err("found a second row".to_owned());
            }
        }
        Answer::Rows(table) => {
            has_columns(row, table)?;
            while rows.next().map_err(text)?.is_some() {}
        }
    }
    Ok(())
}

/// The server reads rows into a dictionary: each column of 1.0.0 must be there by name.
fn has_columns(row: &rusqlite::Row<'_>, table: &str) -> Result<(), String> {
    for column in columns_of(table) {
        row.get_ref(*column).map_err(|error| error.to_string())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TestDatabase;

    #[test]
    fn a_round_has_every_statement_once() {
        let round: Vec<&str> = round_of("x").iter().map(|(sql, ..)| *sql).collect();
        assert_eq!(round, STATEMENTS);
    }

    #[test]
    fn the_server_works_on_databases_of_its_own_release() {
        for database in [
            TestDatabase::nothing(),
            TestDatabase::fresh_1_0_0(),
            TestDatabase::nasty(1),
        ] {
            for _ in 0..2 {
                run_statements_once(&database.path()).unwrap();
            }
        }
    }

    #[test]
    fn a_schema_that_breaks_the_server_is_noticed() {
        for (change, complaint) in [
            (
                "ALTER TABLE members RENAME COLUMN contributions TO given",
                "contributions",
            ),
            ("ALTER TABLE files DROP COLUMN content_type", "content_type"),
            (
                "ALTER TABLE messages ADD COLUMN x TEXT NOT NULL DEFAULT '' CHECK (x <> '')",
                "CHECK",
            ),
            (
                "CREATE TRIGGER t AFTER INSERT ON messages BEGIN UPDATE messages SET text = upper(text) WHERE id = new.id; END",
                "text is",
            ),
            (
                "CREATE TRIGGER t BEFORE INSERT ON votes BEGIN SELECT RAISE(IGNORE); END",
                "changed 0 rows",
            ),
        ] {
            let database = TestDatabase::fresh_1_0_0();
            database.execute(change);
            let error = run_statements_once(&database.path()).unwrap_err();
            assert!(error.contains(complaint), "{change}: {error}");
        }
    }
}
