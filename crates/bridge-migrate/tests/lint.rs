//! Lint on the Bridge's own migrations.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod common;

use bridge_migrate::catalog;
use bridge_migrate_sqlite::lint::lint;

#[test]
fn nothing_is_found_on_our_own_migrations_but_what_they_allow() {
    assert_eq!(lint(&catalog().unwrap()).unwrap().findings, []);
    let report = lint(&common::catalog_of(common::parts_at_1_2_0())).unwrap();
    let allowed: Vec<String> = report
        .allowed
        .iter()
        .map(|allowed| {
            format!(
                "{} {}: {}",
                allowed.finding.code, allowed.finding.subject, allowed.finding.message
            )
        })
        .collect();
    insta::assert_snapshot!(allowed.join("\n"), @r#"
        BM212 V001__initial_schema, up, line 76: the foreign key of code_executions on room_id has no index: each delete from rooms and each check reads all of code_executions
        BM212 V001__initial_schema, up, line 32: the foreign key of decisions on room_id has no index: each delete from rooms and each check reads all of decisions
        BM212 V001__initial_schema, up, line 64: the foreign key of files on room_id has no index: each delete from rooms and each check reads all of files
        BM212 V001__initial_schema, up, line 53: the foreign key of tasks on room_id has no index: each delete from rooms and each check reads all of tasks
        BM306 V002__room_preferences: servers of 1.0.0 (write_room): INSERT OR REPLACE sets rooms.preferences of an existing row back to its default
        BM306 V003__member_metadata: servers of 1.0.0 (write_member): INSERT OR REPLACE sets members.metadata of an existing row back to its default
        BM105 V008__reactions: it is of phase expand, and comes after V007__message_threads_backfill of phase backfill in the same release: `migrate --phase expand` stops before it
        BM210 V010__message_threads_index, up, line 1: index idx_messages_thread reads all rows of messages with the write lock held, and nothing says for how long
        "#);
}
