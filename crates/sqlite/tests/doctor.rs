//! `doctor`: secrets and texts are planted everywhere, and none comes out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends so"
)]

mod common;

use bridge_migrate_core::{ErrorKind, Silent};
use bridge_migrate_sqlite::doctor::{gather, write};
use bridge_migrate_sqlite::{MigrateOptions, migrate};
use common::{Place, catalog};

/// The mark of everything planted. Also in what looks like a token, a time or a number.
const MARKS: [&str; 4] = ["s3cr3t", "S3CR3T", "5ec1e75ec1e7", "987654321"];

/// A database with texts of users in every place that a bundle could repeat.
fn planted() -> Place {
    let mut place = Place::new();
    let odd = place.folder.path().join("s3cr3t folder");
    std::fs::create_dir(&odd).unwrap();
    place.settings.database = odd.join("notes.db");
    place.settings.backup_dir = odd.join("s3cr3t backups");
    std::fs::create_dir(&place.settings.backup_dir).unwrap();
    place.settings.log_dir = odd.join("s3cr3t logs");
    place.settings.companion = odd.join("tokens.json");
    std::fs::write(
        &place.settings.companion,
        r#"{"tokens": {"s3cr3tAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA": {"client_id": "s3cr3t"}}}"#,
    )
    .unwrap();
    place
        .open()
        .execute_batch(
            "CREATE TABLE notes (id TEXT PRIMARY KEY, body TEXT NOT NULL, reply_to TEXT);
             CREATE VIEW theirs AS SELECT 's3cr3t' AS a, \"s3cr3t\" AS b, x'5ec1e75ec1e7' AS c, 987654321 AS d, body FROM notes
             WHERE body <> 's3cr3t' -- s3cr3t
             ;
             CREATE TABLE their_own (a TEXT DEFAULT 's3cr3t' CHECK (a <> 's3cr3t') /* s3cr3t */);
             INSERT INTO their_own VALUES ('s3cr3t-row');
             INSERT INTO notes VALUES ('s3cr3t-id', 's3cr3t body', NULL), ('s3cr3t-2', '#s3cr3t', 's3cr3t-id');
             CREATE TABLE schema_version (version TEXT PRIMARY KEY, applied_at TEXT NOT NULL, migration_file TEXT NOT NULL);
             INSERT INTO schema_version VALUES ('1.0.0', '2000-01-01', 's3cr3t');",
        )
        .unwrap();
    migrate(&catalog(), &place.settings, MigrateOptions::default(), &Silent).unwrap();
    place
}

/// What a person who meddles with the tool's own tables and files leaves behind.
fn meddled(place: &Place) {
    place
        .open()
        .execute_batch(
            "INSERT INTO schema_version VALUES ('s3cr3t', '2999 s3cr3t', 's3cr3t');
             UPDATE migration_runs SET command = 's3cr3t', host = 's3cr3t', tool = 'bridge-migrate s3cr3t', time_zone = 's3cr3t',
             backup = '/home/s3cr3t/s3cr3t.json', started_at = 's3cr3t', run = 's3cr3t!!';
             UPDATE migration_steps SET release = 's3cr3t', phase = 's3cr3t', down_sql = 's3cr3t', rollback = 's3cr3t',
             way_back = 'journal s3cr3t.s3cr3t', name = 's3cr3t', run = 's3cr3t!!', applied_at = 's3cr3t', fingerprint = 's3cr3t';
             UPDATE refinery_schema_history SET name = 's3cr3t' WHERE version = 2;
             UPDATE refinery_schema_history SET applied_on = 's3cr3t' WHERE version = 3;
             UPDATE migration_affected_records SET table_name = 's3cr3t', column_name = 's3cr3t', old_value = 's3cr3t';
             INSERT INTO migration_progress VALUES (4, 's3cr3t', 's3cr3t', 's3cr3t', 's3cr3t', 's3cr3t', 1, 1, 1, 1, 's3cr3t');
             CREATE TABLE more (x TEXT DEFAULT 's3cr3t');
             CREATE INDEX partial ON notes (body) WHERE body = 's3cr3t';
             CREATE TRIGGER t AFTER INSERT ON notes BEGIN INSERT INTO their_own VALUES ('s3cr3t'); END;
             ALTER TABLE notes ADD COLUMN extra TEXT DEFAULT 's3cr3t';",
        )
        .unwrap();
    let lock = format!("{}.migrate.lock", place.database().display());
    std::fs::write(
        lock,
        r#"{"pid":1,"host":"s3cr3t","since":"s3cr3t","command":"s3cr3t","tool":"s3cr3t"}"#,
    )
    .unwrap();
    std::fs::write(
        place.settings.log_dir.join("migration_29990101_000000_ffffffff.log"),
        concat!(
            r#"{"time":"2026-01-02T03:04:05Z","run":"00ff00ff","event":"row_skipped","version":3,"table":"s3cr3t","key":"s3cr3t","why":"s3cr3t"}"#, "\n",
            r#"{"time":"s3cr3t","run":"s3cr3t!!","event":"step_finished","version":3,"name":"s3cr3t","duration_ms":"s3cr3t","rows_changed":5}"#, "\n",
            r#"{"time":"2026-01-02T03:04:05Z","run":"00ff00ff","event":"warning","message":"s3cr3t"}"#, "\n",
            r#"{"time":"2026-01-02T03:04:05Z","run":"00ff00ff","event":"run_finished","version":4,"error":"s3cr3t"}"#, "\n",
            r#"{"time":"2026-01-02T03:04:05Z","run":"00ff00ff","event":"run_finished","version":4,"error":"corrupt"}"#, "\n",
            r#"{"event":"s3cr3t"}"#, "\n", "s3cr3t\n",
        ),
    )
    .unwrap();
}

fn bundle(place: &Place) -> String {
    let bundle = gather(&catalog(), &place.settings, &Silent).unwrap();
    let text = serde_json::to_string_pretty(&bundle).unwrap();
    for mark in MARKS {
        let found: Vec<&str> = text.lines().filter(|line| line.contains(mark)).collect();
        assert!(found.is_empty(), "{mark} came out: {found:#?}");
    }
    assert!(
        !text.contains(&*place.folder.path().to_string_lossy()),
        "a path came out"
    );
    text
}

#[test]
fn nothing_planted_comes_out_and_what_helps_does() {
    let place = planted();
    let text = bundle(&place);
    for helpful in [
        "create table notes(id text primary key, body text not null, reply_to text",
        "\"table\": \"their_own\"",
        "\"name\": \"note_threads\"",
        "\"event\": \"row_skipped\"",
        "\"rows_changed\": 1",
        "\"command\": \"migrate\"",
        "\"release\": \"1.1.0\"",
    ] {
        assert!(text.contains(helpful), "{helpful} is missing in {text}");
    }
    place
        .open()
        .execute_batch("CREATE VIEW drifted AS SELECT \"s3cr3t\" AS x, 's3cr3t' FROM notes")
        .unwrap();
    assert!(bundle(&place).contains("BV110"));
    meddled(&place);
    let text = bundle(&place);
    for helpful in ["BV120", "BV125", "\"error\": \"corrupt\"", "\"other_lines\": 2"] {
        assert!(text.contains(helpful), "{helpful} is missing in {text}");
    }
}

#[test]
fn a_damaged_database_gives_a_bundle_without_what_lay_on_its_pages() {
    let place = planted();
    let sound = std::fs::read(place.database()).unwrap();
    let size = usize::from(u16::from_be_bytes([sound[16], sound[17]]));
    let text: Vec<u8> = b"s3cr3t 's3cr3t' \"s3cr3t\" CREATE TABLE s3cr3t (s3cr3t);"
        .iter()
        .copied()
        .cycle()
        .take(size)
        .collect();
    for page in 0..sound.len() / size {
        for offset in [0, 100, size / 2] {
            let mut bytes = sound.clone();
            let start = page * size + offset;
            bytes[start..(page + 1) * size].copy_from_slice(&text[offset..]);
            std::fs::write(place.database(), &bytes).unwrap();
            bundle(&place);
        }
    }
}

#[test]
fn without_a_database_there_is_still_a_bundle() {
    let place = Place::new();
    let gathered = gather(&catalog(), &place.settings, &Silent).unwrap();
    assert!(gathered.database.is_none());
    assert_eq!(gathered.unreadable, Some(ErrorKind::Missing));
}

#[test]
fn the_file_appears_whole_for_its_owner_only_and_replaces_nothing() {
    let place = planted();
    let gathered = gather(&catalog(), &place.settings, &Silent).unwrap();
    let file = place.folder.path().join("bundle.json");
    write(&gathered, &file).unwrap();
    let value: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(value["format"], 1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(write(&gathered, &file).unwrap_err().kind(), ErrorKind::Usage);
}
