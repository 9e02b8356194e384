//! Ways back that are closed, half gone or dangerous: each says what is true, and changes nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails where its ground gives way"
)]

mod common;

use std::{os::unix::fs::PermissionsExt, path::Path};

use bridge_migrate_core::{
    Activity, Catalog, ChainRoots, Error, ErrorKind, Event, Hint, Observer, Release, Rewrite, Rewritten,
    Silent, Target,
};
use bridge_migrate_sqlite::rollback::{RollbackOptions, Strategy, plan, rollback};
use bridge_migrate_sqlite::undo::{UndoOptions, prune, undo};
use bridge_migrate_sqlite::{AdoptionOptions, MigrateOptions, adopt, backup::Backup, migrate};
use common::{Place, catalog, data_migration, migration, notes, to};

fn back(place: &Place, version: u32, strategy: Strategy) -> Result<(), Error> {
    let options = RollbackOptions {
        target: Target::Version(version),
        strategy,
        companion: Default::default(),
    };
    rollback(&catalog(), &place.settings, options, &mut |_| true, &Silent).map(drop)
}

/// A database at version 4 with `rows` notes that the data steps change.
fn migrated(rows: u32) -> Place {
    let place = Place::new();
    migrate(&catalog(), &place.settings, to(Target::Version(1)), &Silent).unwrap();
    place
        .open()
        .execute_batch(&format!(
            "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) \
             INSERT INTO notes (id, body) SELECT 'n' || i, 'text ' || i FROM n"
        ))
        .unwrap();
    migrate(&catalog(), &place.settings, MigrateOptions::default(), &Silent).unwrap();
    place
}

/// A database at version 4 with one note, and the backup that the run from version 2 made.
fn with_restore_point() -> (Place, Backup) {
    let place = Place::new();
    migrate(&catalog(), &place.settings, to(Target::Version(2)), &Silent).unwrap();
    place
        .open()
        .execute_batch("INSERT INTO notes (id, body) VALUES ('a', 'one')")
        .unwrap();
    let done = migrate(&catalog(), &place.settings, MigrateOptions::default(), &Silent).unwrap();
    (place, done.backup.unwrap().backup)
}

/// Stops a run as a power cut does: in the middle of a step, between two batches.
struct StopAfterBatches(std::sync::atomic::AtomicU32);

impl Observer for StopAfterBatches {
    fn observe(&self, event: &Event) {
        use std::sync::atomic::Ordering;
        let is_batch = matches!(
            event,
            Event::Progress {
                activity: Activity::Rows,
                ..
            }
        );
        if is_batch && self.0.fetch_sub(1, Ordering::Relaxed) == 1 {
            std::panic::resume_unwind(Box::new("power cut"));
        }
    }
}

fn interrupted(batches: u32, run: impl FnOnce(&StopAfterBatches)) {
    let stop = StopAfterBatches(batches.into());
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&stop)));
    assert!(ended.is_err(), "the run was not interrupted");
}

fn untouched(place: &Place) -> Vec<String> {
    let mut lines = place
        .strings("SELECT coalesce(quote(id), '') || body || coalesce(thread, '-') FROM notes ORDER BY rowid");
    lines.extend(place.strings("SELECT name FROM refinery_schema_history ORDER BY version"));
    lines.extend(place.strings("SELECT version FROM schema_version ORDER BY version"));
    lines
}

#[test]
fn a_half_applied_data_step_goes_back_first() {
    let place = Place::new();
    migrate(&catalog(), &place.settings, to(Target::Version(2)), &Silent).unwrap();
    place
        .open()
        .execute_batch(
            "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 5000) \
             INSERT INTO notes (id, body) SELECT 'n' || i, 'text ' || i FROM n",
        )
        .unwrap();
    interrupted(2, |stop| {
        migrate(&catalog(), &place.settings, MigrateOptions::default(), stop).unwrap();
    });
    let changed = "SELECT CAST(count(*) AS TEXT) FROM notes WHERE body LIKE 'TEXT%' AND body = upper(body)";
    assert_ne!(place.strings(changed), ["0"]);
    assert_eq!(
        place.strings("SELECT CAST(max(version) AS TEXT) FROM refinery_schema_history"),
        ["2"]
    );

    back(&place, 2, Strategy::Auto).unwrap();
    assert_eq!(place.strings(changed), ["0"]);
    for table in ["migration_progress", "migration_affected_records"] {
        assert_eq!(
            place.strings(&format!("SELECT CAST(count(*) AS TEXT) FROM {table}")),
            ["0"],
            "{table}"
        );
    }

    // The same on the way to a version before it; a migration afterwards begins at the beginning.
    interrupted(2, |stop| {
        migrate(&catalog(), &place.settings, MigrateOptions::default(), stop).unwrap();
    });
    back(&place, 1, Strategy::Down).unwrap();
    assert_eq!(place.strings(changed), ["0"]);
    migrate(&catalog(), &place.settings, MigrateOptions::default(), &Silent).unwrap();
    assert_eq!(place.strings(changed), ["5000"]);
    assert_eq!(
        place.strings("SELECT CAST(count(*) AS TEXT) FROM notes WHERE thread IS NULL"),
        ["0"]
    );
}

#[test]
fn a_half_applied_step_has_a_restore_point() {
    let place = Place::new();
    migrate(&catalog(), &place.settings, to(Target::Version(2)), &Silent).unwrap();
    place
        .open()
        .execute_batch(
            "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 5000) \
             INSERT INTO notes (id, body) SELECT 'n' || i, 'text ' || i FROM n",
        )
        .unwrap();
    interrupted(2, |stop| {
        migrate(&catalog(), &place.settings, MigrateOptions::default(), stop).unwrap();
    });
    back(&place, 2, Strategy::Restore).unwrap();
    assert_eq!(
        place.strings(
            "SELECT CAST(count(*) AS TEXT) FROM notes WHERE body LIKE 'text%' AND body <> upper(body)"
        ),
        ["5000"]
    );
}

#[test]
fn an_interrupted_rollback_is_completed_and_nothing_else_runs_meanwhile() {
    for (version, strategy) in [(2, Strategy::Down), (2, Strategy::Undo), (1, Strategy::Auto)] {
        let place = migrated(5000);
        if strategy == Strategy::Undo {
            back(&place, 3, Strategy::Down).unwrap();
        }
        let options = RollbackOptions {
            target: Target::Version(version),
            strategy,
            companion: Default::default(),
        };
        interrupted(2, |stop| {
            rollback(&catalog(), &place.settings, options, &mut |_| true, stop).unwrap();
        });
        let refused = migrate(&catalog(), &place.settings, MigrateOptions::default(), &Silent).unwrap_err();
        assert!(refused.message().contains("interrupted"), "{refused}");
        let Hint::Rollback(hinted) = *refused.hint() else {
            panic!("{refused:?}");
        };
        if hinted == 2 {
            let half = undo(&place.settings, 3, &UndoOptions::default(), &Silent).unwrap_err();
            assert!(half.message().contains("interrupted"), "{half}");
            let half = prune(&place.settings, None, false, &Silent).unwrap_err();
            assert!(half.message().contains("interrupted"), "{half}");
        }
        // What the hint says works, and so does the first command again.
        back(&place, hinted, Strategy::Auto).unwrap();
        back(&place, version, strategy).unwrap();
        assert_eq!(
            place.strings(
                "SELECT CAST(count(*) AS TEXT) FROM notes WHERE body LIKE 'text%' AND body <> upper(body)"
            ),
            ["5000"],
            "{strategy:?}"
        );
        assert_eq!(
            place.strings("SELECT CAST(count(*) AS TEXT) FROM migration_progress"),
            ["0"]
        );
        migrate(&catalog(), &place.settings, MigrateOptions::default(), &Silent).unwrap();
    }
}

/// Takes SQLite's lock when the first batch or step is committed, and keeps it.
struct Locks<'a>(&'a Place, std::cell::OnceCell<rusqlite::Connection>);

impl Observer for Locks<'_> {
    fn observe(&self, event: &Event) {
        let is_batch = matches!(
            event,
            Event::Progress {
                activity: Activity::Rows,
                ..
            }
        );
        if is_batch || matches!(event, Event::StepFinished { .. }) {
            self.1.get_or_init(|| {
                let connection = self.0.open();
                connection.execute_batch("BEGIN IMMEDIATE").unwrap();
                connection
            });
        }
    }
}

#[test]
fn what_a_lock_stopped_goes_on_with_the_same_command() {
    type Command<'a> = &'a dyn Fn(&Locks<'_>) -> Result<(), Error>;
    let mut place = migrated(1000);
    place.settings.busy_timeout = std::time::Duration::from_millis(100);
    let (catalog, settings) = (catalog(), &place.settings);
    let takes_back = |version, observer: &Locks<'_>| {
        let options = RollbackOptions {
            target: Target::Version(version),
            strategy: Strategy::Down,
            companion: Default::default(),
        };
        rollback(&catalog, settings, options, &mut |_| true, observer).map(drop)
    };
    let undoes = |observer: &Locks<'_>| undo(settings, 3, &UndoOptions::default(), observer).map(drop);
    let migrates =
        |observer: &Locks<'_>| migrate(&catalog, settings, MigrateOptions::default(), observer).map(drop);
    let commands: [Command<'_>; 3] = [&undoes, &|observer| takes_back(1, observer), &migrates];
    for (number, command) in commands.into_iter().enumerate() {
        let error = command(&Locks(&place, Default::default())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy, "{number}: {error}");
        assert!(
            error.truth().unwrap().contains("The database is whole"),
            "{number}"
        );
        assert_eq!(error.hint(), &Hint::Again, "{number}");
        back(&place, 1, Strategy::Down).unwrap_or_else(|error| panic!("{number}: {error}"));
        if number == 0 {
            migrate(&catalog, settings, MigrateOptions::default(), &Silent).unwrap();
        }
    }
}

#[test]
fn a_database_goes_back_to_its_adoption_and_no_further() {
    let place = Place::new();
    place.open().execute_batch(&notes()[0].up).unwrap();
    adopt(&catalog(), &place.settings, AdoptionOptions::default(), &Silent).unwrap();
    let error = back(&place, 0, Strategy::Auto).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReversible);
    assert_eq!(*error.hint(), Hint::BackupList);
    migrate(&catalog(), &place.settings, MigrateOptions::default(), &Silent).unwrap();
    let before = untouched(&place);
    for strategy in [Strategy::Auto, Strategy::Down, Strategy::Restore] {
        let error = back(&place, 0, strategy).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotReversible);
        assert!(error.message().contains("adopted at V001"), "{error}");
        assert_eq!(*error.hint(), Hint::RollbackDryRun(1));
    }
    assert_eq!(untouched(&place), before);
    back(&place, 1, Strategy::Auto).unwrap();
}

#[test]
fn a_restore_point_from_before_the_adoption_is_adopted_again() {
    let place = Place::new();
    place.open().execute_batch(&notes()[0].up).unwrap();
    migrate(&catalog(), &place.settings, MigrateOptions::default(), &Silent).unwrap();
    place
        .open()
        .execute_batch("INSERT INTO notes (id, body) VALUES ('new', 'later')")
        .unwrap();
    back(&place, 1, Strategy::Restore).unwrap();
    assert_eq!(
        place.strings("SELECT version FROM schema_version ORDER BY applied_at DESC LIMIT 1"),
        ["1.0.0"]
    );
    assert_eq!(
        place.strings("SELECT command || ' ' || reached_version FROM migration_runs"),
        ["rollback 1"]
    );
    assert_eq!(place.strings("SELECT CAST(count(*) AS TEXT) FROM notes"), ["0"]);
    migrate(&catalog(), &place.settings, MigrateOptions::default(), &Silent).unwrap();
}

#[test]
fn unknown_targets_and_targets_ahead_are_refused() {
    let place = migrated(3);
    let before = untouched(&place);
    for (target, kind) in [
        (Target::Version(17), ErrorKind::UnknownTarget),
        (Target::Release(Release::new(7, 0, 0)), ErrorKind::UnknownTarget),
        (Target::Back(9), ErrorKind::UnknownTarget),
    ] {
        let options = RollbackOptions {
            target,
            strategy: Strategy::Auto,
            companion: Default::default(),
        };
        let error = plan(&catalog(), &place.settings, options).unwrap_err();
        assert_eq!(error.kind(), kind, "{target}");
    }
    assert_eq!(untouched(&place), before);
    back(&place, 2, Strategy::Auto).unwrap();
    for target in [Target::Version(3), Target::Release(Release::new(1, 1, 0))] {
        let options = RollbackOptions {
            target,
            strategy: Strategy::Auto,
            companion: Default::default(),
        };
        let error = plan(&catalog(), &place.settings, options).unwrap_err();
        assert!(error.message().contains("lies ahead"), "{error}");
        assert!(matches!(error.hint(), Hint::MigrateTo(_)), "{error}");
    }
}

#[test]
fn without_its_journal_a_step_goes_back_by_its_restore_point_only() {
    let place = Place::new();
    migrate(&catalog(), &place.settings, to(Target::Version(2)), &Silent).unwrap();
    place
        .open()
        .execute_batch("INSERT INTO notes (id, body) VALUES ('a', 'one'), ('b', 'two')")
        .unwrap();
    migrate(&catalog(), &place.settings, MigrateOptions::default(), &Silent).unwrap();
    let dry = prune(&place.settings, None, true, &Silent).unwrap();
    assert_eq!(
        (dry[0].version, dry[0].records, dry[0].no_longer_undoable),
        (3, 2, 2)
    );
    // As if the pruning had been interrupted: a part of the old values is worse than none.
    place
        .open()
        .execute_batch("DELETE FROM migration_affected_records WHERE seq = 1")
        .unwrap();
    let before = untouched(&place);
    let error = undo(&place.settings, 3, &UndoOptions::default(), &Silent).unwrap_err();
    assert!(error.message().contains("pruned"), "{error}");
    let error = back(&place, 2, Strategy::Down).unwrap_err();
    assert!(error.message().contains("pruned"), "{error}");
    let Hint::RollbackBy {
        to: 2,
        strategy: Strategy::Restore,
        confirmed: false,
        ..
    } = error.hint()
    else {
        panic!("{error:?}");
    };
    assert_eq!(untouched(&place), before);
    back(&place, 2, Strategy::Auto).unwrap();
    assert_eq!(place.strings("SELECT body FROM notes"), ["one", "two"]);
}

#[test]
fn a_restore_point_that_is_missing_or_altered_is_refused() {
    for alter in [true, false] {
        let (place, Backup { database: point, .. }) = with_restore_point();
        if alter {
            let mut bytes = std::fs::read(&point).unwrap();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            std::fs::write(&point, bytes).unwrap();
        } else {
            std::fs::remove_file(&point).unwrap();
        }
        let before = untouched(&place);
        let error = back(&place, 2, Strategy::Restore).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotReversible);
        let why = if alter { "is not as it was" } else { "is gone" };
        assert!(error.message().contains(why), "{error}");
        assert_eq!(untouched(&place), before);
        back(&place, 2, Strategy::Auto).unwrap();
    }
}

/// A manifest that leads to itself, which the system refuses to open, also to the superuser.
fn make_unreadable(manifest: &Path) {
    std::fs::remove_file(manifest).unwrap();
    std::os::unix::fs::symlink(manifest, manifest).unwrap();
}

#[test]
fn a_restore_point_that_the_system_does_not_give_is_not_said_to_be_gone() {
    for (spoilt, strategy) in [
        ("manifest", Strategy::Restore),
        ("database", Strategy::Restore),
        ("manifest", Strategy::Auto),
    ] {
        let (place, point) = with_restore_point();
        let file = match spoilt {
            "manifest" => &point.manifest_path,
            _ => &point.database,
        };
        make_unreadable(file);
        // Only the restore point leads back without a loss.
        prune(&place.settings, None, false, &Silent).unwrap();
        let before = untouched(&place);
        let error = back(&place, 2, strategy).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{error:?}");
        assert!(error.message().contains(file.to_str().unwrap()), "{error}");
        assert!(matches!(error.hint(), Hint::LookAtPlace(_)), "{error:?}");
        assert!(
            error.truth().unwrap().contains("Nothing was changed."),
            "{error:?}"
        );
        assert_eq!(untouched(&place), before);
    }
}

#[test]
fn a_restore_point_that_the_system_does_not_give_hinders_no_way_without_it() {
    for strategy in [Strategy::Down, Strategy::Auto] {
        let place = migrated(3);
        let runs = place.strings("SELECT backup FROM migration_runs WHERE from_version = 1");
        make_unreadable(Path::new(&runs[0]));
        let options = RollbackOptions {
            target: Target::Version(1),
            strategy,
            companion: Default::default(),
        };
        let plan = plan(&catalog(), &place.settings, options).unwrap();
        let way = plan
            .alternatives
            .iter()
            .find(|way| way.strategy == Strategy::Restore);
        let why = way.unwrap().closed.as_ref().unwrap();
        assert!(why.contains("(os error "), "{why}");
        back(&place, 1, strategy).unwrap();
        assert_eq!(
            place.strings("SELECT body FROM notes ORDER BY rowid"),
            ["text 1", "text 2", "text 3"]
        );
    }
}

/// Takes the restore point away, and puts something in the note's place, while the present state is being secured.
struct TakeAway<'a> {
    point: &'a Path,
    note: &'a Path,
}

impl Observer for TakeAway<'_> {
    fn observe(&self, event: &Event) {
        if matches!(
            event,
            Event::ProgressFinished {
                activity: Activity::Copy,
                ..
            }
        ) {
            std::fs::remove_file(self.note).unwrap();
            std::fs::create_dir(self.note).unwrap();
            std::fs::remove_file(self.point).unwrap();
        }
    }
}

#[test]
fn a_restore_that_fails_is_told_before_the_note_that_it_leaves() {
    let (place, point) = with_restore_point();
    let note = place.folder.path().join("notes.db.rollback.json");
    let rows = place.strings("SELECT body FROM notes ORDER BY rowid");
    let options = RollbackOptions {
        target: Target::Version(2),
        strategy: Strategy::Restore,
        companion: Default::default(),
    };
    let observer = TakeAway {
        point: &point.database,
        note: &note,
    };
    let error = rollback(&catalog(), &place.settings, options, &mut |_| true, &observer).unwrap_err();
    assert!(
        error.message().contains(point.database.to_str().unwrap()),
        "{error:?}"
    );
    let truth = error.truth().unwrap();
    assert!(
        truth.starts_with("The database was not changed. A note of it stays: cannot remove "),
        "{truth}"
    );
    assert_eq!(*error.hint(), Hint::Rollback(2));
    assert_eq!(place.strings("SELECT body FROM notes ORDER BY rowid"), rows);
}

#[test]
fn an_interrupted_rollback_whose_restore_point_is_gone_says_so() {
    let place = migrated(3);
    let note = place.folder.path().join("notes.db.rollback.json");
    let gone = place.folder.path().join("notes.db.backup.20260102_030405");
    std::fs::write(&note, format!(r#"{{"backup":{gone:?},"from":4,"to":1}}"#)).unwrap();
    let before = untouched(&place);
    let error = back(&place, 1, Strategy::Auto).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReversible);
    assert!(error.message().contains("is gone"), "{error}");
    assert_eq!(*error.hint(), Hint::Repair);
    assert_eq!(untouched(&place), before);
}

#[test]
fn a_run_without_a_backup_has_no_restore_point() {
    let place = migrated(2);
    back(&place, 1, Strategy::Down).unwrap();
    let options = MigrateOptions {
        without_backup: true,
        ..MigrateOptions::default()
    };
    migrate(&catalog(), &place.settings, options, &Silent).unwrap();
    let error = back(&place, 1, Strategy::Restore).unwrap_err();
    assert!(error.message().contains("made no backup"), "{error}");
}

#[test]
fn a_way_back_of_a_newer_program_is_followed_only_if_it_is_understood() {
    let place = migrated(2);
    place
        .open()
        .execute_batch("UPDATE migration_steps SET way_back = 'by moonlight' WHERE version = 4")
        .unwrap();
    let before = untouched(&place);
    let error = back(&place, 3, Strategy::Auto).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReversible);
    assert!(error.message().contains("`by moonlight`"), "{error}");
    assert_eq!(untouched(&place), before);
    // The restore point of the run goes further back, and needs no way back of single steps.
    back(&place, 1, Strategy::Auto).unwrap();
    assert_eq!(
        place.strings("SELECT body FROM notes ORDER BY rowid"),
        ["text 1", "text 2"]
    );
}

#[test]
fn a_schema_that_was_changed_by_hand_is_said_so() {
    for (change, version) in [
        ("ALTER TABLE notes DROP COLUMN thread", 1),
        ("CREATE INDEX mine ON notes (thread)", 1),
        ("ALTER TABLE notes RENAME COLUMN body TO text", 2),
    ] {
        let place = migrated(2);
        place.open().execute_batch(change).unwrap();
        let schema = place.strings("SELECT coalesce(sql, '') FROM sqlite_schema");
        let error = back(&place, version, Strategy::Down).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SchemaMismatch, "{change}: {error}");
        assert!(
            error.truth().unwrap().contains("Somebody changed the schema"),
            "{error:?}"
        );
        assert_eq!(
            place.strings("SELECT coalesce(sql, '') FROM sqlite_schema"),
            schema
        );
    }
}

#[test]
fn restoring_counts_what_was_added_changed_and_removed() {
    let place = Place::new();
    migrate(&catalog(), &place.settings, to(Target::Version(2)), &Silent).unwrap();
    place
        .open()
        .execute_batch("INSERT INTO notes (id, body, reply_to) VALUES ('a', 'one', NULL), ('b', 'two', 'a'), ('c', 'x', 'a')")
        .unwrap();
    std::fs::write(&place.settings.companion, "{}").unwrap();
    migrate(&catalog(), &place.settings, MigrateOptions::default(), &Silent).unwrap();
    let options = RollbackOptions {
        target: Target::Version(2),
        strategy: Strategy::Restore,
        companion: Default::default(),
    };
    let loses = |place: &Place| -> Vec<String> {
        let plan = plan(&catalog(), &place.settings, options).unwrap();
        plan.loses.iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        loses(&place),
        Vec::<String>::new(),
        "what the migration did itself is no loss"
    );
    place
        .open()
        .execute_batch(
            "UPDATE notes SET reply_to = NULL WHERE id = 'b'; DELETE FROM notes WHERE id = 'a'; \
             INSERT INTO notes (id, body) VALUES ('d', 'D'), ('e', 'E'); CREATE TABLE mine (x); INSERT INTO mine VALUES (1)",
        )
        .unwrap();
    std::fs::write(&place.settings.companion, "{ }").unwrap();
    assert_eq!(
        loses(&place),
        [
            "mine: 1 row of a table that the restore point lacks",
            "notes: 2 rows written since the restore point",
            "notes: 1 row changed since the restore point",
            "notes: 1 row removed since the restore point, back again",
            "tokens.json: 1 file changed since the restore point, put back too",
        ]
    );
}

#[test]
fn records_are_found_after_their_rows_were_renumbered() {
    let place = migrated(5);
    place
        .open()
        .execute_batch(
            "UPDATE notes SET rowid = rowid + 1000; INSERT INTO notes (rowid, id, body) VALUES (1, 'other', 'TEXT 1')",
        )
        .unwrap();
    let options = UndoOptions {
        condition: Some("id = 'n2'".to_owned()),
        ..UndoOptions::default()
    };
    assert_eq!(
        undo(&place.settings, 3, &options, &Silent)
            .unwrap()
            .reverted_count,
        1
    );
    back(&place, 2, Strategy::Down).unwrap();
    assert_eq!(
        place.strings("SELECT body FROM notes ORDER BY rowid"),
        ["TEXT 1", "text 1", "text 2", "text 3", "text 4", "text 5"]
    );
}

#[test]
fn triggers_do_not_run_again_over_what_is_reclaimed() {
    let with_edits = || {
        let mut migrations = notes();
        migrations.push(migration(
            5,
            "edits",
            Release::new(1, 2, 0),
            "ALTER TABLE notes ADD COLUMN edited TEXT; \
             CREATE TABLE old_bodies (id TEXT, n INTEGER, body TEXT, PRIMARY KEY (id, n)) WITHOUT ROWID; \
             CREATE TRIGGER keep AFTER UPDATE OF edited ON notes \
             BEGIN INSERT INTO old_bodies SELECT NEW.id, count(*), NEW.body FROM old_bodies WHERE id = NEW.id; END;",
            "DROP TRIGGER keep; DROP TABLE old_bodies; ALTER TABLE notes DROP COLUMN edited;",
        ));
        Catalog::new("Notes", migrations).unwrap()
    };
    let place = migrated(3);
    migrate(&with_edits(), &place.settings, MigrateOptions::default(), &Silent).unwrap();
    place
        .open()
        .execute_batch(
            "UPDATE notes SET edited = 'now' WHERE id = 'n2'; UPDATE notes SET id = NULL WHERE id = 'n3'",
        )
        .unwrap();
    place
        .open()
        .execute_batch("DROP TRIGGER IF EXISTS none; UPDATE notes SET edited = 'then' WHERE id = 'n2'")
        .unwrap();
    let kept = "SELECT id || n || body FROM old_bodies ORDER BY n";
    let before = place.strings(kept);
    assert_eq!(before.len(), 2);
    let options = RollbackOptions {
        target: Target::Version(4),
        strategy: Strategy::Down,
        companion: Default::default(),
    };
    let done = rollback(&with_edits(), &place.settings, options, &mut |_| true, &Silent).unwrap();
    let mode = done.kept[0].metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let reclaim = MigrateOptions {
        reclaim: true,
        ..MigrateOptions::default()
    };
    migrate(&with_edits(), &place.settings, reclaim, &Silent).unwrap();
    assert_eq!(place.strings(kept), before);
    assert_eq!(
        place.strings("SELECT id FROM notes WHERE edited = 'then'"),
        ["n2"]
    );
    // The triggers are back at work.
    place
        .open()
        .execute_batch("UPDATE notes SET edited = 'again' WHERE id = 'n2'")
        .unwrap();
    assert_eq!(place.strings(kept).len(), 3);
}

#[test]
fn operators_tables_may_grow_while_rows_go_back() {
    let place = migrated(3);
    place
        .open()
        .execute_batch(
            "CREATE TABLE watch (what); \
             CREATE TRIGGER watched AFTER UPDATE ON notes BEGIN INSERT INTO watch VALUES (NEW.id); END",
        )
        .unwrap();
    back(&place, 1, Strategy::Down).unwrap();
    assert_eq!(
        place.strings("SELECT body FROM notes ORDER BY rowid"),
        ["text 1", "text 2", "text 3"]
    );
}

#[test]
fn an_older_program_says_which_release_a_newer_database_is_at() {
    let newer = || {
        let mut migrations = notes();
        for (version, name) in [(5, "a"), (6, "b")] {
            let up = format!("CREATE TABLE {name} (x);");
            migrations.push(migration(
                version,
                name,
                Release::new(1, 2, 0),
                &up,
                &format!("DROP TABLE {name};"),
            ));
        }
        migrations.push(data_migration(
            7,
            "whisper",
            Release::new(1, 3, 0),
            Rewrite::new("to small letters", "notes", "id", "body", |text, _| {
                Rewritten::Change(text.to_lowercase())
            }),
        ));
        migrations.push(data_migration(
            8,
            "threads_again",
            Release::new(1, 3, 0),
            ChainRoots::new("notes", "id", "reply_to", "thread"),
        ));
        Catalog::new("Notes", migrations).unwrap()
    };
    let place = migrated(3);
    migrate(&newer(), &place.settings, to(Target::Version(7)), &Silent).unwrap();
    let seen = |target| {
        let options = RollbackOptions {
            target,
            strategy: Strategy::Auto,
            companion: Default::default(),
        };
        let plan = plan(&catalog(), &place.settings, options).unwrap();
        (plan.from.to_string(), plan.to.to_string())
    };
    assert_eq!(
        seen(Target::Version(5)),
        ("1.3.0 (V007)".to_owned(), "1.1.0 (V005)".to_owned())
    );
    assert_eq!(seen(Target::Release(Release::new(1, 2, 0))).1, "1.2.0 (V006)");
    assert_eq!(seen(Target::Latest).1, "1.1.0 (V004)");
    back(&place, 4, Strategy::Auto).unwrap();
    assert_eq!(
        place.strings("SELECT body FROM notes ORDER BY rowid"),
        ["TEXT 1", "TEXT 2", "TEXT 3"]
    );
}
