//! Rebuilds: what stays, what is refused, and which rows do not fit.

use proptest::prelude::*;
use rusqlite::Connection;

use crate::schema::script::{Rebuild, Taken, run};
use crate::schema::{ObjectKind, Snapshot, trial::Trial};
use crate::sqlite::connection::open_scratch;

fn rebuild(table: &str, definition: &str, taken: &[(&str, &str)]) -> String {
    let taken = taken.iter().map(|(column, value)| Taken {
        column: (*column).to_owned(),
        value: (*value).to_owned(),
    });
    Rebuild::new(table, definition, taken.collect())
        .unwrap()
        .to_string()
}

fn database(sql: &str) -> Connection {
    let connection = open_scratch().unwrap();
    connection.execute_batch(sql).unwrap();
    connection
}

/// The rows of a statement, each value as SQL writes it.
fn rows(connection: &Connection, sql: &str) -> Vec<String> {
    let mut select = connection.prepare(sql).unwrap();
    let count = select.column_count();
    let rows = select.query_map([], |row| {
        let values = (0..count).map(|at| match row.get_ref(at).unwrap() {
            rusqlite::types::ValueRef::Text(text) => format!("'{}'", String::from_utf8_lossy(text)),
            other => format!("{other:?}"),
        });
        Ok(values.collect::<Vec<_>>().join(" "))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// What a rebuild in a transaction did, which is rolled back when it fails.
fn attempt(connection: &Connection, sql: &str) -> Result<(), String> {
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    let ran = run(connection, sql);
    connection
        .execute_batch(if ran.is_ok() { "COMMIT" } else { "ROLLBACK" })
        .unwrap();
    ran.map_err(|error| error.to_string())
}

const AROUND: &str = r#"
    CREATE TABLE log (what);
    CREATE TABLE Notes (id TEXT PRIMARY KEY, body, parent REFERENCES notes (id), rank INTEGER);
    CREATE TABLE links (note TEXT REFERENCES notes (id) ON DELETE CASCADE, body);
    CREATE INDEX by_rank ON notes (rank DESC, body COLLATE NOCASE) WHERE rank > 0;
    CREATE TRIGGER first AFTER INSERT ON notes BEGIN INSERT INTO log VALUES ('first ' || NEW.id); END;
    CREATE UNIQUE INDEX "by ""length" ON "notes" (length(body), rowid_of) ;
    CREATE TRIGGER second AFTER INSERT ON notes BEGIN INSERT INTO log VALUES ('second'); END;
    CREATE TRIGGER elsewhere AFTER DELETE ON links BEGIN UPDATE notes SET rank = 0 WHERE id = OLD.note; END;
    CREATE VIEW ranked AS SELECT id, rank FROM notes WHERE rank > 0;
    INSERT INTO notes (rowid, id, body, parent, rank) VALUES (-5, NULL, x'00ff', 'nobody', 1), (3, 'a', NULL, 'a', 2),
        (9000000000, 'b', 'long', NULL, NULL);
    INSERT INTO links VALUES ('a', 'x'), ('orphan', 'y');
    DELETE FROM log;
    ANALYZE;
"#;

#[test]
fn a_rebuild_leaves_all_around_it_as_it_was() {
    let around = AROUND.replace(", rowid_of) ;", ");");
    let connection = database(&around);
    let outside = "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name <> 'notes' COLLATE NOCASE ORDER BY lower(tbl_name), type, rowid";
    let everything = "SELECT rowid, id, body, parent, rank, typeof(rank) FROM notes ORDER BY rowid";
    let (objects, contents) = (rows(&connection, outside), rows(&connection, everything));
    let found = "SELECT idx, stat FROM sqlite_stat1 WHERE lower(tbl) = 'notes' ORDER BY idx COLLATE NOCASE";
    let statistics = rows(&connection, found);
    let definition = "CREATE TABLE \"notes\" (\n    \"id\" TEXT PRIMARY KEY, -- the \"key\"\n    body,\n    parent REFERENCES notes (id),\n    rank ANY DEFAULT 7, \
                      lang TEXT NOT NULL DEFAULT 'de', size INTEGER AS (length(body)) STORED, CHECK (rank < 10)) ";
    let sql = rebuild(
        "notes",
        definition.trim_end(),
        &[
            ("id", "\"id\""),
            ("body", "\"body\""),
            ("parent", "\"parent\""),
            ("rank", "\"rank\""),
            ("lang", "'en'"),
        ],
    );
    attempt(&connection, &sql).unwrap();
    assert_eq!(rows(&connection, outside), objects);
    assert_eq!(rows(&connection, everything), contents);
    assert_eq!(
        rows(&connection, "SELECT sql FROM sqlite_schema WHERE name = 'notes'"),
        [format!("'{}'", definition.trim_end())]
    );
    assert_eq!(rows(&connection, "SELECT DISTINCT lang FROM notes"), ["'en'"]);
    assert_eq!(statistics.len(), 3);
    assert_eq!(rows(&connection, &found.replace("lower(tbl)", "tbl")).len(), 3);
    assert_eq!(rows(&connection, "PRAGMA integrity_check"), ["'ok'"]);
    // Triggers fire in the order in which they did.
    let server = database(&around);
    for connection in [&server, &connection] {
        connection
            .execute_batch("INSERT INTO notes (id) VALUES ('new')")
            .unwrap();
    }
    assert_eq!(
        rows(&connection, "SELECT what FROM log"),
        rows(&server, "SELECT what FROM log")
    );
    assert_eq!(rows(&connection, "PRAGMA legacy_alter_table"), ["Integer(0)"]);
}

#[test]
fn what_would_no_longer_work_is_named_and_nothing_is_changed() {
    let connection = database(&AROUND.replace(", rowid_of) ;", ");"));
    let schema = Snapshot::read(&connection).unwrap();
    let take = |columns: &[&str]| {
        let taken: Vec<_> = columns
            .iter()
            .map(|name| (*name, format!("\"{name}\"")))
            .collect();
        let taken: Vec<_> = taken
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        rebuild(
            "notes",
            &format!("CREATE TABLE \"notes\" ({})", columns.join(", ")),
            &taken,
        )
    };
    let mut said = vec![
        attempt(&connection, &take(&["id", "body", "parent"])),
        attempt(&connection, &take(&["id", "body", "rank", "colour"])),
    ];
    connection.execute_batch("DROP INDEX by_rank").unwrap();
    said.push(attempt(&connection, &take(&["id", "body", "parent"])));
    connection.execute_batch("DROP VIEW ranked").unwrap();
    said.push(attempt(&connection, &take(&["id", "body", "parent"])));
    let not_null = "CREATE TABLE \"notes\" (id NOT NULL ON CONFLICT IGNORE, body UNIQUE ON CONFLICT REPLACE)";
    let taken = [("id", "\"id\""), ("body", "\"body\"")];
    said.push(attempt(&connection, &rebuild("notes", not_null, &taken)));
    let number = "CREATE TABLE \"notes\" (id INTEGER PRIMARY KEY, body)";
    said.push(attempt(
        &connection,
        &rebuild("notes", number, &[("id", "rank"), ("body", "body")]),
    ));
    said.push(attempt(
        &connection,
        &rebuild("ranked", "CREATE TABLE \"ranked\" (id)", &[("id", "id")]),
    ));
    let said: Vec<_> = said.into_iter().map(Result::unwrap_err).collect();
    insta::assert_snapshot!(said.join("\n"));
    assert_eq!(rows(&connection, "SELECT count(*) FROM notes"), ["Integer(3)"]);
    assert_eq!(
        schema.get(ObjectKind::Table, "notes"),
        Snapshot::read(&connection)
            .unwrap()
            .get(ObjectKind::Table, "notes")
    );
    assert_eq!(rows(&connection, "PRAGMA legacy_alter_table"), ["Integer(0)"]);
    // SQLite reads "text" as a text again.
    assert_eq!(
        rows(&connection, "SELECT \"no column\" FROM log LIMIT 0").len(),
        0
    );
}

#[test]
fn a_name_in_quotes_never_becomes_a_text_and_no_trigger_falls_silent() {
    for (around, broken) in [
        (
            "CREATE INDEX i ON t (\"gone\")",
            "index i on t no longer works: no such column: gone",
        ),
        (
            "CREATE INDEX i ON t (id) WHERE \"gone\" IS NOT NULL",
            "index i on t no longer works: no such column: gone",
        ),
        (
            "CREATE VIEW v AS SELECT \"gone\" FROM t",
            "view v on v no longer works: no such column: \"gone\"",
        ),
        (
            "CREATE TRIGGER r AFTER UPDATE OF id, \"gone\" ON t BEGIN SELECT 1; END",
            "trigger r on t no longer works: no such column: gone",
        ),
        (
            "CREATE TABLE u (x); CREATE TRIGGER r AFTER INSERT ON u BEGIN UPDATE t SET id = \"gone\"; END",
            "trigger r on u no longer works: no such column: \"gone\"",
        ),
    ] {
        let connection = database(&format!(
            "CREATE TABLE t (id, gone, stays); {around}; INSERT INTO t VALUES (1, 2, 3)"
        ));
        let said = attempt(
            &connection,
            &rebuild(
                "t",
                "CREATE TABLE \"t\" (id, stays)",
                &[("id", "id"), ("stays", "stays")],
            ),
        );
        let said = said.unwrap_err();
        assert!(said.starts_with(&format!("with the new t, {broken}")), "{said}");
    }
    // What was a text before, or broken, is no business of the rebuild.
    let connection = database(
        "CREATE TABLE t (id, gone); CREATE VIEW v AS SELECT \"text\" FROM t; CREATE VIEW w AS SELECT * FROM nowhere;
         CREATE INDEX i ON t (id) WHERE id <> 'gone'",
    );
    attempt(
        &connection,
        &rebuild("t", "CREATE TABLE \"t\" (id TEXT)", &[("id", "id")]),
    )
    .unwrap();
}

#[test]
fn row_numbers_stay_wherever_both_tables_have_them() {
    // How a table is declared, how its rowid is called, and which column is none of it.
    let plain = ("(id INT, v)", Some("rowid"));
    let key = ("(id INTEGER PRIMARY KEY, v)", Some("rowid"));
    let other_key = ("(n INTEGER PRIMARY KEY, id INT, v)", Some("rowid"));
    let no_alias = (
        "(id INTEGER PRIMARY KEY DESC, v, w AS (id) STORED)",
        Some("rowid"),
    );
    let partly_hidden = ("(id INT, v, rowid, \"_ROWID_\")", Some("oid"));
    let hidden = ("(id INT, v, rowid, _rowid_, oid)", None);
    let hidden_key = ("(id INTEGER PRIMARY KEY, v, rowid, _rowid_, oid)", Some("id"));
    let without = ("(id INT PRIMARY KEY, v ANY) WITHOUT ROWID, STRICT", None);
    let (kept, ids, fresh) = ([-5_i64, 6, 91], [-4_i64, 7, 90], [1_i64, 2, 3]);
    for (old, new, expected) in [
        (plain, plain, kept),
        (plain, key, ids),
        (plain, other_key, kept),
        (plain, partly_hidden, kept),
        (plain, hidden_key, ids),
        (key, plain, ids),
        (key, other_key, ids),
        (hidden_key, plain, ids),
        (no_alias, no_alias, kept),
        (partly_hidden, plain, kept),
        (hidden, plain, fresh),
        (without, plain, fresh),
        (without, key, ids),
        (without, without, ids),
        (plain, without, ids),
        (plain, hidden, ids),
    ] {
        let connection = database(&format!("CREATE TABLE t {}", old.0));
        for (rowid, id) in kept.iter().zip(ids) {
            let (name, value) = match old.1 {
                Some(name) if name != "id" && old != key => (format!("{name}, "), format!("{rowid}, ")),
                _ => (String::new(), String::new()),
            };
            let insert = format!("INSERT INTO t ({name}id, v) VALUES ({value}{id}, 'x')");
            connection.execute(&insert, []).unwrap();
        }
        let definition = format!("CREATE TABLE \"t\" {}", new.0);
        attempt(
            &connection,
            &rebuild("t", &definition, &[("id", "id"), ("v", "v")]),
        )
        .unwrap();
        let numbers = |column: &str, expected: [i64; 3]| {
            let found = rows(&connection, &format!("SELECT {column} FROM t ORDER BY 1"));
            assert_eq!(
                found,
                expected.map(|n| format!("Integer({n})")),
                "{old:?} -> {new:?}"
            );
        };
        numbers("id", ids);
        numbers(new.1.unwrap_or("id"), expected);
    }
}

#[test]
fn numbers_of_deleted_rows_are_not_given_out_again() {
    let connection = database(
        "CREATE TABLE Other (id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO other VALUES (3);
         CREATE TABLE T (id INTEGER PRIMARY KEY AUTOINCREMENT, v); INSERT INTO t VALUES (1, 'a'), (99, 'b');
         DELETE FROM t WHERE id = 99",
    );
    let definition = "CREATE TABLE \"t\" (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT)";
    let sql = rebuild("t", definition, &[("id", "id"), ("v", "v")]);
    for _ in 0..2 {
        attempt(&connection, &sql).unwrap();
        assert_eq!(
            rows(&connection, "SELECT name, seq FROM sqlite_sequence ORDER BY name"),
            ["'Other' Integer(3)", "'t' Integer(99)"]
        );
    }
}

#[test]
fn a_text_that_is_no_rebuild_in_its_form_says_so() {
    let good = rebuild(
        "a\"b",
        "CREATE TABLE \"a\"\"b\" (x, \"FROM\")",
        &[("x", "max(x, ';')"), ("FROM", "\"FROM\"")],
    );
    assert_eq!(Rebuild::parse(&good).unwrap().unwrap().to_string(), good);
    assert_eq!(Rebuild::parse("CREATE TABLE t (x)"), Ok(None));
    let said: Vec<_> = [
        "-- rebuild\n",
        "-- rebuild\nDROP TABLE t;",
        "-- rebuild\nCREATE TABLE \"t\" AS SELECT 1;\nINSERT INTO \"t\" (\"x\") SELECT x AS \"x\" FROM \"t\";\n",
        "-- rebuild\nCREATE TABLE \"t\" (x);\nINSERT INTO \"u\" (\"x\") SELECT x AS \"x\" FROM \"t\";\n",
        "-- rebuild\nCREATE TABLE \"t\" (x);\nINSERT INTO \"t\" (\"x\") SELECT x AS \"x\" FROM \"t\"; DROP TABLE u;\n",
        "-- rebuild\nCREATE TABLE \"t\" (x CHECK (t.x > 0));\nINSERT INTO \"t\" (\"x\") SELECT x AS \"x\" FROM \"t\";\n",
        "-- rebuild\nCREATE TABLE \"t\" (x) -- all\n;\nINSERT INTO \"t\" (\"x\") SELECT x AS \"x\" FROM \"t\";\n",
        "-- rebuild\nCREATE TABLE \"t\" (x);\nINSERT INTO \"t\" (\"x\") SELECT (SELECT 1) AS \"x\" FROM \"t\";\n",
        "-- rebuild\nCREATE TABLE \"t\" (x);\nINSERT INTO \"t\" (\"x\") SELECT ?1 AS \"x\" FROM \"t\";\n",
        "-- rebuild\nCREATE TABLE \"t\" (x);\nINSERT INTO \"t\" (\"x\", \"X\") SELECT 1 AS \"x\", 2 AS \"X\" FROM \"t\";\n",
    ]
    .iter()
    .map(|sql| Rebuild::parse(sql).unwrap_err())
    .collect();
    insta::assert_snapshot!(said.join("\n"));
    let connection = database("CREATE TABLE t (x)");
    let many = rebuild("t", "CREATE TABLE \"t\" (x)", &[("x", "count(*)")]);
    insta::assert_snapshot!(attempt(&connection, &many).unwrap_err(), @"a value of the new t is not made of one row alone");
}

/// What a trial in ranges of two rows finds, and nothing of it stays.
fn tried(connection: &Connection, sql: &str) -> String {
    let rebuild = Rebuild::parse(sql).unwrap().unwrap();
    let mut trial = Trial::new(connection, &rebuild).unwrap();
    while trial.range(2).unwrap() {}
    let unfit = trial.finish().unwrap();
    assert_eq!(rows(connection, "SELECT name FROM sqlite_temp_schema"), [""; 0]);
    let first: Vec<_> = unfit
        .first
        .iter()
        .map(|(key, why)| format!("{key}: {why}"))
        .collect();
    format!("{}\n{}", unfit.count, first.join("\n"))
}

#[test]
fn rows_that_do_not_fit_are_found_beforehand_with_their_keys() {
    let connection = database(
        "CREATE TABLE votes (id TEXT PRIMARY KEY, weight TEXT, room TEXT, note COLLATE NOCASE UNIQUE);
         INSERT INTO votes (rowid, id, weight, room, note) VALUES (-9, 'a', '7', 'r', 'one'), (0, 'b', '007', 'R', NULL),
             (1, NULL, '1.5', 'r', NULL), (2, 'c', 'many', 'q', 'two'), (9223372036854775807, 'd', NULL, 'q', x'00')",
    );
    let mut said = Vec::new();
    let kept = [
        ("id", "id"),
        ("weight", "weight"),
        ("room", "room"),
        ("note", "note"),
    ];
    for (definition, taken) in [
        (
            "(id TEXT PRIMARY KEY, weight INTEGER, room, note COLLATE NOCASE UNIQUE)",
            kept,
        ),
        ("(id TEXT, weight INT NOT NULL, room, note) STRICT", kept),
        (
            "(id TEXT NOT NULL, weight, room COLLATE NOCASE UNIQUE, note, CHECK (note <> 'two'))",
            kept,
        ),
        ("(id TEXT, weight, room UNIQUE ON CONFLICT REPLACE, note)", kept),
        (
            "(id INTEGER PRIMARY KEY, weight, room, note)",
            [("id", "length(weight)"), kept[1], kept[2], kept[3]],
        ),
        ("(id PRIMARY KEY, weight, room, note TEXT) WITHOUT ROWID", kept),
    ] {
        let definition = format!(
            "CREATE TABLE \"votes\" {}",
            definition
                .replace(" room,", " room TEXT,")
                .replace(" note)", " note TEXT)")
        );
        let sql = rebuild("votes", &definition, &taken);
        let found = tried(&connection, &sql);
        let all = rows(&connection, "SELECT rowid, * FROM votes");
        let ran = attempt(&connection, &sql);
        // What fits beforehand is what the rebuild itself takes.
        assert_eq!(
            ran.is_ok(),
            found.starts_with("0\n"),
            "{definition}: {ran:?} {found}"
        );
        assert_eq!(rows(&connection, "SELECT rowid, * FROM votes"), all);
        said.push(format!("{definition}\n{found}"));
    }
    insta::assert_snapshot!(said.join("\n\n"));
}

const OLD: &[&str] = &[
    "(a TEXT, b, c INTEGER)",
    "(a TEXT PRIMARY KEY, b, c)",
    "(a INTEGER PRIMARY KEY, b, c)",
    "(a PRIMARY KEY, b, c) WITHOUT ROWID",
    "(a INT, b UNIQUE, c REAL, rowid)",
    "(a COLLATE NOCASE UNIQUE, b, c, rowid, _rowid_, oid)",
    "(a ANY, b ANY, c ANY) STRICT",
    "(a NUMERIC, b TEXT, c AS (a || b))",
];
const COLUMN: &[&str] = &[
    "",
    "TEXT",
    "INTEGER",
    "REAL NOT NULL",
    "NUMERIC",
    "ANY",
    "INTEGER PRIMARY KEY",
    "INTEGER PRIMARY KEY AUTOINCREMENT",
    "INTEGER PRIMARY KEY DESC",
    "TEXT PRIMARY KEY",
    "UNIQUE",
    "TEXT COLLATE NOCASE UNIQUE",
    "INTEGER UNIQUE ON CONFLICT REPLACE",
    "NOT NULL ON CONFLICT REPLACE DEFAULT 7",
    "BLOB CHECK (length({}) < 2)",
];
const VALUES: &[&str] = &[
    "NULL",
    "1",
    "'1'",
    "'01'",
    "1.0",
    "'a'",
    "'A'",
    "x'61'",
    "''",
    "9007199254740993",
    "-5",
    "'1e3'",
    "1e300",
    "'long'",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// What the trial lets pass, the rebuild makes, with every value; what it does not, changes nothing.
    #[test]
    fn a_trial_and_the_rebuild_agree_and_no_value_becomes_another(
        old in prop::sample::select(OLD),
        new in prop::collection::vec(prop::sample::select(COLUMN), 3),
        options in prop::sample::select(&["", "", " STRICT", " WITHOUT ROWID"]),
        rows_in in prop::collection::vec(prop::collection::vec(prop::sample::select(VALUES), 3), 0..5),
        taken in prop::sample::select(&["abc", "bac", "aac", "abk"]),
    ) {
        let connection = database(&format!("CREATE TABLE t {old}"));
        for row in &rows_in {
            let columns = if old.contains(" AS ") { &row[..2] } else { &row[..] };
            let names = ["a", "b", "c"][..columns.len()].join(", ");
            let _ = connection.execute(&format!("INSERT OR IGNORE INTO t ({names}) VALUES ({})", columns.join(", ")), []);
        }
        let columns: Vec<_> = ["a", "b", "c"].iter().zip(&new).map(|(name, of)| format!("{name} {}", of.replace("{}", name))).collect();
        let definition = format!("CREATE TABLE \"t\" ({}){options}", columns.join(", "));
        let values: Vec<_> = taken.chars().map(|name| if name == 'k' { "'k'".to_owned() } else { name.to_string() }).collect();
        let given: Vec<_> = ["a", "b", "c"].into_iter().zip(values.iter().map(String::as_str)).collect();
        let sql = rebuild("t", &definition, &given);
        let rebuild = Rebuild::parse(&sql).unwrap().unwrap();
        let all = |select: &str| {
            let mut all = rows(&connection, &format!("SELECT {select} FROM t"));
            all.sort();
            all
        };
        // As texts: a class may become another, as that of '1' does, a text none.
        let texts = |names: &[&str]| names.iter().map(|name| format!("CASE typeof({name}) WHEN 'real' THEN {name} + 0.0 ELSE CAST({name} AS TEXT) END")).collect::<Vec<_>>().join(", ");
        let numbers = |text: String| text.replace(".0", "").replace("e+", "e").replace("Real(", "'").replace("Integer(", "'").replace(')', "'");
        let as_texts = |names: &[&str]| {
            let mut found: Vec<_> = all(&texts(names)).into_iter().map(numbers).collect();
            found.sort();
            found
        };
        let expected = as_texts(&values.iter().map(String::as_str).collect::<Vec<_>>());
        let before = all("*");
        let trial = Trial::new(&connection, &rebuild).and_then(|mut trial| {
            while trial.range(2)? {}
            trial.finish()
        });
        let ran = attempt(&connection, &sql);
        match trial {
            Ok(_) if ran.as_ref().is_err_and(|why| why.contains("the new definition is refused")) => {}
            Ok(unfit) if unfit.count == 0 => {
                prop_assert!(ran.is_ok(), "{} from {}: {:?}", definition, old, ran);
                let found = as_texts(&["a", "b", "c"]);
                prop_assert_eq!(found, expected, "{} from {}", definition, old);
                prop_assert_eq!(rows(&connection, "PRAGMA integrity_check"), ["'ok'"]);
            }
            _ => {
                prop_assert!(ran.is_err(), "{} from {}: {:?}", definition, old, trial);
                prop_assert_eq!(all("*"), before);
            }
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in prop_oneof![any::<String>(), "(create table \"t\" \\(|x|\\)|;|\n|insert into \"t\" |select |from |as |\"x\"|,|\\(){0,24}"]) {
        let sql = format!("-- rebuild\n{text}");
        if let Ok(Some(rebuild)) = Rebuild::parse(&sql) {
            let written = rebuild.to_string();
            prop_assert_eq!(written.trim_end(), sql.trim_end());
        }
    }
}
