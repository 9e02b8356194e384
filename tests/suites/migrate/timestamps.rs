//! V005 answers what Python 3.11 answers, and leaves alone what Python cannot read.

use std::collections::BTreeMap;
use std::process::Command;

use chrono::{DateTime, NaiveDateTime, Utc};
use support::timestamps::{GARBAGE, NORMAL, OUT_OF_RANGE, WITH_OFFSET};
use support::{BridgeMigrate, TestDatabase, shell};

use crate::common::{json, refused};

/// Row by row: rowid and the timestamp with its storage class.
fn timestamps(database: &TestDatabase) -> Vec<String> {
    database.query_strings(
        "SELECT rowid, typeof(timestamp), hex(CAST(timestamp AS BLOB)), timestamp FROM messages ORDER BY rowid",
    )
}

/// Text → timestamp of the messages that stand for one text each.
fn by_text(database: &TestDatabase) -> BTreeMap<String, String> {
    let sql = "SELECT o.old, m.timestamp FROM messages m JOIN before_migration o ON o.id = m.id";
    let connection = database.connect_read_only();
    let mut select = connection.prepare(sql).unwrap();
    let pairs = select
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    pairs.collect::<rusqlite::Result<_>>().unwrap()
}

/// Keeps the old texts in a table of the operators' own.
fn remember(database: &TestDatabase) {
    database.execute(
        "CREATE TABLE before_migration AS SELECT id, timestamp AS old FROM messages
            WHERE id GLOB 'time-[0-9]*' AND typeof(timestamp) = 'text' AND hex(timestamp) NOT LIKE '%00%'",
    );
}

#[test]
fn an_ordinary_history_is_in_utc_afterwards() {
    let database = TestDatabase::populated(31);
    let sql = "SELECT timestamp FROM messages ORDER BY rowid";
    let before = database.query_strings(sql);
    let answer = json(&database, &["migrate"]);
    let expected: Vec<String> = before.iter().map(|text| in_utc(text)).collect();
    let after = database.query_strings(sql);
    for ((old, new), expected) in before.iter().zip(&after).zip(&expected) {
        assert_eq!(new, expected, "{old}");
    }
    let changed = before
        .iter()
        .zip(&expected)
        .filter(|(old, new)| old != new)
        .count();
    assert!(changed > 100);
    let step = &answer["applied"].as_array().unwrap()[3];
    assert_eq!(step["version"], 5);
    assert_eq!(step["rows_changed"], changed);
    let left = before.iter().filter(|text| is_no_time(text)).count();
    assert!(left > 0);
    assert_eq!(step["rows_skipped"], left);
}

/// What chrono makes of the forms in an ordinary history, printed as Python prints it.
fn in_utc(text: &str) -> String {
    let utc: DateTime<Utc> = match DateTime::parse_from_rfc3339(text) {
        Ok(time) => time.to_utc(),
        Err(_) => match NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f") {
            Ok(time) => time.and_utc(),
            Err(_) => return text.to_owned(),
        },
    };
    let form = if utc.timestamp_subsec_micros() == 0 {
        "%Y-%m-%dT%H:%M:%S+00:00"
    } else {
        "%Y-%m-%dT%H:%M:%S%.6f+00:00"
    };
    utc.format(form).to_string()
}

fn is_no_time(text: &str) -> bool {
    DateTime::parse_from_rfc3339(text).is_err()
        && NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").is_err()
}

#[test]
fn every_form_is_converted_or_left_as_it_is() {
    let database = TestDatabase::nasty(32);
    remember(&database);
    json(&database, &["migrate"]);
    let after = by_text(&database);
    for (text, expected) in WITH_OFFSET {
        assert_eq!(&after[*text], expected, "{text}");
    }
    for text in [NORMAL, OUT_OF_RANGE, GARBAGE].into_iter().flatten() {
        if let Some(found) = after.get(*text) {
            assert_eq!(found, text);
        }
    }
    // What is no text at all stays too.
    let others = "SELECT id, typeof(timestamp) FROM messages WHERE id IN
        ('time-blob', 'time-empty-blob', 'time-nul', 'time-not-utf8') ORDER BY id";
    assert_eq!(
        database.query_strings(others),
        [
            "time-blob|blob",
            "time-empty-blob|blob",
            "time-not-utf8|text",
            "time-nul|text"
        ]
    );
}

#[test]
fn the_answer_is_pythons_in_any_time_zone() {
    let Some(python) = shell::python3_11() else { return };
    let script = "
import sqlite3, sys
from datetime import datetime, timezone
def expected(text):
    try: return datetime.fromisoformat(text).astimezone(timezone.utc).isoformat()
    except (ValueError, OverflowError): return text
rows = sqlite3.connect(sys.argv[1]).execute(
    'SELECT o.old, m.timestamp FROM messages m JOIN before_migration o ON o.id = m.id').fetchall()
assert len(rows) > 100, len(rows)
for old, new in rows:
    if expected(old) != new: print(repr(old), repr(expected(old)), repr(new))
";
    for (asked, zone) in [
        ("UTC", "UTC"),
        ("Europe/Berlin", "Europe/Berlin"),
        ("America/New_York", "America/New_York"),
        ("Australia/Lord_Howe", "Australia/Lord_Howe"),
        ("Pacific/Apia", "Pacific/Apia"),
        ("local", ""),
        ("local", "CET-1CEST,M3.5.0,M10.5.0/3"),
        ("local", "<-0330>3:30"),
    ] {
        let database = TestDatabase::nasty(33);
        remember(&database);
        BridgeMigrate::new(&database)
            .timezone(asked)
            .env("TZ", zone)
            .args(["migrate", "--no-backup"])
            .run()
            .assert_code(0);
        let output = Command::new(&python)
            .env("TZ", zone)
            .arg("-c")
            .arg(script)
            .arg(database.path())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "in {zone}");
    }
}

#[test]
fn strict_refuses_beforehand_and_changes_nothing() {
    let database = TestDatabase::nasty(34);
    let (before, bytes) = (timestamps(&database), database.bytes_of_folder());
    let error = refused(&database, &["migrate", "--strict"], 1);
    assert_eq!(error["kind"], "not_convertible");
    let mut after = database.bytes_of_folder();
    after.remove(std::ffi::OsStr::new("collab.db.migrate.lock"));
    assert_eq!(after, bytes);
    assert_eq!(timestamps(&database), before);
    assert_eq!(json(&database, &["status"])["managed"], false);
}

#[test]
fn strict_goes_through_when_everything_converts() {
    let database = TestDatabase::fresh_1_0_0();
    database.execute(
        "INSERT INTO messages (id, room_id, from_client, text, timestamp) VALUES
            ('a', 'r', 'c', 't', '2026-02-22T15:30:45Z'), (NULL, 'r', 'c', 't', '2026-02-22 15:30')",
    );
    json(&database, &["migrate", "--strict"]);
    assert_eq!(
        database.query_strings("SELECT timestamp FROM messages ORDER BY rowid"),
        ["2026-02-22T15:30:45+00:00", "2026-02-22T15:30:00+00:00"]
    );
}

#[test]
fn the_rows_that_were_left_are_counted_and_named() {
    let database = TestDatabase::fresh_1_0_0();
    database.execute(
        "INSERT INTO messages (id, room_id, from_client, text, timestamp) VALUES
            ('odd one', 'r', 'c', 't', 'yesterday'), (NULL, 'r', 'c', 't', ''), ('fine', 'r', 'c', 't', '2026-02-22')",
    );
    let answer = json(&database, &["migrate"]);
    let skipped = answer["skipped"].as_array().unwrap();
    assert_eq!(skipped.len(), 2, "{answer}");
    assert_eq!(skipped[0]["table"], "messages");
    assert!(
        skipped
            .iter()
            .any(|row| row["key"].as_str().unwrap().contains("odd one")),
        "{answer}"
    );
    // The old value of each row that changed is kept, and of no other.
    assert_eq!(database.count("migration_affected_records"), 1);
}
