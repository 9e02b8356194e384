//! Migrating databases of a small catalog: fresh, managed, interrupted, contradicting.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails where its ground gives way"
)]

mod common;
#[path = "migrate/row_ids.rs"]
mod row_ids;

use std::cell::RefCell;

use bridge_migrate_core::{Catalog, ErrorKind, Event, Observer, Release, Silent, Target};
use bridge_migrate_sqlite::backup::{self, BackupFacts};
use bridge_migrate_sqlite::{MigrateOptions, migrate};
use common::{Place, Recorder, catalog, migration, notes, to};

#[test]
fn a_fresh_database_reaches_the_last_release() {
    let place = Place::new();
    let outcome = migrate(&catalog(), &place.settings, MigrateOptions::default(), &Silent).unwrap();
    assert_eq!(outcome.to.version, 4);
    assert_eq!(outcome.to.release, Some(Release::new(1, 1, 0)));
    assert_eq!(outcome.applied.len(), 4);
    assert_eq!(
        place.strings("SELECT version FROM schema_version ORDER BY applied_at DESC LIMIT 1"),
        ["1.1.0"],
        "the strategy's own query"
    );
    assert_eq!(
        place.strings("SELECT name FROM refinery_schema_history ORDER BY version"),
        ["notes", "note_threads", "shout", "threads"]
    );
}

#[test]
fn a_second_run_changes_no_byte() {
    let place = Place::new();
    migrate(&catalog(), &place.settings, MigrateOptions::default(), &Silent).unwrap();
    let before = std::fs::read(place.database()).unwrap();
    let outcome = migrate(&catalog(), &place.settings, MigrateOptions::default(), &Silent).unwrap();
    assert!(outcome.applied.is_empty() && outcome.run.is_none());
    assert_eq!(before, std::fs::read(place.database()).unwrap());
}

/// Puts a copy with one more note in the database's place when the backup is made.
struct Replaces<'a>(&'a Place);

impl Observer for Replaces<'_> {
    fn observe(&self, event: &Event) {
        if matches!(event, Event::BackedUp { .. }) {
            let newcomer = self.0.database().with_extension("new");
            self.0
                .open()
                .execute("VACUUM INTO ?1", [newcomer.to_str()])
                .unwrap();
            std::fs::rename(newcomer, self.0.database()).unwrap();
        }
    }
}

#[test]
fn a_database_whose_file_was_replaced_meanwhile_is_not_called_migrated() {
    let place = Place::new();
    migrate(&catalog(), &place.settings, to(Target::Version(1)), &Silent).unwrap();
    place.open().pragma_update(None, "journal_mode", "wal").unwrap();
    let error = migrate(
        &catalog(),
        &place.settings,
        MigrateOptions::default(),
        &Replaces(&place),
    )
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ForeignFile, "{error:?}");
    assert_eq!(error.reached(), None);
    assert_eq!(
        place.strings("SELECT name FROM refinery_schema_history"),
        ["notes"]
    );
    assert_eq!(place.strings("PRAGMA integrity_check"), ["ok"]);
}

#[test]
fn a_backup_made_while_another_process_migrates_is_of_the_version_that_it_holds() {
    let place = Place::new();
    migrate(&catalog(), &place.settings, to(Target::Version(1)), &Silent).unwrap();
    let seen_before = BackupFacts {
        version: Some(1),
        release: None,
        ..BackupFacts::default()
    };
    migrate(&catalog(), &place.settings, MigrateOptions::default(), &Silent).unwrap();
    let made = backup::create(&place.settings, &seen_before, &Silent).unwrap();
    assert_eq!(made.manifest.version, Some(4));
    assert_eq!(made.manifest.release.as_deref(), Some("1.1.0"));
    assert_eq!(
        backup::verify(&place.settings, &made.backup, true, &Silent).unwrap(),
        []
    );
}

#[test]
fn data_steps_keep_old_values_and_leave_what_they_cannot_rewrite() {
    let place = Place::new();
    migrate(&catalog(), &place.settings, to(Target::Version(2)), &Silent).unwrap();
    let connection = place.open();
    connection
        .execute_batch(
            "INSERT INTO notes (id, body, reply_to) VALUES ('a', 'one', NULL), ('b', 'TWO', 'a'), ('c', '#', 'b'), \
             (NULL, 'nobody', 'a'), ('d', x'ff', 'gone'), ('e', CAST(x'C328' AS TEXT), 'e');",
        )
        .unwrap();
    let recorder = Recorder::default();
    let outcome = migrate(&catalog(), &place.settings, MigrateOptions::default(), &recorder).unwrap();
    assert_eq!(outcome.applied[0].rows_changed, 2);
    assert_eq!(outcome.applied[0].rows_skipped, 3);
    assert_eq!(
        place.strings("SELECT coalesce(id, '-') || '=' || hex(body) || '/' || coalesce(thread, '-') FROM notes ORDER BY rowid"),
        ["a=4F4E45/a", "b=54574F/a", "c=23/a", "-=4E4F424F4459/a", "d=FF/d", "e=C328/e"]
    );
    assert_eq!(
        place.strings("SELECT coalesce(id, '-') || ':' || old_value || '>' || new_value FROM migration_affected_records ORDER BY seq"),
        ["a:one>ONE", "-:nobody>NOBODY"]
    );
    let told: Vec<_> = recorder
        .0
        .into_inner()
        .unwrap()
        .into_iter()
        .filter_map(|event| match event {
            Event::RowSkipped(row) => Some(row),
            _ => None,
        })
        .collect();
    assert_eq!(outcome.skipped, told);
    let skipped: Vec<_> = told
        .iter()
        .map(|row| format!("{}: {}", row.key, row.why))
        .collect();
    assert_eq!(
        skipped,
        ["c: has a hash sign", "d: not text", "e: not valid UTF-8"]
    );
    let log = std::fs::read_to_string(outcome.log.unwrap()).unwrap();
    assert_eq!(log.matches("row_skipped").count(), 3);
}

#[test]
fn a_step_that_loses_rows_is_rolled_back() {
    let mut migrations = notes();
    migrations.push(migration(
        5,
        "lose_rows",
        Release::new(1, 2, 0),
        "CREATE TABLE copy (id TEXT PRIMARY KEY, body TEXT NOT NULL, reply_to TEXT, thread TEXT);\
         INSERT INTO copy SELECT * FROM notes WHERE id IS NOT NULL; DROP TABLE notes; ALTER TABLE copy RENAME TO notes;",
        "SELECT 1;",
    ));
    let careless = Catalog::new("Notes", migrations).unwrap();
    let place = Place::new();
    migrate(&catalog(), &place.settings, MigrateOptions::default(), &Silent).unwrap();
    place
        .open()
        .execute_batch("INSERT INTO notes (id, body) VALUES ('a', 'A'), (NULL, 'B')")
        .unwrap();
    let before = place.strings("SELECT body FROM notes ORDER BY rowid");
    let error = migrate(&careless, &place.settings, MigrateOptions::default(), &Silent).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConservationViolated, "{error}");
    assert!(
        error.message().contains("notes: 2 rows before, 1 after"),
        "{error}"
    );
    assert!(error.reached().is_none(), "nothing was committed");
    assert_eq!(before, place.strings("SELECT body FROM notes ORDER BY rowid"));
    assert_eq!(
        place.strings("SELECT CAST(max(version) AS TEXT) FROM refinery_schema_history"),
        ["4"]
    );
}

#[test]
fn a_failure_after_committed_steps_names_the_version_reached() {
    let mut migrations = notes();
    migrations.push(migration(
        5,
        "fine",
        Release::new(1, 2, 0),
        "CREATE TABLE more (x TEXT);",
        "DROP TABLE more;",
    ));
    migrations.push(migration(
        6,
        "refused_by_data",
        Release::new(1, 3, 0),
        "CREATE UNIQUE INDEX one_body ON notes (body);",
        "DROP INDEX one_body;",
    ));
    let place = Place::new();
    migrate(&catalog(), &place.settings, MigrateOptions::default(), &Silent).unwrap();
    place
        .open()
        .execute_batch("INSERT INTO notes (id, body) VALUES ('a', 'A'), ('b', 'A')")
        .unwrap();
    let grown = Catalog::new("Notes", migrations).unwrap();
    let error = migrate(&grown, &place.settings, MigrateOptions::default(), &Silent).unwrap_err();
    let reached = error.reached().expect("V005 was committed");
    assert_eq!(
        (reached.version, reached.release),
        (5, Some(Release::new(1, 2, 0)))
    );
    assert_eq!(
        place.strings("SELECT version FROM schema_version ORDER BY applied_at DESC LIMIT 1"),
        ["1.2.0"]
    );
}

/// Looks at the database from outside whenever a step begins or is reported done.
struct Visitor<'a> {
    place: &'a Place,
    seen: RefCell<Vec<String>>,
}

impl Observer for Visitor<'_> {
    fn observe(&self, event: &Event) {
        if matches!(event, Event::StepStarted { .. } | Event::StepFinished { .. }) {
            let tables = "SELECT CAST(count(*) AS TEXT) FROM sqlite_schema WHERE name NOT LIKE 'sqlite%'";
            self.seen.borrow_mut().extend(self.place.strings(tables));
        }
    }
}

#[test]
fn whoever_looks_sees_no_part_of_a_fresh_database() {
    let place = Place::new();
    let visitor = Visitor {
        place: &place,
        seen: RefCell::default(),
    };
    let outcome = migrate(&catalog(), &place.settings, MigrateOptions::default(), &visitor).unwrap();
    assert_eq!(outcome.applied.len(), 4);
    let seen = visitor.seen.into_inner();
    let complete = seen.last().unwrap();
    assert_ne!(complete, "0");
    assert_eq!(seen, ["0", "0", "0", "0", complete, complete, complete, complete]);
}

#[test]
fn a_fresh_database_whose_last_step_fails_stays_empty() {
    let mut migrations = notes();
    // The plan tries it on a copy in memory, which has no file name.
    migrations.push(migration(
        5,
        "refused_by_the_file",
        Release::new(1, 2, 0),
        "CREATE TABLE places (file TEXT CHECK (file = ''));
         INSERT INTO places SELECT file FROM pragma_database_list WHERE name = 'main';",
        "DROP TABLE places;",
    ));
    let place = Place::new();
    let grown = Catalog::new("Notes", migrations).unwrap();
    let error = migrate(&grown, &place.settings, MigrateOptions::default(), &Silent).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Sqlite, "{error:?}");
    assert!(error.reached().is_none(), "{error:?}");
    assert_eq!(place.strings("SELECT name FROM sqlite_schema"), [""; 0]);
}

/// Plays the application's first start between a run's plan and its first step: the tables, and a row at once.
struct StartsMeanwhile<'a>(&'a Place);

impl Observer for StartsMeanwhile<'_> {
    fn observe(&self, event: &Event) {
        if matches!(event, Event::RunStarted { .. }) {
            let server = self.0.open();
            server.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
            server
                .execute_batch(&format!(
                    "{} INSERT OR IGNORE INTO notes VALUES ('a', 'first', NULL)",
                    notes()[0]
                        .up
                        .replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS")
                ))
                .unwrap();
        }
    }
}

#[test]
fn a_server_that_makes_its_tables_after_the_plan_is_adopted_with_its_rows() {
    for journal_mode in ["DELETE", "WAL"] {
        let place = Place::new();
        // In write-ahead mode there is a database already, with nothing in it.
        place
            .open()
            .execute_batch(&format!("PRAGMA journal_mode = {journal_mode}"))
            .unwrap();
        let outcome = migrate(
            &catalog(),
            &place.settings,
            MigrateOptions::default(),
            &StartsMeanwhile(&place),
        )
        .unwrap();
        assert!(outcome.adopted.is_some(), "{journal_mode}");
        assert_eq!(
            place.strings("SELECT id || body || thread FROM notes"),
            ["aFIRSTa"]
        );
    }
}

/// Lets another process overtake a run after a step, as when somebody removes the lock file.
struct Overtake<'a>(&'a Place);

impl Observer for Overtake<'_> {
    fn observe(&self, event: &Event) {
        if matches!(event, Event::StepFinished { version: 2, .. }) {
            std::fs::remove_file(self.0.folder.path().join("notes.db.migrate.lock")).unwrap();
            migrate(&catalog(), &self.0.settings, MigrateOptions::default(), &Silent).unwrap();
        }
    }
}

#[test]
fn a_run_that_is_overtaken_says_how_far_it_came_and_where_the_database_is() {
    let place = Place::new();
    migrate(&catalog(), &place.settings, to(Target::Version(1)), &Silent).unwrap();
    let error = migrate(
        &catalog(),
        &place.settings,
        MigrateOptions::default(),
        &Overtake(&place),
    )
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert_eq!(error.reached().map(|reached| reached.version), Some(4));
    assert_eq!(
        error.truth(),
        Some(
            "The database is whole, at 1.1.0 (V004). This run took it to V002; another has changed it since."
        )
    );
}

#[test]
fn a_step_that_fails_in_the_middle_says_that_it_goes_on_where_it_stopped() {
    let place = Place::new();
    migrate(&catalog(), &place.settings, to(Target::Version(2)), &Silent).unwrap();
    place
        .open()
        .execute_batch(
            "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 5000) \
             INSERT INTO notes (id, body) SELECT 'n' || i, 'text ' || i FROM n; \
             CREATE TRIGGER refuses BEFORE UPDATE ON notes WHEN NEW.rowid = 4900 \
             BEGIN SELECT RAISE(ABORT, 'not now'); END",
        )
        .unwrap();
    let options = MigrateOptions {
        allow_drift: true,
        ..MigrateOptions::default()
    };
    let error = migrate(&catalog(), &place.settings, options, &Silent).unwrap_err();
    assert_eq!(error.reached().map(|reached| reached.version), Some(2));
    assert_eq!(
        error.truth(),
        Some(
            "The database is whole, at 1.0.0 (V002). V003__shout is done in part and goes on where it stopped."
        )
    );
}

#[test]
fn history_rows_edited_by_hand_are_named_and_nothing_changes() {
    for (edit, kind) in [
        (
            "UPDATE refinery_schema_history SET checksum = 'x' WHERE version = 2",
            ErrorKind::HistoryDamaged,
        ),
        (
            "UPDATE refinery_schema_history SET applied_on = 'yesterday'",
            ErrorKind::HistoryDamaged,
        ),
        (
            "UPDATE refinery_schema_history SET name = x'ff'",
            ErrorKind::HistoryDamaged,
        ),
        (
            "UPDATE refinery_schema_history SET version = -1 WHERE version = 1",
            ErrorKind::HistoryDamaged,
        ),
        (
            "UPDATE refinery_schema_history SET checksum = '1' WHERE version = 2",
            ErrorKind::Divergent,
        ),
        (
            "UPDATE refinery_schema_history SET name = 'other' WHERE version = 1",
            ErrorKind::Divergent,
        ),
        (
            "DELETE FROM refinery_schema_history WHERE version = 2",
            ErrorKind::Divergent,
        ),
        (
            "INSERT INTO refinery_schema_history VALUES (9, 'later', '2026-01-01T00:00:00Z', '1')",
            ErrorKind::Newer,
        ),
    ] {
        let place = Place::new();
        migrate(&catalog(), &place.settings, to(Target::Version(3)), &Silent).unwrap();
        place.open().execute_batch(edit).unwrap();
        let before = std::fs::read(place.database()).unwrap();
        let error = migrate(&catalog(), &place.settings, MigrateOptions::default(), &Silent).unwrap_err();
        assert_eq!(error.kind(), kind, "{edit}: {error}");
        assert_eq!(before, std::fs::read(place.database()).unwrap(), "{edit}");
    }
}

#[test]
fn a_migration_that_never_runs_is_to_blame_before_the_database() {
    let mut migrations = notes();
    let broken = "ALTER TABLE nodes ADD COLUMN thread TEXT;".to_owned();
    migrations.iter_mut().find(|m| m.version == 2).unwrap().up = broken;
    let broken = Catalog::new("Notes", migrations).unwrap();
    for version in [None, Some(1)] {
        let place = Place::new();
        if let Some(version) = version {
            migrate(&catalog(), &place.settings, to(Target::Version(version)), &Silent).unwrap();
        }
        let before = std::fs::read(place.database()).ok();
        let error = migrate(&broken, &place.settings, MigrateOptions::default(), &Silent).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CatalogInvalid, "{error}");
        assert!(error.message().contains("V002__note_threads"), "{error}");
        assert_eq!(std::fs::read(place.database()).ok(), before);
    }
    // The same statement beside an object of the operators' own is theirs to look at.
    let place = Place::new();
    migrate(&catalog(), &place.settings, to(Target::Version(1)), &Silent).unwrap();
    place
        .open()
        .execute_batch("ALTER TABLE notes ADD COLUMN thread TEXT")
        .unwrap();
    let error = migrate(&catalog(), &place.settings, MigrateOptions::default(), &Silent).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Drift, "{error}");
}
