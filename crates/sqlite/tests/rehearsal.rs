//! Rehearsals: the copy tells what the migration would do, the source stays, and the receipt is demanded.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test stops where it finds something unexpected, and plays the application, which opens databases as it likes"
)]

mod common;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use bridge_migrate_core::clock::{Clock, SystemClock};
use bridge_migrate_core::{
    Catalog, ErrorKind, Migration, Release, Result, Rewrite, Rewritten, RowChange, RowChangeKind, Settings,
    Silent, Target,
};
use bridge_migrate_sqlite::checklist::{Item, ItemState, checklist};
use bridge_migrate_sqlite::rehearse::{
    Check, CheckName, CheckOutcome, Rehearsal, RehearseOptions, SmokeTest, rehearse,
};
use bridge_migrate_sqlite::{MigrateOptions, PlanOptions, migrate, receipt};
use common::{Place, catalog, data_migration, first_servers, migration, notes};
use rusqlite::functions::FunctionFlags;

const ROWS: &str = "INSERT INTO notes (id, body, reply_to) VALUES ('a', 'one', NULL), ('b', 'two', 'a'), \
     (NULL, 'three', 'a'), ('d', 'FOUR', NULL), ('e', 'no #', NULL)";

/// A database at version 1 with rows, a table of the operators' own, and a companion.
fn started() -> Place {
    let place = Place::new();
    let options = MigrateOptions {
        plan: PlanOptions {
            target: Target::Version(1),
            ..PlanOptions::default()
        },
        ..MigrateOptions::default()
    };
    migrate(&catalog(), &place.settings, options, &Silent).unwrap();
    place.open().execute_batch(ROWS).unwrap();
    place
        .open()
        .execute_batch("CREATE TABLE theirs (x REAL); INSERT INTO theirs VALUES (0.5), (0.5)")
        .unwrap();
    std::fs::write(&place.settings.companion, "{\"tokens\": {}}").unwrap();
    place
}

fn options() -> RehearseOptions<'static> {
    RehearseOptions {
        target: Target::Latest,
        adoption: Default::default(),
        // A table of somebody else's, made since.
        allow_drift: true,
        keep: false,
        smoke_test: None,
    }
}

fn run(catalog: &Catalog, place: &Place) -> Rehearsal {
    rehearse(catalog, &place.settings, options(), &Silent).unwrap()
}

/// Every file of a folder but the receipt, with its bytes.
fn content(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            for (inner, bytes) in content(&path) {
                files.insert(format!("{name}/{inner}"), bytes);
            }
        } else if !name.ends_with(".receipt.json") {
            files.insert(name, std::fs::read(&path).unwrap());
        }
    }
    files
}

fn outcome(rehearsal: &Rehearsal, name: CheckName) -> Option<CheckOutcome> {
    rehearsal
        .checks
        .iter()
        .find(|check| check.name == name)
        .map(|check| check.outcome)
}

/// The catalog with one more migration.
fn with(migration: Migration) -> Catalog {
    let mut migrations = notes();
    migrations.push(migration);
    Catalog::new("Notes", migrations).unwrap()
}

#[test]
fn everything_is_tried_on_a_copy_and_the_source_stays_as_it_is() {
    let place = started();
    let before = content(place.folder.path());
    let rehearsal = run(&catalog(), &place);
    assert_eq!(content(place.folder.path()), before);

    assert!(rehearsal.ok(), "{:?}", rehearsal.checks);
    let names: Vec<_> = rehearsal.checks.iter().map(|check| check.name).collect();
    assert_eq!(
        names,
        [
            CheckName::Up,
            CheckName::LockBudget,
            CheckName::Back,
            CheckName::BackSchema,
            CheckName::BackData,
            CheckName::Again,
            CheckName::AgainSchema,
            CheckName::AgainData,
            CheckName::Integrity,
        ]
    );
    assert_eq!((rehearsal.from.version, rehearsal.to.version), (1, 4));
    assert_eq!(rehearsal.steps.len(), 3);
    for step in &rehearsal.steps {
        let up = step.up.unwrap();
        assert!(step.back.is_some() && step.again.is_some(), "{}", step.name);
        assert!(up.peak_database_bytes >= rehearsal.database_bytes);
        assert_eq!(up.peak_memory_bytes.is_some(), cfg!(target_os = "linux"));
    }
    let shout = &rehearsal.steps[1];
    let measures = shout.up.unwrap();
    assert_eq!((measures.rows_changed, measures.rows_skipped), (3, 1));
    assert_eq!(shout.left[0].key, "e");
    assert_eq!(shout.back.unwrap().rows_changed, 3);
}

#[test]
fn views_checks_and_orders_that_only_the_application_knows_fail_no_rehearsal() {
    let place = started();
    let server = place.open();
    server
        .create_collation("ICU", |one: &str, other: &str| other.cmp(one))
        .unwrap();
    let flags = FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    server
        .create_scalar_function("shout", 1, flags, |_| Ok("A"))
        .unwrap();
    server
        .execute_batch(
            "CREATE VIEW loud AS SELECT shout(body) FROM notes;
             CREATE TABLE words (word TEXT COLLATE ICU PRIMARY KEY CHECK (shout(word) = word));
             INSERT INTO words VALUES ('A')",
        )
        .unwrap();
    drop(server);
    let rehearsal = run(&catalog(), &place);
    let failed = |check: &&Check| check.outcome == CheckOutcome::Failed;
    assert_eq!(rehearsal.checks.iter().find(failed), None);
}

#[test]
fn what_changes_is_told_column_by_column() {
    let place = started();
    let rehearsal = run(&catalog(), &place);
    let table = |name: &str| {
        rehearsal
            .tables
            .iter()
            .find(|change| change.table == name)
            .unwrap()
    };
    let notes = table("notes");
    assert_eq!((notes.rows_before, notes.rows_after), (Some(5), Some(5)));
    let columns: Vec<_> = notes
        .columns
        .iter()
        .map(|column| (column.column.as_str(), column.added, column.rows))
        .collect();
    assert_eq!(columns, [("thread", true, 5), ("body", false, 3)]);
    let body = &notes.columns[1].samples;
    assert_eq!(body.len(), 3);
    assert_eq!(
        (
            body[0].key.as_str(),
            body[0].before.as_deref(),
            body[0].after.as_deref()
        ),
        ("a", Some("one"), Some("ONE"))
    );
    assert_eq!(table("theirs").rows_after, Some(2));
    let added: Vec<String> = rehearsal
        .differences
        .iter()
        .map(|difference| difference.subject())
        .collect();
    assert_eq!(added, ["notes.thread"]);
}

#[test]
fn with_nothing_to_migrate_nothing_changes() {
    let place = started();
    let options_of_migrate = MigrateOptions {
        allow_drift: true,
        ..MigrateOptions::default()
    };
    migrate(&catalog(), &place.settings, options_of_migrate, &Silent).unwrap();
    let rehearsal = run(&catalog(), &place);
    assert!(rehearsal.ok(), "{:?}", rehearsal.checks);
    assert!(rehearsal.steps.is_empty());
    assert!(
        rehearsal
            .tables
            .iter()
            .all(|change| change.rows_before == change.rows_after && change.columns.is_empty()),
        "{:?}",
        rehearsal.tables
    );
}

#[test]
fn values_of_secret_tables_are_nowhere() {
    let place = started();
    let catalog = Catalog::new("Notes", notes())
        .unwrap()
        .with_secret_tables(&["NOTES"]);
    let rehearsal = run(&catalog, &place);
    let notes = rehearsal
        .tables
        .iter()
        .find(|change| change.table == "notes")
        .unwrap();
    assert!(notes.secret);
    assert_eq!(notes.columns.len(), 2);
    assert!(notes.columns.iter().all(|column| column.samples.is_empty()));
}

#[test]
fn an_unversioned_database_is_adopted_on_the_copy_only() {
    let place = Place::new();
    place.open().execute_batch(&notes()[0].up).unwrap();
    place.open().execute_batch(ROWS).unwrap();
    let before = content(place.folder.path());
    let rehearsal = run(&catalog(), &place);
    assert!(rehearsal.ok(), "{:?}", rehearsal.checks);
    assert_eq!(
        rehearsal.adopted.as_ref().map(|adoption| adoption.version),
        Some(1)
    );
    assert_eq!(content(place.folder.path()), before);
}

#[test]
fn a_database_with_a_log_stays_as_it_is() {
    let place = started();
    let server = place.open();
    server
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; UPDATE notes SET body = 'log' WHERE id = 'a'",
        )
        .unwrap();
    let files = || {
        let mut files = content(place.folder.path());
        // The index of the log is shared memory of whoever reads.
        files.remove("notes.db-shm");
        files
    };
    let before = files();
    assert!(before["notes.db-wal"].len() > 32);
    let rehearsal = run(&catalog(), &place);
    assert!(rehearsal.ok(), "{:?}", rehearsal.checks);
    assert_eq!(files(), before);
    let table = &rehearsal
        .tables
        .iter()
        .find(|change| change.table == "notes")
        .unwrap();
    assert!(
        table.columns[1]
            .samples
            .iter()
            .any(|sample| sample.before.as_deref() == Some("log"))
    );
}

#[test]
fn a_migration_that_loses_rows_fails_and_so_does_its_receipt() {
    let place = started();
    let catalog = with(migration(
        5,
        "tidy",
        Release::new(1, 2, 0),
        "DELETE FROM notes WHERE id IS NULL;",
        "",
    ));
    let rehearsal = run(&catalog, &place);
    assert!(!rehearsal.ok());
    assert_eq!(outcome(&rehearsal, CheckName::Up), Some(CheckOutcome::Failed));
    assert_eq!(outcome(&rehearsal, CheckName::Back), None);
    let finding = rehearsal.findings().next().unwrap();
    assert_eq!(finding.subject, "V005__tidy");
    assert!(
        finding.message.contains("notes: 5 rows before, 4 after"),
        "{}",
        finding.message
    );
    assert_eq!(rehearsal.checks[0].error, Some(ErrorKind::ConservationViolated));

    let error = demanded(&catalog, &place.settings, Target::Latest).unwrap_err();
    assert!(error.message().contains("the rehearsal failed"), "{error}");
}

#[test]
fn a_way_back_that_does_not_restore_the_data_is_found() {
    let place = started();
    let catalog = with(migration(
        5,
        "whisper",
        Release::new(1, 2, 0),
        "UPDATE notes SET reply_to = 'lost' WHERE id = 'b';",
        "UPDATE notes SET reply_to = NULL WHERE id = 'b';",
    ));
    let rehearsal = run(&catalog, &place);
    assert_eq!(
        outcome(&rehearsal, CheckName::BackData),
        Some(CheckOutcome::Failed)
    );
    assert_eq!(
        outcome(&rehearsal, CheckName::BackSchema),
        Some(CheckOutcome::Passed)
    );
    assert_eq!(outcome(&rehearsal, CheckName::Again), None);
    let finding = rehearsal.findings().next().unwrap();
    assert_eq!(
        (finding.subject.as_str(), finding.message.as_str()),
        ("notes", "1 values of reply_to differ")
    );
}

#[test]
fn a_way_back_that_leaves_something_behind_is_found() {
    let place = started();
    let catalog = with(migration(
        5,
        "index",
        Release::new(1, 2, 0),
        "CREATE INDEX by_thread ON notes (thread);",
        "SELECT 1;",
    ));
    let rehearsal = run(&catalog, &place);
    assert!(!rehearsal.ok(), "{:?}", rehearsal.checks);
}

#[test]
fn a_second_run_that_ends_elsewhere_is_found() {
    let place = started();
    let mut step = migration(
        5,
        "chance",
        Release::new(1, 2, 0),
        "CREATE TABLE luck (x); INSERT INTO luck VALUES (random());",
        "DROP TABLE luck;",
    );
    step.row_changes = vec![RowChange {
        table: "luck".to_owned(),
        kind: RowChangeKind::Adds,
    }];
    let rehearsal = run(&with(step), &place);
    assert_eq!(
        outcome(&rehearsal, CheckName::AgainData),
        Some(CheckOutcome::Failed)
    );
}

/// What the checklist says of a rehearsal, and of the servers' statements.
fn boxes(catalog: &Catalog, place: &Place) -> [Item; 2] {
    let items = checklist(catalog, &place.settings, None).unwrap().items;
    ["rehearsal", "contracts"].map(|name| items.iter().find(|item| item.item == name).unwrap().clone())
}

#[test]
fn servers_of_the_old_release_are_tried_on_the_migrated_copy() {
    let place = started();
    let served = catalog().with_contracts([first_servers()]);
    let rehearsal = run(&served, &place);
    assert!(rehearsal.ok(), "{:?}", rehearsal.checks);
    assert_eq!(rehearsal.served, ["1.0.0"]);
    let [tested, contracts] = boxes(&served, &place);
    assert_eq!((tested.state, contracts.state), (ItemState::Ok, ItemState::Ok));
    let receipt = receipt::last(&place.settings).unwrap().unwrap().id;
    for answer in [&tested, &contracts] {
        assert!(answer.evidence.contains(&receipt), "{answer:?}");
    }
    assert!(contracts.evidence.contains("1.0.0"), "{contracts:?}");

    // Two releases later they still run until the last of them is replaced.
    let breaking = with(migration(
        5,
        "strict_notes",
        Release::new(1, 2, 0),
        "CREATE TRIGGER no_server BEFORE INSERT ON notes BEGIN SELECT RAISE(ABORT, 'not you'); END;",
        "DROP TRIGGER no_server;",
    ))
    .with_contracts([first_servers()]);
    let rehearsal = run(&breaking, &place);
    assert_eq!(
        outcome(&rehearsal, CheckName::Contracts),
        Some(CheckOutcome::Failed)
    );
    let finding = rehearsal.findings().next().unwrap();
    assert_eq!(finding.code, "BM303");
    let [tested, contracts] = boxes(&breaking, &place);
    assert_eq!(
        (tested.state, contracts.state),
        (ItemState::Failed, ItemState::Failed)
    );
    assert!(tested.evidence.contains("the rehearsal failed"), "{tested:?}");
}

#[test]
fn the_smoke_test_sees_the_migrated_copy_and_decides() {
    let place = started();
    for exit_code in [Some(0), Some(3), None] {
        let mut seen = Vec::new();
        let mut test = |database: &Path, companion: &Path| -> Result<SmokeTest> {
            let connection = rusqlite::Connection::open(database).unwrap();
            let body: String = connection
                .query_row("SELECT body FROM notes WHERE id = 'a'", [], |row| row.get(0))
                .unwrap();
            seen.push((body, std::fs::read_to_string(companion).unwrap()));
            Ok(SmokeTest {
                command: "true".to_owned(),
                exit_code,
                duration_ms: 1,
                output: String::new(),
            })
        };
        let options = RehearseOptions {
            smoke_test: Some(&mut test),
            ..options()
        };
        let rehearsal = rehearse(&catalog(), &place.settings, options, &Silent).unwrap();
        assert_eq!(rehearsal.ok(), exit_code == Some(0));
        assert_eq!(seen, [("ONE".to_owned(), "{\"tokens\": {}}".to_owned())]);
    }
}

#[test]
fn the_copy_goes_unless_it_is_to_be_kept() {
    let place = started();
    let options = RehearseOptions {
        keep: true,
        ..options()
    };
    let rehearsal = rehearse(&catalog(), &place.settings, options, &Silent).unwrap();
    let copy = rehearsal.copy.unwrap();
    let folder = copy.parent().unwrap();
    let connection = rusqlite::Connection::open(&copy).unwrap();
    let body: String = connection
        .query_row("SELECT body FROM notes WHERE id = 'a'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(body, "ONE");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = folder.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "others must not read the copy");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

fn demanded(catalog: &Catalog, settings: &Settings, target: Target) -> Result<()> {
    let options = MigrateOptions {
        plan: PlanOptions {
            target,
            ..PlanOptions::default()
        },
        require_receipt: true,
        allow_drift: true,
        ..MigrateOptions::default()
    };
    migrate(catalog, settings, options, &Silent).map(drop)
}

#[derive(Debug)]
struct Later(chrono::TimeDelta);

impl Clock for Later {
    fn now(&self) -> chrono::DateTime<chrono::Utc> {
        SystemClock.now() + self.0
    }

    fn nonce(&self) -> u32 {
        SystemClock.nonce()
    }
}

#[test]
fn without_a_receipt_that_matches_nothing_begins() {
    let place = started();
    let refused = |catalog: &Catalog, settings: &Settings, target: Target, why: &str| {
        let before = content(place.folder.path());
        let error = demanded(catalog, settings, target).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ReceiptInvalid);
        assert!(error.message().contains(why), "{error}\nshould say: {why}");
        assert_eq!(content(place.folder.path()), before, "{why}");
    };
    let latest = Target::Latest;
    refused(&catalog(), &place.settings, latest, "there is no receipt");
    run(&catalog(), &place);

    let mut late = place.settings.clone();
    late.clock = Arc::new(Later(chrono::TimeDelta::days(8)));
    refused(&catalog(), &late, latest, "counts for 7 days");

    let other = with(migration(
        5,
        "more",
        Release::new(1, 2, 0),
        "CREATE TABLE more (x);",
        "DROP TABLE more;",
    ));
    refused(&other, &place.settings, Target::Version(4), "other migrations");
    refused(
        &catalog(),
        &place.settings,
        Target::Version(2),
        "it went to V004, and V002 is wanted",
    );
    let mut tool = place.settings.clone();
    tool.tool = "bridge-migrate 99".to_owned();
    refused(&catalog(), &tool, latest, "this is bridge-migrate 99");

    place
        .open()
        .execute_batch(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) \
             INSERT INTO notes (id, body) SELECT i, 'x' FROM n",
        )
        .unwrap();
    refused(
        &catalog(),
        &place.settings,
        latest,
        "notes had fewer than 1000 rows then and has 4 digits of rows now",
    );
    place
        .open()
        .execute_batch("DELETE FROM notes WHERE body = 'x'; CREATE INDEX theirs_x ON theirs (x)")
        .unwrap();
    refused(&catalog(), &place.settings, latest, "another schema");
    place.open().execute_batch("DROP INDEX theirs_x").unwrap();

    std::fs::write(place.folder.path().join("notes.db.receipt.json"), "{").unwrap();
    refused(&catalog(), &place.settings, latest, "is malformed");

    run(&catalog(), &place);
    demanded(&catalog(), &place.settings, latest).unwrap();
}

#[test]
fn a_new_database_needs_no_receipt() {
    let place = Place::new();
    demanded(&catalog(), &place.settings, Target::Latest).unwrap();
}

#[test]
fn the_receipt_holds_no_user_data() {
    let place = started();
    let secret = "zebra-stripes";
    place
        .open()
        .execute_batch(&format!(
            "UPDATE notes SET body = '{secret}' WHERE id = 'a'; UPDATE notes SET body = '{secret} #' WHERE id = 'e'"
        ))
        .unwrap();
    run(&catalog(), &place);
    let text = std::fs::read_to_string(place.folder.path().join("notes.db.receipt.json")).unwrap();
    assert!(!text.to_lowercase().contains(secret), "{text}");
    let receipt: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(receipt["ok"], true);
    assert_eq!((&receipt["from"], &receipt["to"]), (&1.into(), &4.into()));
    assert_eq!(receipt["magnitudes"]["notes"], 3);
    assert_eq!(receipt["steps"][1]["up"]["rows_changed"], 3);
}

#[test]
fn two_journaled_steps_on_one_column_go_back_in_order() {
    let place = started();
    let mut migrations = notes();
    migrations.push(data_migration(
        5,
        "softer",
        Release::new(1, 2, 0),
        Rewrite::new("to small letters", "notes", "id", "body", |text, _| {
            Rewritten::Change(text.to_lowercase())
        }),
    ));
    let catalog = Catalog::new("Notes", migrations).unwrap();
    let rehearsal = run(&catalog, &place);
    assert!(rehearsal.ok(), "{:?}", rehearsal.checks);
    assert_eq!(
        outcome(&rehearsal, CheckName::BackData),
        Some(CheckOutcome::Passed)
    );
}
