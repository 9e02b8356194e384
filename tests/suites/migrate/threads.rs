//! V007 fills the thread of every message: the id at the root of its reply chain.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rusqlite::types::Value;
use support::{Nasty, Population, TestDatabase};

use crate::common::json;

/// A value as SQLite compares it: text and blob with the same bytes differ.
type Key = (bool, Vec<u8>);

fn key(value: Value) -> Option<Key> {
    match value {
        Value::Null => None,
        Value::Text(text) => Some((false, text.into_bytes())),
        Value::Blob(bytes) => Some((true, bytes)),
        other => panic!("{other:?} in a TEXT column"),
    }
}

/// Id, reply_to and thread_id of each message, as text or blob of raw bytes.
fn messages(database: &TestDatabase) -> Vec<[Option<Key>; 3]> {
    let connection = database.connect_read_only();
    // As blobs, since not all texts are UTF-8.
    let sql = "SELECT typeof(id), CAST(id AS BLOB), typeof(reply_to), CAST(reply_to AS BLOB),
        typeof(thread_id), CAST(thread_id AS BLOB) FROM messages ORDER BY rowid";
    let mut select = connection.prepare(sql).unwrap();
    let rows = select.query_map([], |row| {
        let one = |index: usize| -> rusqlite::Result<Option<Key>> {
            let kind: String = row.get(index)?;
            Ok(key(row.get(index + 1)?).map(|(_, bytes)| (kind == "blob", bytes)))
        };
        Ok([one(0)?, one(2)?, one(4)?])
    });
    rows.unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

/// The root, found one message at a time.
fn root_of(start: &Key, replies: &BTreeMap<Key, Option<Key>>) -> Key {
    let (mut at, mut path) = (start.clone(), vec![start.clone()]);
    loop {
        let next = match &replies[&at] {
            Some(next) if replies.contains_key(next) => next.clone(),
            _ => return at,
        };
        if let Some(position) = path.iter().position(|seen| *seen == next) {
            return path[position..].iter().min().unwrap().clone();
        }
        path.push(next.clone());
        at = next;
    }
}

fn assert_threads(database: &TestDatabase) {
    let messages = messages(database);
    let replies: BTreeMap<Key, Option<Key>> = messages
        .iter()
        .filter_map(|[id, reply, _]| Some((id.clone()?, reply.clone())))
        .collect();
    let mut roots = BTreeMap::new();
    for [id, reply, thread] in &messages {
        let expected = match (id, reply) {
            (Some(id), _) => Some(root_of(id, &replies)),
            // A message without an id is in the thread of what it replies to, and begins none.
            (None, Some(reply)) if replies.contains_key(reply) => Some(root_of(reply, &replies)),
            (None, _) => None,
        };
        assert_eq!(*thread, expected, "{id:?} replies to {reply:?}");
        *roots.entry(expected).or_insert(0) += 1;
    }
    assert!(roots.len() > 1);
}

#[test]
fn every_message_is_in_the_thread_of_its_root() {
    for database in [
        TestDatabase::populated(41),
        TestDatabase::with(&Population {
            seed: 42,
            replies: 95,
            dangling: 30,
            ..Population::of_messages(500)
        }),
        TestDatabase::with_nasty(&Nasty {
            seed: 43,
            chain: 300,
            ..Nasty::default()
        }),
    ] {
        json(&database, &["migrate", "--no-backup"]);
        assert_threads(&database);
    }
}

#[test]
fn each_shape_has_the_root_that_the_issue_says() {
    let database = TestDatabase::fresh_1_0_0();
    database.execute(
        "INSERT INTO messages (id, reply_to, room_id, from_client, text, timestamp)
        SELECT column1, column2, 'r', 'c', 't', '2026-02-22T15:30:45+00:00' FROM (VALUES
            ('alone', NULL), ('reply', 'alone'), ('reply of reply', 'reply'),
            ('self', 'self'), ('of self', 'self'),
            ('b', 'a'), ('a', 'b'), ('into', 'b'),
            ('z3', 'z1'), ('z1', 'z2'), ('z2', 'z3'),
            ('dangling', 'gone'), ('of dangling', 'dangling'),
            ('late', 'later'), ('later', 'latest'), ('latest', NULL),
            (NULL, NULL), (NULL, 'reply'), (NULL, 'gone'))",
    );
    json(&database, &["migrate"]);
    assert_eq!(
        database.query_strings("SELECT id, thread_id FROM messages ORDER BY rowid"),
        [
            "alone|alone",
            "reply|alone",
            "reply of reply|alone",
            "self|self",
            "of self|self",
            "b|a",
            "a|a",
            "into|a",
            "z3|z1",
            "z1|z1",
            "z2|z1",
            "dangling|dangling",
            "of dangling|dangling",
            "late|latest",
            "later|latest",
            "latest|latest",
            "NULL|NULL",
            "NULL|alone",
            "NULL|NULL",
        ]
    );
}

#[test]
fn the_servers_new_messages_get_their_thread_at_once() {
    let database = TestDatabase::populated(44);
    json(&database, &["migrate"]);
    for (id, reply) in [
        ("n1", "NULL"),
        ("n2", "'n1'"),
        ("n3", "'n2'"),
        ("n4", "'nobody'"),
        ("n5", "'n5'"),
    ] {
        database.execute(&format!(
            "INSERT INTO messages (id, room_id, from_client, text, timestamp, type, channel, reply_to)
                VALUES ('{id}', 'r', 'c', 't', '2026-02-22T15:30:45+00:00', 'message', 'main', {reply})"
        ));
    }
    let sql = "SELECT id, thread_id FROM messages WHERE id GLOB 'n[1-5]' ORDER BY id";
    assert_eq!(
        database.query_strings(sql),
        ["n1|n1", "n2|n1", "n3|n1", "n4|n4", "n5|n5"]
    );
    assert_threads(&database);
}

#[test]
fn a_chain_of_a_hundred_thousand_replies_takes_linear_time() {
    let database = TestDatabase::fresh_1_0_0();
    // From the newest reply to the root, so that no message finds its root in front of it.
    database.execute(
        "PRAGMA synchronous = OFF;
        WITH RECURSIVE n(i) AS (SELECT 99999 UNION ALL SELECT i - 1 FROM n WHERE i > 0)
        INSERT INTO messages (id, reply_to, room_id, from_client, text, timestamp)
        SELECT printf('m%06d', i), iif(i = 0, NULL, printf('m%06d', i - 1)), 'r', 'c', 't',
            '2026-02-22T15:30:45+00:00' FROM n",
    );
    let started = Instant::now();
    json(&database, &["migrate", "--no-backup"]);
    let took = started.elapsed();
    assert_eq!(
        database.query_strings("SELECT thread_id, count(*) FROM messages GROUP BY 1"),
        ["m000000|100000"]
    );
    // Walking each chain anew would be five billion steps.
    assert!(took < Duration::from_secs(90), "{took:?}");
}
