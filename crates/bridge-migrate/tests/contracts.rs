//! Every schema of a rolling update serves the servers that may meet it, on empty and on populated databases.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod common;

use bridge_migrate::catalog;
use bridge_migrate_core::{Catalog, Finding, Release, Severity};
use bridge_migrate_sqlite::contracts::{check, served_pairs};
use bridge_migrate_sqlite::schema::{Snapshot, diff, render_diff};
use rusqlite::Connection;

/// Rows as old servers left them: a room without an id, replies to nothing, orphans.
const OLD_ROWS: &str = "
INSERT INTO rooms (room_id, topic, created_at) VALUES ('r', 't', '2026-02-22T15:30:45'), (NULL, 't', '');
INSERT INTO rooms VALUES ('contract-room', 'already there', 'then', 0);
INSERT INTO members (room_id, client_id, role, joined_at) VALUES ('r', 'c', 'coder', ''), ('contract-room', 'contract-client', 'x', '');
INSERT INTO messages (id, room_id, from_client, text, timestamp, reply_to)
VALUES ('m', 'r', 'c', 'it''s', '2026-02-22T15:30:45', NULL), ('n', 'gone', 'c', '', 'yesterday', 'm'), (NULL, 'r', 'c', 'x', '', 'gone');
INSERT INTO decisions (id, room_id, text, proposed_by, proposed_at, vote_type) VALUES ('d', 'r', 't', 'c', '', 'veto');
INSERT INTO votes (decision_id, voter, voted_at) VALUES ('d', 'c', ''), ('gone', 'c', '');
";

fn database(catalog: &Catalog, version: u32, rows: &str) -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    for migration in catalog
        .migrations()
        .iter()
        .filter(|migration| migration.version <= version)
    {
        connection.execute_batch(&migration.up).unwrap();
        if migration.version == 1 {
            connection.execute_batch(rows).unwrap();
        }
    }
    connection
}

fn dump(connection: &Connection) -> Vec<String> {
    let tables: Vec<String> = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let mut rows = Vec::new();
    for table in tables {
        let mut select = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let width = select.column_count();
        let mut found = select.query([]).unwrap();
        while let Some(row) = found.next().unwrap() {
            let values: Vec<rusqlite::types::Value> = (0..width).map(|at| row.get(at).unwrap()).collect();
            rows.push(format!("{table} {values:?}"));
        }
    }
    rows
}

fn line(version: u32, finding: &Finding) -> String {
    let Finding {
        code,
        severity,
        subject,
        message,
        ..
    } = finding;
    let message = message.split(" allows it: ").next().unwrap();
    format!("V{version:03} {code} {severity} {subject}: {message}")
}

#[test]
fn the_releases_that_may_meet_a_schema_are_the_one_before_and_the_one_it_completes() {
    let pairs: Vec<String> = served_pairs(&common::catalog_of(common::parts_at_1_2_0()))
        .iter()
        .map(|(version, release)| format!("V{version:03} {release}"))
        .collect();
    assert_eq!(
        pairs.join(", "),
        "V001 1.0.0, V002 1.0.0, V003 1.0.0, V004 1.0.0, V005 1.0.0, V005 1.1.0, V006 1.1.0, V007 1.1.0, \
         V008 1.1.0, V009 1.1.0, V010 1.1.0, V010 1.2.0"
    );
}

#[test]
fn every_schema_serves_the_servers_that_may_meet_it() {
    let catalog = catalog().unwrap();
    for rows in ["", OLD_ROWS] {
        let mut found = Vec::new();
        for (version, release) in served_pairs(&catalog) {
            let connection = database(&catalog, version, rows);
            let before = dump(&connection);
            let findings = check(&catalog, version, release, &connection).unwrap();
            assert_eq!(dump(&connection), before, "V{version:03} {release}");
            assert!(connection.is_autocommit());
            found.extend(findings.iter().map(|finding| line(version, finding)));
        }
        insta::allow_duplicates! {
            insta::assert_snapshot!(found.join("\n"), @r#"
        V002 BM306 note servers of 1.0.0, write_room: INSERT OR REPLACE sets rooms.preferences of an existing row back to its default; V002__room_preferences
        V003 BM306 note servers of 1.0.0, write_room: INSERT OR REPLACE sets rooms.preferences of an existing row back to its default; V002__room_preferences
        V003 BM306 note servers of 1.0.0, write_member: INSERT OR REPLACE sets members.metadata of an existing row back to its default; V003__member_metadata
        V004 BM306 note servers of 1.0.0, write_room: INSERT OR REPLACE sets rooms.preferences of an existing row back to its default; V002__room_preferences
        V004 BM306 note servers of 1.0.0, write_member: INSERT OR REPLACE sets members.metadata of an existing row back to its default; V003__member_metadata
        V005 BM306 note servers of 1.0.0, write_room: INSERT OR REPLACE sets rooms.preferences of an existing row back to its default; V002__room_preferences
        V005 BM306 note servers of 1.0.0, write_member: INSERT OR REPLACE sets members.metadata of an existing row back to its default; V003__member_metadata
        "#);
        }
    }
}

#[test]
fn the_last_schema_still_serves_the_first_servers() {
    let catalog = catalog().unwrap();
    let connection = database(&catalog, catalog.last_version(), OLD_ROWS);
    let findings = check(
        &catalog,
        catalog.last_version(),
        Release::new(1, 0, 0),
        &connection,
    )
    .unwrap();
    assert!(
        findings.iter().all(|finding| finding.severity == Severity::Note),
        "{findings:?}"
    );
}

fn broken_by(change: &str) -> Vec<String> {
    let catalog = catalog().unwrap();
    let connection = database(&catalog, 1, "");
    connection.execute_batch(change).unwrap();
    check(&catalog, 1, Release::new(1, 0, 0), &connection)
        .unwrap()
        .iter()
        .map(|finding| line(1, finding))
        .collect()
}

#[test]
fn what_breaks_old_servers_is_named_with_the_statement_and_sqlites_message() {
    let found: Vec<String> = [
        "ALTER TABLE files DROP COLUMN content_type",
        "ALTER TABLE members RENAME COLUMN contributions TO given",
        "DROP TABLE channels; CREATE VIEW channels AS SELECT 1 AS room",
        "ALTER TABLE votes ADD COLUMN reason TEXT NOT NULL DEFAULT '' CHECK (reason <> '')",
        "CREATE UNIQUE INDEX one ON messages (room_id, channel)",
        "CREATE TRIGGER t BEFORE INSERT ON files BEGIN SELECT RAISE(ABORT, 'no files any more'); END",
        "CREATE TRIGGER t BEFORE INSERT ON files BEGIN SELECT RAISE(ROLLBACK, 'no files at all'); END",
        "CREATE TRIGGER t BEFORE INSERT ON votes BEGIN SELECT RAISE(IGNORE); END",
        "CREATE TRIGGER t AFTER INSERT ON files BEGIN DELETE FROM decisions; END",
    ]
    .into_iter()
    .flat_map(|change| {
        let found = broken_by(change);
        assert!(!found.is_empty(), "{change}");
        found
    })
    .collect();
    insta::assert_snapshot!(found.join("\n"), @r#"
        V001 BM301 error servers of 1.0.0, take_file: `INSERT INTO files (id, room_id, name, uploaded_by, uploaded_at, size, content_type, channel, content) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)` fails: table files has no column named content_type
        V001 BM305 error servers of 1.0.0, read_file: the server reads column content_type, which does not come back any more
        V001 BM305 error servers of 1.0.0, list_present_members: the server reads column contributions, which does not come back any more
        V001 BM305 error servers of 1.0.0, list_members: the server reads column contributions, which does not come back any more
        V001 BM306 error servers of 1.0.0, write_member: INSERT OR REPLACE sets members.given of an existing row back to its default
        V001 BM301 error servers of 1.0.0, count_channels: `SELECT COUNT(*) FROM channels WHERE room_id = ?` fails: no such column: room_id
        V001 BM302 error servers of 1.0.0, write_vote: `INSERT OR REPLACE INTO votes (decision_id, voter, approve, veto, voted_at) VALUES (?, ?, ?, ?, ?)` fails: CHECK constraint failed: reason <> ''
        V001 BM302 error servers of 1.0.0, say: `INSERT INTO messages (id, room_id, from_client, text, timestamp, type, channel, reply_to) VALUES (?, ?, ?, ?, ?, ?, ?, ?)` fails: UNIQUE constraint failed: messages.room_id, messages.channel
        V001 BM303 error servers of 1.0.0, take_file: `INSERT INTO files (id, room_id, name, uploaded_by, uploaded_at, size, content_type, channel, content) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)` fails: no files any more
        V001 BM303 error servers of 1.0.0, take_file: `INSERT INTO files (id, room_id, name, uploaded_by, uploaded_at, size, content_type, channel, content) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)` fails: no files at all
        V001 BM304 error servers of 1.0.0, write_vote: it changes 0 rows, and the server expects 1
        V001 BM307 error servers of 1.0.0, take_file: 2 rows of decisions disappear
        "#);
}

#[test]
fn a_column_that_replace_sets_back_is_found_on_tables_with_and_without_row_ids() {
    for change in [
        "ALTER TABLE votes ADD COLUMN reason TEXT",
        "ALTER TABLE votes ADD COLUMN reason TEXT DEFAULT '{}' CHECK (json_valid(reason))",
        "ALTER TABLE votes ADD COLUMN reason INTEGER NOT NULL DEFAULT 0 CHECK (reason IN (0, 1))",
        "DROP TABLE votes; CREATE TABLE votes (decision_id TEXT NOT NULL, voter TEXT NOT NULL, approve INTEGER DEFAULT 1,
         veto INTEGER DEFAULT 0, voted_at TEXT NOT NULL, reason TEXT, PRIMARY KEY (decision_id, voter)) WITHOUT ROWID",
    ] {
        assert_eq!(
            broken_by(change),
            ["V001 BM306 error servers of 1.0.0, write_vote: INSERT OR REPLACE sets votes.reason of an existing row back to its default"],
            "{change}"
        );
    }
}

#[test]
fn a_column_that_a_trigger_puts_back_is_not_lost() {
    let found = broken_by(
        "CREATE TABLE reasons (decision_id TEXT, voter TEXT, reason TEXT, PRIMARY KEY (decision_id, voter));
         ALTER TABLE votes ADD COLUMN reason TEXT;
         CREATE TRIGGER keep AFTER UPDATE OF reason ON votes BEGIN
             INSERT OR REPLACE INTO reasons VALUES (NEW.decision_id, NEW.voter, NEW.reason);
         END;
         CREATE TRIGGER put_back AFTER INSERT ON votes WHEN NEW.reason IS NULL BEGIN
             UPDATE votes SET reason = (SELECT r.reason FROM reasons AS r WHERE r.decision_id = NEW.decision_id AND r.voter = NEW.voter)
             WHERE decision_id = NEW.decision_id AND voter = NEW.voter;
         END",
    );
    assert_eq!(found, [""; 0]);
}

/// The contract is written by hand, and so is what all tests take for the server's first start.
#[test]
fn the_contract_of_1_0_0_starts_as_the_server_does() {
    let statements = include_str!("../../../contracts/1.0.0.sql")
        .split("-- statement: ")
        .filter(|section| section.starts_with("start_"));
    let contract = Connection::open_in_memory().unwrap();
    for statement in statements {
        contract.execute_batch(&format!("-- {statement}")).unwrap();
    }
    let server = Connection::open_in_memory().unwrap();
    server
        .execute_batch(include_str!("../../../tests/server_1_0_0.sql"))
        .unwrap();
    let (server, contract) = (
        Snapshot::read(&server).unwrap(),
        Snapshot::read(&contract).unwrap(),
    );
    let differences = diff(&server, &contract);
    assert!(differences.is_empty(), "{}", render_diff(&differences));
    assert!(
        !diff(&Snapshot::default(), &contract).is_empty(),
        "both are empty"
    );
}
