use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rusqlite::Connection;
use rusqlite::types::{Value, ValueRef};

use super::dirty_rows::DirtyRows;
use super::index_tests::{NOTES, statement};
use crate::schema::expected;
use crate::sqlite::connection::open_scratch;

/// Each row with its id; texts as bytes, since some are no UTF-8.
fn rows(connection: &Connection, table: &str) -> BTreeMap<i64, Vec<Value>> {
    let rowid = super::rowid_of(connection, table).unwrap().unwrap();
    let mut select = connection
        .prepare(&format!("SELECT {rowid} AS migration_r, * FROM \"{table}\""))
        .unwrap();
    let width = select.column_count();
    let value = |value: ValueRef<'_>| match value {
        ValueRef::Text(text) => Value::Blob([b"text ", text].concat()),
        other => other.try_into().unwrap(),
    };
    let read = |row: &rusqlite::Row<'_>| {
        let values = (1..width).map(|at| row.get_ref(at).map(value));
        Ok((row.get(0)?, values.collect::<rusqlite::Result<_>>()?))
    };
    select.query_map([], read).unwrap().map(Result::unwrap).collect()
}

fn noted(connection: &Connection, dirty: &DirtyRows) -> BTreeSet<i64> {
    let mut select = connection
        .prepare(&format!("SELECT r FROM {}", dirty.set()))
        .unwrap();
    let rows = select.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

fn scratch(schema: &str) -> Connection {
    let connection = open_scratch().unwrap();
    connection.execute_batch(schema).unwrap();
    connection
}

/// Runs each statement where its predecessor left off and asserts that the set has every row that it changed.
fn assert_noted(schema: &str, table: &str, statements: &[&str]) {
    let connection = scratch(schema);
    let dirty = DirtyRows::install(&connection, table, 1).unwrap().unwrap();
    for statement in statements {
        let before = rows(&connection, table);
        // A statement that fails changes nothing, or with OR FAIL a part.
        let _ = connection.execute_batch(statement);
        if !connection.is_autocommit() {
            connection.execute_batch("ROLLBACK").unwrap();
        }
        let (after, noted) = (rows(&connection, table), noted(&connection, &dirty));
        let changed: BTreeSet<i64> = before
            .keys()
            .chain(after.keys())
            .filter(|r| before.get(r) != after.get(r))
            .copied()
            .collect();
        assert!(
            changed.is_subset(&noted),
            "{statement}: {changed:?} of {noted:?} in {schema}"
        );
        let drained = dirty.drain(&connection, 1, |_| Ok(())).unwrap();
        assert_eq!(drained.rows, u64::from(!noted.is_empty()), "{statement}");
        dirty.drain(&connection, u64::MAX, |_| Ok(())).unwrap();
        assert!(dirty.is_empty(&connection).unwrap());
    }
    dirty.remove(&connection).unwrap();
    assert!(
        expected::read(&connection)
            .unwrap()
            .iter()
            .all(|object| !object.name.contains("dirty"))
    );
}

#[test]
fn every_way_to_write_is_noted() {
    assert_noted(
        "CREATE TABLE Notes (id TEXT PRIMARY KEY, n INTEGER UNIQUE, body, parent REFERENCES notes (id) ON DELETE CASCADE);
         INSERT INTO notes VALUES ('a', 1, 'x', NULL), ('b', 2, 'y', 'a'), ('c', NULL, 'z', 'b'), (NULL, NULL, 'w', NULL)",
        "notes",
        &[
            "INSERT INTO notes VALUES ('d', 4, '', NULL)",
            "REPLACE INTO notes VALUES ('a', 9, 'by id', NULL)",
            "REPLACE INTO notes VALUES ('q', 2, 'by n', NULL)",
            "REPLACE INTO notes VALUES ('q', 9, 'by both', NULL)",
            "INSERT OR REPLACE INTO notes (rowid, id, n) VALUES (3, 'by row id', 77)",
            "UPDATE OR REPLACE notes SET n = 4 WHERE id = 'q'",
            "UPDATE OR REPLACE notes SET rowid = 3 WHERE id = 'q'",
            "UPDATE OR IGNORE notes SET id = 'q', body = 1",
            "UPDATE OR FAIL notes SET n = 5",
            "UPDATE OR ABORT notes SET n = 6",
            "UPDATE OR ROLLBACK notes SET n = 7",
            "INSERT INTO notes VALUES ('q', 1, 2, 3) ON CONFLICT (id) DO UPDATE SET n = excluded.n, body = 'up'",
            "INSERT INTO notes VALUES ('z', 1, 2, 3) ON CONFLICT DO NOTHING",
            "UPDATE notes SET rowid = rowid + 100",
            "PRAGMA foreign_keys = ON; INSERT INTO notes VALUES ('p', 50, 1, NULL), ('k', 51, 1, 'p'), ('l', 52, 1, 'k')",
            "DELETE FROM notes WHERE id = 'p'",
            "REPLACE INTO notes SELECT * FROM notes",
            "BEGIN; DELETE FROM notes; ROLLBACK",
            "DELETE FROM notes",
        ],
    );
}

#[test]
fn what_each_kind_of_key_replaces_is_noted() {
    for (schema, statements) in [
        // A collation of the index that is not the column's, and the other way round.
        (
            "CREATE TABLE t (a, b TEXT COLLATE NOCASE); CREATE UNIQUE INDEX u ON t (a COLLATE NOCASE);
             CREATE UNIQUE INDEX v ON t (b COLLATE BINARY DESC);
             INSERT INTO t VALUES ('x', 'p'), ('y', 'q')",
            ["REPLACE INTO t VALUES ('X', 'z')", "UPDATE OR REPLACE t SET b = 'P' WHERE b = 'q'"],
        ),
        ("CREATE TABLE t (a, b TEXT COLLATE NOCASE); CREATE UNIQUE INDEX v ON t (b COLLATE BINARY);
          INSERT INTO t VALUES (1, 'p'), (2, 'P'), (3, 'q')",
         ["UPDATE OR REPLACE t SET b = 'P' WHERE a = 1", "REPLACE INTO t VALUES (4, 'q')"]),
        // Partial.
        (
            "CREATE TABLE t (a, kind TEXT); CREATE UNIQUE INDEX u ON t (a) WHERE t.kind = 1 AND a > 0;
             INSERT INTO t VALUES (1, 1), (1, 2), (2, 1)",
            ["REPLACE INTO t VALUES (1, 1)", "UPDATE OR REPLACE t SET kind = 1 WHERE kind = 2"],
        ),
        // An expression, with a condition without which it would fail.
        (
            "CREATE TABLE t (a TEXT, b); CREATE UNIQUE INDEX u ON t (json_extract(a, '$.k') DESC, b) WHERE json_valid(a);
             INSERT INTO t VALUES ('{\"k\": 1}', 1), ('no', 1), ('{\"k\": 2}', 1)",
            ["REPLACE INTO t VALUES ('{\"k\":1, \"l\": 2}', 1), ('no', 1)",
             "UPDATE OR REPLACE t SET a = '{\"k\": 2 }' WHERE a = 'no'"],
        ),
        // An expression whose value depends on the affinity of its column.
        (
            "CREATE TABLE t (a TEXT, n INT); CREATE UNIQUE INDEX u ON t (a > 5, n = '1'); INSERT INTO t VALUES ('10', 1), ('9', 2)",
            ["REPLACE INTO t VALUES ('11', 1)", "UPDATE OR REPLACE t SET n = 1, a = '4' WHERE n = 2"],
        ),
        // REPLACE puts the default for NULL.
        (
            "CREATE TABLE t (a TEXT NOT NULL DEFAULT x UNIQUE, b NOT NULL DEFAULT (1 + 1) UNIQUE, c NOT NULL DEFAULT \"y\" UNIQUE);
             INSERT INTO t VALUES ('x', 1, 1), ('z', 2, 2), ('w', 3, 'y')",
            ["REPLACE INTO t VALUES (NULL, 8, 8)", "UPDATE OR REPLACE t SET b = NULL, c = NULL"],
        ),
        // Generated columns, and one that is the row id.
        (
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a, g AS (a % 10) UNIQUE, h AS (a / 10) STORED, UNIQUE (h, a), UNIQUE (id, a));
             INSERT INTO t (id, a) VALUES (1, 11), (2, 22)",
            ["REPLACE INTO t (a) VALUES (31)", "UPDATE OR REPLACE t SET a = 91 WHERE id = 2"],
        ),
        (
            "CREATE TABLE t (a, h AS (a / 3) STORED, g AS (a % 5), b, UNIQUE (h, b)); CREATE UNIQUE INDEX u ON t (g) WHERE b > 5;
             INSERT INTO t VALUES (1, 1), (2, 2), (5, 6), (10, 4)",
            ["UPDATE OR REPLACE t SET b = 2 WHERE a = 1", "UPDATE OR REPLACE t SET b = 7 WHERE a = 10"],
        ),
        // Names that mean something else.
        (
            "CREATE TABLE \"t\" (rowid TEXT, \"_rowid_\" UNIQUE, \"a \"\"b\" UNIQUE, [NEW] UNIQUE);
             INSERT INTO t VALUES ('x', 1, 2, 3), ('x', 4, 5, 6), ('x', 7, 8, 9)",
            ["REPLACE INTO t VALUES ('x', 1, 5, 9)", "UPDATE t SET rowid = oid"],
        ),
        (
            "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a UNIQUE);
             CREATE TRIGGER own BEFORE INSERT ON t WHEN NEW.a = 9 BEGIN INSERT OR REPLACE INTO t (a) VALUES (9); END;
             CREATE TRIGGER more AFTER UPDATE ON t BEGIN UPDATE t SET a = a || '' WHERE id = NEW.id + 1; END;
             INSERT INTO t (a) VALUES (1), (2)",
            ["REPLACE INTO t (a) VALUES (9)", "PRAGMA recursive_triggers = ON; UPDATE OR REPLACE t SET a = 2 WHERE a = 1"],
        ),
    ] {
        assert_noted(schema, "t", &statements);
    }
}

#[test]
fn a_table_that_is_called_like_the_row_that_is_written_notes_only_what_is_written() {
    for table in ["new", "Old"] {
        let connection = scratch(&format!(
            "CREATE TABLE \"{table}\" (a UNIQUE, b); INSERT INTO \"{table}\" VALUES (1, 1), (2, 2), (3, 3)"
        ));
        let dirty = DirtyRows::install(&connection, table, 1).unwrap().unwrap();
        connection
            .execute_batch(&format!("REPLACE INTO \"{table}\" VALUES (2, 9)"))
            .unwrap();
        assert_eq!(noted(&connection, &dirty), [2, 4].into(), "{table}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn every_row_that_differs_from_a_copy_is_in_the_set(
        statements in prop::collection::vec((any::<u32>(), any::<u32>(), any::<u32>()), 1..60),
        recursive in any::<bool>(),
        // Few rows, and keys of every kind that often meet.
        is_narrow in any::<bool>(),
    ) {
        let connection = if is_narrow {
            scratch(
                "CREATE TABLE notes (id TEXT NOT NULL DEFAULT d UNIQUE, who TEXT, n INT, g AS (n % 9) UNIQUE,
                     h AS (n / 3) STORED, x TEXT, real REAL, parent, UNIQUE (h, who));
                 CREATE UNIQUE INDEX u ON notes (x COLLATE NOCASE) WHERE who = 'ann';
                 CREATE UNIQUE INDEX v ON notes (x > 5, n) WHERE real > '2'",
            )
        } else {
            scratch(&format!(
                "{NOTES} CREATE UNIQUE INDEX own ON notes (lower(id) || 'x', real) WHERE x IS NOT NULL;
                 PRAGMA foreign_keys = ON"
            ))
        };
        connection.pragma_update(None, "recursive_triggers", recursive).unwrap();
        let width = if is_narrow { 14 } else { u32::MAX };
        let mut copy = rows(&connection, "notes");
        let dirty = DirtyRows::install(&connection, "notes", 1).unwrap().unwrap();
        for (kind, a, b) in statements {
            // Outside of a transaction OR ROLLBACK ends only its own statement.
            let statement = statement(kind, a % width, b % width);
            let _ = connection.execute_batch(&statement);
            let (now, noted) = (rows(&connection, "notes"), noted(&connection, &dirty));
            let differs = copy.keys().chain(now.keys()).filter(|r| copy.get(r) != now.get(r));
            let missing: Vec<_> = differs.filter(|r| !noted.contains(r)).collect();
            prop_assert!(missing.is_empty(), "{statement}: {missing:?}");
            dirty.drain(&connection, u64::MAX, |_| Ok(())).unwrap();
            copy = now;
        }
    }
}

#[test]
fn servers_see_no_difference() {
    let schema = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a UNIQUE ON CONFLICT REPLACE, b);
        INSERT INTO t (a) VALUES (1), (2), (3)";
    let statements = [
        "INSERT INTO t (a) VALUES (4)",
        "INSERT INTO t (a) VALUES (4)",
        "INSERT OR FAIL INTO t (id, a) VALUES (9, 8)",
        "UPDATE OR FAIL t SET a = a + 1 WHERE a = 8",
        "UPDATE OR ROLLBACK t SET a = 3 WHERE a = 2",
        "UPDATE OR IGNORE t SET a = 3",
        "INSERT OR IGNORE INTO t (a) VALUES (3)",
        "DELETE FROM t",
        "INSERT INTO t (a) VALUES (4)",
    ];
    let run = |captures: bool| -> Vec<_> {
        let connection = scratch(schema);
        if captures {
            DirtyRows::install(&connection, "t", 7).unwrap().unwrap();
        }
        statements
            .iter()
            .map(|statement| {
                let changed = connection
                    .execute(statement, [])
                    .map_err(|error| error.to_string());
                (
                    changed,
                    connection.changes(),
                    connection.last_insert_rowid(),
                    rows(&connection, "t"),
                )
            })
            .collect()
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn a_table_whose_rows_cannot_be_told_apart_is_refused_and_left_alone() {
    for (schema, why) in [
        ("CREATE TABLE t (a PRIMARY KEY) WITHOUT ROWID", "row ids"),
        ("CREATE TABLE t (rowid, _rowid_, oid)", "row ids"),
        (
            "CREATE TABLE t (rowid, _rowid_, oid INTEGER PRIMARY KEY DESC)",
            "row ids",
        ),
        ("CREATE VIEW t AS SELECT 1 AS a", "row ids"),
        // A server whose SQLite takes no text in double quotes could not run the trigger.
        (
            "CREATE TABLE t (a); CREATE UNIQUE INDEX u ON t (\"A\") WHERE \"t\".a <> \"text\"",
            "index u",
        ),
        ("CREATE VIRTUAL TABLE t USING fts5 (a)", "row ids"),
    ] {
        let connection = scratch(schema);
        let refused = DirtyRows::install(&connection, "t", 1).unwrap().unwrap_err();
        assert!(refused.contains(why), "{schema}: {refused}");
    }
    assert_noted(
        "CREATE TABLE t (rowid, _rowid_, \"oid\" INTEGER PRIMARY KEY, a UNIQUE); INSERT INTO t VALUES (1, 2, 3, 4)",
        "t",
        &["REPLACE INTO t VALUES (1, 2, 5, 4)", "DELETE FROM t"],
    );
    // The application's function, and its collation.
    let connection = scratch("CREATE TABLE t (a)");
    connection
        .create_scalar_function(
            "theirs",
            1,
            rusqlite::functions::FunctionFlags::SQLITE_DETERMINISTIC,
            |_| Ok(1),
        )
        .unwrap();
    connection
        .execute_batch("CREATE UNIQUE INDEX u ON t (theirs(a))")
        .unwrap();
    connection.remove_function("theirs", 1).unwrap();
    let refused = DirtyRows::install(&connection, "t", 1).unwrap().unwrap_err();
    assert!(refused.contains("theirs"), "{refused}");
    connection
        .execute_batch("DROP INDEX u; INSERT INTO t VALUES (1)")
        .unwrap();
    assert!(DirtyRows::find(&connection, "t", 1).unwrap().is_none());
}

#[test]
fn what_was_changed_since_is_not_gone_on_with() {
    let connection = scratch("CREATE TABLE t (a UNIQUE, b)");
    DirtyRows::install(&connection, "t", 12).unwrap().unwrap();
    assert!(DirtyRows::find(&connection, "T", 12).unwrap().is_some());
    assert!(DirtyRows::find(&connection, "t", 1).unwrap().is_none());
    connection
        .execute_batch("CREATE UNIQUE INDEX u ON t (b)")
        .unwrap();
    assert!(DirtyRows::find(&connection, "t", 12).is_err());
    DirtyRows::left_over(12).remove(&connection).unwrap();
    DirtyRows::left_over(12).remove(&connection).unwrap();
    let left: i64 = connection
        .query_row(
            "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'migration%'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(left, 0);
}
