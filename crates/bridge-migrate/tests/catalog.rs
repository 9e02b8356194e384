//! The catalog on SQLite: every migration goes up and back, and the first makes what the server makes.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use std::collections::BTreeMap;

use bridge_migrate::{SCHEMA_VERSION, catalog};
use bridge_migrate_core::{DataStep, Phase, Release, Rewritten, TimeZone};
use rusqlite::Connection;

/// What the server of 1.0.0 runs at its start.
const SERVER_SCHEMA: &str = include_str!("../../../tests/server_1_0_0.sql");

type Objects = BTreeMap<String, (String, String, Option<String>)>;

fn objects(connection: &Connection) -> Objects {
    let mut select = connection
        .prepare("SELECT name, type, tbl_name, sql FROM sqlite_schema")
        .unwrap();
    select
        .query_map([], |row| {
            Ok((row.get(0)?, (row.get(1)?, row.get(2)?, row.get(3)?)))
        })
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

fn normalised(objects: Objects) -> Objects {
    let plain = |sql: String| -> String {
        let spaced: String = sql
            .chars()
            .filter(|c| *c != '"')
            .flat_map(|c| {
                if "(),".contains(c) {
                    vec![' ', c, ' ']
                } else {
                    vec![c]
                }
            })
            .collect();
        spaced
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .to_lowercase()
    };
    objects
        .into_iter()
        .map(|(name, (kind, table, sql))| (name, (kind, table, sql.map(plain))))
        .collect()
}

fn up_to(connection: &Connection, version: u32) {
    for migration in catalog().unwrap().migrations() {
        if migration.version <= version {
            connection.execute_batch(&migration.up).unwrap();
        }
    }
}

#[test]
fn the_schema_version_is_the_last_release_of_the_catalog() {
    let last = catalog().unwrap().releases().last().unwrap().to_string();
    assert_eq!(SCHEMA_VERSION, last);
}

#[test]
fn the_releases_and_phases_are_as_designed() {
    let catalog = catalog().unwrap();
    let listed: Vec<_> = catalog
        .migrations()
        .iter()
        .filter(|migration| migration.release <= Release::new(1, 2, 0))
        .map(|migration| format!("{} {} {}", migration.stem(), migration.release, migration.phase))
        .collect();
    insta::assert_snapshot!(listed.join("\n"), @r#"
    V001__initial_schema 1.0.0 expand
    V002__room_preferences 1.1.0 expand
    V003__member_metadata 1.1.0 expand
    V004__auth_tokens 1.1.0 expand
    V005__normalize_timestamps 1.1.0 backfill
    V006__message_threading 1.2.0 expand
    V007__message_threads_backfill 1.2.0 backfill
    V008__reactions 1.2.0 expand
    V009__message_edits_and_deletes 1.2.0 expand
    V010__message_threads_index 1.2.0 expand
    "#);
    assert_eq!(
        catalog.server_created_tables(),
        ["tasks", "code_executions", "channels"]
    );
    for migration in catalog.migrations() {
        assert_eq!(
            migration.data.is_some(),
            migration.phase == Phase::Backfill,
            "{}",
            migration.stem()
        );
        assert!(migration.summary.ends_with('.'), "{}", migration.summary);
        assert!(migration.rollback.ends_with('.'), "{}", migration.rollback);
    }
}

#[test]
fn the_first_migration_makes_exactly_what_the_server_makes() {
    let server = Connection::open_in_memory().unwrap();
    server.execute_batch(SERVER_SCHEMA).unwrap();
    let ours = Connection::open_in_memory().unwrap();
    up_to(&ours, 1);
    assert_eq!(normalised(objects(&ours)), normalised(objects(&server)));
}

#[test]
fn every_migration_goes_up_and_back_and_up_again() {
    let connection = Connection::open_in_memory().unwrap();
    for migration in catalog().unwrap().migrations() {
        let before = objects(&connection);
        connection.execute_batch(&migration.up).unwrap();
        let after = objects(&connection);
        connection.execute_batch(&migration.down).unwrap();
        assert_eq!(objects(&connection), before, "down of {}", migration.stem());
        connection.execute_batch(&migration.up).unwrap();
        assert_eq!(objects(&connection), after, "up again of {}", migration.stem());
    }
}

#[test]
fn everything_goes_back_to_nothing() {
    let connection = Connection::open_in_memory().unwrap();
    up_to(&connection, u32::MAX);
    for migration in catalog().unwrap().migrations().iter().rev() {
        connection.execute_batch(&migration.down).unwrap();
    }
    assert_eq!(objects(&connection), Objects::new());
}

#[test]
fn a_database_that_the_server_made_goes_up_and_back_to_the_letter() {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(SERVER_SCHEMA).unwrap();
    let before = objects(&connection);
    let catalog = catalog().unwrap();
    for migration in &catalog.migrations()[1..] {
        connection.execute_batch(&migration.up).unwrap();
    }
    let migrated = Connection::open_in_memory().unwrap();
    up_to(&migrated, u32::MAX);
    assert_eq!(normalised(objects(&connection)), normalised(objects(&migrated)));
    for migration in catalog.migrations()[1..].iter().rev() {
        connection.execute_batch(&migration.down).unwrap();
    }
    assert_eq!(objects(&connection), before);
}

#[test]
fn old_servers_write_rooms_and_members_that_get_the_defaults() {
    let connection = Connection::open_in_memory().unwrap();
    up_to(&connection, u32::MAX);
    connection
        .execute_batch(
            "INSERT OR REPLACE INTO rooms (room_id, topic, created_at, active) VALUES ('r', 't', 'now', 1);
             UPDATE rooms SET preferences = '{\"a\": 1}';
             INSERT OR REPLACE INTO rooms (room_id, topic, created_at, active) VALUES ('r', 't', 'now', 1);
             INSERT OR REPLACE INTO members (room_id, client_id, role, joined_at, active, vote_weight)
                 VALUES ('r', 'c', 'x', 'now', 1, 1.0);",
        )
        .unwrap();
    let found: (String, String) = connection
        .query_row(
            "SELECT preferences, metadata FROM rooms JOIN members USING (room_id)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert_eq!(found, ("{}".to_owned(), "{}".to_owned()));
}

#[test]
fn texts_that_are_no_timestamp_stay_and_others_become_normal() {
    let catalog = catalog().unwrap();
    let Some(DataStep::Rewrite(step)) = &catalog.get(5).unwrap().data else {
        panic!("V005 rewrites");
    };
    let normal = "2026-02-22T15:30:45+00:00";
    for (text, becomes) in [
        (normal, Rewritten::Keep),
        ("2026-02-22T15:30:45", Rewritten::Change(normal.to_owned())),
        ("2026-02-22T15:30:45Z", Rewritten::Change(normal.to_owned())),
        ("yesterday", Rewritten::Skip("not a timestamp")),
        ("0001-01-01T00:00:00+05:00", Rewritten::Skip("not a timestamp")),
    ] {
        assert_eq!((step.rewrite)(text, &TimeZone::Utc), becomes, "{text}");
    }
}
