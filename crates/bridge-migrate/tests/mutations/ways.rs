//! Mistakes in what a migration says of itself, in its way back and in its release.

use bridge_migrate_core::{Phase, Release};

use super::Mutation;

pub(crate) const WAYS: &[Mutation] = &[
    ("the down of V002 is dropped", "BM102", |c| c.at(2).down.clear()),
    ("the down of V008 is dropped", "BM102", |c| c.at(8).down.clear()),
    ("the down of V009 is a comment", "BM102", |c| {
        c.at(9).down = "-- nothing to do\n".to_owned()
    }),
    ("the Rollback section of V004 is empty", "BM104", |c| {
        c.at(4).rollback.clear()
    }),
    ("the down of V001 forgets a table", "BM103", |c| {
        c.down(1, "DROP TABLE \"channels\";\n", "")
    }),
    ("the down of V003 drops another column", "BM103", |c| {
        c.down(3, "metadata", "vote_weight")
    }),
    ("the down of V010 drops another index", "BM103", |c| {
        c.down(10, "idx_messages_thread", "idx_channel")
    }),
    ("the down of V006 forgets the trigger", "BM103", |c| {
        c.down(6, "DROP TRIGGER \"messages_fill_thread\";\n", "")
    }),
    ("the down of V009 forgets the table", "BM103", |c| {
        c.down(9, "DROP TABLE \"message_revisions\";\n", "")
    }),
    ("the down of V009 forgets a column", "BM103", |c| {
        c.down(9, "ALTER TABLE \"messages\" DROP COLUMN \"edited_at\";\n", "");
    }),
    ("V002 changes a table that is not there", "BM101", |c| {
        c.up(2, "\"rooms\"", "\"room\"")
    }),
    ("V008 makes a table that V004 makes", "BM101", |c| {
        c.up(8, "CREATE TABLE \"reactions\"", "CREATE TABLE \"auth_tokens\"")
    }),
    ("V003 is a backfill behind which V004 expands", "BM105", |c| {
        c.at(3).phase = Phase::Backfill
    }),
    (
        "V008 no longer says why it comes after the backfill",
        "BM105",
        |c| c.at(8).allowed.clear(),
    ),
    ("V002 allows without a reason", "BM106", |c| {
        c.at(2).allowed[0].1.clear()
    }),
    ("V003 allows a code that is none", "BM107", |c| {
        c.at(3).allowed.push(("BM999".to_owned(), "Because.".to_owned()))
    }),
    ("V004 allows what is not found", "BM107", |c| {
        c.at(4).allowed.push(("BM210".to_owned(), "Because.".to_owned()))
    }),
    ("a contract migration ends nothing", "BM108", |c| {
        c.add(Phase::Contract, "DROP TABLE reactions", "");
    }),
    ("V006 ends servers that it must serve", "BM108", |c| {
        c.at(6).retires = Some(Release::new(1, 0, 0))
    }),
    ("V002 adds a room", "BM109", |c| {
        c.more(2, "INSERT INTO rooms VALUES ('lobby', 't', 'now', 1, '{}')", "")
    }),
    ("V009 copies rows into a table that is there", "BM109", |c| {
        c.more(
            9,
            "INSERT INTO channels SELECT 'main', room_id, 'main', NULL, created_at FROM rooms",
            "",
        );
    }),
];
