//! What becomes of messages while old and new servers write them: threads and revisions.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use bridge_migrate::{catalog, timestamps::is_normal_form};
use rusqlite::{Connection, params};

fn database() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    for migration in catalog().unwrap().migrations() {
        connection.execute_batch(&migration.up).unwrap();
    }
    connection
}

/// Writes a message with the statement that the server of 1.0.0 uses.
fn say(connection: &Connection, verb: &str, id: Option<&str>, reply_to: Option<&str>) {
    let insert = format!(
        "{verb} INTO messages (id, room_id, from_client, text, timestamp, type, channel, reply_to)
         VALUES (?1, 'r', 'c', 'hello', '2026-02-22T15:30:45+00:00', 'message', 'main', ?2)"
    );
    connection.execute(&insert, params![id, reply_to]).unwrap();
}

fn thread(connection: &Connection, id: &str) -> Option<String> {
    connection
        .query_row("SELECT thread_id FROM messages WHERE id = ?1", [id], |row| {
            row.get(0)
        })
        .unwrap()
}

/// `change text` of each revision of a message, oldest first.
fn revisions(connection: &Connection, id: &str) -> Vec<String> {
    connection
        .prepare("SELECT revision || ' ' || change || ' ' || text FROM message_revisions WHERE message_id = ?1 ORDER BY revision")
        .unwrap()
        .query_map([id], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

fn text_of(connection: &Connection, column: &str, id: &str) -> Option<String> {
    connection
        .query_row(
            &format!("SELECT {column} FROM messages WHERE id = ?1"),
            [id],
            |row| row.get(0),
        )
        .unwrap()
}

#[test]
fn replies_join_the_thread_of_what_they_answer() {
    let connection = database();
    for verb in ["INSERT", "INSERT OR IGNORE", "INSERT OR REPLACE"] {
        connection.execute("DELETE FROM messages", []).unwrap();
        say(&connection, verb, Some("root"), None);
        say(&connection, verb, Some("reply"), Some("root"));
        say(&connection, verb, Some("reply to reply"), Some("reply"));
        say(&connection, verb, Some("to nobody"), Some("gone"));
        say(&connection, verb, Some("to itself"), Some("to itself"));
        let threads = ["root", "reply", "reply to reply", "to nobody", "to itself"]
            .map(|id| thread(&connection, id).unwrap());
        assert_eq!(
            threads,
            ["root", "root", "root", "to nobody", "to itself"],
            "{verb}"
        );
    }
}

#[test]
fn a_reply_to_a_message_without_a_thread_waits_for_the_backfill() {
    let connection = database();
    say(&connection, "INSERT", Some("old"), None);
    connection
        .execute("UPDATE messages SET thread_id = NULL", [])
        .unwrap();
    say(&connection, "INSERT", Some("new"), Some("old"));
    assert_eq!(thread(&connection, "new"), None);
}

#[test]
fn a_message_without_an_id_joins_a_thread_but_begins_none() {
    let connection = database();
    say(&connection, "INSERT", Some("root"), None);
    say(&connection, "INSERT", None, Some("root"));
    say(&connection, "INSERT", None, None);
    let threads: Vec<Option<String>> = connection
        .prepare("SELECT thread_id FROM messages WHERE id IS NULL ORDER BY rowid")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(threads, [Some("root".to_owned()), None]);
}

#[test]
fn a_thread_that_the_writer_names_stays() {
    let connection = database();
    connection
        .execute(
            "INSERT INTO messages (id, room_id, from_client, text, timestamp, thread_id) VALUES ('m', 'r', 'c', 't', 'now', 'x')",
            [],
        )
        .unwrap();
    assert_eq!(thread(&connection, "m").as_deref(), Some("x"));
}

#[test]
fn the_index_serves_looking_a_thread_up() {
    let connection = database();
    let plan: String = connection
        .query_row(
            "EXPLAIN QUERY PLAN SELECT * FROM messages WHERE thread_id = ?1",
            ["x"],
            |row| row.get(3),
        )
        .unwrap();
    assert!(plan.contains("USING INDEX idx_messages_thread"), "{plan}");
}

#[test]
fn an_edit_keeps_the_old_text_and_says_when() {
    let connection = database();
    say(&connection, "INSERT", Some("m"), None);
    connection
        .execute("UPDATE messages SET text = 'second'", [])
        .unwrap();
    connection
        .execute("UPDATE messages SET text = 'third' WHERE id = 'm'", [])
        .unwrap();
    connection
        .execute("UPDATE messages SET text = 'third'", [])
        .unwrap();
    connection
        .execute("UPDATE messages SET channel = 'other'", [])
        .unwrap();
    assert_eq!(revisions(&connection, "m"), ["1 edit hello", "2 edit second"]);
    let edited_at = text_of(&connection, "edited_at", "m").unwrap();
    assert!(is_normal_form(&edited_at), "{edited_at}");
    let changed_at: String = connection
        .query_row("SELECT max(changed_at) FROM message_revisions", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert!(is_normal_form(&changed_at), "{changed_at}");
    assert_eq!(text_of(&connection, "thread_id", "m").as_deref(), Some("m"));
}

#[test]
fn every_millisecond_is_printed_in_the_normal_form() {
    let connection = database();
    let trigger: String = connection
        .query_row(
            "SELECT sql FROM sqlite_schema WHERE name = 'messages_mark_edited'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let (_, rest) = trigger.split_once("SET edited_at = ").unwrap();
    let (expression, _) = rest.split_once('\n').unwrap();
    for (time, printed) in [
        ("2026-02-22 15:30:45", "2026-02-22T15:30:45+00:00"),
        ("2026-02-22 15:30:45.120", "2026-02-22T15:30:45.120000+00:00"),
        ("2026-02-22 15:30:45.007", "2026-02-22T15:30:45.007000+00:00"),
    ] {
        let select = format!("SELECT {}", expression.replace("'now'", "?1"));
        let found: String = connection.query_row(&select, [time], |row| row.get(0)).unwrap();
        assert_eq!(found, printed);
    }
}

#[test]
fn the_writer_may_say_itself_when_it_edited() {
    let connection = database();
    say(&connection, "INSERT", Some("m"), None);
    connection
        .execute("UPDATE messages SET text = 'second', edited_at = 'then'", [])
        .unwrap();
    assert_eq!(text_of(&connection, "edited_at", "m").as_deref(), Some("then"));
}

#[test]
fn a_deletion_keeps_the_text_once_even_when_it_blanks_it() {
    let connection = database();
    say(&connection, "INSERT", Some("kept"), None);
    say(&connection, "INSERT", Some("blanked"), None);
    connection
        .execute("UPDATE messages SET deleted_at = 'then' WHERE id = 'kept'", [])
        .unwrap();
    connection
        .execute("UPDATE messages SET deleted_at = 'later' WHERE id = 'kept'", [])
        .unwrap();
    connection
        .execute(
            "UPDATE messages SET deleted_at = 'then', text = '' WHERE id = 'blanked'",
            [],
        )
        .unwrap();
    assert_eq!(revisions(&connection, "kept"), ["1 delete hello"]);
    assert_eq!(revisions(&connection, "blanked"), ["1 delete hello"]);
    assert_eq!(text_of(&connection, "edited_at", "blanked"), None);
    connection
        .execute(
            "UPDATE messages SET text = 'again', deleted_at = NULL WHERE id = 'blanked'",
            [],
        )
        .unwrap();
    assert_eq!(revisions(&connection, "blanked"), ["1 delete hello", "2 edit "]);
}

/// Statements of all kinds over messages, in an order in which each finds something; most of them change text.
const STATEMENTS: &[&str] = &[
    "INSERT INTO messages (rowid, id, room_id, from_client, text, timestamp) VALUES \
     (1, 'a', 'r', 'c', 'a1', 'now'), (2, 'b', 'r', 'c', 'b1', 'now'), (3, NULL, 'r', 'c', 'null1', 'now'), \
     (4, NULL, 'r', 'c', 'null2', 'now'), (5, 'e', 'r', 'c', 'e1', 'now'), (6, '7', 'r', 'c', '7a', 'now'), \
     (7, 'g', 'r', 'c', x'6731', 'now'), (8, 'h', 'r', 'c', '', 'now'), (9, 'i', 'r', 'c', 'i1', 'now')",
    "INSERT INTO reactions VALUES ('a', 'c', '+1', 'now')",
    "INSERT OR REPLACE INTO messages (id, room_id, from_client, text, timestamp) VALUES ('a', 'r', 'c', 'a2', 'now')",
    "REPLACE INTO messages (id, room_id, from_client, text, timestamp) VALUES ('a', 'r', 'c', 'a3', 'now')",
    "REPLACE INTO messages (id, room_id, from_client, text, timestamp) VALUES (7, 'r', 'c', '7b', 'now')",
    "REPLACE INTO messages (rowid, id, room_id, from_client, text, timestamp) VALUES (2, 'e', 'r', 'c', 'e2', 'now')",
    "REPLACE INTO messages (rowid, id, room_id, from_client, text, timestamp) VALUES (3, 'x', 'r', 'c', 'x1', 'now')",
    "REPLACE INTO messages (id, room_id, from_client, text, timestamp) \
     SELECT id, room_id, from_client, text || ' again', timestamp FROM messages",
    "INSERT INTO messages (id, room_id, from_client, text, timestamp) VALUES ('a', 'r', 'c', 'a4', 'now') \
     ON CONFLICT (id) DO UPDATE SET text = excluded.text",
    "UPDATE messages SET text = text || ' edited'",
    "UPDATE OR REPLACE messages SET id = 'x' WHERE id = 'a'",
    "UPDATE OR REPLACE messages SET rowid = (SELECT rowid FROM messages WHERE id = 'i'), text = 'e5' WHERE id = 'e'",
    "UPDATE messages SET id = 'renamed', text = 'x6' WHERE id = 'x'",
    "UPDATE OR IGNORE messages SET text = text || ' ignoring'",
    "UPDATE messages SET deleted_at = 'now', text = '' WHERE id = 'renamed'",
    "UPDATE messages SET text = 'said after all' WHERE id = 'renamed'",
    "DELETE FROM messages WHERE id = 'g'",
    "INSERT INTO messages (id, room_id, from_client, text, timestamp) VALUES ('g', 'r', 'c', 'g3', 'now')",
    "UPDATE OR REPLACE messages SET rowid = rowid + 1",
    "DELETE FROM messages",
];

fn with_a_room(connection: &Connection) {
    connection
        .execute(
            "INSERT INTO rooms (room_id, topic, created_at) VALUES ('r', 't', 'now')",
            [],
        )
        .unwrap();
}

fn texts(connection: &Connection, table: &str) -> Vec<rusqlite::types::Value> {
    connection
        .prepare(&format!("SELECT text FROM {table}"))
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

fn count(connection: &Connection, table: &str) -> u32 {
    connection
        .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))
        .unwrap()
}

#[test]
fn every_text_that_was_committed_is_in_a_message_or_in_its_revisions() {
    for (foreign_keys, recursive_triggers) in [(false, false), (true, false), (false, true), (true, true)] {
        let connection = database();
        with_a_room(&connection);
        connection
            .pragma_update(None, "foreign_keys", foreign_keys)
            .unwrap();
        connection
            .pragma_update(None, "recursive_triggers", recursive_triggers)
            .unwrap();
        let mut committed = Vec::new();
        for statement in STATEMENTS {
            let before = texts(&connection, "messages");
            connection.execute(statement, []).unwrap();
            assert!(
                statement.contains("reactions") || texts(&connection, "messages") != before,
                "{statement}"
            );
            committed.extend(texts(&connection, "messages"));
            let mut kept = texts(&connection, "messages");
            kept.extend(texts(&connection, "message_revisions"));
            for text in &committed {
                assert!(kept.contains(text), "{text:?} is lost after {statement}");
            }
        }
        assert_eq!(count(&connection, "messages"), 0);
        // Where foreign keys are on, reactions go with the row that a client reacted to.
        assert_eq!(count(&connection, "reactions"), u32::from(!foreign_keys));
    }
}

/// The servers are Python programs, with the SQLite of their machines.
#[test]
fn every_text_is_kept_by_the_sqlite_of_python() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("collab.db");
    let script = "
import json, shutil, sqlite3, sys
path, statements = sys.argv[1], json.loads(sys.argv[2])
for foreign_keys in (0, 1):
    shutil.copy(path, path + '.copy')
    c = sqlite3.connect(path + '.copy', isolation_level=None)
    c.execute(f'PRAGMA foreign_keys = {foreign_keys}')
    texts = lambda table: {row[0] for row in c.execute(f'SELECT text FROM {table}')}
    committed = set()
    for statement in statements:
        c.execute(statement)
        committed |= texts('messages')
        lost = committed - texts('messages') - texts('message_revisions')
        assert not lost, (foreign_keys, statement, lost)
    assert len(committed) > 20 and not texts('messages')
    c.close()
";
    let connection = database();
    with_a_room(&connection);
    connection
        .execute("VACUUM INTO ?1", [path.to_str().unwrap()])
        .unwrap();
    let statements = serde_json::to_string(STATEMENTS).unwrap();
    let Ok(output) = std::process::Command::new("python3")
        .args(["-c", script, path.to_str().unwrap(), &statements])
        .output()
    else {
        return;
    };
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() || error.contains("No module named"),
        "{error}"
    );
}

#[test]
fn what_a_statement_did_not_change_leaves_no_revision() {
    let connection = database();
    for id in ["a", "b"] {
        say(&connection, "INSERT", Some(id), None);
    }
    let again =
        "INTO messages (id, room_id, from_client, text, timestamp) VALUES ('a', 'r', 'c', 'other', 'now')";
    for (statement, works) in [
        (format!("INSERT OR IGNORE {again}"), true),
        (format!("INSERT {again} ON CONFLICT DO NOTHING"), true),
        (format!("INSERT {again}"), false),
        (format!("INSERT OR FAIL {again}"), false),
        (format!("INSERT OR ABORT {again}"), false),
        ("UPDATE messages SET id = 'b' WHERE id = 'a'".to_owned(), false),
        (
            "UPDATE OR IGNORE messages SET id = 'b' WHERE id = 'a'".to_owned(),
            true,
        ),
        (
            "UPDATE messages SET text = text, channel = 'other', rowid = rowid + 7 WHERE id = 'b'".to_owned(),
            true,
        ),
        (
            "REPLACE INTO messages (id, room_id, from_client, text, timestamp) VALUES ('a', 'r', 'c', 'hello', 'now')"
                .to_owned(),
            true,
        ),
    ] {
        assert_eq!(connection.execute(&statement, []).is_ok(), works, "{statement}");
        assert_eq!(count(&connection, "message_revisions"), 0, "{statement}");
        assert_eq!(
            texts(&connection, "messages"),
            ["hello", "hello"].map(|text| text.to_owned().into())
        );
    }
}

#[test]
fn each_change_is_called_what_it_is_and_stands_under_the_id_of_then() {
    let connection = database();
    say(&connection, "INSERT", Some("m"), None);
    say(&connection, "INSERT", None, None);
    for statement in [
        "UPDATE messages SET text = 'second' WHERE id = 'm'",
        "REPLACE INTO messages (id, room_id, from_client, text, timestamp) VALUES ('m', 'r', 'c', 'third', 'now')",
        "UPDATE messages SET deleted_at = 'then' WHERE id = 'm'",
        "UPDATE messages SET id = 'n' WHERE id = 'm'",
        "DELETE FROM messages WHERE id = 'n'",
        "UPDATE messages SET text = 'nameless' WHERE id IS NULL",
        "DELETE FROM messages",
    ] {
        assert_eq!(connection.execute(statement, []).unwrap(), 1, "{statement}");
    }
    assert_eq!(
        revisions(&connection, "m"),
        [
            "1 edit hello",
            "2 replace second",
            "3 delete third",
            "4 edit third"
        ]
    );
    assert_eq!(revisions(&connection, "n"), ["1 remove third"]);
    let nameless: String = connection
        .query_row(
            "SELECT group_concat(revision || ' ' || change || ' ' || text, ', ') FROM message_revisions \
             WHERE message_id IS NULL",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(nameless, "1 edit hello, 2 remove nameless");
}

#[test]
fn text_that_a_trigger_of_the_operators_writes_is_kept_too() {
    let connection = database();
    connection
        .execute_batch(
            "CREATE TRIGGER mine AFTER UPDATE OF edited_at ON messages BEGIN \
             UPDATE messages SET text = text || '!' WHERE rowid = NEW.rowid; END",
        )
        .unwrap();
    say(&connection, "INSERT", Some("m"), None);
    connection
        .execute("UPDATE messages SET text = 'second'", [])
        .unwrap();
    assert_eq!(text_of(&connection, "text", "m").as_deref(), Some("second!"));
    assert_eq!(revisions(&connection, "m"), ["1 edit hello", "2 edit second"]);
}

#[test]
fn a_revision_says_by_what_change_it_came() {
    let connection = database();
    let error = connection
        .execute(
            "INSERT INTO message_revisions VALUES ('m', 1, 't', NULL, 'now', 'other')",
            [],
        )
        .unwrap_err();
    assert!(error.to_string().contains("message_revisions_change"), "{error}");
}
