//! Row ids that change between two batches: VACUUM numbers the rows of a table without a key or an index anew.

use std::{cell::Cell, time::Duration};

use bridge_migrate_core::{Activity, Catalog, ErrorKind, Event, Observer, Silent, Target};
use bridge_migrate_sqlite::rollback::{RollbackOptions, Strategy, rollback};
use bridge_migrate_sqlite::undo::{UndoOptions, undo};
use bridge_migrate_sqlite::{MigrateOptions, migrate};

use crate::common::{Place, notes, to};

const ROWS: u32 = 1200;

/// Notes without a key for SQLite: their row ids are what VACUUM makes of them.
fn loose() -> Catalog {
    let mut migrations = notes();
    migrations[0].up = "CREATE TABLE notes (id TEXT, body TEXT NOT NULL, reply_to TEXT);".to_owned();
    Catalog::new("Notes", migrations).unwrap()
}

/// At version 2, with gaps between the row ids, and every fifth note a beginning.
fn place() -> Place {
    let mut place = Place::new();
    // Many small batches.
    place.settings.lock_budget = Duration::from_micros(1);
    migrate(&loose(), &place.settings, to(Target::Version(2)), &Silent).unwrap();
    place
        .open()
        .execute_batch(&format!(
            "WITH RECURSIVE n (i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {ROWS})
             INSERT INTO notes (rowid, id, body, reply_to)
             SELECT 3 * i + 1, 'n' || i, 'body ' || i, iif(i % 5 = 0, NULL, 'n' || (i - 1)) FROM n"
        ))
        .unwrap();
    place
}

fn rows(place: &Place) -> Vec<String> {
    place.strings("SELECT id || ' ' || body || ' ' || coalesce(thread, '-') FROM notes ORDER BY rowid")
}

fn expected(body: &str, thread: impl Fn(u32) -> String) -> Vec<String> {
    (0..ROWS)
        .map(|i| format!("n{i} {body} {i} {}", thread(i)))
        .collect()
}

fn root(i: u32) -> String {
    format!("n{}", i / 5 * 5)
}

/// Somebody else, after batches of a step, for so many times.
struct Between<'a> {
    place: &'a Place,
    after: u32,
    times: u32,
    does: &'a dyn Fn(&Place),
    batches: Cell<u32>,
}

impl<'a> Between<'a> {
    fn new(place: &'a Place, after: u32, times: u32, does: &'a dyn Fn(&Place)) -> Self {
        let batches = Cell::default();
        Self {
            place,
            after,
            times,
            does,
            batches,
        }
    }
}

impl Observer for Between<'_> {
    fn observe(&self, event: &Event) {
        match event {
            Event::StepStarted { .. } => self.batches.set(0),
            Event::Progress {
                activity: Activity::Rows,
                ..
            } => {
                self.batches.set(self.batches.get() + 1);
                let since = self.batches.get().checked_sub(self.after);
                if since.is_some_and(|since| since < self.times) {
                    (self.does)(self.place);
                }
            }
            _ => {}
        }
    }
}

fn sql(text: &'static str) -> impl Fn(&Place) {
    move |place| place.open().execute_batch(text).unwrap()
}

fn back(place: &Place, to: u32, observer: &dyn Observer) -> Result<(), bridge_migrate_core::Error> {
    let options = RollbackOptions {
        target: Target::Version(to),
        strategy: Strategy::Down,
        companion: Default::default(),
    };
    rollback(&loose(), &place.settings, options, &mut |_| true, observer).map(drop)
}

#[test]
fn rows_that_get_other_ids_between_two_batches_are_not_skipped() {
    for change in ["VACUUM", "CREATE TABLE theirs (x); DROP TABLE theirs"] {
        let place = place();
        let does = sql(change);
        let somebody = |after| Between::new(&place, after, 1, &does);
        migrate(&loose(), &place.settings, to(Target::Version(3)), &somebody(20)).unwrap();
        assert_eq!(rows(&place), expected("BODY", |_| "-".to_owned()), "{change}");
        place
            .open()
            .execute_batch("UPDATE notes SET rowid = 3 * rowid + 7000")
            .unwrap();
        let done = migrate(
            &loose(),
            &place.settings,
            MigrateOptions::default(),
            &somebody(20),
        )
        .unwrap();
        assert_eq!(rows(&place), expected("BODY", root), "{change}");
        assert_eq!(done.applied[0].rows_changed, u64::from(ROWS));
        place
            .open()
            .execute_batch("UPDATE notes SET rowid = 3 * rowid + 70000")
            .unwrap();
        back(&place, 3, &somebody(20)).unwrap();
        assert_eq!(rows(&place), expected("BODY", |_| "-".to_owned()), "{change}");
    }
}

/// Two notes have no id, and say the same after the migration, which they did not before.
#[test]
fn old_values_come_back_to_rows_that_have_other_ids_and_to_no_other_row() {
    let told = "SELECT coalesce(id, '-') || ' ' || body FROM notes ORDER BY rowid";
    for (change, by_undo) in [
        ("VACUUM", false),
        ("VACUUM", true),
        ("ANALYZE", false),
        ("ANALYZE", true),
    ] {
        let place = place();
        place
            .open()
            .execute_batch(
                "INSERT INTO notes (rowid, id, body) VALUES (900, NULL, 'Alike'), (2696, NULL, 'alike')",
            )
            .unwrap();
        let before = place.strings(told);
        migrate(&loose(), &place.settings, to(Target::Version(3)), &Silent).unwrap();
        // It is gone, and VACUUM gives the second note without an id the number that the first had.
        place
            .open()
            .execute_batch("DELETE FROM notes WHERE id = 'n0'")
            .unwrap();
        place.open().execute_batch(change).unwrap();
        let conflicts = if by_undo {
            let done = undo(&place.settings, 3, &UndoOptions::default(), &Silent).unwrap();
            done.conflicts
        } else {
            let options = RollbackOptions {
                target: Target::Version(2),
                strategy: Strategy::Down,
                companion: Default::default(),
            };
            rollback(&loose(), &place.settings, options, &mut |_| true, &Silent)
                .unwrap()
                .conflicts
        };
        let stay = if change == "VACUUM" { 3 } else { 1 };
        assert_eq!(conflicts.len(), stay, "{change}: {conflicts:?}");
        let expected: Vec<String> = before
            .into_iter()
            .filter(|row| row != "n0 body 0")
            .map(|row| match row.strip_prefix("- ") {
                Some(body) if stay == 3 => format!("- {}", body.to_uppercase()),
                _ => row,
            })
            .collect();
        assert_eq!(place.strings(told), expected, "{change}");
    }
}

#[test]
fn rows_that_get_other_ids_after_a_kill_are_not_skipped() {
    let place = place();
    // What a kill leaves between two batches is what a copy finds there.
    let killed = |name: &str| place.folder.path().join(name);
    let resumed = |name: &str| {
        let mut of = Place::new();
        std::fs::copy(killed(name), of.database()).unwrap();
        of.open().execute_batch("VACUUM").unwrap();
        of.settings.lock_budget = place.settings.lock_budget;
        of
    };
    let copy = |name: &'static str| {
        move |place: &Place| {
            std::fs::copy(place.database(), place.folder.path().join(name)).unwrap();
        }
    };
    migrate(
        &loose(),
        &place.settings,
        to(Target::Version(3)),
        &Between::new(&place, 20, 1, &copy("rewrite")),
    )
    .unwrap();
    migrate(
        &loose(),
        &place.settings,
        MigrateOptions::default(),
        &Between::new(&place, 20, 1, &copy("chains")),
    )
    .unwrap();
    back(&place, 3, &Between::new(&place, 20, 1, &copy("clear"))).unwrap();
    for name in ["rewrite", "chains"] {
        let of = resumed(name);
        migrate(&loose(), &of.settings, MigrateOptions::default(), &Silent).unwrap();
        assert_eq!(rows(&of), expected("BODY", root), "{name}");
    }
    let of = resumed("clear");
    back(&of, 3, &Silent).unwrap();
    assert_eq!(rows(&of), expected("BODY", |_| "-".to_owned()));
}

#[test]
fn whoever_changes_the_schema_all_the_time_is_named_and_nothing_is_lost() {
    let place = place();
    let does = sql("CREATE TABLE theirs (x); DROP TABLE theirs");
    let error = migrate(
        &loose(),
        &place.settings,
        MigrateOptions::default(),
        &Between::new(&place, 1, u32::MAX, &does),
    )
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy, "{error:?}");
    assert!(error.message().contains("the schema changed"), "{error}");
    assert_eq!(error.reached().map(|at| at.version), Some(2));
    // A few are no reason to stop.
    let few = Between::new(&place, 1, 8, &does);
    migrate(&loose(), &place.settings, MigrateOptions::default(), &few).unwrap();
    assert_eq!(rows(&place), expected("BODY", root));
    let error = back(&place, 3, &Between::new(&place, 1, u32::MAX, &does)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy, "{error:?}");
    back(&place, 3, &Silent).unwrap();
    assert_eq!(rows(&place), expected("BODY", |_| "-".to_owned()));
}
