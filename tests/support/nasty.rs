//! A 1.0.0 database with everything odd that SQLite and the server allow, since operators' databases have it.
//!
//! What cannot exist is left out: a TEXT column turns integers into text, so no integer stands in one.

use rusqlite::types::Value;
use rusqlite::{Connection, Transaction, params};

use crate::random::{Random, hex_id};
use crate::{Population, statements, timestamps};

/// The room in which the odd messages stand.
pub const ROOM: &str = "it's a \"room\"; DROP TABLE rooms; -- 🎉";

/// How far the oddities go; the rest is in every nasty database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nasty {
    /// Same seed, same rows.
    pub seed: u64,
    /// Ordinary messages beside the odd ones.
    pub messages: u64,
    /// Length of the longest reply chain, and of the chain whose replies come before what they reply to.
    pub chain: u64,
    /// Length of the longest text, in bytes.
    pub huge_text: usize,
    /// Whether messages stand at both ends of the rowids. From then on SQLite gives the server's new messages rowids
    /// by chance, anywhere between the others.
    pub extreme_rowids: bool,
    /// Whether the operators' trigger fires on updates of messages too and writes a row for each: a migration that
    /// touches messages then changes the operators' table.
    pub trigger_on_update: bool,
}

impl Default for Nasty {
    fn default() -> Self {
        Self {
            seed: 1,
            messages: 200,
            chain: 1000,
            huge_text: 1 << 20,
            extreme_rowids: true,
            trigger_on_update: false,
        }
    }
}

impl Nasty {
    /// Fills a database that has the 1.0.0 schema, in one transaction.
    ///
    /// # Errors
    /// When SQLite refuses a row.
    pub fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let population = Population {
            seed: self.seed,
            odd_timestamps: 50,
            dangling: 20,
            ..Population::of_messages(self.messages)
        };
        population.write(connection)?;
        let transaction = connection.unchecked_transaction()?;
        transaction.execute_batch(ODD_ROWS)?;
        self.write_timestamps(&transaction)?;
        self.write_texts(&transaction)?;
        self.write_ids(&transaction)?;
        self.write_replies(&transaction)?;
        if self.extreme_rowids {
            self.write_rowids(&transaction)?;
        }
        // Rewriting a row gives it a new rowid, as the server's INSERT OR REPLACE does.
        let again = "INSERT OR REPLACE INTO rooms SELECT * FROM rooms WHERE rowid % 3 = 1;
            INSERT OR REPLACE INTO members SELECT * FROM members WHERE rowid % 4 = 1;
            INSERT OR REPLACE INTO votes SELECT * FROM votes WHERE rowid % 5 = 1;
            DELETE FROM messages WHERE length(id) = 32 AND rowid % 13 = 7";
        transaction.execute_batch(again)?;
        transaction.execute_batch(OPERATORS_OBJECTS)?;
        if self.trigger_on_update {
            transaction.execute_batch(TRIGGER_ON_UPDATE)?;
        }
        transaction.commit()
    }

    /// One message for each text of [`timestamps::all`], and what no text can say.
    fn write_timestamps(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        for (index, text) in timestamps::all().enumerate() {
            let id = Value::Text(format!("time-{index:03}"));
            message(transaction, id, "t", Value::Text(text.to_owned()), Value::Null)?;
        }
        let others = [
            ("time-nul", Value::Text("2026-02-22T15:30:45\0Z".to_owned())),
            ("time-blob", Value::Blob(b"2026-02-22T15:30:45Z".to_vec())),
            ("time-empty-blob", Value::Blob(Vec::new())),
            ("time-number", Value::Integer(1_771_774_245)),
            ("time-float", Value::Real(1_771_774_245.5)),
            (
                "time-long",
                Value::Text("2026-02-22T15:30:45.".to_owned() + &"1".repeat(10_000)),
            ),
        ];
        for (id, value) in others {
            message(transaction, Value::Text(id.to_owned()), "t", value, Value::Null)?;
        }
        transaction.execute_batch(
            "INSERT INTO messages (id, room_id, from_client, text, timestamp)
                VALUES ('time-not-utf8', 'r', 'c', 't', CAST(X'323032362d30322d3232ff' AS TEXT))",
        )
    }

    fn write_texts(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let texts = [
            ("text-empty", String::new()),
            ("text-nul", "before\0after".to_owned()),
            ("text-only-nul", "\0".to_owned()),
            ("text-lines", "one\r\ntwo\rthree\n\u{2028}four\u{85}".to_owned()),
            (
                "text-right-to-left",
                "\u{202e}שלום مرحبا\u{202c} 👩‍👩‍👧‍👦 🇺🇳 e\u{301} \u{feff}".to_owned(),
            ),
            ("text-terminal", "\u{1b}[31mred\u{1b}[0m\u{7}".to_owned()),
            ("text-sql", "'; DELETE FROM messages; --".to_owned()),
            ("text-huge", "naïve 🎉 ".repeat(self.huge_text / 12)),
        ];
        for (id, text) in texts {
            message(
                transaction,
                Value::Text(id.to_owned()),
                &text,
                time(),
                Value::Null,
            )?;
        }
        Ok(())
    }

    fn write_ids(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let text = |text: &str| Value::Text(text.to_owned());
        let ids = [
            // A PRIMARY KEY of TEXT allows NULL, as often as one likes.
            Value::Null,
            Value::Null,
            Value::Null,
            text(""),
            text(" "),
            text("same"),
            text("SAME"),
            text("Same"),
            text("same "),
            text("same\0"),
            text("same\0more"),
            text("caf\u{e9}"),
            text("cafe\u{301}"),
            text("it's \"quoted\" `twice` [three] \\"),
            text("NULL"),
            text("42"),
            text("42.0"),
            text("%"),
            Value::Blob(b"same".to_vec()),
            Value::Blob(Vec::new()),
            Value::Blob(vec![0, 255]),
        ];
        for id in ids {
            message(transaction, id, "id", time(), text("same"))?;
        }
        for reply in [
            text(""),
            text("SAME"),
            text("same\0"),
            text("nobody"),
            Value::Blob(b"same".to_vec()),
        ] {
            message(transaction, Value::Null, "reply", naive(), reply)?;
        }
        Ok(())
    }

    /// After a row at the largest rowid, SQLite gives new rows a rowid by chance: these come last.
    fn write_rowids(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        for rowid in [i64::MIN, i64::MIN + 1, -1, 0, 1 << 53, i64::MAX - 1, i64::MAX] {
            let sql = "INSERT INTO messages (rowid, id, room_id, from_client, text, timestamp, reply_to)
                VALUES (?1, ?2, ?3, 'c', 'rowid', ?4, 'same')";
            transaction.execute(sql, params![rowid, format!("rowid {rowid}"), ROOM, naive()])?;
        }
        Ok(())
    }

    fn write_replies(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let id = |name: &str, index: u64| Value::Text(format!("{name}-{index:07}"));
        for (name, length) in [("self", 1), ("pair", 2), ("triangle", 3), ("ring", 100)] {
            for index in 0..length {
                message(
                    transaction,
                    id(name, index),
                    name,
                    naive(),
                    id(name, (index + 1) % length),
                )?;
            }
            // A chain that leads into the cycle.
            for index in length..length + 3 {
                message(transaction, id(name, index), name, time(), id(name, index - 1))?;
            }
        }
        // Each replies to the one before, and each to the one after; both end at a message with no reply_to.
        for (name, reversed) in [("chain", false), ("reversed", true)] {
            for position in 0..self.chain {
                let index = if reversed {
                    self.chain - 1 - position
                } else {
                    position
                };
                let reply = if index == 0 {
                    Value::Null
                } else {
                    id(name, index - 1)
                };
                message(transaction, id(name, index), name, time(), reply)?;
            }
        }
        // The same in no order at all, with a root that is gone.
        let mut random = Random::new(self.seed);
        let mut order: Vec<u64> = (0..self.chain.min(500)).collect();
        for index in (1..order.len()).rev() {
            order.swap(index, random.below(index as u64 + 1) as usize);
        }
        for index in order {
            let reply = if index == 0 {
                Value::Text("gone".to_owned())
            } else {
                id("shuffled", index - 1)
            };
            message(transaction, id("shuffled", index), "shuffled", naive(), reply)?;
        }
        // Many replies to one.
        for index in 0..300 {
            let reply = Value::Text("same".to_owned());
            message(
                transaction,
                Value::Text(hex_id(self.seed, u64::from(b'r'), index)),
                "fan",
                time(),
                reply,
            )?;
        }
        Ok(())
    }
}

fn time() -> Value {
    Value::Text("2026-02-22T15:30:45.123456+00:00".to_owned())
}

fn naive() -> Value {
    Value::Text("2026-02-22T15:30:45.123456".to_owned())
}

fn message(
    transaction: &Transaction<'_>,
    id: Value,
    text: &str,
    timestamp: Value,
    reply_to: Value,
) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(statements::INSERT_MESSAGE)?;
    statement.execute(params![
        id, ROOM, "claude-0", text, timestamp, "message", "main", reply_to
    ])?;
    Ok(())
}

/// Orphans, NULL keys, and values whose storage class is not that of their column.
const ODD_ROWS: &str = include_str!("nasty/odd_rows.sql");

/// What operators add over the years. None of it stops the server.
const OPERATORS_OBJECTS: &str = include_str!("nasty/operators_objects.sql");

const TRIGGER_ON_UPDATE: &str = r#"
CREATE TRIGGER "operators' other trigger" AFTER UPDATE ON messages
    BEGIN INSERT INTO "operator's ""log""" ("a b") VALUES ('changed ' || new.id); END;
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{TestDatabase, dump};

    #[test]
    fn the_same_seed_gives_the_same_oddities() {
        dump::assert_same(&TestDatabase::nasty(1).dump(), &TestDatabase::nasty(1).dump());
        assert!(TestDatabase::nasty(1).dump() != TestDatabase::nasty(2).dump());
    }

    #[test]
    fn every_oddity_is_there() {
        let database = TestDatabase::nasty(3);
        assert_eq!(database.query_string("PRAGMA integrity_check"), "ok");
        for (what, condition) in [
            ("ids that are NULL", "messages WHERE id IS NULL"),
            (
                "rooms that are missing",
                "messages WHERE room_id NOT IN (SELECT room_id FROM rooms WHERE room_id IS NOT NULL)",
            ),
            (
                "votes of missing decisions",
                "votes WHERE decision_id = 'decision of nobody'",
            ),
            ("text with NUL bytes", "messages WHERE instr(text, char(0)) > 0"),
            ("blobs for text", "messages WHERE typeof(text) = 'blob'"),
            ("blobs for ids", "messages WHERE typeof(id) = 'blob'"),
            (
                "blobs for timestamps",
                "messages WHERE typeof(timestamp) = 'blob'",
            ),
            ("text for integers", "rooms WHERE typeof(active) = 'text'"),
            ("infinity", "members WHERE vote_weight = 9e999"),
            ("large text", "messages WHERE length(CAST(text AS BLOB)) > 900000"),
            ("replies to themselves", "messages WHERE id = reply_to"),
            (
                "cycles of two",
                "messages a JOIN messages b ON a.reply_to = b.id AND b.reply_to = a.id AND a.id <> b.id",
            ),
            (
                "replies before their message",
                "messages a JOIN messages b ON a.reply_to = b.id AND a.rowid < b.rowid",
            ),
            ("dangling replies", "messages WHERE reply_to = 'gone'"),
            (
                "ids that differ in case",
                "messages a JOIN messages b ON lower(a.id) = lower(b.id) AND a.id < b.id",
            ),
            ("the least rowid", "messages WHERE rowid = -9223372036854775808"),
            ("the largest rowid", "messages WHERE rowid = 9223372036854775807"),
            ("violations", "pragma_foreign_key_check"),
            ("an operators' trigger", "sqlite_schema WHERE type = 'trigger'"),
            ("an operators' view", "sqlite_schema WHERE type = 'view'"),
        ] {
            let found: u64 = database
                .query_string(&format!("SELECT count(*) FROM {condition}"))
                .parse()
                .unwrap();
            assert!(found > 0, "{what}");
        }
        let dump = database.dump();
        assert!(
            dump.contains("id: text not UTF-8 69ff64"),
            "invalid UTF-8 in an id"
        );
        assert!(
            dump.contains("timestamp: text not UTF-8"),
            "invalid UTF-8 in a timestamp"
        );
    }

    #[test]
    fn a_chain_has_the_length_asked_for() {
        let database = TestDatabase::with_nasty(&Nasty {
            chain: 5000,
            messages: 0,
            ..Nasty::default()
        });
        for name in ["chain", "reversed"] {
            let sql = format!(
                "WITH RECURSIVE up(id, depth) AS (SELECT '{name}-0004999', 1 UNION ALL
                 SELECT m.reply_to, depth + 1 FROM up JOIN messages m ON m.id = up.id WHERE m.reply_to IS NOT NULL)
                 SELECT max(depth), min(id) FROM up"
            );
            assert_eq!(database.query_string(&sql), format!("5000|{name}-0000000"));
        }
    }

    #[test]
    fn a_trigger_on_updates_is_there_when_asked_for() {
        let database = TestDatabase::with_nasty(&Nasty {
            trigger_on_update: true,
            ..Nasty::default()
        });
        let before = database.count("operator's \"log\"");
        database.execute("UPDATE messages SET text = 'x' WHERE id = 'same'");
        assert_eq!(database.count("operator's \"log\""), before + 1);
    }
}
