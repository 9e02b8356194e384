use std::cell::{Cell, RefCell};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;

use super::batches::{Batches, Ended, Work};
use super::dirty_rows::DirtyRows;
use super::index::{IndexBuild, Refresh, abandon};
use super::{edit_one, edit_schema, schema_cookie};
use crate::records::schema_reader::SchemaReader;
use crate::records::transaction::WriteTransaction;
use crate::schema::{Object, ObjectKind, Snapshot, expected};
use crate::sqlite::connection::create_writer;
use crate::sqlite::page_check::unknown_function;
use crate::sqlite::sqlite_error::SqliteContext;
use bridge_migrate_core::{Error, Result, Settings, Silent};

/// As a step does: what an earlier run left goes first, and what fails leaves nothing.
fn build<'a>(
    work: Work<'a>,
    number: u32,
    index: &Object,
) -> Result<std::result::Result<(IndexBuild<'a>, i64), String>> {
    let give_up = || Batches::begin(work, || abandon(work.connection, number)).map(drop);
    for _ in 0..5 {
        let (mut batches, begun) = Batches::begin(work, || {
            abandon(work.connection, number)?;
            IndexBuild::begin(work.connection, number, index, &index.table, None)
        })?;
        let mut build = match begun {
            Ok(build) => build,
            Err(why) => return Ok(Err(why)),
        };
        match build.run(&mut batches) {
            Ok(Ended::Complete) => return Ok(Ok((build, batches.cookie()))),
            Ok(Ended::SchemaChanged) => {}
            Err(error) => {
                drop(build);
                // What cannot be removed now, the next run removes.
                let _ = give_up();
                // Where a generated column uses a function of the application's, only a row tells.
                let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref());
                return match source.and_then(unknown_function) {
                    Some(function) => Ok(Err(format!("no such function: {function}"))),
                    None => Err(error),
                };
            }
        }
    }
    give_up()?;
    panic!("the schema changes again and again");
}

const PATIENCE: Duration = Duration::from_secs(5);

struct Place {
    _folder: tempfile::TempDir,
    settings: Settings,
    connection: Connection,
}

impl Place {
    fn new(schema: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::new(folder.path().join("notes.db"));
        let connection = create_writer(&settings.database, PATIENCE).unwrap();
        connection.execute_batch("PRAGMA synchronous = OFF").unwrap();
        connection.execute_batch(schema).unwrap();
        Self {
            _folder: folder,
            settings,
            connection,
        }
    }

    /// Batches that are as small as they can be.
    fn with_small_batches(mut self) -> Self {
        self.settings.lock_budget = Duration::from_nanos(1);
        self
    }

    /// Builds the index as a step would, asking `check` in each transaction, and completes it after `before_end`.
    fn build_and(
        &self,
        sql: &str,
        check: &dyn Fn() -> Result<()>,
        before_end: impl Fn(),
    ) -> Result<std::result::Result<bool, String>> {
        let schemas = SchemaReader::new(&self.connection);
        let work = Work {
            connection: &self.connection,
            settings: &self.settings,
            schemas: &schemas,
            observer: &Silent,
            version: 7,
            stem: "V007__index",
            check,
        };
        let index = as_stored(&self.connection, sql);
        let built = match build(work, 7, &index)? {
            Ok(built) => built,
            Err(why) => return Ok(Err(why)),
        };
        before_end();
        let (built, cookie) = built;
        let transaction = schemas.begin(self.settings.busy_timeout)?;
        if schema_cookie(&self.connection)? != cookie {
            return Ok(Ok(false));
        }
        built.finish()?;
        transaction.commit()?;
        Ok(Ok(true))
    }

    fn build(&self, sql: &str) -> Result<()> {
        let built = self.build_and(sql, &|| Ok(()), || {})?;
        assert_eq!(built, Ok(true), "{sql}");
        Ok(())
    }

    /// Asserts that the database is whole and has, in its schema and in its pages, what CREATE INDEX makes.
    fn assert_like_create_index(&self, sql: &str) {
        let connection = &self.connection;
        let check: String = connection
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(check, "ok", "{sql}");
        let built = only_index(connection);
        let walk = |index: &Object| -> Vec<String> {
            let definition = crate::schema::index_definition::IndexDefinition::parse(&index.sql).unwrap();
            let keys = definition
                .expressions()
                .into_iter()
                .map(|key| format!("typeof({key}) || hex({key})"));
            let sql = format!(
                "SELECT rowid || {} FROM {} INDEXED BY \"{}\" WHERE {}",
                keys.collect::<Vec<_>>().join(" || "),
                index.table,
                index.name,
                definition.filter.unwrap_or("1")
            );
            let mut select = connection.prepare(&sql).unwrap();
            let rows = select.query_map([], |row| row.get(0)).unwrap();
            rows.collect::<rusqlite::Result<_>>().unwrap()
        };
        let rows = walk(&built);
        connection
            .execute_batch(&format!("DROP INDEX \"{}\"; {sql}", built.name))
            .unwrap();
        assert_eq!(built, only_index(connection), "{sql}");
        assert_eq!(rows, walk(&built), "{sql}");
        let left: Vec<String> = connection
            .prepare("SELECT name FROM sqlite_schema WHERE name LIKE 'migration%' UNION ALL SELECT name FROM temp.sqlite_schema")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<rusqlite::Result<_>>()
            .unwrap();
        assert_eq!(left, [""; 0], "{sql}");
    }
}

/// The index as the schema has it, when it is made in a database without rows.
fn as_stored(connection: &Connection, sql: &str) -> Object {
    let schema = expected::read(connection).unwrap();
    let scratch = expected::replay(&schema).unwrap();
    let before = expected::read(&scratch).unwrap();
    if scratch.execute_batch(sql).is_err() {
        // Its table needs what only the application has.
        return Object::new(ObjectKind::Index, "i", "g", sql);
    }
    let after = expected::read(&scratch).unwrap();
    after
        .iter()
        .find(|object| !before.iter().any(|known| known == *object))
        .unwrap()
        .clone()
}

fn only_index(connection: &Connection) -> Object {
    let schema = Snapshot::read(connection).unwrap();
    let indexes: Vec<_> = schema
        .of_kind(ObjectKind::Index)
        .filter(|index| !index.name.starts_with("own"))
        .collect();
    assert_eq!(indexes.len(), 1, "{indexes:?}");
    indexes[0].clone()
}

/// Rows of every class of value, with ids that are far from each other.
pub(super) const NOTES: &str = "CREATE TABLE notes (id TEXT PRIMARY KEY, who TEXT COLLATE NOCASE, n INT UNIQUE, x, real REAL,
        parent REFERENCES notes (id) ON DELETE CASCADE ON UPDATE CASCADE);
     WITH RECURSIVE i(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM i WHERE i < 700)
     INSERT INTO notes (rowid, id, who, n, x, real, parent) SELECT i * i - 90000, 'n' || i,
        CASE i % 5 WHEN 0 THEN NULL WHEN 1 THEN 'Ann' ELSE 'aNN' || i END, CASE WHEN i % 9 THEN i END,
        CASE i % 6 WHEN 0 THEN NULL WHEN 1 THEN i WHEN 2 THEN i / 2.0 WHEN 3 THEN 'x' || i WHEN 4 THEN CAST(x'ff00' || i AS TEXT)
            ELSE zeroblob(i) END,
        i, CASE WHEN i > 1 THEN 'n' || (i / 2) END FROM i;";

const INDEXES: [&str; 8] = [
    "CREATE INDEX by_x ON notes (x)",
    "create index IF NOT EXISTS main.\"by who\" on Notes(who, x DESC) -- a comment",
    "CREATE INDEX by_n ON notes ('n' DESC, who COLLATE BINARY) WHERE notes.n IS NOT NULL AND x > 3",
    "CREATE INDEX by_expression ON notes (lower(who) || x COLLATE NOCASE, real, length(x) desc) WHERE n",
    "CREATE UNIQUE INDEX by_id ON notes (id COLLATE NOCASE)",
    "CREATE UNIQUE INDEX by_n ON notes (n, \"nowhere\")",
    "CREATE INDEX by_real ON notes (real, id)",
    "CREATE INDEX none ON notes (x) WHERE x = 'never'",
];

#[test]
fn an_index_is_what_create_index_makes() {
    for encoding in ["UTF-8", "UTF-16le"] {
        for sql in INDEXES {
            let place = Place::new(&format!("PRAGMA encoding = '{encoding}'; {NOTES}")).with_small_batches();
            place.build(sql).unwrap();
            place.assert_like_create_index(sql);
        }
    }
    for (schema, sql) in [
        ("CREATE TABLE t (a, b)", "CREATE INDEX i ON t (a)"),
        (
            "PRAGMA auto_vacuum = FULL; CREATE TABLE s (x); CREATE TABLE t (id INTEGER PRIMARY KEY, a);
          INSERT INTO t (a) VALUES (2), (1); DROP TABLE s",
            "CREATE INDEX i ON t (id DESC, a, a)",
        ),
        (
            "CREATE TABLE t (rowid, a, g AS (a || 1)); INSERT INTO t VALUES (1, 2)",
            "CREATE INDEX i ON t (rowid, g)",
        ),
        (
            "CREATE TABLE t (a); INSERT INTO t (rowid, a) VALUES (-9223372036854775808, 1), (9223372036854775807, 2)",
            "CREATE UNIQUE INDEX i ON t (a)",
        ),
        (
            "PRAGMA legacy_file_format = ON; CREATE TABLE t (a); INSERT INTO t VALUES (1), (2), (2)",
            "CREATE INDEX i ON t (a DESC)",
        ),
    ] {
        let place = Place::new(schema).with_small_batches();
        place.build(sql).unwrap();
        let check: String = place
            .connection
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(check, "ok", "{sql}");
        let built = only_index(&place.connection);
        place
            .connection
            .execute_batch(&format!("DROP INDEX i; {sql}"))
            .unwrap();
        assert_eq!(built, only_index(&place.connection));
    }
}

#[test]
fn what_cannot_be_built_so_says_why_and_nothing_is_changed() {
    for (schema, sql, why) in [
        (
            "CREATE TABLE t (a PRIMARY KEY) WITHOUT ROWID",
            "CREATE INDEX i ON t (a)",
            "row ids",
        ),
        (
            "CREATE TABLE t (rowid, oid, _rowid_)",
            "CREATE INDEX i ON t (oid)",
            "row ids",
        ),
        (
            "CREATE TABLE t (a); CREATE TABLE migration_imposter_7 (x)",
            "CREATE INDEX i ON t (a)",
            "migration_imposter_7",
        ),
    ] {
        let place = Place::new(schema);
        let before = Snapshot::read(&place.connection).unwrap();
        let refused = place.build_and(sql, &|| Ok(()), || {}).unwrap().unwrap_err();
        assert!(refused.contains(why), "{refused}");
        assert_eq!(Snapshot::read(&place.connection).unwrap(), before);
    }
    // The application's own functions and collations, which only its connections have.
    let place = Place::new("CREATE TABLE t (a)");
    let server = create_writer(&place.settings.database, PATIENCE).unwrap();
    server
        .create_scalar_function(
            "theirs",
            1,
            FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS,
            |_| Ok(1),
        )
        .unwrap();
    server
        .execute_batch("CREATE TABLE g (a, g AS (theirs(a))); INSERT INTO g VALUES (1)")
        .unwrap();
    let before = Snapshot::read(&place.connection).unwrap();
    let refused = place
        .build_and("CREATE INDEX i ON g (g)", &|| Ok(()), || {})
        .unwrap();
    assert_eq!(refused, Err("unknown function: theirs()".to_owned()));
    assert_eq!(Snapshot::read(&place.connection).unwrap(), before);
    for sql in [
        "CREATE INDEX i ON t (a COLLATE theirs)",
        "CREATE INDEX i ON t (theirs(a))",
        "CREATE INDEX i ON t (a) WHERE theirs(a)",
    ] {
        let index = Object::new(ObjectKind::Index, "i", "t", sql);
        let before = Snapshot::read(&place.connection).unwrap();
        let transaction = WriteTransaction::begin(&place.connection, PATIENCE).unwrap();
        let begun = IndexBuild::begin(&place.connection, 7, &index, "t", None).unwrap();
        let refused = begun.err().unwrap();
        assert!(refused.contains("theirs"), "{refused}");
        transaction.commit().unwrap();
        assert_eq!(Snapshot::read(&place.connection).unwrap(), before, "{sql}");
    }
}

#[test]
fn rows_with_the_same_key_are_named_and_nothing_stays() {
    let sql = "CREATE UNIQUE INDEX by_who ON notes (who, x) WHERE id <> 'n3'";
    let place = Place::new(&format!(
        "{NOTES} UPDATE notes SET who = 'TWIN', x = 1.0 WHERE id = 'n600'; UPDATE notes SET who = 'twin', x = 1 WHERE id IN ('n3', 'n44')"
    ))
    .with_small_batches();
    let before = Snapshot::read(&place.connection).unwrap();
    let error = place.build_and(sql, &|| Ok(()), || {}).unwrap_err();
    assert!(error.message().contains("n44 and n600"), "{error}");
    assert_eq!(error.place().map(|place| place.table.as_str()), Some("notes"));
    assert_eq!(Snapshot::read(&place.connection).unwrap(), before);

    // Twins that come and go while the index is built, at any time: what is true in the end decides.
    for at in (2..100).step_by(7) {
        for (start, write, twins) in [
            (
                "'n44'",
                "INSERT INTO notes (id, who, x) VALUES ('late', 'twin', 1)",
                Some(["n44", "late"]),
            ),
            (
                "'n44'",
                "UPDATE notes SET who = 'Twin', x = 1.0 WHERE id = 'n5'",
                Some(["n5", "n44"]),
            ),
            ("'n44', 'n600'", "UPDATE notes SET x = 2 WHERE id = 'n44'", None),
            (
                "'n44', 'n45', 'n46'",
                "UPDATE notes SET x = 2 WHERE id = 'n45'",
                Some(["n44", "n46"]),
            ),
            (
                "'n44', 'n45'",
                "REPLACE INTO notes (id, who, x) VALUES ('n45', 'else', 1)",
                None,
            ),
        ] {
            let place = Place::new(&format!(
                "{NOTES} UPDATE notes SET who = 'TWIN', x = 1 WHERE id IN ({start})"
            ))
            .with_small_batches();
            let asked = Cell::new(0);
            let check = || -> Result<()> {
                asked.set(asked.get() + 1);
                if asked.get() == at {
                    place.connection.execute_batch(write).unwrap();
                }
                Ok(())
            };
            let before_end = || {
                if asked.get() < at {
                    place.connection.execute_batch(write).unwrap();
                }
            };
            match (place.build_and(sql, &check, before_end), twins) {
                (Ok(built), None) => {
                    assert_eq!(built, Ok(true));
                    place.assert_like_create_index(sql);
                }
                // It may be refused before it is over, where there were twins at that time.
                (Err(error), None) => assert!(
                    asked.get() <= at && error.message().contains("n44"),
                    "{at}: {error}"
                ),
                (built, Some(twins)) => {
                    let error = built.unwrap_err();
                    assert!(
                        twins.iter().any(|twin| error.message().contains(twin)),
                        "{at}: {error}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_schema_that_others_change_has_it_begin_again_and_at_the_end_nothing_is_done() {
    let sql = INDEXES[0];
    let place = Place::new(NOTES).with_small_batches();
    let server = create_writer(&place.settings.database, PATIENCE).unwrap();
    let batches = Cell::new(0);
    let between = RefCell::new(vec![
        "DROP TABLE more; ANALYZE",
        "CREATE TABLE more (x)",
        "VACUUM",
    ]);
    let schemas = SchemaReader::new(&place.connection);
    let observer = Between(|| {
        batches.set(batches.get() + 1);
        if batches.get() % 30 == 0
            && let Some(statement) = between.borrow_mut().pop()
        {
            server
                .execute_batch("DELETE FROM notes WHERE rowid % 7 = 0 AND rowid < 0")
                .unwrap();
            server.execute_batch(statement).unwrap();
        }
    });
    let work = Work {
        connection: &place.connection,
        settings: &place.settings,
        schemas: &schemas,
        observer: &observer,
        version: 7,
        stem: "V007__index",
        check: &|| Ok(()),
    };
    let index = as_stored(&place.connection, sql);
    let (built, cookie) = build(work, 7, &index).unwrap().unwrap();
    assert!(between.borrow().is_empty());
    server.execute_batch("CREATE TABLE late (x)").unwrap();
    let transaction = schemas.begin(PATIENCE).unwrap();
    let before = schema_cookie(&place.connection).unwrap();
    assert_ne!(schema_cookie(&place.connection).unwrap(), cookie);
    drop(built);
    assert_eq!(schema_cookie(&place.connection).unwrap(), before);
    drop(transaction);
    place.build(sql).unwrap();
    place.assert_like_create_index(sql);
}

/// Runs something after each batch, when its lock is free.
struct Between<F>(F);

impl<F: Fn()> bridge_migrate_core::Observer for Between<F> {
    fn observe(&self, event: &bridge_migrate_core::Event) {
        if matches!(event, bridge_migrate_core::Event::BatchCommitted { .. }) {
            (self.0)();
        }
    }
}

#[test]
fn what_is_under_way_is_sound_and_goes_without_a_trace() {
    let place = Place::new(NOTES);
    let before = Snapshot::read(&place.connection).unwrap();
    let index = as_stored(&place.connection, INDEXES[0]);
    let schemas = SchemaReader::new(&place.connection);
    let work = Work {
        connection: &place.connection,
        settings: &place.settings,
        schemas: &schemas,
        observer: &Silent,
        version: 7,
        stem: "V007__index",
        check: &|| Ok(()),
    };
    let server = create_writer(&place.settings.database, PATIENCE).unwrap();
    let (mut batches, begun) = Batches::begin(work, || {
        IndexBuild::begin(&place.connection, 7, &index, "notes", None)
    })
    .unwrap();
    let mut build = begun.unwrap();
    assert_eq!(build.run(&mut batches).unwrap(), Ended::Complete);
    let check = |pragma: &str| -> Vec<String> {
        let mut check = server.prepare(&format!("PRAGMA {pragma}")).unwrap();
        let lines = check.query_map([], |row| row.get(0)).unwrap();
        lines.collect::<rusqlite::Result<_>>().unwrap()
    };
    assert_eq!(check("quick_check"), ["ok"]);
    assert_eq!(check("integrity_check"), ["ok"]);
    assert_eq!(expected::read(&server).unwrap(), before, "it is no drift");
    // Killed: another connection finds it.
    drop(build);
    let transaction = WriteTransaction::begin(&server, PATIENCE).unwrap();
    abandon(&server, 7).unwrap();
    transaction.commit().unwrap();
    assert_eq!(Snapshot::read(&server).unwrap(), before);
    assert_eq!(check("integrity_check"), ["ok"]);
}

/// What servers do, for random numbers.
pub(super) fn statement(kind: u32, a: u32, b: u32) -> String {
    let (id, other) = (a % 750, b % 750);
    match kind % 16 {
        0 => format!("INSERT OR IGNORE INTO notes (id, who, n, x) VALUES ('n{id}', 'Ann{b}', {other}, {b})"),
        1 => {
            format!("REPLACE INTO notes (id, who, n, x, real) VALUES ('n{id}', 'ann', {other}, 'r{b}', {b})")
        }
        2 => format!("REPLACE INTO notes (rowid, id, n) VALUES ({id}, 'row{id}', NULL)"),
        3 => format!("UPDATE OR REPLACE notes SET n = {other}, x = {b} WHERE id = 'n{id}'"),
        4 => format!("UPDATE OR FAIL notes SET n = n + 1 WHERE n BETWEEN {id} AND {id} + 5"),
        5 => format!("UPDATE OR ROLLBACK notes SET n = {other} WHERE id = 'n{id}'"),
        6 => format!("UPDATE OR ABORT notes SET n = {other}, who = NULL WHERE id = 'n{id}'"),
        7 => format!("UPDATE OR IGNORE notes SET n = {other}, who = 'w{b}' WHERE n < {id} AND n > {id} - 9"),
        8 => format!(
            "INSERT INTO notes (id, n) VALUES ('n{id}', {other}) ON CONFLICT (id) DO UPDATE SET x = {b}, who = 'up'"
        ),
        9 => format!("DELETE FROM notes WHERE id = 'n{id}'"),
        10 => format!("UPDATE notes SET id = 'n{other}' WHERE id = 'n{id}'"),
        11 => format!("UPDATE OR REPLACE notes SET rowid = {other} WHERE id = 'n{id}'"),
        12 => format!(
            "UPDATE notes SET x = CASE WHEN x IS NULL THEN {b} END, real = {b} / 2.0 WHERE rowid BETWEEN {id} AND {id} + 400"
        ),
        13 => format!("INSERT INTO notes (x, parent) VALUES ({b}, 'n{id}')"),
        14 if b.is_multiple_of(19) => "DELETE FROM notes".to_owned(),
        _ => format!(
            "INSERT INTO notes (id, who, n, x) SELECT id || '+{b}', who, NULL, x FROM notes WHERE rowid < {id} LIMIT 5"
        ),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_written_between_batches_is_in_the_index(
        which in 0..INDEXES.len(),
        statements in prop::collection::vec((0u32..200, any::<u32>(), any::<u32>(), any::<u32>()), 1..60),
    ) {
        let place = Place::new(NOTES).with_small_batches();
        place.connection.execute_batch("PRAGMA foreign_keys = ON").unwrap();
        let sql = INDEXES[which];
        let asked = Cell::new(0);
        let write = |at: u32| {
            for (_, kind, a, b) in statements.iter().filter(|(when, ..)| *when == at) {
                // OR ROLLBACK would end the transaction of the batch, too.
                let statement = statement(*kind, *a, *b).replace("OR ROLLBACK", "OR ABORT");
                let _ = place.connection.execute_batch(&statement);
            }
        };
        let check = || -> Result<()> {
            write(asked.replace(asked.get() + 1));
            Ok(())
        };
        let before_end = || (asked.get()..200).for_each(write);
        // NOCASE ids may become the same by chance: then it is refused, rightly.
        match place.build_and(sql, &check, before_end) {
            Ok(built) => {
                prop_assert_eq!(built, Ok(true));
                place.assert_like_create_index(sql);
            }
            Err(error) => prop_assert!(sql.contains("UNIQUE") && error.message().contains("cannot be unique"), "{error:?}"),
        }
    }
}

/// Writers of every kind until `end`; how much they wrote, and their errors.
fn serve(database: &Path, end: &AtomicBool, seed: u32, written: &AtomicU64) -> Vec<String> {
    let server = create_writer(database, PATIENCE).unwrap();
    server
        .execute_batch("PRAGMA foreign_keys = ON; PRAGMA synchronous = OFF")
        .unwrap();
    let mut errors = Vec::new();
    let mut state = seed;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    // A statement that is prepared once is used for as long as the connection is open.
    let mut kept = server
        .prepare("REPLACE INTO notes (id, n, x) VALUES (?1, ?2, ?3)")
        .unwrap();
    let mut note = |outcome: rusqlite::Result<()>| match outcome {
        Ok(()) => drop(written.fetch_add(1, Ordering::Relaxed)),
        // What the data forbids is a server's own affair.
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) => {}
        Err(error) => errors.push(error.to_string()),
    };
    while !end.load(Ordering::Relaxed) {
        let (kind, a, b) = (next(), next(), next());
        note(server.execute_batch(&statement(kind, a, b)));
        note(
            kept.execute(rusqlite::params![format!("n{}", a % 750), b % 750, b])
                .map(drop),
        );
        std::thread::sleep(Duration::from_micros(u64::from(next() % 16_000)));
    }
    errors
}

#[test]
fn servers_write_all_the_while_and_every_index_is_right() {
    for mode in ["delete", "wal"] {
        let place = Place::new(&format!("PRAGMA journal_mode = {mode}; {NOTES}"));
        place
            .connection
            .execute_batch(
                "WITH RECURSIVE i(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM i WHERE i < 6000)
                 INSERT INTO notes (who, x, real) SELECT 'w' || i % 100, i * 7919 % 12007, i FROM i",
            )
            .unwrap();
        let (end, written) = (AtomicBool::new(false), AtomicU64::new(0));
        let database = &place.settings.database;
        for sql in [
            INDEXES[0],
            INDEXES[1],
            INDEXES[2],
            "CREATE UNIQUE INDEX by_n ON notes (n, id) WHERE n > 4",
        ] {
            end.store(false, Ordering::Relaxed);
            let errors = std::thread::scope(|scope| {
                let servers: Vec<_> = (1..=4)
                    .map(|seed| {
                        scope.spawn({
                            let (end, written) = (&end, &written);
                            move || serve(database, end, seed * 7919, written)
                        })
                    })
                    .collect();
                let before = written.load(Ordering::Relaxed);
                while written.load(Ordering::Relaxed) < before + 20 {
                    std::thread::yield_now();
                }
                let built = place.build_and(sql, &|| Ok(()), || {});
                end.store(true, Ordering::Relaxed);
                let errors: Vec<_> = servers
                    .into_iter()
                    .flat_map(|server| server.join().unwrap())
                    .collect();
                assert_eq!(built.unwrap(), Ok(true), "{sql}");
                errors
            });
            assert_eq!(errors, [""; 0], "{mode}, {sql}");
            place.assert_like_create_index(sql);
            let name = only_index(&place.connection).name;
            place
                .connection
                .execute_batch(&format!("DROP INDEX \"{name}\""))
                .unwrap();
        }
    }
}

/// The rows of `notes` with their ids, without its keys and indexes.
const SHADOW: &str =
    "CREATE TABLE migration_shadow_7 (id TEXT, who TEXT COLLATE NOCASE, n INT, x, real REAL, parent TEXT);
    INSERT INTO migration_shadow_7 (rowid, id, who, n, x, real, parent)
    SELECT rowid, id, who, n, x, real, parent FROM notes;";

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn indexes_of_a_shadow_follow_what_is_written_to_its_table(
        statements in prop::collection::vec((0u32..200, any::<u32>(), any::<u32>(), any::<u32>()), 1..60),
    ) {
        let place = Place::new(NOTES).with_small_batches();
        let connection = &place.connection;
        connection.execute_batch("PRAGMA foreign_keys = ON").unwrap();
        let asked = Cell::new(0);
        let write = |at: u32| {
            for (_, kind, a, b) in statements.iter().filter(|(when, ..)| *when == at) {
                let statement = statement(*kind, *a, *b).replace("OR ROLLBACK", "OR ABORT");
                let _ = connection.execute_batch(&statement);
            }
        };
        let check = || -> Result<()> {
            write(asked.replace(asked.get() + 1));
            Ok(())
        };
        let schemas = SchemaReader::new(connection);
        let work = Work {
            connection,
            settings: &place.settings,
            schemas: &schemas,
            observer: &Silent,
            version: 7,
            stem: "V007__index",
            check: &check,
        };
        let sqls = [INDEXES[0], INDEXES[2]];
        let indexes = sqls.map(|sql| as_stored(connection, sql));
        let refresh = |rows: &str| -> Result<()> {
            let script = format!(
                "DELETE FROM migration_shadow_7 WHERE rowid IN ({rows});
                 INSERT INTO migration_shadow_7 (rowid, id, who, n, x, real, parent)
                 SELECT rowid, id, who, n, x, real, parent FROM notes WHERE rowid IN ({rows})"
            );
            connection.execute_batch(&script).while_doing("bring the shadow up to date")
        };
        let (mut batches, (dirty, first)) = Batches::begin(work, || {
            let dirty = DirtyRows::install(connection, "notes", 7)?.unwrap();
            connection.execute_batch(SHADOW).while_doing("make the shadow")?;
            let follows = Some((dirty.clone(), &refresh as Refresh<'_>));
            let first = IndexBuild::begin(connection, 8, &indexes[0], "migration_shadow_7", follows)?;
            Ok((dirty, first))
        })
        .unwrap();
        let mut first = first.unwrap();
        prop_assert_eq!(first.run(&mut batches).unwrap(), Ended::Complete);
        // The second one is built while the first goes on to follow.
        let both = |rows: &str| -> Result<()> {
            refresh(rows)?;
            first.apply(rows)
        };
        let (mut batches, second) = Batches::begin(work, || {
            IndexBuild::begin(connection, 9, &indexes[1], "migration_shadow_7", Some((dirty.clone(), &both)))
        })
        .unwrap();
        let mut second = second.unwrap();
        prop_assert_eq!(second.run(&mut batches).unwrap(), Ended::Complete);
        (asked.get()..200).for_each(write);
        let transaction = schemas.begin(PATIENCE).unwrap();
        second.drain(u64::MAX).unwrap();
        dirty.remove(connection).unwrap();
        edit_schema(connection, || {
            // The table's own pages change places, and its indexes stay.
            edit_one(
                connection,
                "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'migration_shadow_7')
                 WHERE name = 'notes'",
                [],
            )?;
            edit_one(connection, "DELETE FROM sqlite_schema WHERE name = 'migration_shadow_7'", [])?;
            first.give_name()?;
            second.give_name()
        })
        .unwrap();
        first.probe().unwrap();
        second.probe().unwrap();
        transaction.commit().unwrap();
        drop(second);
        drop(first);
        // What was the table's is in the file still, and in no list.
        let check: Vec<String> = connection
            .prepare("PRAGMA integrity_check")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<rusqlite::Result<_>>()
            .unwrap();
        prop_assert!(check.iter().all(|line| line == "ok" || line.ends_with("never used")), "{check:?}");
        connection.execute_batch("VACUUM").unwrap();
        for (sql, other) in [(sqls[0], "by_n"), (sqls[1], "by_x")] {
            let rest = Place::new("");
            let copy = rest.settings.database.with_extension("copy");
            connection.execute("VACUUM INTO ?1", [copy.to_str()]).unwrap();
            let copied = Place {
                connection: create_writer(&copy, PATIENCE).unwrap(),
                ..rest
            };
            copied.connection.execute_batch(&format!("DROP INDEX {other}")).unwrap();
            copied.assert_like_create_index(sql);
        }
    }
}

#[test]
fn a_history_that_moved_stops_it() {
    let place = Place::new(NOTES).with_small_batches();
    let before = Snapshot::read(&place.connection).unwrap();
    let asked = Cell::new(0);
    let check = || match asked.replace(asked.get() + 1) {
        9 => Err(Error::new(bridge_migrate_core::ErrorKind::Busy, "moved")),
        _ => Ok(()),
    };
    let error = place.build_and(INDEXES[0], &check, || {}).unwrap_err();
    assert_eq!(error.message(), "moved");
    assert_eq!(Snapshot::read(&place.connection).unwrap(), before);
}
