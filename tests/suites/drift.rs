//! What somebody changed in a managed database by hand: said, refused, never taken for what should be there.

use serde_json::Value;
use support::{BridgeMigrate, TestDatabase};

use crate::common::{json, refused, run};

/// A statement for each of the tool's tables and each command that writes to it.
const WRITERS: [(&str, &str, &[&str]); 8] = [
    ("V001", "INSERT ON schema_version", &["migrate"]),
    ("V001", "INSERT ON refinery_schema_history", &["migrate"]),
    ("V004", "INSERT ON migration_affected_records", &["migrate"]),
    (
        "V009",
        "DELETE ON migration_steps",
        &["rollback", "--to", "V005", "--yes"],
    ),
    ("V009", "UPDATE ON migration_affected_records", &["undo", "V005"]),
    ("V009", "INSERT ON migration_runs", &["undo", "V005"]),
    ("V009", "DELETE ON migration_affected_records", &["log", "prune"]),
    ("V009", "INSERT ON schema_version", &["tokens", "import"]),
];

/// The rows of every table of 1.0.0, and the tool's own.
fn rows(database: &TestDatabase) -> Vec<String> {
    let mut rows = vec![database.dump_1_0_0(&[])];
    for table in [
        "schema_version",
        "refinery_schema_history",
        "migration_steps",
        "migration_runs",
        "migration_affected_records",
    ] {
        rows.extend(database.query_strings(&format!("SELECT * FROM {table} ORDER BY 1")));
    }
    rows
}

fn at(seed: u64, version: &str) -> TestDatabase {
    let database = TestDatabase::populated(seed);
    run(&database, &["migrate", "--to", version]);
    database
}

/// Runs the command that an error says comes next.
fn type_hint(error: &Value) {
    let hint = error["hint"].as_str().unwrap();
    let (path, sql) = hint.strip_prefix("sqlite3 ").unwrap().split_once(' ').unwrap();
    let sql = sql.trim_matches('\'').replace(r"'\''", "'");
    rusqlite::Connection::open(path)
        .unwrap()
        .execute_batch(&sql)
        .unwrap();
}

fn findings(database: &TestDatabase) -> Vec<String> {
    let answer = BridgeMigrate::new(database)
        .args(["verify", "--json"])
        .run()
        .json();
    let findings = answer["findings"].as_array().unwrap();
    findings
        .iter()
        .map(|finding| format!("{} {}", finding["code"], finding["subject"]).replace('"', ""))
        .collect()
}

#[test]
fn a_trigger_on_a_table_of_the_tool_stops_whoever_would_set_it_off() {
    for (version, event, command) in WRITERS {
        let database = at(401, version);
        database.execute(&format!(
            "CREATE TRIGGER wipe AFTER {event} BEGIN DELETE FROM messages; END"
        ));
        let before = rows(&database);
        let backups = std::fs::read_dir(database.folder()).unwrap().count();
        let error = refused(&database, command, 6);
        assert_eq!(error["kind"], "drift", "{event}");
        let message = error["message"].as_str().unwrap();
        assert!(
            message.contains("wipe: trigger on") && message.contains("DROP TRIGGER \"wipe\";"),
            "{message}"
        );
        assert!(rows(&database) == before, "{event}");
        let left = std::fs::read_dir(database.folder()).unwrap();
        let left = left.filter(|entry| {
            !entry
                .as_ref()
                .unwrap()
                .path()
                .to_string_lossy()
                .ends_with(".lock")
        });
        assert!(left.count() <= backups, "nothing was begun: {event}");

        assert!(findings(&database).contains(&"BV129 wipe".to_owned()), "{event}");
        assert_eq!(json(&database, &["status"])["drift"][0]["subject"], "wipe");
        type_hint(&error);
        run(&database, command);
        assert!(database.count("messages") > 0, "{event}");
    }
}

#[test]
fn a_trigger_on_a_table_of_the_tool_stops_an_adoption() {
    let database = TestDatabase::populated(402);
    database.execute(
        "CREATE TABLE schema_version (version TEXT PRIMARY KEY, applied_at TEXT NOT NULL, migration_file TEXT NOT NULL);
         CREATE TRIGGER wipe BEFORE INSERT ON schema_version BEGIN DELETE FROM messages; END",
    );
    let before = database.dump_1_0_0(&[]);
    for command in [["adopt"], ["migrate"]] {
        let error = refused(&database, &command, 6);
        assert!(
            error["hint"].as_str().unwrap().contains("DROP TRIGGER"),
            "{error}"
        );
    }
    assert_eq!(database.dump_1_0_0(&[]), before);
    assert!(findings(&database).contains(&"BV129 wipe".to_owned()));
}

#[test]
fn a_view_in_the_place_of_a_table_of_the_tool_is_refused() {
    let database = at(403, "V003");
    database.execute(
        "DROP TABLE migration_accepted_objects;
         CREATE VIEW migration_accepted_objects AS SELECT '' AS kind, '' AS name, '' AS normal;
         DROP TABLE migration_progress;
         CREATE VIEW migration_progress AS SELECT 1 AS version WHERE 0;
         CREATE TRIGGER instead INSTEAD OF INSERT ON migration_progress BEGIN DELETE FROM messages; END",
    );
    let before = rows(&database);
    let error = refused(&database, &["migrate"], 6);
    let message = error["message"].as_str().unwrap();
    for name in [
        "migration_progress: view",
        "migration_accepted_objects: view",
        "instead: trigger",
    ] {
        assert!(message.contains(name), "{message}");
    }
    assert!(rows(&database) == before);
}

#[test]
fn a_trigger_on_the_tokens_stops_an_import_that_would_set_it_off() {
    let database = at(404, "latest");
    database.execute(
        "DELETE FROM auth_tokens;
         CREATE TRIGGER wipe AFTER INSERT ON auth_tokens BEGIN DELETE FROM messages; END",
    );
    let before = rows(&database);
    let error = refused(&database, &["tokens", "import"], 6);
    assert!(error["message"].as_str().unwrap().contains("wipe"), "{error}");
    assert!(rows(&database) == before);
    type_hint(&error);
    assert!(json(&database, &["tokens", "import"])["added"].as_u64() > Some(0));
}

#[test]
fn a_trigger_of_the_application_must_not_write_the_records_of_the_tool() {
    for records in ["migration_affected_records", "migration_steps", "schema_version"] {
        let database = at(405, "V004");
        database.execute(&format!(
            "CREATE TRIGGER forgets AFTER UPDATE ON messages BEGIN DELETE FROM {records}; END"
        ));
        let before = rows(&database);
        for command in [&["migrate"][..], &["migrate", "--allow-drift"]] {
            let error = refused(&database, command, 6);
            assert!(error["message"].as_str().unwrap().contains("forgets"), "{error}");
        }
        assert!(rows(&database) == before);
    }
}

#[test]
fn a_trigger_that_removes_rows_elsewhere_undoes_the_batch_that_sets_it_off() {
    let database = at(406, "V004");
    database.execute("CREATE TRIGGER wipe AFTER UPDATE ON messages BEGIN DELETE FROM rooms; END");
    let before = rows(&database);
    let error = refused(&database, &["migrate", "--allow-drift"], 1);
    assert_eq!(error["kind"], "conservation_violated");
    assert!(rows(&database) == before);

    database.execute("DROP TRIGGER wipe");
    run(&database, &["migrate"]);
    database.execute("CREATE TRIGGER wipe AFTER UPDATE ON messages BEGIN DELETE FROM rooms; END");
    let before = rows(&database);
    let error = refused(&database, &["undo", "V005"], 1);
    assert_eq!(error["kind"], "conservation_violated");
    assert!(rows(&database) == before);
}

#[test]
fn rows_that_a_constraint_would_replace_are_counted_too() {
    let database = at(407, "V004");
    let sql = database.query_string("SELECT sql FROM sqlite_schema WHERE name = 'messages'");
    let columns = &sql[sql.find('(').unwrap()..sql.rfind(')').unwrap()];
    // Two forms of one time: the update of one would silently remove the row of the other.
    database.execute(&format!(
        "CREATE TABLE theirs {columns}, UNIQUE (room_id, text, timestamp) ON CONFLICT REPLACE);
         INSERT INTO theirs SELECT * FROM messages;
         UPDATE theirs SET text = 'same', room_id = (SELECT min(room_id) FROM messages),
         timestamp = iif(rowid % 2, '2026-01-01T00:00:00+00:00', '2026-01-01T00:00:00Z') WHERE rowid IN (5, 6);
         DROP TABLE messages; ALTER TABLE theirs RENAME TO messages"
    ));
    let before = rows(&database);
    let error = refused(&database, &["migrate", "--allow-drift"], 1);
    assert_eq!(error["kind"], "conservation_violated", "{error}");
    assert!(rows(&database) == before);
}

#[test]
fn drift_is_refused_named_and_mended_by_what_the_error_says() {
    let database = at(410, "V007");
    database.execute(
        "DROP INDEX idx_channel; DROP TRIGGER messages_fill_thread;
         CREATE INDEX operators_own ON tasks (assignee)",
    );
    let before = rows(&database);
    let error = refused(&database, &["migrate"], 6);
    assert_eq!(error["kind"], "drift");
    let message = error["message"].as_str().unwrap();
    for name in [
        "idx_channel",
        "messages_fill_thread",
        "DROP INDEX \"operators_own\";",
    ] {
        assert!(message.contains(name), "{message}");
    }
    assert!(rows(&database) == before);
    for command in [&["rehearse"][..], &["rehearse", "--to", "V008"]] {
        assert_eq!(refused(&database, command, 6)["kind"], "drift");
    }
    assert_eq!(
        json(&database, &["plan"])["drift"].as_array().map(Vec::len),
        Some(3)
    );
    type_hint(&error);
    assert_eq!(json(&database, &["status"])["drift"], serde_json::json!([]));
    run(&database, &["migrate"]);
    assert!(
        findings(&database)
            .iter()
            .all(|finding| !finding.starts_with("BV110"))
    );
}

#[test]
fn drift_that_is_let_pass_is_on_record_and_stays_visible() {
    let database = at(411, "V007");
    database.execute("DROP INDEX idx_channel; CREATE INDEX operators_own ON tasks (assignee)");
    let again = at(411, "V007");
    run(&database, &["migrate", "--allow-drift", "--to", "V008"]);
    assert_eq!(refused(&database, &["migrate"], 6)["kind"], "drift");
    run(&database, &["migrate", "--allow-drift"]);
    run(&database, &["rollback", "--to", "V008", "--yes"]);
    run(&database, &["migrate", "--allow-drift"]);

    let drift = json(&database, &["status"])["drift"].to_string();
    let waited = json(&database, &["wait", "--for", "latest"])["drift"].to_string();
    let recorded = json(&database, &["history"])["runs"].to_string();
    let log = run(&database, &["log"]).stdout;
    for name in ["idx_channel", "operators_own"] {
        for said in [&drift, &waited, &recorded, &log] {
            assert!(said.contains(name), "{name}: {said}");
        }
        assert!(findings(&database).contains(&format!("BV110 {name}")), "{name}");
    }
    // The run changed what it would have changed without the drift, and nothing else.
    run(&again, &["migrate"]);
    assert_eq!(database.dump_1_0_0(&[]), again.dump_1_0_0(&[]));
}

#[test]
fn what_a_pending_step_makes_itself_is_named_when_it_is_there_already() {
    let database = at(412, "V005");
    database.execute("CREATE TABLE reactions (x)");
    let before = rows(&database);
    for command in [&["migrate"][..], &["migrate", "--allow-drift"], &["plan"]] {
        let error = refused(&database, command, 6);
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("reactions: table is not expected"), "{message}");
        // What would lose rows is said, and not made into a command to copy.
        assert!(!error["hint"].as_str().unwrap().contains("DROP"), "{error}");
    }
    assert!(rows(&database) == before);
}
