//! What becomes of messages while old and new servers write them: threads and revisions.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use bridge_migrate::catalog;
use bridge_migrate::timestamps::is_normal_form;
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
            "SELECT sql FROM sqlite_schema WHERE name = 'messages_keep_edited'",
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

#[test]
fn messages_without_an_id_are_edited_and_deleted_as_ever() {
    let connection = database();
    say(&connection, "INSERT", None, None);
    connection
        .execute("UPDATE messages SET text = 'second'", [])
        .unwrap();
    connection
        .execute("UPDATE messages SET deleted_at = 'then'", [])
        .unwrap();
    let found: (String, bool, u32) = connection
        .query_row(
            "SELECT text, edited_at IS NOT NULL, (SELECT count(*) FROM message_revisions) FROM messages",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .unwrap();
    assert_eq!(found, ("second".to_owned(), true, 0));
}

#[test]
fn reactions_and_revisions_go_with_their_message_where_foreign_keys_are_on() {
    let connection = database();
    connection.pragma_update(None, "foreign_keys", true).unwrap();
    connection
        .execute(
            "INSERT INTO rooms (room_id, topic, created_at) VALUES ('r', 't', 'now')",
            [],
        )
        .unwrap();
    say(&connection, "INSERT", Some("m"), None);
    connection
        .execute("UPDATE messages SET text = 'second'", [])
        .unwrap();
    connection
        .execute("INSERT INTO reactions VALUES ('m', 'c', '+1', 'now')", [])
        .unwrap();
    connection.execute("DELETE FROM messages", []).unwrap();
    let left: u32 = connection
        .query_row(
            "SELECT (SELECT count(*) FROM reactions) + (SELECT count(*) FROM message_revisions)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(left, 0);
}

#[test]
fn a_revision_is_an_edit_or_a_deletion() {
    let connection = database();
    let error = connection
        .execute(
            "INSERT INTO message_revisions VALUES ('m', 1, 't', NULL, 'now', 'other')",
            [],
        )
        .unwrap_err();
    assert!(error.to_string().contains("message_revisions_change"), "{error}");
}
