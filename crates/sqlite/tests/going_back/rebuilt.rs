//! A table that is made anew, and back, and anew: what is in it and around it stays.

use std::error::Error as _;

use bridge_migrate_sqlite::rehearse::{CheckName, CheckOutcome, RehearseOptions, rehearse};
use bridge_migrate_sqlite::schema::{ObjectKind, Snapshot};

use super::*;

const THINGS: &str = "\
CREATE TABLE \"things\" (id TEXT PRIMARY KEY, weight TEXT, old_name TEXT DEFAULT 'none', note);
CREATE TABLE parts (thing TEXT REFERENCES things (id) ON DELETE CASCADE, n INTEGER);
CREATE TABLE log (what TEXT);
CREATE INDEX things_by_weight ON things (weight) WHERE weight IS NOT NULL;
CREATE TRIGGER things_log AFTER INSERT ON things BEGIN INSERT INTO log VALUES (NEW.id); END;
CREATE TRIGGER parts_touch AFTER DELETE ON parts BEGIN UPDATE things SET note = 'less' WHERE id = OLD.thing; END;
CREATE VIEW heavy AS SELECT id, weight FROM things WHERE weight > 10;
";
const NO_THINGS: &str = "DROP VIEW heavy; DROP TABLE log; DROP TABLE parts; DROP TABLE things;";
const UP: &str = "\
-- rebuild
CREATE TABLE \"things\" (
    \"id\" TEXT PRIMARY KEY,
    \"weight\" TEXT NOT NULL CHECK (weight <> 'x'), -- never \"x\"
    \"name\" TEXT,
    \"note\",
    \"lang\" TEXT NOT NULL DEFAULT 'en',
    \"size\" INTEGER AS (length(note)) STORED
);
INSERT INTO \"things\" (\"id\", \"weight\", \"name\", \"note\", \"lang\") SELECT \"id\" AS \"id\", \"weight\" AS \"weight\", \
\"old_name\" AS \"name\", \"note\" AS \"note\", 'en' AS \"lang\" FROM \"things\";
";
const DOWN: &str = "\
-- rebuild
CREATE TABLE \"things\" (id TEXT PRIMARY KEY, weight TEXT, old_name TEXT DEFAULT 'none', note);
INSERT INTO \"things\" (\"id\", \"weight\", \"old_name\", \"note\") SELECT \"id\" AS \"id\", \"weight\" AS \"weight\", \
\"name\" AS \"old_name\", \"note\" AS \"note\" FROM \"things\";
";
const ROWS: &str = "\
INSERT INTO things (rowid, id, weight, old_name, note) VALUES (-7, 'a', '7', 'one', x'00ff'), (1, NULL, '', NULL, NULL),
    (5, NULL, '1e400', 'ä' || char(0) || 'b', -0.0), (4000000000, CAST(x'ff00' AS TEXT), 'y', '', 9223372036854775807),
    (9223372036854775807, 'last', x'01', 'z', replace(hex(zeroblob(500000)), '0', 'long '));
INSERT INTO parts VALUES ('a', 1), ('last', 2), ('nobody', 3), (NULL, NULL);
DELETE FROM log;
ANALYZE;
";
const CONTENT: &str = "SELECT hex(rowid || quote(id) || quote(weight) || quote(old_name) || quote(note)) FROM things ORDER BY rowid";

fn things() -> Catalog {
    let first = Release::new(1, 0, 0);
    let migrations = vec![
        migration(1, "things", first, THINGS, NO_THINGS),
        migration(2, "better_things", Release::new(1, 1, 0), UP, DOWN),
    ];
    Catalog::new("Things", migrations).unwrap()
}

/// A database at version 1 with these rows.
fn filled(rows: &str) -> Place {
    let place = Place::new();
    migrate(&things(), &place.settings, to(Target::Version(1)), &Silent).unwrap();
    place.open().execute_batch(rows).unwrap();
    place
}

fn schema(place: &Place) -> Snapshot {
    let ours = ["things", "parts", "log", "heavy"];
    let all = Snapshot::read(&place.open()).unwrap();
    all.iter()
        .filter(|object| ours.contains(&object.table.as_str()))
        .cloned()
        .collect()
}

fn up(place: &Place) -> bridge_migrate_sqlite::MigrateOutcome {
    let options = MigrateOptions {
        reclaim: true,
        ..MigrateOptions::default()
    };
    migrate(&things(), &place.settings, options, &Silent).unwrap()
}

#[test]
fn a_rebuild_goes_up_and_back_and_up_with_every_row_and_all_around_it() {
    let place = filled(ROWS);
    let plan = bridge_migrate_sqlite::plan(&things(), &place.settings, Default::default()).unwrap();
    assert_eq!(plan.steps[0].rebuilds, ["things"]);
    let (before, parts) = (
        place.strings(CONTENT),
        "SELECT quote(thing) || quote(n) FROM parts ORDER BY rowid",
    );
    let (children, old) = (place.strings(parts), schema(&place));

    up(&place);
    let new = CONTENT.replace("old_name", "name");
    assert_eq!(place.strings(&new), before);
    assert_eq!(place.strings(parts), children);
    assert_eq!(place.strings("SELECT count(*) || '' FROM log"), ["0"]);
    let made = schema(&place);
    let things_table = made.get(ObjectKind::Table, "things").unwrap();
    assert_eq!(
        UP.split(";\n").next(),
        Some(format!("-- rebuild\n{}", things_table.sql).as_str())
    );
    // A fresh database is the same to the letter.
    let fresh = Place::new();
    up(&fresh);
    assert_eq!(schema(&fresh), made);
    place
        .open()
        .execute_batch("UPDATE things SET lang = 'de' WHERE id = 'a' OR rowid = 5")
        .unwrap();

    let back = back_to(1, Strategy::Down);
    let asked = super::plan(&things(), &place.settings, back).unwrap();
    let losses: Vec<_> = asked
        .loses
        .iter()
        .map(|loss| (loss.subject.as_str(), loss.count, loss.kept))
        .collect();
    assert_eq!(losses, [("things.lang", 2, true)]);
    rollback(&things(), &place.settings, back, &mut |_| true, &Silent).unwrap();
    assert_eq!(place.strings(CONTENT), before);
    assert_eq!(place.strings(parts), children);
    assert_eq!(schema(&place), old);

    up(&place);
    assert_eq!(place.strings(&new), before);
    assert_eq!(schema(&place), made);
    assert_eq!(
        place.strings("SELECT rowid || lang FROM things ORDER BY rowid"),
        ["-7de", "1en", "5de", "4000000000en", "9223372036854775807en"]
    );
    assert_eq!(place.strings("PRAGMA integrity_check"), ["ok"]);
    assert_eq!(
        place.strings("SELECT idx FROM sqlite_stat1 WHERE tbl = 'things' ORDER BY idx"),
        ["sqlite_autoindex_things_1", "things_by_weight"]
    );
}

#[test]
fn rows_that_do_not_fit_are_named_beforehand_and_nothing_is_changed() {
    let place = filled("INSERT INTO things (id, weight) VALUES ('a', '1'), ('b', NULL), (NULL, 'x')");
    let content = std::fs::read(place.database()).unwrap();
    let said = [
        bridge_migrate_sqlite::plan(&things(), &place.settings, Default::default()).unwrap_err(),
        migrate(&things(), &place.settings, MigrateOptions::default(), &Silent).unwrap_err(),
    ];
    for error in said {
        assert_eq!(
            (error.kind(), error.truth()),
            (ErrorKind::NotConvertible, Some("Nothing was changed."))
        );
        assert_eq!(
            error.to_string(),
            "rows of things do not fit what V002__better_things makes of it: b (NOT NULL constraint failed: things.weight), \
             rowid 3 (CHECK constraint failed: weight <> 'x')"
        );
    }
    assert!(std::fs::read(place.database()).unwrap() == content);

    // On the way back likewise.
    place
        .open()
        .execute_batch("DELETE FROM things WHERE id IS NOT 'a'")
        .unwrap();
    let unique = UP
        .replace("old_name", "note")
        .replace("NOT NULL CHECK (weight <> 'x')", "UNIQUE");
    let down = DOWN
        .replace("weight TEXT", "weight INTEGER")
        .replace("\"name\" AS", "\"note\" AS");
    let migrations = vec![
        migration(
            1,
            "things",
            Release::new(1, 0, 0),
            &THINGS.replace("weight TEXT", "weight INTEGER"),
            NO_THINGS,
        ),
        migration(2, "better_things", Release::new(1, 1, 0), &unique, &down),
    ];
    let catalog = Catalog::new("Things", migrations).unwrap();
    let place = Place::new();
    migrate(&catalog, &place.settings, MigrateOptions::default(), &Silent).unwrap();
    place
        .open()
        .execute_batch("INSERT INTO things (id, weight) VALUES ('a', '1'), ('b', '01')")
        .unwrap();
    let refused = rollback(
        &catalog,
        &place.settings,
        back_to(1, Strategy::Down),
        &mut |_| true,
        &Silent,
    )
    .unwrap_err();
    insta::assert_snapshot!(refused, @"the way back `down` is closed: rows of things do not fit what V002__better_things makes of it: b (weight would become another value)");
    assert_eq!(
        place.strings("SELECT id || weight FROM things ORDER BY id"),
        ["a1", "b01"]
    );
}

#[test]
fn old_orphans_stay_when_a_table_gets_another_foreign_key_and_new_ones_are_refused() {
    let (first, second) = (Release::new(1, 0, 0), Release::new(1, 1, 0));
    let tables = "CREATE TABLE rooms (id PRIMARY KEY); CREATE TABLE \"seats\" (room REFERENCES rooms, next);";
    let to = |next: &str| {
        format!(
            "-- rebuild\nCREATE TABLE \"seats\" (room REFERENCES rooms, next{next});\nINSERT INTO \"seats\" (\"room\", \"next\") \
             SELECT \"room\" AS \"room\", \"next\" AS \"next\" FROM \"seats\";\n"
        )
    };
    let migrations = vec![
        migration(1, "seats", first, tables, "DROP TABLE seats; DROP TABLE rooms;"),
        migration(2, "next", second, &to(" REFERENCES rooms"), &to("")),
    ];
    let catalog = Catalog::new("Seats", migrations).unwrap();
    let place = Place::new();
    migrate(&catalog, &place.settings, super::to(Target::Version(1)), &Silent).unwrap();
    place
        .open()
        .execute_batch("INSERT INTO seats VALUES ('nowhere', NULL), ('nowhere', 'lost')")
        .unwrap();
    let refused = migrate(&catalog, &place.settings, MigrateOptions::default(), &Silent).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ForeignKeyViolated);
    place
        .open()
        .execute_batch("UPDATE seats SET next = NULL")
        .unwrap();
    migrate(&catalog, &place.settings, MigrateOptions::default(), &Silent).unwrap();
    assert_eq!(place.strings("SELECT room FROM seats"), ["nowhere", "nowhere"]);
}

#[test]
fn what_an_operator_put_on_the_table_and_no_longer_works_is_named() {
    let place = filled(ROWS);
    place
        .open()
        .execute_batch("CREATE VIEW theirs AS SELECT old_name FROM things")
        .unwrap();
    let (before, old) = (place.strings(CONTENT), schema(&place));
    let options = MigrateOptions {
        allow_drift: true,
        ..MigrateOptions::default()
    };
    let refused = migrate(&things(), &place.settings, options, &Silent).unwrap_err();
    let why = refused.source().map(ToString::to_string).unwrap_or_default();
    assert_eq!(
        why,
        "with the new things, view theirs on theirs no longer works: no such column: old_name"
    );
    assert_eq!((place.strings(CONTENT), schema(&place)), (before, old));
}

#[test]
fn a_rehearsal_of_a_rebuild_looks_at_everything() {
    let place = filled(ROWS);
    let options = RehearseOptions {
        target: Target::Latest,
        adoption: Default::default(),
        allow_drift: false,
        keep: false,
        smoke_test: None,
    };
    let rehearsal = rehearse(&things(), &place.settings, options, &Silent).unwrap();
    for check in &rehearsal.checks {
        assert_ne!(check.outcome, CheckOutcome::Failed, "{check:?}");
    }
    let integrity = rehearsal
        .checks
        .iter()
        .find(|check| check.name == CheckName::Integrity)
        .unwrap();
    assert_eq!(integrity.evidence, "integrity_check");
    assert_eq!(rehearsal.steps[0].rebuilds, ["things"]);
}
