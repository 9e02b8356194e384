//! Adoption: each clause of what makes an unversioned database one of ours, and of what does not.

use std::fs;

use bridge_migrate::SCHEMA_VERSION;
use serde_json::{Value, json as value};
use support::catalog::releases;
use support::schema_1_0_0::start_up;
use support::statements::run_statements_once;
use support::{TestDatabase, dump};

use crate::common::{STRATEGYS_QUERY, assert_output, json, of_operators, refused, run, untouchable};

/// A database whose schema was made with these statements.
fn made_with(statements: impl IntoIterator<Item = String>) -> TestDatabase {
    let database = TestDatabase::nothing();
    for sql in statements {
        database.execute(&sql);
    }
    database
}

/// The server's statements, each changed.
fn rewritten(change: impl Fn(&str) -> String) -> TestDatabase {
    made_with(start_up().map(change))
}

/// Fails unless the database is refused with exit code 1 by both commands, and stays as it is to the byte.
#[track_caller]
fn assert_refused(database: &TestDatabase, kind: &str) -> Value {
    let before = fs::read(database.path()).unwrap();
    let mut error = Value::Null;
    for command in ["migrate", "adopt", "plan"] {
        error = refused(database, &[command], 1);
        assert_eq!(error["kind"], kind, "{command}: {error}");
        assert!(fs::read(database.path()).unwrap() == before, "{command} wrote");
    }
    let files: Vec<_> = database.bytes_of_folder().into_keys().collect();
    assert!(
        files == ["collab.db"] || files == ["collab.db", "tokens.json"],
        "{files:?}"
    );
    error
}

#[test]
fn white_space_case_quoting_and_comments_do_not_matter() {
    let words = [
        "rooms",
        "members",
        "messages",
        "decisions",
        "votes",
        "tasks",
        "files",
    ];
    let variants: Vec<(&str, TestDatabase)> = vec![
        (
            "one line",
            rewritten(|sql| sql.split_whitespace().collect::<Vec<_>>().join(" ")),
        ),
        ("tabs and line ends", rewritten(|sql| sql.replace(' ', "\t\r\n "))),
        ("lower case", rewritten(str::to_lowercase)),
        (
            "no IF NOT EXISTS",
            rewritten(|sql| sql.replace("IF NOT EXISTS ", "")),
        ),
        (
            "block comments",
            rewritten(|sql| sql.replace(',', ", /* a 'comment', \" */")),
        ),
        (
            "line comments",
            rewritten(|sql| sql.replace(",\n", ", -- it's a comment (\n")),
        ),
        (
            "double quotes",
            rewritten(|sql| {
                words.iter().fold(sql.to_owned(), |sql, word| {
                    sql.replace(&format!("EXISTS {word} "), &format!("EXISTS \"{word}\" "))
                })
            }),
        ),
        (
            "brackets and backticks",
            rewritten(|sql| {
                sql.replace("room_id TEXT", "[room_id] TEXT")
                    .replace("topic TEXT", "`topic` TEXT")
            }),
        ),
    ];
    for (what, database) in variants {
        let answer = json(&database, &["adopt"]);
        assert_eq!(answer["adopted"]["version"], 1, "{what}");
        assert_eq!(answer["adopted"]["kept"], value!([]), "{what}");
        assert_eq!(answer["adopted"]["created"], value!([]), "{what}");
        json(&database, &["migrate"]);
        run_statements_once(&database.path()).unwrap();
        assert_eq!(json(&database, &["status"])["drift"], value!([]), "{what}");
    }
}

#[test]
fn adopting_records_and_changes_nothing_else() {
    let database = TestDatabase::populated(81);
    let (before, schema) = (database.dump_1_0_0(&[]), database.schema());
    assert_output("adopt", &run(&database, &["adopt"]));
    dump::assert_same(&before, &database.dump_1_0_0(&[]));
    assert!(database.schema().starts_with(&schema));
    assert_eq!(database.query_string(STRATEGYS_QUERY), "1.0.0");
    let status = json(&database, &["status"]);
    assert_eq!(
        (&status["managed"], &status["version"]),
        (&true.into(), &1.into())
    );
    // Once is enough.
    let bytes = fs::read(database.path()).unwrap();
    assert_eq!(json(&database, &["adopt"])["adopted"], Value::Null);
    assert!(fs::read(database.path()).unwrap() == bytes);
}

#[test]
fn what_operators_added_is_kept_and_listed() {
    let database = TestDatabase::nasty(82);
    let operators = of_operators(&database);
    let answer = json(&database, &["migrate"]);
    let kept: Vec<&str> = answer["adopted"]["kept"]
        .as_array()
        .unwrap()
        .iter()
        .map(|object| object.as_str().unwrap())
        .collect();
    for object in [
        "table operator's \"log\"",
        "table bookmarks",
        "table counters",
        "index operators_index",
        "index it's an \"index\"",
        "view operators_view",
        "view view of a view",
        "trigger operators_trigger",
    ] {
        assert!(kept.contains(&object), "{object}: {kept:?}");
        let name = object.split_once(' ').unwrap().1.replace('\'', "''");
        let sql = format!("SELECT count(*) FROM sqlite_schema WHERE name = '{name}'");
        assert_eq!(database.query_string(&sql), "1", "{object}");
    }
    assert_eq!(kept.len(), 8, "{kept:?}");
    dump::assert_same(&operators, &of_operators(&database));
    assert_eq!(json(&database, &["status"])["drift"], value!([]));
}

#[test]
fn tables_that_the_server_would_make_are_made() {
    let tables = ["tasks", "code_executions", "channels"];
    for missing in [&tables[..1], &tables[1..2], &tables[2..], &tables[..]] {
        let database = TestDatabase::populated(83);
        for table in missing {
            database.execute(&format!("DROP TABLE {table}"));
        }
        let answer = json(&database, &["migrate"]);
        let mut created: Vec<&str> = answer["adopted"]["created"]
            .as_array()
            .unwrap()
            .iter()
            .map(|object| object.as_str().unwrap().strip_prefix("table ").unwrap())
            .collect();
        created.sort_by_key(|table| tables.iter().position(|known| known == table));
        assert_eq!(created, missing);
        run_statements_once(&database.path()).unwrap();
        assert_eq!(json(&database, &["status"])["drift"], value!([]));
    }
}

#[test]
fn anything_else_that_differs_is_refused_with_a_diff() {
    let replace = |from: &str, to: &str| {
        assert!(start_up().any(|sql| sql.contains(from)), "{from}");
        rewritten(|sql| sql.replace(from, to))
    };
    for (name, database, told) in [
        (
            "column_renamed",
            replace("topic TEXT NOT NULL", "subject TEXT NOT NULL"),
            "subject",
        ),
        (
            "type",
            replace("vote_weight REAL", "vote_weight INTEGER"),
            "vote_weight",
        ),
        ("default", replace("DEFAULT 'main'", "DEFAULT 'Main'"), "channel"),
        ("not_null", replace("topic TEXT NOT NULL", "topic TEXT"), "topic"),
        (
            "order",
            replace(
                "size INTEGER NOT NULL,\n                content_type TEXT",
                "content_type TEXT,\n                size INTEGER NOT NULL",
            ),
            "size",
        ),
        (
            "foreign_key",
            replace(
                "FOREIGN KEY (decision_id) REFERENCES decisions(id)",
                "CHECK (approve IS NOT 7)",
            ),
            "votes",
        ),
        (
            "primary_key",
            replace(
                "PRIMARY KEY (decision_id, voter)",
                "PRIMARY KEY (voter, decision_id)",
            ),
            "votes",
        ),
        (
            "index",
            replace(
                "ON messages(room_id, timestamp)",
                "ON messages(timestamp, room_id)",
            ),
            "idx_room_time",
        ),
    ] {
        let error = assert_refused(&database, "schema_mismatch");
        assert!(
            error["message"].as_str().unwrap().contains(told),
            "{name}: {error}"
        );
        let output = support::BridgeMigrate::new(&database).arg("adopt").run();
        assert_output(&format!("adopt_refused_{name}"), &output);
    }
    for (change, told) in [
        ("DROP TABLE votes", "votes"),
        ("DROP INDEX idx_active", "idx_active"),
        ("ALTER TABLE members ADD COLUMN colour TEXT", "colour"),
        ("ALTER TABLE tasks DROP COLUMN completed_at", "completed_at"),
        (
            "DROP TABLE messages; CREATE VIEW messages AS SELECT 1 AS id",
            "messages",
        ),
    ] {
        let database = TestDatabase::fresh_1_0_0();
        database.execute(change);
        let error = assert_refused(&database, "schema_mismatch");
        assert!(
            error["message"].as_str().unwrap().contains(told),
            "{change}: {error}"
        );
    }
}

#[test]
fn additional_columns_are_accepted_when_asked() {
    let database = TestDatabase::populated(84);
    database.execute(
        "ALTER TABLE rooms ADD COLUMN colour TEXT DEFAULT 'red'; ALTER TABLE tasks ADD COLUMN \"due by\" INTEGER;
        UPDATE rooms SET colour = 'blue' WHERE rowid = 1",
    );
    let error = assert_refused(&database, "schema_mismatch");
    assert!(
        error["hint"]
            .as_str()
            .unwrap()
            .ends_with("adopt --accept-additions"),
        "{error}"
    );
    let before = untouchable(&database);
    let answer = json(&database, &["adopt", "--accept-additions"]);
    let kept = answer["adopted"]["kept"].to_string();
    assert!(
        kept.contains("rooms.colour") && kept.contains("tasks.due by"),
        "{kept}"
    );
    json(&database, &["migrate"]);
    dump::assert_same(&before, &untouchable(&database));
    assert_eq!(
        database.query_strings("SELECT colour, count(*) FROM rooms GROUP BY 1"),
        ["blue|1", "red|9"]
    );
    assert_eq!(json(&database, &["status"])["drift"], value!([]));
    // A key of the operators' own, which the triggers that keep the text of messages do not know.
    let keyed = TestDatabase::populated(86);
    keyed.execute("CREATE UNIQUE INDEX \"their key\" ON messages (id, room_id)");
    json(&keyed, &["adopt", "--accept-additions"]);
    json(&keyed, &["migrate", "--to", "8"]);
    let found = |database: &TestDatabase| json(database, &["verify"])["findings"].to_string();
    assert!(!found(&keyed).contains("BV107"));
    json(&keyed, &["migrate"]);
    assert!(found(&keyed).contains("\"BV107\""), "{}", found(&keyed));
    assert!(!found(&database).contains("BV107"));
    // A column that is missing is no addition.
    let lacking = TestDatabase::fresh_1_0_0();
    lacking.execute("ALTER TABLE tasks DROP COLUMN completed_at");
    refused(&lacking, &["adopt", "--accept-additions"], 1);
}

const BY_HAND: &str = "CREATE TABLE IF NOT EXISTS schema_version (
    version TEXT PRIMARY KEY,
    applied_at TEXT NOT NULL,
    migration_file TEXT NOT NULL
);";

#[test]
fn a_schema_version_filled_in_by_hand_is_respected() {
    let database = TestDatabase::populated(85);
    database.execute(&format!(
        "{BY_HAND} INSERT INTO schema_version VALUES ('1.0.0', '2026-02-01 10:00:00', 'initial')"
    ));
    let answer = json(&database, &["migrate"]);
    assert_eq!(answer["adopted"]["release"], "1.0.0");
    assert_eq!(database.query_string(STRATEGYS_QUERY), SCHEMA_VERSION);
    assert_eq!(
        database.query_strings("SELECT * FROM schema_version WHERE version = '1.0.0'"),
        ["1.0.0|2026-02-01 10:00:00|initial"]
    );
    assert_eq!(
        database.query_strings("SELECT version FROM schema_version ORDER BY applied_at"),
        releases()
    );
}

#[test]
fn a_schema_version_that_contradicts_the_schema_is_refused() {
    for (claim, code, kind) in [
        ("1.1.0", 1, "schema_mismatch"),
        ("1.2.0", 1, "schema_mismatch"),
        ("first", 1, "schema_mismatch"),
        ("7.0.0", 5, "newer"),
    ] {
        let database = TestDatabase::populated(86);
        database.execute(&format!(
            "{BY_HAND} INSERT INTO schema_version VALUES ('{claim}', datetime('now'), 'initial')"
        ));
        let before = fs::read(database.path()).unwrap();
        let error = refused(&database, &["migrate"], code);
        assert_eq!(error["kind"], kind, "{claim}: {error}");
        assert!(fs::read(database.path()).unwrap() == before, "{claim}");
    }
}

#[test]
fn a_change_made_by_hand_as_in_the_strategy_is_recognised() {
    for version_table in ["", BY_HAND] {
        let database = TestDatabase::populated(87);
        database.execute("ALTER TABLE rooms ADD COLUMN preferences TEXT DEFAULT '{}'");
        database.execute(version_table);
        if !version_table.is_empty() {
            database.execute("INSERT INTO schema_version VALUES ('1.0.0', datetime('now'), 'initial')");
        }
        database.execute("UPDATE rooms SET preferences = '{\"theme\": \"dark\"}' WHERE rowid = 3");
        let answer = json(&database, &["migrate"]);
        assert_eq!(answer["adopted"]["version"], 2);
        assert_eq!(answer["applied"][0]["version"], 3);
        assert_eq!(
            database.query_strings("SELECT preferences, count(*) FROM rooms GROUP BY 1 ORDER BY 2"),
            ["{\"theme\": \"dark\"}|1", "{}|9"]
        );
        assert_eq!(json(&database, &["status"])["drift"], value!([]));
    }
}

#[test]
fn a_release_that_is_named_must_be_the_one_found() {
    let database = TestDatabase::populated(88);
    let before = fs::read(database.path()).unwrap();
    let error = refused(&database, &["adopt", "--release", "1.2.0"], 1);
    assert!(error["message"].as_str().unwrap().contains("1.2.0"), "{error}");
    assert!(fs::read(database.path()).unwrap() == before);
    assert_eq!(
        json(&database, &["adopt", "--release", "1.0.0"])["adopted"]["release"],
        "1.0.0"
    );
}

#[test]
fn an_empty_file_is_a_fresh_database() {
    let database = TestDatabase::nothing();
    fs::write(database.path(), "").unwrap();
    refused(&database, &["adopt"], 1);
    assert_eq!(fs::read(database.path()).unwrap(), b"");
    let answer = json(&database, &["migrate"]);
    assert_eq!(
        (&answer["adopted"], &answer["from"]["version"]),
        (&Value::Null, &0.into())
    );
    assert_eq!(database.query_string(STRATEGYS_QUERY), SCHEMA_VERSION);
    // So is a database that has no table yet, such as one that only had its mode set.
    let database = TestDatabase::nothing();
    database.execute("PRAGMA user_version = 1; PRAGMA user_version = 0");
    assert!(database.path().metadata().unwrap().len() > 0);
    assert_eq!(json(&database, &["migrate"])["from"]["version"], 0);
}

#[test]
fn a_database_of_another_application_is_refused() {
    let database = TestDatabase::nothing();
    database.execute("CREATE TABLE moz_places (id INTEGER PRIMARY KEY); INSERT INTO moz_places VALUES (1)");
    let error = assert_refused(&database, "foreign_database");
    assert!(error.to_string().contains("moz_places"), "{error}");
    assert_output(
        "adopt_refused_foreign",
        &support::BridgeMigrate::new(&database).arg("migrate").run(),
    );
}
