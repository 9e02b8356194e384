//! Mistakes that break the servers of a rolling update.

use bridge_migrate_core::{Phase, Release};

use super::Mutation;

pub(crate) const SERVERS: &[Mutation] = &[
    ("a column goes that 1.1.0 writes", "BM301", |c| {
        let mutant = c.add(Phase::Contract, "ALTER TABLE files DROP COLUMN content_type", "");
        mutant.retires = Some(Release::new(1, 0, 0));
    }),
    ("V004 has no column for when a token ends", "BM301", |c| {
        c.up(4, ",\n    \"expires_at\" TEXT", "")
    }),
    (
        "a contract of 1.2.0 names a column that is not there",
        "BM301",
        |c| {
            let renamed = c.contracts[2].text.replacen("WHERE room_id =", "WHERE room =", 1);
            c.contracts[2].text = renamed.into();
        },
    ),
    ("messages must answer something", "BM302", |c| {
        c.more(
            9,
            "ALTER TABLE messages ALTER COLUMN reply_to SET NOT NULL",
            "ALTER TABLE messages ALTER COLUMN reply_to DROP NOT NULL",
        );
    }),
    ("messages must say something", "BM302", |c| {
        c.more(
            9,
            "ALTER TABLE messages ADD CONSTRAINT said CHECK (text <> '')",
            "ALTER TABLE messages DROP CONSTRAINT said",
        );
    }),
    ("only one message at a time", "BM302", |c| {
        c.more(
            9,
            "CREATE UNIQUE INDEX one ON messages (room_id, timestamp)",
            "DROP INDEX one",
        );
    }),
    ("a trigger of V006 wants a thread", "BM303", |c| {
        c.more(6, "CREATE TRIGGER threaded BEFORE INSERT ON messages WHEN NEW.thread_id IS NULL BEGIN SELECT RAISE(ABORT, 'name the thread'); END", "DROP TRIGGER threaded");
    }),
    ("a trigger of V009 forbids edits", "BM303", |c| {
        c.more(9, "CREATE TRIGGER final BEFORE UPDATE OF text ON messages BEGIN SELECT RAISE(FAIL, 'it is said'); END", "DROP TRIGGER final");
    }),
    ("a trigger of V004 swallows votes", "BM304", |c| {
        c.more(
            4,
            "CREATE TRIGGER quiet BEFORE INSERT ON votes BEGIN SELECT RAISE(IGNORE); END",
            "DROP TRIGGER quiet",
        );
    }),
    ("a column is renamed that 1.1.0 reads", "BM305", |c| {
        let mutant = c.add(
            Phase::Contract,
            "ALTER TABLE members RENAME COLUMN contributions TO given",
            "",
        );
        mutant.retires = Some(Release::new(1, 0, 0));
    }),
    ("V002 no longer says what old servers set back", "BM306", |c| {
        c.at(2).allowed.clear()
    }),
    ("V003 no longer says what old servers set back", "BM306", |c| {
        c.at(3).allowed.clear()
    }),
    ("a column is added to votes", "BM306", |c| {
        c.more(
            8,
            "ALTER TABLE votes ADD COLUMN reason TEXT",
            "ALTER TABLE votes DROP COLUMN reason",
        );
    }),
    ("a trigger of V004 throws members out", "BM307", |c| {
        c.more(4, "CREATE TRIGGER out AFTER INSERT ON rooms BEGIN DELETE FROM members WHERE room_id = NEW.room_id; END", "DROP TRIGGER out");
    }),
    ("nobody wrote down what 1.2.0 runs", "BM308", |c| {
        drop(c.contracts.remove(2))
    }),
];
