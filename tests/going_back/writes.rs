//! Random writes, as old servers and new ones do them.

use rusqlite::params_from_iter;
use rusqlite::types::Value;
use support::random::{Random, hex_id};
use support::statements::{
    INSERT_DECISION, INSERT_FILE, INSERT_MEMBER, INSERT_MESSAGE, INSERT_ROOM, INSERT_VOTE,
    UPDATE_DECISION_RESULT, UPDATE_DECISION_TEXT,
};
use support::{TestDatabase, timestamps};

/// A write of a server.
#[derive(Debug)]
pub(crate) struct Write {
    /// The first version on which a server does this; 1 for what servers of 1.0.0 do.
    since: u32,
    sql: &'static str,
    values: Vec<Value>,
}

fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

const ROOMS: [&str; 5] = [
    "room",
    "Room",
    "",
    "nowhere",
    "it's a \"room\"; DROP TABLE rooms; -- 🎉",
];
const IDS: [&str; 9] = [
    "same",
    "SAME",
    "same ",
    "orphan",
    "chain-0000003",
    "ring-0000001",
    "time-003",
    "nobody",
    "text-nul",
];
const TEXTS: [&str; 5] = ["before\0after", "", "it's 'quoted' 🎉", "\u{1b}[31m", "naïve"];

/// As many writes as the seed says, none now and then.
pub(crate) fn random(random: &mut Random) -> Vec<Write> {
    let number = random.below(60);
    let seed = random.next_u64();
    (0..number).map(|index| write(random, seed, index)).collect()
}

fn write(random: &mut Random, seed: u64, index: u64) -> Write {
    let id = text(hex_id(seed, 7, index));
    let existing = text(random.pick(&IDS));
    let room = text(random.pick(&ROOMS));
    let words = text(random.pick(&TEXTS));
    let client = text(format!("claude-{}", random.below(4)));
    let time = text("2026-03-01T10:00:00.000001+00:00");
    let times: Vec<&str> = timestamps::all().collect();
    let some_time = random.pick(&times);
    let number = |random: &mut Random| Value::Integer(random.below(3) as i64);
    let (since, sql, values) = match random.below(18) {
        0 => (1, INSERT_ROOM, vec![room, words, time]),
        1 => (1, INSERT_ROOM, vec![id, words, time]),
        2 => (
            1,
            INSERT_MEMBER,
            vec![room, client, text("coder"), time, Value::Real(1.5)],
        ),
        3 => (
            1,
            INSERT_DECISION,
            vec![id, room, words, client, time, text("veto"), Value::Null],
        ),
        4 => (
            1,
            INSERT_VOTE,
            vec![existing, client, number(random), number(random), time],
        ),
        5 => (
            1,
            UPDATE_DECISION_RESULT,
            vec![number(random), number(random), text("d")],
        ),
        6 => (1, UPDATE_DECISION_TEXT, vec![words, text("D")]),
        7 => (
            1,
            INSERT_FILE,
            vec![
                id,
                room,
                words,
                client,
                time,
                number(random),
                Value::Null,
                text("main"),
                Value::Blob(random.bytes(100)),
            ],
        ),
        8..=10 => {
            let id = if random.percent(20) { Value::Null } else { id };
            let reply = match random.below(3) {
                0 => Value::Null,
                1 => existing,
                _ => text(hex_id(seed, 7, random.below(60))),
            };
            let kind = text(random.pick(&["question", "message"]));
            (
                1,
                INSERT_MESSAGE,
                vec![
                    id,
                    room,
                    client,
                    words,
                    text(some_time),
                    kind,
                    text("main"),
                    reply,
                ],
            )
        }
        11 => (
            1,
            "UPDATE messages SET text = ? WHERE id = ?",
            vec![words, existing],
        ),
        12 => (1, "DELETE FROM messages WHERE id = ?", vec![existing]),
        13 => (
            1,
            "UPDATE messages SET timestamp = ? WHERE id = ?",
            // Another day: who writes just what V005 made of the old value cannot be told from V005.
            vec![text(some_time.replace("02-22", "02-23")), existing],
        ),
        14 => (
            2,
            "UPDATE rooms SET preferences = ? WHERE room_id = ?",
            vec![words, room],
        ),
        15 => (
            3,
            "UPDATE members SET metadata = ? WHERE client_id = ?",
            vec![words, client],
        ),
        16 => (
            8,
            "INSERT OR IGNORE INTO reactions (message_id, client_id, emoji, created_at) VALUES (?, ?, '👍', ?)",
            vec![existing, client, time],
        ),
        _ => (
            9,
            "UPDATE messages SET deleted_at = ? WHERE id = ?",
            vec![time, existing],
        ),
    };
    Write { since, sql, values }
}

/// Does the writes that a server of `version` does, each on a connection of its own, as the server.
pub(crate) fn perform(database: &TestDatabase, writes: &[Write], version: u32) {
    for write in writes.iter().filter(|write| write.since <= version) {
        database
            .connect()
            .execute(write.sql, params_from_iter(&write.values))
            .unwrap_or_else(|error| panic!("{write:?}: {error}"));
    }
    if version >= 4 && !writes.is_empty() {
        // A token that only a new server knows.
        database.execute(
            "INSERT OR IGNORE INTO auth_tokens VALUES (hex(zeroblob(32)), 'only here', '2026-03-01', NULL)",
        );
    }
}
