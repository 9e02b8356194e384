//! `verify`: what it finds, that it reads only, and that no damage makes it panic.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends so"
)]

mod common;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{collections::BTreeMap, path::Path};

use bridge_migrate_core::{Catalog, ErrorKind, Finding, Release, Severity, Silent, Target};
use bridge_migrate_sqlite::backup::{self, BackupFacts};
use bridge_migrate_sqlite::restore::{RestoreOptions, restore};
use bridge_migrate_sqlite::rollback::{RollbackOptions, Strategy, rollback};
use bridge_migrate_sqlite::undo::{UndoOptions, undo};
use bridge_migrate_sqlite::verify::{VerifyOptions, is_only_newer, verify};
use bridge_migrate_sqlite::{MigrateOptions, PlanOptions, migrate};
use common::{Place, catalog, migration, notes};
use rusqlite::{Connection, functions::FunctionFlags};

/// A database of 1.0.0 with rows, taken to the last release with a backup.
fn used() -> Place {
    let place = Place::new();
    let first = PlanOptions {
        target: Target::Version(2),
        ..PlanOptions::default()
    };
    let options = MigrateOptions {
        plan: first,
        ..MigrateOptions::default()
    };
    migrate(&catalog(), &place.settings, options, &Silent).unwrap();
    place
        .open()
        .execute_batch(
            "INSERT INTO notes (id, body, reply_to) VALUES ('a', 'one', NULL), ('b', 'two', 'a'), ('c', 'THREE', 'b');
             INSERT INTO notes (id, body) SELECT 'n' || value, hex(zeroblob(300)) || 'x' FROM
             (WITH RECURSIVE n(value) AS (VALUES (1) UNION ALL SELECT value + 1 FROM n LIMIT 60) SELECT value FROM n);",
        )
        .unwrap();
    migrate(&catalog(), &place.settings, MigrateOptions::default(), &Silent).unwrap();
    place
}

fn look(place: &Place) -> Vec<Finding> {
    look_with(&catalog(), place)
}

fn look_with(catalog: &Catalog, place: &Place) -> Vec<Finding> {
    let findings = verify(catalog, &place.settings, VerifyOptions::default(), &Silent).unwrap();
    let full = verify(catalog, &place.settings, VerifyOptions { full: true }, &Silent).unwrap();
    assert_eq!(
        codes(&findings),
        codes(&full),
        "only damage of indexes is seen by the full look alone"
    );
    findings
}

fn codes(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.code).collect()
}

fn lines(findings: &[Finding]) -> String {
    let line = |finding: &Finding| {
        format!(
            "{} {} {}: {}",
            finding.code, finding.severity, finding.subject, finding.message
        )
    };
    findings.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What `verify` says of a database after `sql`.
fn after(sql: &str) -> String {
    let place = used();
    place.open().execute_batch(sql).unwrap();
    lines(&look(&place))
}

#[test]
fn a_migrated_database_has_no_finding() {
    assert_eq!(lines(&look(&used())), "");
}

#[test]
fn an_index_that_only_the_application_can_order_is_no_damage() {
    let place = used();
    let server = place.open();
    server
        .create_collation("ICU", |one: &str, other: &str| other.cmp(one))
        .unwrap();
    server
        .execute_batch(
            "CREATE TABLE words (word TEXT COLLATE ICU); CREATE INDEX by_word ON words (word);
             INSERT INTO words VALUES ('a'), ('b'), ('c');",
        )
        .unwrap();
    drop(server);
    let settings = &place.settings;
    for (full, expected) in [(false, &[][..]), (true, &["BV104"][..])] {
        let found = verify(&catalog(), settings, VerifyOptions { full }, &Silent).unwrap();
        let of_index: Vec<&str> = codes(&found)
            .into_iter()
            .filter(|code| code.starts_with("BV10"))
            .collect();
        assert_eq!(of_index, expected, "{}", lines(&found));
    }
    let made = backup::create(settings, &BackupFacts::default(), &Silent).unwrap();
    assert_eq!(made.manifest.database.contents.tables.get("words"), Some(&3));
    place.open().execute_batch("DELETE FROM notes").unwrap();
    restore(settings, &made.backup, &RestoreOptions::default(), &Silent).unwrap();
    assert_ne!(place.strings("SELECT CAST(count(*) AS TEXT) FROM notes"), ["0"]);
}

/// A view, a CHECK, indexes, a generated column and a trigger that only the application's own SQLite can compute.
#[test]
fn functions_and_orders_that_only_the_application_has_are_no_damage() {
    let place = Place::new();
    let first = MigrateOptions {
        plan: PlanOptions {
            target: Target::Version(2),
            ..PlanOptions::default()
        },
        ..MigrateOptions::default()
    };
    migrate(&catalog(), &place.settings, first, &Silent).unwrap();
    let server = place.open();
    server
        .create_collation("ICU", |one: &str, other: &str| other.cmp(one))
        .unwrap();
    server
        .create_scalar_function(
            "shout",
            1,
            FunctionFlags::SQLITE_UTF8
                | FunctionFlags::SQLITE_DETERMINISTIC
                | FunctionFlags::SQLITE_INNOCUOUS,
            |values| Ok(values.get::<String>(0)?.to_uppercase()),
        )
        .unwrap();
    server
        .execute_batch(
            "CREATE VIEW loud AS SELECT shout(body) FROM notes;
             CREATE TABLE words (word TEXT CHECK (shout(word) = word), again TEXT NOT NULL AS (shout(word)));
             CREATE INDEX by_word ON words (shout(word)); INSERT INTO words VALUES ('A'), ('B');
             CREATE TABLE names (name TEXT COLLATE ICU PRIMARY KEY) WITHOUT ROWID; INSERT INTO names VALUES ('x');
             CREATE INDEX by_parent ON notes (reply_to COLLATE ICU); INSERT INTO notes (id, body) VALUES ('a', 'one');
             CREATE TRIGGER louder AFTER INSERT ON words WHEN shout(new.word) = 'C' BEGIN SELECT 1; END;",
        )
        .unwrap();
    drop(server);
    let settings = &place.settings;
    for full in [false, true] {
        let found = verify(&catalog(), settings, VerifyOptions { full }, &Silent).unwrap();
        let of_pages: Vec<&str> = codes(&found)
            .into_iter()
            .filter(|code| code.starts_with("BV10"))
            .collect();
        assert_eq!(of_pages, ["BV104"], "{}", lines(&found));
    }
    let made = backup::create(settings, &BackupFacts::default(), &Silent).unwrap();
    assert_eq!(made.manifest.database.contents.tables.get("names"), Some(&1));
    assert_eq!(backup::verify(settings, &made.backup, true, &Silent).unwrap(), []);
    let allowed = MigrateOptions {
        without_backup: true,
        allow_drift: true,
        ..MigrateOptions::default()
    };
    migrate(&catalog(), settings, allowed, &Silent).unwrap();
    restore(settings, &made.backup, &RestoreOptions::default(), &Silent).unwrap();
    assert_eq!(place.strings("SELECT id FROM notes NOT INDEXED"), ["a"]);
}

#[test]
fn drift_shows_what_is_expected_and_what_is_there() {
    insta::assert_snapshot!(after("CREATE INDEX theirs ON notes (body); ALTER TABLE notes ADD COLUMN more TEXT DEFAULT 'x'"), @"
    BV110 error notes.more: notes: column more is not expected
      + more text default 'x'
    BV110 error theirs: theirs: index on notes is not expected
      + create index theirs on notes(body)
    ");
}

#[test]
fn what_adoption_accepted_is_no_drift() {
    let place = Place::new();
    place
        .open()
        .execute_batch(
            "CREATE TABLE notes (id TEXT PRIMARY KEY, body TEXT NOT NULL, reply_to TEXT);
             CREATE VIEW theirs AS SELECT 'x' FROM notes;",
        )
        .unwrap();
    insta::assert_snapshot!(lines(&look(&place)), @"BV111 note database: it is not managed yet; its schema is that of 1.0.0 (V001)");
    migrate(&catalog(), &place.settings, MigrateOptions::default(), &Silent).unwrap();
    assert_eq!(lines(&look(&place)), "");
}

#[test]
fn a_database_of_another_application_is_not_recognised() {
    let place = Place::new();
    place.open().execute_batch("CREATE TABLE other (x)").unwrap();
    assert_eq!(codes(&look(&place)), ["BV112"]);
}

#[test]
fn every_contradiction_of_the_history_is_named() {
    insta::assert_snapshot!(after("UPDATE refinery_schema_history SET checksum = '1' WHERE version = 2; UPDATE refinery_schema_history SET name = 'other' WHERE version = 3"), @"
    BV121 error V002: V002__note_threads was applied with other statements than this program has
    BV121 error V003: V003 was applied as `other` but is `shout` in this program
    BV125 error V003: its record has another name than the history
    ");
    insta::assert_snapshot!(after("UPDATE refinery_schema_history SET applied_on = 'yesterday' WHERE version = 1; UPDATE refinery_schema_history SET checksum = x'00' WHERE version = 2"), @"
    BV120 error refinery_schema_history row 1: its applied_on is not a time in RFC 3339
    BV120 error refinery_schema_history row 2: its checksum is not text
    ");
    insta::assert_snapshot!(after("DELETE FROM refinery_schema_history WHERE version = 2"), @"
    BV122 error V002: it was never applied, but V004 was
    BV124 error V002: migration_steps has a record of it, but the history does not
    ");
}

#[test]
fn records_that_are_missing_or_edited_are_named() {
    insta::assert_snapshot!(after("DELETE FROM migration_steps WHERE version = 3; UPDATE migration_steps SET down_sql = 'DROP TABLE notes', release = '9.9.9' WHERE version = 2"), @"
    BV124 error V003: it is in the history, but migration_steps has no record of it
    BV125 error V002: its record has another release than this program
    BV130 error migration_affected_records: 62 of its rows are of migration 3, which is not applied
    BV126 warning V002: the statements stored to take it back are not those of this program
    ");
    assert!(
        after("DROP TABLE migration_steps").contains("BV124 error migration_steps: the table is missing")
    );
    assert!(after("DELETE FROM migration_runs").contains("BV124 error V001: migration_runs has no record"));
    assert!(
        after("UPDATE migration_steps SET duration_ms = 'long' WHERE version = 1")
            .contains("BV120 error records"),
        "a record that cannot be read"
    );
}

#[test]
fn schema_version_must_say_what_the_history_says() {
    insta::assert_snapshot!(after("INSERT INTO schema_version VALUES ('9.0.0', '2999-01-01', 'x'), ('draft', '2000-01-01', 'y')"), @"
    BV127 error schema_version: its last row says 9.0.0, and the history says 1.1.0
    BV128 warning schema_version: it has a row for 9.0.0, which the history does not have as complete
    BV128 warning schema_version: 1 of its rows are of no release
    ");
    insta::assert_snapshot!(after("DELETE FROM schema_version WHERE version = '1.0.0'"), @"BV127 error schema_version: it has no row for 1.0.0, which the history has as complete");
    assert!(after("DROP TABLE schema_version").contains("BV127 error schema_version: the table is missing"));
}

#[test]
fn the_journal_must_have_a_row_for_each_changed_one() {
    insta::assert_snapshot!(after("DELETE FROM migration_affected_records WHERE id = 'a'"), @"BV130 error V003: it changed 62 rows, and its journal has 61");
    insta::assert_snapshot!(after("DELETE FROM migration_affected_records"), @"BV131 note V003: it changed 62 rows, and its journal is empty");
    insta::assert_snapshot!(after("INSERT INTO migration_affected_records (migration, table_name, column_name, row_id) VALUES (7, 'notes', 'body', 1)"), @"BV130 error migration_affected_records: 1 of its rows are of migration 7, which is not applied");
    assert!(after("DROP TABLE migration_affected_records").contains("BV130 error V003"));
}

#[test]
fn a_journal_that_is_on_its_way_is_not_called_wrong() {
    // A rollback by the journal that was killed has taken a part of it back.
    let place = used();
    place
        .open()
        .execute_batch(
            "DELETE FROM migration_affected_records WHERE seq > 20;
             INSERT INTO migration_progress VALUES
             (3, 'shout', '1.1.0', 'journal notes.body', 'down', 'journal', 42, 42, 0, 5, 'then');
             DELETE FROM refinery_schema_history WHERE version = 4; DELETE FROM migration_steps WHERE version = 4;
             DELETE FROM schema_version WHERE version = '1.1.0'",
        )
        .unwrap();
    let findings = look(&place);
    insta::assert_snapshot!(lines(&findings), @"BV140 warning V003: taking it back stopped after 42 rows");
    assert!(
        findings[0].fix.contains("`rollback --to 2`"),
        "{}",
        findings[0].fix
    );
    // One that was pruned in part is said to be pruned.
    let place = used();
    place
        .open()
        .execute_batch(
            "DELETE FROM migration_affected_records WHERE seq > 20;
             INSERT INTO migration_runs SELECT 'aaaaaaaa', 'log prune', '9999', '9999', 4, 4, 4, host, pid, tool, time_zone,
             NULL FROM migration_runs LIMIT 1",
        )
        .unwrap();
    insta::assert_snapshot!(lines(&look(&place)), @"BV131 note V003: it changed 62 rows, and 20 are left in its journal");
}

/// Writes one and then the other of two states of which each agrees with itself, until it is told to stop.
fn write_by_turns(server: &Connection, stop: &AtomicBool, turns: &AtomicUsize) {
    while !stop.load(Ordering::Relaxed) {
        for (journal, change) in [("seq = 1", "-"), ("seq = 0", "+")] {
            server
                .execute_batch(&format!(
                    "BEGIN IMMEDIATE;
                     DELETE FROM migration_affected_records WHERE {journal};
                     INSERT INTO migration_affected_records (seq, migration, table_name, column_name, row_id)
                     SELECT 1, 3, 'notes', 'body', 1 WHERE '{change}' = '+';
                     UPDATE migration_steps SET rows_changed = rows_changed {change} 1 WHERE version = 3;
                     COMMIT"
                ))
                .unwrap();
            turns.fetch_add(1, Ordering::Relaxed);
            // A lock that is free for no moment is found free by nobody.
            std::thread::sleep(Duration::from_millis(3));
        }
    }
}

#[test]
fn a_look_beside_a_writer_is_of_one_moment() {
    // As a run has it: what ends a transaction is the header of the journal, overwritten.
    for mode in ["persist", "wal"] {
        let mut place = used();
        place.settings.busy_timeout = Duration::from_secs(30);
        let server = place.open();
        server.busy_timeout(Duration::from_secs(20)).unwrap();
        server
            .pragma_update_and_check(None, "journal_mode", mode, |_| Ok(()))
            .unwrap();
        let (stop, turns) = (AtomicBool::new(false), AtomicUsize::new(0));
        let looks = std::thread::scope(|scope| {
            let (stop, turns) = (&stop, &turns);
            scope.spawn(move || write_by_turns(&server, stop, turns));
            let mut looks = Vec::new();
            while looks.len() < 40 || turns.load(Ordering::Relaxed) < 60 {
                looks.push(verify(
                    &catalog(),
                    &place.settings,
                    VerifyOptions::default(),
                    &Silent,
                ));
            }
            stop.store(true, Ordering::Relaxed);
            looks
        });
        for look in looks {
            assert_eq!(lines(&look.unwrap()), "", "{mode}");
        }
    }
}

#[test]
fn a_database_of_four_thousand_tables_is_looked_at_in_time() {
    let place = Place::new();
    let connection = place.open();
    let tables = |sql: &mut String, number| {
        sql.push_str(&format!(
            "CREATE TABLE t{number} (id INTEGER PRIMARY KEY, up REFERENCES t{} (id));",
            number / 2
        ));
    };
    let mut sql =
        "BEGIN; CREATE TABLE notes (id TEXT PRIMARY KEY, body TEXT NOT NULL, reply_to TEXT);".to_owned();
    (0..4000).for_each(|number| tables(&mut sql, number));
    connection.execute_batch(&sql).unwrap();
    connection
        .execute_batch("INSERT INTO t7 VALUES (1, 99); COMMIT")
        .unwrap();
    migrate(&catalog(), &place.settings, MigrateOptions::default(), &Silent).unwrap();
    let began = Instant::now();
    let findings = verify(&catalog(), &place.settings, VerifyOptions::default(), &Silent).unwrap();
    // Looking at all tables for each of them took 45 s.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    insta::assert_snapshot!(lines(&findings), @"BV105 warning t7.up: 1 row has no parent in t3");
}

#[test]
fn tables_named_like_functions_of_sqlite_hinder_nothing() {
    let place = Place::new();
    place
        .open()
        .execute_batch(
            "CREATE TABLE notes (id TEXT PRIMARY KEY, body TEXT NOT NULL, reply_to TEXT REFERENCES notes (id));
             DROP TABLE notes; CREATE TABLE notes (id TEXT PRIMARY KEY, body TEXT NOT NULL, reply_to TEXT);
             INSERT INTO notes VALUES ('a', 'one', NULL), ('b', 'two', 'a');
             CREATE TABLE pragma_table_info (name, pk); CREATE VIEW pragma_table_xinfo AS SELECT 1 AS name;
             CREATE TABLE pragma_table_list (name); CREATE TABLE pragma_foreign_key_list (x REFERENCES notes (id));
             CREATE TABLE pragma_index_list (x); CREATE TABLE pragma_foreign_key_check (x);
             INSERT INTO pragma_foreign_key_list VALUES ('nobody')",
        )
        .unwrap();
    let rows = || place.strings("SELECT id || body || coalesce(reply_to, '') FROM notes ORDER BY id");
    let before = rows();
    migrate(&catalog(), &place.settings, MigrateOptions::default(), &Silent).unwrap();
    insta::assert_snapshot!(lines(&look(&place)), @"BV105 warning pragma_foreign_key_list.x: 1 row has no parent in notes");
    let outcome = undo(&place.settings, 3, &UndoOptions::default(), &Silent).unwrap();
    assert_eq!(outcome.reverted_count, 2);
    let options = RollbackOptions {
        target: Target::Version(1),
        strategy: Strategy::Down,
        companion: Default::default(),
    };
    rollback(&catalog(), &place.settings, options, &mut |_| true, &Silent).unwrap();
    assert_eq!(rows(), before);
    assert_eq!(place.strings("SELECT x FROM pragma_foreign_key_list"), ["nobody"]);
}

#[test]
fn rows_that_lost_what_a_data_step_gave_them_are_counted() {
    insta::assert_snapshot!(after("INSERT INTO notes (id, body) VALUES ('new', 'NEW'), (NULL, 'KEYLESS')"), @"BV132 warning notes.thread: 1 row has no value, although V004 gave every row one");
}

#[test]
fn a_table_with_fewer_rows_than_in_the_last_backup_is_noted() {
    insta::assert_snapshot!(after("DELETE FROM notes WHERE id IN ('n1', 'n2')"), @"BV133 note notes: it has 61 rows, and had 63 when the last run began");
}

#[test]
fn orphans_are_counted_by_foreign_key_and_are_no_damage() {
    let child = "CREATE TABLE people (name TEXT); CREATE UNIQUE INDEX one_name ON people (name);
        CREATE TABLE replies (note TEXT REFERENCES notes (id), by TEXT REFERENCES people (name));";
    let mut migrations = notes();
    migrations.push(migration(
        5,
        "replies",
        Release::new(1, 2, 0),
        child,
        "DROP TABLE replies; DROP TABLE people;",
    ));
    let grown = Catalog::new("Notes", migrations).unwrap();
    let place = used();
    migrate(&grown, &place.settings, MigrateOptions::default(), &Silent).unwrap();
    place
        .open()
        .execute_batch("INSERT INTO replies VALUES ('gone', NULL), ('lost', 'nothing'), ('a', NULL)")
        .unwrap();
    insta::assert_snapshot!(lines(&look_with(&grown, &place)), @"
    BV105 warning replies.note: 2 rows have no parent in notes
    BV105 warning replies.by: 1 row has no parent in people
    ");
    place.open().execute_batch("DROP INDEX one_name").unwrap();
    let text = lines(&look_with(&grown, &place));
    assert!(
        text.contains("BV106 warning replies: a foreign key of it names parent columns that are not unique"),
        "{text}"
    );
}

#[test]
fn a_newer_database_is_looked_at_all_the_same() {
    let place = used();
    let older = Catalog::new("Notes", notes().into_iter().take(3).collect()).unwrap();
    let findings = look_with(&older, &place);
    insta::assert_snapshot!(lines(&findings), @"BV123 error V004: it is applied, and this program knows migrations up to V003");
    assert!(is_only_newer(&findings));
    place
        .open()
        .execute_batch("UPDATE refinery_schema_history SET checksum = '1' WHERE version = 2")
        .unwrap();
    assert!(!is_only_newer(&look_with(&older, &place)));
}

#[test]
fn a_row_that_breaks_a_constraint_is_told_from_damage() {
    let text = after(
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, 'body TEXT NOT NULL', 'body TEXT') \
         WHERE name = 'notes'; PRAGMA writable_schema = RESET; INSERT INTO notes (id, body, thread) VALUES ('z', NULL, 'z'); \
         PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, 'body TEXT', 'body TEXT NOT NULL') \
         WHERE name = 'notes'; PRAGMA writable_schema = RESET;",
    );
    insta::assert_snapshot!(text, @"BV103 error database: NULL value in notes.body");
}

#[test]
fn leftovers_of_interrupted_work_and_copies_made_by_hand_are_named() {
    let place = used();
    place
        .open()
        .execute_batch(
            "INSERT INTO migration_progress VALUES (4, 'threads', '1.1.0', 'clear notes.thread', 'down', 'scan 3', 20, 20, 0, 5, 'then'); \
             UPDATE migration_runs SET finished_at = NULL, started_at = 'z' WHERE to_version = 4;",
        )
        .unwrap();
    let backup = std::fs::read_dir(place.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            path.to_string_lossy().contains(".backup.") && path.extension().is_none_or(|e| e != "json")
        })
        .unwrap();
    std::fs::write(format!("{}-wal", backup.display()), "x").unwrap();
    std::fs::write(&backup, "cut short").unwrap();
    std::fs::write(
        place.folder.path().join("notes.db.backup.20200101_000000"),
        "no manifest",
    )
    .unwrap();
    let old = place.folder.path().join(".bridge-migrate-abc.tmp");
    let file = std::fs::File::create(&old).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    let findings = look(&place);
    assert_eq!(
        codes(&findings),
        ["BV145", "BV143", "BV145", "BV141", "BV140", "BV144"],
        "{}",
        lines(&findings)
    );
    std::fs::remove_file(
        backup.with_extension(format!("{}.json", backup.extension().unwrap().to_string_lossy())),
    )
    .unwrap();
    assert!(codes(&look(&place)).contains(&"BV146"));
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| {
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                std::fs::read(&path).unwrap(),
            )
        })
        .collect()
}

#[test]
fn not_one_byte_changes() {
    for setup in ["SELECT 1", "PRAGMA journal_mode = WAL", "CREATE TABLE theirs (x)"] {
        let place = used();
        place.open().query_row(setup, [], |_| Ok(())).ok();
        let before = files(place.folder.path());
        look(&place);
        assert!(before == files(place.folder.path()), "{setup}");
    }
}

#[test]
fn a_log_of_another_database_beside_it_is_named_and_left_alone() {
    let place = used();
    std::fs::write(format!("{}-wal", place.database().display()), vec![7; 4096]).unwrap();
    let before = files(place.folder.path());
    let findings = verify(&catalog(), &place.settings, VerifyOptions::default(), &Silent);
    if let Ok(findings) = findings {
        assert!(codes(&findings).contains(&"BV143"), "{}", lines(&findings));
    }
    assert!(before == files(place.folder.path()));
}

#[test]
fn no_database_is_an_error_and_an_empty_one_a_note() {
    let place = Place::new();
    let missing = verify(&catalog(), &place.settings, VerifyOptions::default(), &Silent).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Missing);
    std::fs::write(place.database(), "").unwrap();
    assert_eq!(codes(&look(&place)), ["BV111"]);
}

/// Every page overwritten in turn, with zeros, ones, noise and another page.
#[test]
fn whatever_page_is_lost_there_are_findings_or_a_clear_error() {
    let place = used();
    let sound = std::fs::read(place.database()).unwrap();
    let size = usize::from(u16::from_be_bytes([sound[16], sound[17]]));
    let pages = sound.len() / size;
    let noise = |seed: usize| -> Vec<u8> {
        let mut state = seed as u32 | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()[0]
        };
        (0..size).map(|_| next()).collect()
    };
    let (mut found, mut refused, mut silent) = (0, 0, Vec::new());
    for page in 0..pages {
        let other = (page + 1) % pages;
        let fills = [
            vec![0; size],
            vec![0xff; size],
            noise(page),
            sound[other * size..(other + 1) * size].to_vec(),
        ];
        for (variant, fill) in fills.into_iter().enumerate() {
            let mut bytes = sound.clone();
            bytes[page * size..(page + 1) * size].copy_from_slice(&fill);
            // Empty tables have the same page.
            if bytes == sound {
                continue;
            }
            std::fs::write(place.database(), &bytes).unwrap();
            for full in [false, true] {
                match verify(&catalog(), &place.settings, VerifyOptions { full }, &Silent) {
                    Ok(findings) if findings.iter().any(|f| f.severity == Severity::Error) => found += 1,
                    Ok(_) => silent.push((page, variant, full)),
                    Err(error) => {
                        assert!(!error.message().is_empty());
                        refused += 1;
                    }
                }
            }
            assert!(bytes == std::fs::read(place.database()).unwrap());
        }
    }
    println!("{pages} pages: {found} looks found damage, {refused} were refused, silent {silent:?}");
    assert!(found > refused);
    // A page on the free list holds nothing that could be missed.
    let connection = {
        std::fs::write(place.database(), &sound).unwrap();
        place.open()
    };
    let free: i64 = connection
        .pragma_query_value(None, "freelist_count", |row| row.get(0))
        .unwrap();
    assert_eq!(free, 0);
    assert!(silent.iter().all(|(_, _, full)| !full), "{silent:?}");
}

#[test]
fn a_database_cut_at_any_place_gives_findings_or_a_clear_error() {
    let place = used();
    let sound = std::fs::read(place.database()).unwrap();
    for length in (1..sound.len()).step_by(1511) {
        std::fs::write(place.database(), &sound[..length]).unwrap();
        match verify(&catalog(), &place.settings, VerifyOptions::default(), &Silent) {
            Ok(findings) => assert!(
                findings.iter().any(|f| f.severity == Severity::Error),
                "{length} bytes of {}",
                sound.len()
            ),
            Err(error) => assert!(!error.message().is_empty()),
        }
    }
}
