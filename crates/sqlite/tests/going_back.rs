//! Going back: by stored statements, by the journal, by a restore point, and record by record.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails where its ground gives way"
)]

mod common;
#[path = "going_back/kept.rs"]
mod kept_rows;
#[path = "going_back/rebuilt.rs"]
mod rebuilt;

use std::cell::Cell;

use bridge_migrate_core::{Activity, Catalog, ErrorKind, Event, Observer, Release, Silent, Target};
use bridge_migrate_sqlite::rollback::{RollbackOptions, RollbackPlan, Strategy, plan, rollback};
use bridge_migrate_sqlite::undo::{UndoOptions, prune, undo};
use bridge_migrate_sqlite::{MigrateOptions, connection::open_immutable, migrate};
use common::{Place, catalog, migration, notes, to};

const ROWS: &str = "INSERT INTO notes (id, body, reply_to) VALUES ('a', 'one', NULL), ('b', 'two', 'a'), \
     (NULL, 'three', 'a'), ('d', 'FOUR', NULL)";

/// A database at version 4 whose rows were written at version 1.
fn migrated() -> Place {
    let place = Place::new();
    migrate(&catalog(), &place.settings, to(Target::Version(1)), &Silent).unwrap();
    place.open().execute_batch(ROWS).unwrap();
    migrate(&catalog(), &place.settings, MigrateOptions::default(), &Silent).unwrap();
    place
}

fn back_to(version: u32, strategy: Strategy) -> RollbackOptions {
    RollbackOptions {
        target: Target::Version(version),
        strategy,
        companion: Default::default(),
    }
}

fn bodies(place: &Place) -> Vec<String> {
    place.strings("SELECT coalesce(id, '-') || '=' || body FROM notes ORDER BY rowid")
}

#[test]
fn down_takes_every_migration_back_and_keeps_what_was_written_since() {
    let place = migrated();
    assert_eq!(bodies(&place), ["a=ONE", "b=TWO", "-=THREE", "d=FOUR"]);
    place
        .open()
        .execute_batch("INSERT INTO notes (id, body) VALUES ('new', 'later'); UPDATE notes SET body = 'edited' WHERE id = 'b'")
        .unwrap();
    let outcome = rollback(
        &catalog(),
        &place.settings,
        back_to(1, Strategy::Down),
        &mut |_| false,
        &Silent,
    )
    .unwrap();
    assert_eq!(
        outcome
            .reverted
            .iter()
            .map(|step| step.version)
            .collect::<Vec<_>>(),
        [4, 3, 2]
    );
    assert_eq!(
        bodies(&place),
        ["a=one", "b=edited", "-=three", "d=FOUR", "new=later"]
    );
    assert_eq!(outcome.conflicts.len(), 1);
    assert_eq!(outcome.conflicts[0].key, "b");
    assert_eq!(
        place.strings("SELECT version FROM schema_version ORDER BY applied_at DESC LIMIT 1"),
        ["1.0.0"]
    );
    assert_eq!(
        place.strings("SELECT group_concat(name, ' ') FROM pragma_table_info('notes')"),
        ["id body reply_to"]
    );
    assert_eq!(
        place.strings("SELECT CAST(count(*) AS TEXT) FROM migration_affected_records"),
        ["0"]
    );

    migrate(&catalog(), &place.settings, MigrateOptions::default(), &Silent).unwrap();
    assert_eq!(
        bodies(&place),
        ["a=ONE", "b=EDITED", "-=THREE", "d=FOUR", "new=LATER"]
    );
}

#[test]
fn restore_brings_the_restore_point_back_and_says_what_it_loses() {
    let place = migrated();
    place
        .open()
        .execute_batch("INSERT INTO notes (id, body) VALUES ('new', 'later')")
        .unwrap();
    let asked = plan(&catalog(), &place.settings, back_to(1, Strategy::Restore)).unwrap();
    assert!(
        asked
            .loses
            .iter()
            .any(|loss| loss.subject == "notes" && loss.count == 1),
        "{:?}",
        asked.loses
    );
    let refused = rollback(
        &catalog(),
        &place.settings,
        back_to(1, Strategy::Restore),
        &mut |_| false,
        &Silent,
    )
    .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConfirmationNeeded);
    rollback(
        &catalog(),
        &place.settings,
        back_to(1, Strategy::Restore),
        &mut |_| true,
        &Silent,
    )
    .unwrap();
    assert_eq!(bodies(&place), ["a=one", "b=two", "-=three", "d=FOUR"]);
    assert_eq!(
        place.strings("SELECT version FROM schema_version ORDER BY applied_at DESC LIMIT 1"),
        ["1.0.0"]
    );
}

/// A server that writes a note once the rollback copies the database: after it was planned, before the lock is taken.
struct WritesLate<'a>(&'a Place, Cell<bool>);

impl Observer for WritesLate<'_> {
    fn observe(&self, event: &Event) {
        let is_copied = matches!(
            event,
            Event::ProgressFinished {
                activity: Activity::Copy,
                ..
            }
        );
        if is_copied && !self.1.replace(true) {
            self.0
                .open()
                .execute_batch("INSERT INTO notes (id, body) VALUES ('late', 'by a server')")
                .unwrap();
        }
    }
}

#[test]
fn a_restore_that_loses_more_than_was_announced_is_asked_about_again() {
    let place = migrated();
    let asked = plan(&catalog(), &place.settings, back_to(1, Strategy::Restore)).unwrap();
    assert!(asked.loses.is_empty(), "{:?}", asked.loses);
    let files = || {
        let mut names: Vec<_> = std::fs::read_dir(place.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    let before = files();
    let mut urgent = Vec::new();
    let mut confirm = |plan: &RollbackPlan| {
        urgent.push(plan.is_urgent);
        !plan.is_urgent
    };
    let options = back_to(1, Strategy::Restore);
    let refused = rollback(
        &catalog(),
        &place.settings,
        options,
        &mut confirm,
        &WritesLate(&place, Cell::default()),
    )
    .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConfirmationNeeded);
    assert_eq!(refused.truth(), Some("Nothing was changed."));
    insta::assert_snapshot!(
        refused.message(),
        @"going back would lose more by now: notes: 1 row written since the restore point"
    );
    assert_eq!(urgent, [false, true]);
    assert_eq!(
        bodies(&place),
        ["a=ONE", "b=TWO", "-=THREE", "d=FOUR", "late=by a server"]
    );
    assert_eq!(files(), before, "no backup, no note");

    // Whoever accepts any loss is told which it was.
    place
        .open()
        .execute_batch("DELETE FROM notes WHERE id = 'late'")
        .unwrap();
    let done = rollback(
        &catalog(),
        &place.settings,
        options,
        &mut |_| true,
        &WritesLate(&place, Cell::default()),
    )
    .unwrap();
    let lost: Vec<_> = done
        .loses
        .iter()
        .map(|loss| (loss.subject.as_str(), loss.count))
        .collect();
    assert_eq!(lost, [("notes", 1)]);
    assert_eq!(bodies(&place), ["a=one", "b=two", "-=three", "d=FOUR"]);
    let secured = open_immutable(&done.secured.unwrap()).unwrap();
    let late: i64 = secured
        .query_row("SELECT count(*) FROM notes WHERE id = 'late'", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(late, 1);
}

#[test]
fn a_rollback_that_was_killed_before_it_changed_anything_is_asked_about_anew() {
    let place = migrated();
    let point = plan(&catalog(), &place.settings, back_to(1, Strategy::Restore))
        .unwrap()
        .restore_point
        .unwrap();
    place
        .open()
        .execute_batch("INSERT INTO notes (id, body) VALUES ('new', 'later')")
        .unwrap();
    let note = place.folder.path().join("notes.db.rollback.json");
    std::fs::write(
        &note,
        format!(r#"{{"backup":{:?},"from":4,"to":1}}"#, point.database),
    )
    .unwrap();
    let options = back_to(1, Strategy::Restore);
    let refused = rollback(&catalog(), &place.settings, options, &mut |_| false, &Silent).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConfirmationNeeded);
    assert_eq!(bodies(&place).last().unwrap(), "new=later");
    rollback(&catalog(), &place.settings, options, &mut |_| true, &Silent).unwrap();
    assert_eq!(bodies(&place), ["a=one", "b=two", "-=three", "d=FOUR"]);
}

#[test]
fn what_is_dropped_is_kept_and_can_be_reclaimed() {
    let with_colours = || {
        let mut migrations = notes();
        migrations.push(migration(
            5,
            "colours",
            Release::new(1, 2, 0),
            "ALTER TABLE notes ADD COLUMN colour TEXT DEFAULT 'white'; CREATE TABLE palette (name TEXT PRIMARY KEY);",
            "DROP TABLE palette; ALTER TABLE notes DROP COLUMN colour;",
        ));
        Catalog::new("Notes", migrations).unwrap()
    };
    let place = migrated();
    migrate(
        &with_colours(),
        &place.settings,
        MigrateOptions::default(),
        &Silent,
    )
    .unwrap();
    place
        .open()
        .execute_batch(
            "UPDATE notes SET colour = 'red' WHERE id IS NULL; UPDATE notes SET colour = NULL WHERE id = 'a'; \
             INSERT INTO palette VALUES ('red'), (CAST(x'ff' AS TEXT))",
        )
        .unwrap();
    let mut shown = Vec::new();
    // An older program, which does not know V005, takes it back by what the database recorded.
    let outcome = rollback(
        &catalog(),
        &place.settings,
        back_to(4, Strategy::Auto),
        &mut |plan| {
            shown = plan.loses.iter().map(ToString::to_string).collect();
            true
        },
        &Silent,
    )
    .unwrap();
    assert_eq!(
        shown,
        [
            "notes.colour: 2 values other than the default, kept in a file",
            "palette: 2 rows, kept in a file"
        ]
    );
    assert_eq!(outcome.kept.len(), 1);
    assert_eq!(
        place.strings("SELECT name FROM sqlite_schema WHERE name = 'palette'"),
        Vec::<String>::new()
    );

    let options = MigrateOptions {
        reclaim: true,
        ..MigrateOptions::default()
    };
    migrate(&with_colours(), &place.settings, options, &Silent).unwrap();
    assert_eq!(
        place
            .strings("SELECT coalesce(id, '-') || '=' || coalesce(colour, 'NULL') FROM notes ORDER BY rowid"),
        ["a=NULL", "b=white", "-=red", "d=white"]
    );
    assert_eq!(
        place.strings("SELECT hex(name) FROM palette ORDER BY rowid"),
        ["726564", "FF"]
    );
}

#[test]
fn single_records_go_back_unless_they_were_edited_since() {
    let place = migrated();
    place
        .open()
        .execute_batch("UPDATE notes SET body = 'edited' WHERE id = 'b'")
        .unwrap();
    let options = UndoOptions {
        dry_run: true,
        ..UndoOptions::default()
    };
    let preview = undo(&place.settings, 3, &options, &Silent).unwrap();
    assert_eq!(
        (preview.reverted_count, preview.conflict_count, preview.remaining),
        (2, 1, 3)
    );
    assert_eq!(
        bodies(&place),
        ["a=ONE", "b=edited", "-=THREE", "d=FOUR"],
        "a dry run changes nothing"
    );

    let only_a = UndoOptions {
        keys: vec!["a".to_owned()],
        ..UndoOptions::default()
    };
    let done = undo(&place.settings, 3, &only_a, &Silent).unwrap();
    assert_eq!((done.reverted_count, done.remaining), (1, 2));
    assert_eq!(
        (done.reverted[0].from.as_str(), done.reverted[0].to.as_str()),
        ("ONE", "one")
    );
    assert_eq!(bodies(&place), ["a=one", "b=edited", "-=THREE", "d=FOUR"]);

    let nobody = UndoOptions {
        condition: Some(
            "id IS NULL AND EXISTS (WITH one AS (SELECT value FROM json_each('[1]')) SELECT 1 FROM one) -- odd ones".to_owned(),
        ),
        ..UndoOptions::default()
    };
    assert_eq!(
        undo(&place.settings, 3, &nobody, &Silent).unwrap().reverted_count,
        1
    );
    let everything = undo(&place.settings, 3, &UndoOptions::default(), &Silent).unwrap();
    assert_eq!((everything.reverted_count, everything.conflict_count), (0, 1));
    let forced = UndoOptions {
        force: true,
        ..UndoOptions::default()
    };
    assert_eq!(undo(&place.settings, 3, &forced, &Silent).unwrap().remaining, 0);
    assert_eq!(bodies(&place), ["a=one", "b=two", "-=three", "d=FOUR"]);

    rollback(
        &catalog(),
        &place.settings,
        back_to(2, Strategy::Auto),
        &mut |_| false,
        &Silent,
    )
    .unwrap();
    assert_eq!(bodies(&place), ["a=one", "b=two", "-=three", "d=FOUR"]);
    assert_eq!(
        place.strings("SELECT CAST(count(*) AS TEXT) FROM migration_affected_records"),
        ["0"]
    );
}

#[test]
fn conditions_that_do_more_than_read_are_refused() {
    let place = migrated();
    place
        .open()
        .execute_batch("CREATE VIEW careless AS SELECT 1 FROM pragma_optimize(0x10002)")
        .unwrap();
    for condition in [
        "1); DELETE FROM notes; --",
        "1) OR (SELECT 1",
        "(DELETE FROM notes)",
        "no_such_column = 1",
        "?1 = 'a'",
        "",
        "1; SELECT 1",
        "load_extension('x')",
        "1 /*",
        "\"nosuch\" = 1",
        "1 = (SELECT count(*) FROM pragma_optimize(0x10002))",
        "EXISTS (SELECT 1 FROM pragma_user_version)",
        "EXISTS (SELECT 1 FROM careless)",
        "EXISTS (SELECT 1 FROM sqlite_schema)",
    ] {
        let options = UndoOptions {
            condition: Some(condition.to_owned()),
            ..UndoOptions::default()
        };
        let error = undo(&place.settings, 3, &options, &Silent).map(|outcome| outcome.reverted_count);
        assert!(
            matches!(&error, Err(error) if error.kind() == ErrorKind::Usage),
            "{condition}: {error:?}"
        );
    }
    assert_eq!(bodies(&place), ["a=ONE", "b=TWO", "-=THREE", "d=FOUR"]);
}

#[test]
fn ways_that_are_closed_say_why() {
    let place = migrated();
    let kind = |result: Result<_, bridge_migrate_core::Error>| {
        let result: Result<bridge_migrate_sqlite::undo::UndoOutcome, _> = result;
        result.unwrap_err().kind()
    };
    assert_eq!(
        kind(undo(&place.settings, 2, &UndoOptions::default(), &Silent)),
        ErrorKind::NotReversible
    );
    assert_eq!(
        kind(undo(&place.settings, 9, &UndoOptions::default(), &Silent)),
        ErrorKind::Usage
    );
    let unknown = UndoOptions {
        keys: vec!["zz".to_owned()],
        ..UndoOptions::default()
    };
    assert_eq!(
        kind(undo(&place.settings, 3, &unknown, &Silent)),
        ErrorKind::Usage
    );

    let pruned = prune(&place.settings, Some(3), false, &Silent).unwrap();
    assert_eq!((pruned[0].records, pruned[0].no_longer_undoable), (3, 3));
    assert_eq!(
        kind(undo(&place.settings, 3, &UndoOptions::default(), &Silent)),
        ErrorKind::NotReversible
    );
    let error = rollback(
        &catalog(),
        &place.settings,
        back_to(2, Strategy::Down),
        &mut |_| true,
        &Silent,
    )
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReversible, "{error}");
    assert!(error.message().contains("pruned"), "{error}");

    place
        .open()
        .execute_batch("ALTER TABLE notes DROP COLUMN thread")
        .unwrap();
    let error = rollback(
        &catalog(),
        &place.settings,
        back_to(1, Strategy::Down),
        &mut |_| true,
        &Silent,
    )
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SchemaMismatch, "{error}");
}
