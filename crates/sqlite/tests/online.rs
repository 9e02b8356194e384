//! Large tables change beside servers: what comes out is what the plain way makes, with every row.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails where its ground gives way"
)]

mod common;

use std::{sync::Mutex, time::Duration};

use bridge_migrate_core::{Catalog, Event, Keep, Migration, Observer, Release, Silent, Target};
use bridge_migrate_sqlite::rollback::{RollbackOptions, Strategy, plan as plan_back, rollback};
use bridge_migrate_sqlite::{MigrateOptions, PlanOptions, migrate, plan};
use common::{Place, migration, to};
use rusqlite::Connection;

const FIRST: Release = Release::new(1, 0, 0);
const SECOND: Release = Release::new(1, 1, 0);

/// A table that others refer to, in every way that SQLite has.
const NOTES: &str = r#"
CREATE TABLE rooms (room TEXT PRIMARY KEY);
CREATE TABLE "Notes" (
    id TEXT PRIMARY KEY, room TEXT NOT NULL REFERENCES rooms (room), body TEXT NOT NULL CHECK (body <> ''), colour TEXT,
    weight REAL, "odd "" name" BLOB, twice INTEGER GENERATED ALWAYS AS (length(body) * 2) STORED, UNIQUE (room, id)
);
CREATE INDEX notes_by_room ON "Notes" (room, body COLLATE NOCASE DESC);
CREATE INDEX heavy_notes ON "Notes" (weight) WHERE weight > 10;
CREATE INDEX notes_by_length ON "Notes" (length(body), "odd "" name");
CREATE TABLE replies (note TEXT NOT NULL REFERENCES "Notes" (id) ON DELETE CASCADE, text TEXT);
CREATE TABLE log (n INTEGER PRIMARY KEY AUTOINCREMENT, what TEXT);
CREATE VIEW short_notes AS SELECT id, body FROM "Notes" WHERE length(body) < 50;
CREATE TRIGGER note_added AFTER INSERT ON "Notes" BEGIN INSERT INTO log (what) VALUES (NEW.id); END;
CREATE TRIGGER reply_touches AFTER INSERT ON replies BEGIN
    UPDATE "Notes" SET weight = coalesce(weight, 0) + 1 WHERE id = NEW.note;
END;
"#;

fn catalog() -> Catalog {
    let down = "DROP TRIGGER reply_touches; DROP TRIGGER note_added; DROP VIEW short_notes; DROP TABLE log; \
                DROP TABLE replies; DROP TABLE \"Notes\"; DROP TABLE rooms;";
    let migrations: Vec<Migration> = vec![
        migration(1, "notes", FIRST, NOTES, down),
        migration(
            2,
            "no_colour",
            SECOND,
            "ALTER TABLE notes DROP COLUMN colour;",
            "ALTER TABLE notes ADD COLUMN colour TEXT;",
        ),
        migration(
            3,
            "stars",
            SECOND,
            "ALTER TABLE notes ADD COLUMN stars INTEGER; ALTER TABLE notes ADD COLUMN seen TEXT;",
            "ALTER TABLE notes DROP COLUMN stars; ALTER TABLE notes DROP COLUMN seen;",
        ),
    ];
    Catalog::new("Notes", migrations).unwrap()
}

/// Rows with gaps between their row ids, negative ones, NULL keys, values of every class and orphans.
fn populate(connection: &Connection, rows: u32) {
    connection
        .execute_batch(&format!(
            r#"PRAGMA foreign_keys = OFF;
            BEGIN;
            INSERT INTO rooms VALUES ('a'), ('b');
            WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
            INSERT INTO "Notes" (rowid, id, room, body, colour, weight, "odd "" name")
            SELECT i * 3 - 50, CASE WHEN i % 40 = 7 THEN NULL ELSE 'n' || i END, CASE i % 3 WHEN 0 THEN 'a' ELSE 'gone' END,
                'Body ' || i || substr(hex(zeroblob(i % 300)), 1, i % 500), CASE i % 2 WHEN 0 THEN 'red' END,
                CASE i % 5 WHEN 0 THEN i WHEN 1 THEN i / 7.0 WHEN 2 THEN 'heavy' END,
                CASE i % 4 WHEN 0 THEN x'00ff' || i WHEN 1 THEN i WHEN 2 THEN i * 0.5 END
            FROM n;
            INSERT INTO replies SELECT id, 'reply' FROM "Notes" WHERE id IS NOT NULL AND rowid % 9 = 1;
            COMMIT;"#
        ))
        .unwrap();
}

/// A database of 1.0.0 whose largest table has `rows` rows.
fn place(rows: u32, journal: &str) -> Place {
    place_of(&catalog(), rows, journal)
}

fn place_of(catalog: &Catalog, rows: u32, journal: &str) -> Place {
    let place = Place::new();
    migrate(catalog, &place.settings, to(Target::Version(1)), &Silent).unwrap();
    place.open().pragma_update(None, "journal_mode", journal).unwrap();
    populate(&place.open(), rows);
    place
}

/// The same, where nearly everything is too large for one transaction.
fn impatient(rows: u32, journal: &str) -> Place {
    impatient_of(&catalog(), rows, journal)
}

fn impatient_of(catalog: &Catalog, rows: u32, journal: &str) -> Place {
    let mut place = place_of(catalog, rows, journal);
    place.settings.lock_budget = Duration::from_millis(5);
    let plan = plan(catalog, &place.settings, PlanOptions::default()).unwrap();
    let step = plan.steps.first().unwrap();
    assert_eq!(step.online.len(), 1, "{:?}", step.over_budget);
    place
}

/// All rows and the whole schema, as text. The schema without what only the tool writes.
fn content(place: &Place) -> Vec<String> {
    let mut content = place.strings(
        "SELECT type || ' ' || name || ' ' || tbl_name || ' ' || coalesce(sql, '-') FROM sqlite_schema \
         WHERE tbl_name NOT LIKE 'migration%' AND name NOT LIKE 'migration%' AND name NOT LIKE 'sqlite_seq%' ORDER BY type, name",
    );
    for table in ["Notes", "replies", "rooms", "log", "sqlite_sequence"] {
        let connection = place.open();
        let mut select = connection
            .prepare(&format!("SELECT rowid AS row, * FROM \"{table}\" ORDER BY 1"))
            .unwrap();
        let columns = select.column_count();
        let rows = select
            .query_map([], |row| {
                let values: Vec<String> = (0..columns)
                    .map(|i| format!("{:?}", row.get_ref(i).unwrap()))
                    .collect();
                Ok(values.join("|"))
            })
            .unwrap();
        content.extend(rows.map(Result::unwrap));
    }
    content
}

fn assert_whole(place: &Place) {
    assert_eq!(place.strings("PRAGMA integrity_check"), ["ok"]);
    let left = "SELECT name FROM sqlite_schema WHERE name GLOB 'migration_[dsio]*_[0-9]*'";
    assert_eq!(place.strings(left), [] as [&str; 0]);
    assert_eq!(
        place.strings("SELECT cursor FROM migration_progress"),
        [] as [&str; 0]
    );
}

fn options_back(version: u32) -> RollbackOptions {
    RollbackOptions {
        target: Target::Version(version),
        strategy: Strategy::Down,
        companion: Keep::Present,
    }
}

fn back(catalog: &Catalog, place: &Place, version: u32) {
    rollback(
        catalog,
        &place.settings,
        options_back(version),
        &mut |_| true,
        &Silent,
    )
    .unwrap();
}

#[test]
fn a_column_of_a_large_table_goes_beside_servers_as_it_goes_at_once() {
    for journal in ["delete", "wal"] {
        let (plain, online) = (place(1_200, journal), impatient(1_200, journal));
        for place in [&plain, &online] {
            let outcome = migrate(&catalog(), &place.settings, MigrateOptions::default(), &Silent).unwrap();
            assert_eq!(outcome.to.version, 3);
            assert_whole(place);
        }
        assert_eq!(content(&plain), content(&online));
        let plan = plan_back(&catalog(), &online.settings, options_back(1)).unwrap();
        let beside: Vec<_> = plan.steps.iter().map(|step| step.online.len()).collect();
        assert_eq!(beside, [1, 0], "both columns of V003 at once; V002 adds one");
        for place in [&plain, &online] {
            back(&catalog(), place, 1);
            assert_whole(place);
        }
        assert_eq!(content(&plain), content(&online));
    }
}

/// A server that writes between the batches, in all the ways in which rows come, change and go.
struct Server<'a> {
    place: &'a Place,
    connection: Connection,
    /// What it wrote, in order.
    written: Mutex<Vec<String>>,
    /// After which of the batches it also runs this.
    also: (usize, &'static str),
}

impl<'a> Server<'a> {
    fn new(place: &'a Place, also: (usize, &'static str)) -> Self {
        Self {
            place,
            connection: place.open(),
            written: Mutex::default(),
            also,
        }
    }

    fn statements(n: i64) -> Vec<String> {
        // Rows from everywhere: copied already, still to come, beyond the end.
        let (old, other) = (n * 389 % 1200 + 1, n * 757 % 1200 + 1);
        let all = [
            format!("INSERT INTO notes (id, room, body, colour) VALUES ('new{n}', 'a', 'from {n}', 'x')"),
            format!(
                "INSERT OR REPLACE INTO notes (id, room, body) VALUES ('n{old}', 'gone', 'taken by {n}')"
            ),
            format!(
                "INSERT OR REPLACE INTO notes (rowid, id, room, body) VALUES ({}, 'n{other}', 'b', 'two go')",
                old * 3 - 50
            ),
            format!("UPDATE OR REPLACE notes SET id = 'n{other}' WHERE id = 'n{old}'"),
            format!("UPDATE OR IGNORE notes SET id = 'n{old}' WHERE id = 'new{n}'"),
            format!(
                "UPDATE notes SET body = body || '!', weight = {n} WHERE rowid = {}",
                other * 3 - 50
            ),
            format!(
                "UPDATE notes SET rowid = {} WHERE rowid = {}",
                100_000 + n,
                other * 3 - 50
            ),
            format!(
                "INSERT INTO notes (id, room, body) VALUES ('n{old}', 'a', 'again') ON CONFLICT (id) DO UPDATE SET body = excluded.body"
            ),
            format!("DELETE FROM notes WHERE id = 'n{old}'"),
            format!(
                "INSERT INTO notes (id, room, body, \"odd \"\" name\") VALUES (NULL, 'a', 'nobody', x'01'), ('neg{n}', 'a', 'b', 2.5)"
            ),
            format!("INSERT INTO replies VALUES ('n{other}', 'touch')"),
            format!("UPDATE notes SET rowid = {} WHERE id = 'neg{n}'", -1000 - n),
        ];
        all.into_iter().skip(usize::from(n % 2 == 1)).step_by(2).collect()
    }
}

impl Observer for Server<'_> {
    fn observe(&self, event: &Event) {
        let mut written = self.written.lock().unwrap();
        let n = written.len();
        if n > 100 || !matches!(event, Event::BatchCommitted { .. }) {
            return;
        }
        let (at, also) = self.also;
        if n / 5 == at && !written.iter().any(|done| done == also) {
            self.place.open().execute_batch(also).unwrap();
            written.push(also.to_owned());
        }
        for statement in Self::statements(i64::try_from(n).unwrap()) {
            self.connection
                .prepare_cached(&statement)
                .unwrap()
                .execute([])
                .unwrap();
            written.push(statement);
        }
    }
}

#[test]
fn whatever_servers_write_meanwhile_is_in_the_table_as_if_they_had_written_before() {
    for journal in ["delete", "wal"] {
        for also in [
            (0, ""),
            (2, "VACUUM"),
            (9, "VACUUM"),
            (4, "CREATE TABLE theirs (x); DROP TABLE theirs"),
        ] {
            let (plain, online) = (place(1_200, journal), impatient(1_200, journal));
            let server = Server::new(&online, also);
            migrate(&catalog(), &online.settings, to(Target::Version(2)), &server).unwrap();
            let written = server.written.into_inner().unwrap();
            assert!(written.len() > 50, "{} statements", written.len());
            for statement in written {
                plain.open().execute_batch(&statement).unwrap();
            }
            migrate(&catalog(), &plain.settings, to(Target::Version(2)), &Silent).unwrap();
            assert_whole(&online);
            assert_eq!(content(&plain), content(&online), "{journal} {also:?}");
        }
    }
}

/// The catalog with a rebuild into a stricter and shorter table, and back.
fn rebuilding() -> Catalog {
    let definition = r#"CREATE TABLE "Notes" (
    "id" TEXT, "room" TEXT NOT NULL, "text" TEXT NOT NULL CHECK ("text" <> ''), "lang" TEXT NOT NULL DEFAULT 'en',
    "weight" REAL, "odd "" name" BLOB, PRIMARY KEY ("id"), UNIQUE ("room", "id"), FOREIGN KEY ("room") REFERENCES rooms (room)
)"#;
    let up = format!(
        "-- rebuild\n{definition};\nINSERT INTO \"Notes\" (\"id\", \"room\", \"text\", \"lang\", \"weight\", \"odd \"\" name\") \
         SELECT \"id\" AS \"id\", \"room\" AS \"room\", \"body\" AS \"text\", CASE WHEN \"colour\" = 'red' THEN 'de' ELSE 'en' END AS \"lang\", \
         \"weight\" AS \"weight\", \"odd \"\" name\" AS \"odd \"\" name\" FROM \"Notes\";\n"
    );
    let create = NOTES.lines().skip(2).take(4).collect::<Vec<_>>().join("\n");
    let down = format!(
        "-- rebuild\n{create}\nINSERT INTO \"Notes\" (\"id\", \"room\", \"body\", \"colour\", \"weight\", \"odd \"\" name\") \
         SELECT \"id\" AS \"id\", \"room\" AS \"room\", \"text\" AS \"body\", \"lang\" AS \"colour\", \
         \"weight\" AS \"weight\", \"odd \"\" name\" AS \"odd \"\" name\" FROM \"Notes\";\n"
    );
    let simple = NOTES
        .replace(
            "CREATE INDEX notes_by_room ON \"Notes\" (room, body COLLATE NOCASE DESC);",
            "CREATE INDEX notes_by_room ON \"Notes\" (room, id);",
        )
        .replace("length(body), ", "")
        .replace(
            "SELECT id, body FROM \"Notes\" WHERE length(body) < 50",
            "SELECT id, room FROM \"Notes\"",
        );
    let migrations = vec![
        migration(1, "notes", FIRST, &simple, "DROP TABLE notes;"),
        migration(2, "languages", SECOND, &up, &down),
    ];
    Catalog::new("Notes", migrations).unwrap()
}

#[test]
fn a_rebuild_beside_servers_is_the_rebuild_in_one_go() {
    let catalog = rebuilding();
    for journal in ["delete", "wal"] {
        let (plain, online) = (
            place_of(&catalog, 1_200, journal),
            impatient_of(&catalog, 1_200, journal),
        );
        let before = content(&plain);
        for place in [&plain, &online] {
            migrate(&catalog, &place.settings, MigrateOptions::default(), &Silent).unwrap();
            assert_whole(place);
        }
        assert_eq!(content(&plain), content(&online));
        assert_ne!(content(&plain), before);
        for place in [&plain, &online] {
            back(&catalog, place, 1);
            assert_whole(place);
        }
        assert_eq!(content(&plain), content(&online));
    }
}

/// Ends the run at one of its batches, as a kill does: nothing of it is tidied up.
struct Dies(Mutex<u32>);

impl Observer for Dies {
    fn observe(&self, event: &Event) {
        if matches!(event, Event::BatchCommitted { .. }) {
            let mut left = self.0.lock().unwrap();
            *left = left.wrapping_sub(1);
            if *left == 0 {
                drop(left);
                std::panic::resume_unwind(Box::new("killed"));
            }
        }
    }
}

/// Runs up to the batch, and whether that was reached.
fn killed_at(batch: u32, run: impl FnOnce(&Dies)) -> bool {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&Dies(Mutex::new(batch))))).is_err()
}

#[test]
fn a_run_that_is_killed_goes_on_or_is_given_up() {
    let catalog = rebuilding();
    let plain = place_of(&catalog, 400, "delete");
    let before = content(&plain);
    migrate(&catalog, &plain.settings, MigrateOptions::default(), &Silent).unwrap();
    let after = content(&plain);
    let mut batch = 0;
    loop {
        batch += 3;
        let mut online = place_of(&catalog, 400, "delete");
        online.settings.lock_budget = Duration::from_millis(1);
        let run = |observer: &dyn Observer| {
            migrate(&catalog, &online.settings, MigrateOptions::default(), observer).unwrap();
        };
        if !killed_at(batch, |dies| run(dies)) {
            break;
        }
        assert_eq!(online.strings("PRAGMA integrity_check"), ["ok"]);
        let is_applied = !online
            .strings("SELECT name FROM refinery_schema_history WHERE version = 2")
            .is_empty();
        if batch % 2 == 0 || is_applied {
            run(&Silent);
            assert_eq!(content(&online), after, "{batch}");
        } else {
            assert_eq!(content(&online), before, "{batch}");
            back(&catalog, &online, 1);
            assert_eq!(content(&online), before, "{batch}");
        }
        assert_whole(&online);
    }
    assert!(batch > 12, "{batch} batches");
}

fn indexing(up: &str, down: &str) -> Catalog {
    let migrations = vec![
        migration(1, "notes", FIRST, NOTES, "DROP TABLE notes;"),
        migration(2, "indexes", SECOND, up, down),
    ];
    Catalog::new("Notes", migrations).unwrap()
}

#[test]
fn indexes_are_built_beside_servers_as_create_index_builds_them() {
    let catalog = indexing(
        "CREATE INDEX by_colour ON notes (colour DESC, weight) WHERE colour IS NOT NULL; CREATE TABLE more (x);
         CREATE UNIQUE INDEX by_place ON \"Notes\" (room, id COLLATE NOCASE);",
        "DROP INDEX by_place; DROP TABLE more; DROP INDEX by_colour;",
    );
    let (plain, mut online) = (
        place_of(&catalog, 1_200, "delete"),
        place_of(&catalog, 1_200, "delete"),
    );
    online.settings.lock_budget = Duration::from_millis(1);
    let server = Server::new(&online, (3, "VACUUM"));
    migrate(&catalog, &online.settings, MigrateOptions::default(), &server).unwrap();
    for statement in server.written.into_inner().unwrap() {
        plain.open().execute_batch(&statement).unwrap();
    }
    migrate(&catalog, &plain.settings, MigrateOptions::default(), &Silent).unwrap();
    assert_whole(&online);
    assert_eq!(content(&plain), content(&online));
    back(&catalog, &online, 1);
    assert_whole(&online);
}

#[test]
fn rows_that_a_unique_index_does_not_allow_are_named_and_nothing_is_left() {
    let catalog = indexing(
        "CREATE UNIQUE INDEX one_each ON notes (room, colour);",
        "DROP INDEX one_each;",
    );
    let mut online = place_of(&catalog, 1_200, "delete");
    online.settings.lock_budget = Duration::from_millis(1);
    let before = content(&online);
    let error = migrate(&catalog, &online.settings, MigrateOptions::default(), &Silent).unwrap_err();
    assert!(error.to_string().contains("same key: n"), "{error}");
    assert_eq!(error.reached(), None, "{error:?}");
    assert_whole(&online);
    assert_eq!(content(&online), before);
}

/// Writes once, when the first batch is committed.
struct Writes<'a>(&'a Place, &'a str, Mutex<bool>);

impl Observer for Writes<'_> {
    fn observe(&self, event: &Event) {
        let mut is_done = self.2.lock().unwrap();
        if !*is_done && matches!(event, Event::BatchCommitted { .. }) {
            self.0.open().execute_batch(self.1).unwrap();
            *is_done = true;
        }
    }
}

#[test]
fn what_a_server_writes_and_the_new_table_does_not_hold_stops_the_run_and_never_the_server() {
    let simple = "CREATE TABLE t (id INTEGER PRIMARY KEY, size TEXT, name TEXT); CREATE TABLE u (x);";
    let rebuild = |definition: &str| {
        format!(
            "-- rebuild\nCREATE TABLE \"t\" ({definition});\nINSERT INTO \"t\" (\"id\", \"size\", \"name\") \
             SELECT \"id\" AS \"id\", \"size\" AS \"size\", \"name\" AS \"name\" FROM \"t\";\n"
        )
    };
    let down = rebuild("\"id\" INTEGER PRIMARY KEY, \"size\" TEXT, \"name\" TEXT");
    for (definition, written) in [
        (
            "\"id\" INTEGER PRIMARY KEY, \"size\" INTEGER, \"name\" TEXT",
            "INSERT INTO t VALUES (9000, '007', 'a')",
        ),
        (
            "\"id\" INTEGER PRIMARY KEY, \"size\" INTEGER, \"name\" TEXT",
            "UPDATE t SET size = '1e3' WHERE id = 3",
        ),
        (
            "\"id\" INTEGER PRIMARY KEY, \"size\" TEXT NOT NULL, \"name\" TEXT",
            "UPDATE t SET size = NULL WHERE id = 2",
        ),
        (
            "\"id\" INTEGER PRIMARY KEY, \"size\" TEXT, \"name\" TEXT CHECK (\"name\" <> 'no')",
            "UPDATE t SET name = 'no' WHERE id = 900",
        ),
    ] {
        let catalog = Catalog::new(
            "Sizes",
            vec![
                migration(1, "sizes", FIRST, simple, "DROP TABLE u; DROP TABLE t;"),
                migration(2, "numbers", SECOND, &rebuild(definition), &down),
            ],
        )
        .unwrap();
        let mut place = Place::new();
        migrate(&catalog, &place.settings, to(Target::Version(1)), &Silent).unwrap();
        place.settings.lock_budget = Duration::from_millis(1);
        let rows = "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 1000) \
                    INSERT INTO t SELECT i, i, 'n' || i FROM n";
        place.open().execute_batch(rows).unwrap();
        let all = "SELECT id || '|' || quote(size) || '|' || name FROM t ORDER BY id";
        let server = Writes(&place, written, Mutex::new(false));
        let error = migrate(&catalog, &place.settings, MigrateOptions::default(), &server).unwrap_err();
        assert_eq!(error.reached(), None, "{written}: {error:?}");
        assert!(*server.2.lock().unwrap());
        assert_whole(&place);
        let twin = Place::new();
        migrate(&catalog, &twin.settings, to(Target::Version(1)), &Silent).unwrap();
        twin.open().execute_batch(rows).unwrap();
        twin.open().execute_batch(written).unwrap();
        assert_eq!(place.strings(all), twin.strings(all), "{written}");
    }
}
