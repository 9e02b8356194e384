//! The checklist: each box can fail, and says what it rests on.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends so"
)]

mod common;

use std::fs::File;

use bridge_migrate_core::{Catalog, Release, Severity, Silent, Target};
use bridge_migrate_sqlite::backup::{BackupFacts, create};
use bridge_migrate_sqlite::checklist::{Checklist, Item, ItemState};
use bridge_migrate_sqlite::migrate;
use bridge_migrate_sqlite::rehearse::{RehearseOptions, rehearse};
use common::{Place, catalog, first_servers, migration, notes, to};

fn at(version: u32) -> Place {
    let place = Place::new();
    go_to(&place, version);
    place
}

fn go_to(place: &Place, version: u32) {
    migrate(&catalog(), &place.settings, to(Target::Version(version)), &Silent).unwrap();
}

fn backed_up(place: &Place) {
    create(&place.settings, &BackupFacts::default(), &Silent).unwrap();
}

fn checklist(catalog: &Catalog, place: &Place) -> Checklist {
    bridge_migrate_sqlite::checklist::checklist(catalog, &place.settings, Some((3, 37))).unwrap()
}

fn item(catalog: &Catalog, place: &Place, name: &str) -> Item {
    let all = checklist(catalog, place).items;
    all.into_iter().find(|item| item.item == name).unwrap()
}

#[test]
fn a_prepared_database_passes_every_box_and_not_one_byte_changes() {
    let place = at(2);
    let catalog = catalog().with_contracts(vec![first_servers()]);
    let options = RehearseOptions {
        target: Target::Latest,
        adoption: Default::default(),
        allow_drift: false,
        keep: false,
        smoke_test: None,
    };
    rehearse(&catalog, &place.settings, options, &Silent).unwrap();
    backed_up(&place);
    let before = std::fs::read(place.database()).unwrap();
    let list = checklist(&catalog, &place);
    let wrong: Vec<_> = list
        .items
        .iter()
        .filter(|item| item.state != ItemState::Ok)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(list.is_passed() && list.findings().is_empty());
    let names: Vec<&str> = list.items.iter().map(|item| item.item).collect();
    assert_eq!(
        names,
        [
            "backup",
            "rehearsal",
            "contracts",
            "rollback",
            "version",
            "plan",
            "disk",
            "permissions",
            "lock",
            "journal",
            "sqlite",
            "file_system",
            "clock"
        ]
    );
    assert!(list.items.iter().all(|item| !item.evidence.is_empty()));
    assert_eq!(before, std::fs::read(place.database()).unwrap());
    assert!(!place.settings.log_dir.join("anything").exists());
}

#[test]
fn without_backup_rehearsal_and_contracts_it_fails() {
    let list = checklist(&catalog(), &at(2));
    let failed: Vec<(&str, Severity)> = list
        .findings()
        .iter()
        .map(|finding| (finding.code, finding.severity))
        .collect();
    assert_eq!(
        failed,
        [
            ("BC101", Severity::Error),
            ("BC102", Severity::Error),
            ("BC103", Severity::Error)
        ]
    );
    assert!(!list.is_passed());
}

#[test]
fn with_nothing_pending_nothing_has_to_be_rehearsed() {
    let place = at(4);
    backed_up(&place);
    let list = checklist(&catalog(), &place);
    assert!(list.is_passed(), "{:#?}", list.findings());
}

#[test]
fn a_backup_of_another_version_is_doubted() {
    let place = at(1);
    // Makes one of V001 first.
    go_to(&place, 2);
    let backup = item(&catalog(), &place, "backup");
    assert_eq!(backup.state, ItemState::Warning);
    assert!(
        backup
            .evidence
            .contains("is at V001, and the database is at 1.0.0 (V002)"),
        "{}",
        backup.evidence
    );
}

#[test]
fn a_migration_without_a_way_back_is_named() {
    let mut migrations = notes();
    let mut last = migration(5, "one_way", Release::new(1, 2, 0), "CREATE TABLE more (x);", "");
    last.rollback = String::new();
    migrations.push(last);
    let catalog = Catalog::new("Notes", migrations).unwrap();
    let rollback = item(&catalog, &at(4), "rollback");
    assert_eq!(rollback.state, ItemState::Failed);
    assert_eq!(
        rollback.evidence,
        "V005__one_way has no rollback text; V005__one_way has no way back"
    );
}

#[test]
fn a_schema_that_old_servers_cannot_read_is_refused() {
    let mut migrations = notes();
    migrations.push(migration(
        5,
        "too_new",
        Release::new(1, 2, 0),
        "CREATE VIEW v AS SELECT body ->> '$.a' FROM notes;",
        "DROP VIEW v;",
    ));
    let catalog = Catalog::new("Notes", migrations).unwrap();
    let sqlite = item(&catalog, &at(4), "sqlite");
    assert_eq!(sqlite.state, ItemState::Failed);
    assert!(
        sqlite
            .evidence
            .starts_with("view v uses ->>, which SQLite has since 3.38")
    );
}

#[test]
fn drift_a_held_lock_and_a_clock_that_went_back_are_seen() {
    let place = at(2);
    place.open().execute_batch("CREATE TABLE theirs (x)").unwrap();
    assert_eq!(item(&catalog(), &place, "plan").state, ItemState::Failed);
    let lock = File::create(format!("{}.migrate.lock", place.database().display())).unwrap();
    lock.lock().unwrap();
    assert_eq!(item(&catalog(), &place, "lock").state, ItemState::Failed);
    place
        .open()
        .execute_batch("UPDATE migration_runs SET started_at = '2999-01-01T00:00:00Z'")
        .unwrap();
    let clock = item(&catalog(), &place, "clock");
    assert_eq!(clock.state, ItemState::Warning);
    assert!(clock.evidence.contains("2999-01-01"), "{}", clock.evidence);
}

#[test]
fn what_is_no_database_fails_its_boxes_and_is_no_error() {
    let place = Place::new();
    std::fs::write(place.database(), vec![b'x'; 5000]).unwrap();
    let list = checklist(&catalog(), &place);
    assert!(!list.is_passed());
    for item in list.items.iter().filter(|item| item.state != ItemState::Ok) {
        assert!(item.hint.is_some() || !item.fix.is_empty(), "{item:?}");
    }
}

#[test]
fn a_database_that_does_not_exist_yet_needs_no_backup() {
    let place = Place::new();
    let list = checklist(&catalog(), &place);
    assert!(list.is_passed(), "{:#?}", list.findings());
    assert!(!place.database().exists());
}
