//! A database as months of ordinary use leave it, of any size, from a seed.

use rusqlite::{Connection, Transaction, params};

use crate::python_time::{isoformat, utc};
use crate::random::{Random, hex_id, mix};
use crate::words::text;

/// 2026-01-30T09:00:00 UTC in seconds since 1970, when the first room opens.
const START: u64 = 1_769_763_600;
/// Messages come 40 to 91 seconds apart.
const PACE: (u64, u64) = (40, 52);

const ROLES: [&str; 7] = [
    "coder",
    "reviewer",
    "tester",
    "documenter",
    "researcher",
    "coordinator",
    "participant",
];
const TYPES: [&str; 5] = ["idea", "question", "decision", "answer", "message"];
const VOTE_TYPES: [&str; 4] = ["simple_majority", "consensus", "veto", "weighted"];
const OFFSETS: [(i64, &str); 5] = [
    (-300, "-05:00"),
    (-480, "-08:00"),
    (60, "+01:00"),
    (330, "+05:30"),
    (765, "+12:45"),
];
const GARBAGE: [&str; 5] = [
    "yesterday",
    "",
    "2026-02-30T10:00:00",
    "1771774245",
    "22.02.2026 15:30",
];

/// What a database holds, and how odd its messages are. The defaults are the shape of a real one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Population {
    /// Same seed, same rows.
    pub seed: u64,
    /// Rooms; members come with them, 2 to 6 each.
    pub rooms: u64,
    /// Messages.
    pub messages: u64,
    /// Percent of the messages whose timestamp is not in the normal form. Of these, half are naive local time, three
    /// in ten have another offset, 17 % a `Z`, and 3 % are no timestamp.
    pub odd_timestamps: u8,
    /// Percent of the messages that reply to an earlier one.
    pub replies: u8,
    /// Percent of the replies whose message is gone.
    pub dangling: u8,
    /// Decisions, with up to four votes each.
    pub decisions: u64,
    /// Tasks.
    pub tasks: u64,
    /// Files of 2 to 4 KB.
    pub files: u64,
    /// Code executions.
    pub code_executions: u64,
    /// Channels; at most seven per room.
    pub channels: u64,
}

impl Default for Population {
    fn default() -> Self {
        Self::of_messages(2000)
    }
}

impl Population {
    /// A population of this many messages with everything else in proportion.
    pub fn of_messages(messages: u64) -> Self {
        let rooms = (messages / 10_000).max(10);
        Self {
            seed: 1,
            rooms,
            messages,
            odd_timestamps: 28,
            replies: 20,
            dangling: 2,
            decisions: messages / 60,
            tasks: messages / 50,
            files: messages / 400,
            code_executions: messages / 50,
            channels: rooms * 3,
        }
    }

    /// The id of the `index`-th message, counted from 0.
    pub fn message_id(&self, index: u64) -> String {
        hex_id(self.seed, u64::from(b'm'), index)
    }

    /// The id of the `index`-th decision, counted from 0.
    pub fn decision_id(&self, index: u64) -> String {
        hex_id(self.seed, u64::from(b'd'), index)
    }

    /// The id of the `index`-th room, counted from 0.
    pub fn room_id(&self, index: u64) -> String {
        // An odd factor keeps the ids of different rooms different within 48 bits.
        let scattered = (mix(self.seed).wrapping_add(index)).wrapping_mul(0x9e37_79b9_7f4b);
        format!("room-{:012x}", scattered & 0xffff_ffff_ffff)
    }

    /// Fills a database that has the 1.0.0 schema, in one transaction.
    ///
    /// # Errors
    /// When SQLite refuses a row.
    pub fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        // A test's data need not survive a power cut, and a large cache keeps the random ids' index in memory.
        connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -262144")?;
        let transaction = connection.unchecked_transaction()?;
        let mut random = Random::new(self.seed);
        self.write_rooms(&transaction, &mut random)?;
        self.write_messages(&transaction, &mut random)?;
        self.write_decisions(&transaction, &mut random)?;
        self.write_tasks(&transaction, &mut random)?;
        self.write_files(&transaction, &mut random)?;
        self.write_code_executions(&transaction, &mut random)?;
        self.write_channels(&transaction)?;
        transaction.commit()
    }

    fn any_room(&self, random: &mut Random) -> String {
        self.room_id(random.below(self.rooms))
    }

    fn end(&self) -> u64 {
        START + self.messages * (PACE.0 + PACE.1 / 2)
    }

    fn write_rooms(&self, transaction: &Transaction<'_>, random: &mut Random) -> rusqlite::Result<()> {
        let mut room = transaction.prepare(crate::statements::INSERT_ROOM)?;
        let mut member = transaction.prepare(crate::statements::INSERT_MEMBER)?;
        for index in 0..self.rooms {
            let id = self.room_id(index);
            let opened = START + index * 60;
            let topic = format!("Topic {index} {}", text(random, 3, 8));
            room.execute(params![id, topic, utc(opened, 0)])?;
            for joined in 0..2 + random.below(5) {
                let weight = [0.5, 1.0, 2.0][random.below(3) as usize];
                let client = format!("claude-{joined}");
                member.execute(params![
                    id,
                    client,
                    random.pick(&ROLES),
                    utc(opened + joined, 0),
                    weight
                ])?;
            }
        }
        // A few have left, and a few rooms are closed.
        transaction.execute("UPDATE members SET active = 0 WHERE rowid % 17 = 5", [])?;
        transaction.execute("UPDATE rooms SET active = 0 WHERE rowid % 11 = 8", [])?;
        Ok(())
    }

    fn write_messages(&self, transaction: &Transaction<'_>, random: &mut Random) -> rusqlite::Result<()> {
        let mut message = transaction.prepare(crate::statements::INSERT_MESSAGE)?;
        let rooms: Vec<String> = (0..self.rooms).map(|index| self.room_id(index)).collect();
        let clients: Vec<String> = (0..6).map(|index| format!("claude-{index}")).collect();
        let mut now = START;
        for index in 0..self.messages {
            now += PACE.0 + random.below(PACE.1);
            let room = rooms.get(random.below(self.rooms) as usize);
            let kind = if random.percent(50) {
                "message"
            } else {
                random.pick(&TYPES)
            };
            let channel =
                ["main", "main", "main", "main", "main", "main", "ops", "design"][random.below(8) as usize];
            message.execute(params![
                self.message_id(index),
                room,
                clients[random.below(6) as usize],
                text(random, 2, 60),
                self.timestamp(now, random),
                kind,
                channel,
                self.reply(index, random),
            ])?;
        }
        Ok(())
    }

    /// The id of an earlier message, mostly a recent one, or of one that is gone.
    fn reply(&self, index: u64, random: &mut Random) -> Option<String> {
        if index == 0 || !random.percent(self.replies) {
            return None;
        }
        if random.percent(self.dangling) {
            return Some(hex_id(self.seed, u64::from(b'g'), index));
        }
        let back = if random.percent(50) { index } else { index.min(20) };
        Some(self.message_id(index - 1 - random.below(back)))
    }

    fn timestamp(&self, seconds: u64, random: &mut Random) -> String {
        // Python prints no fraction when the microseconds are 0.
        let micros = if random.below(500) == 0 {
            0
        } else {
            random.below(1_000_000)
        };
        if !random.percent(self.odd_timestamps) {
            return utc(seconds, micros);
        }
        match random.below(100) {
            0..50 => isoformat(seconds, micros, ""),
            50..80 => {
                let (minutes, offset) = OFFSETS[random.below(OFFSETS.len() as u64) as usize];
                isoformat(seconds.saturating_add_signed(minutes * 60), micros, offset)
            }
            80..97 => isoformat(seconds, 0, "Z"),
            _ => random.pick(&GARBAGE).to_owned(),
        }
    }

    fn write_decisions(&self, transaction: &Transaction<'_>, random: &mut Random) -> rusqlite::Result<()> {
        let mut decision = transaction.prepare(crate::statements::INSERT_DECISION)?;
        let mut result = transaction.prepare(crate::statements::UPDATE_DECISION_RESULT)?;
        let mut vote = transaction.prepare(crate::statements::INSERT_VOTE)?;
        let end = self.end();
        for index in 0..self.decisions {
            let id = self.decision_id(index);
            let required = 1 + random.below(5) as i64;
            let kind = random.pick(&VOTE_TYPES);
            decision.execute(params![
                id,
                self.any_room(random),
                text(random, 2, 60),
                "claude-0",
                utc(end, random.below(1_000_000)),
                kind,
                required
            ])?;
            for voter in 0..random.below(5) {
                let approve = random.percent(80);
                let veto = !approve && random.percent(25);
                let when = utc(end + index, random.below(1_000_000));
                vote.execute(params![id, format!("claude-{voter}"), approve, veto, when])?;
            }
            let (approved, vetoed) = (random.percent(33), random.percent(15));
            result.execute(params![approved && !vetoed, vetoed, id])?;
        }
        Ok(())
    }

    fn write_tasks(&self, transaction: &Transaction<'_>, random: &mut Random) -> rusqlite::Result<()> {
        let sql = "INSERT INTO tasks VALUES (?1, ?2, ?3, ?4, 'claude-0', ?5, ?6, ?7)";
        let mut task = transaction.prepare(sql)?;
        let end = self.end();
        for index in 0..self.tasks {
            let done = random.percent(50);
            let assignee = (!random.percent(5)).then(|| format!("claude-{}", random.below(6)));
            task.execute(params![
                hex_id(self.seed, u64::from(b'k'), index),
                self.any_room(random),
                text(random, 2, 60),
                assignee,
                utc(end, 14_772),
                done,
                done.then(|| utc(end + index, 14_772)),
            ])?;
        }
        Ok(())
    }

    fn write_files(&self, transaction: &Transaction<'_>, random: &mut Random) -> rusqlite::Result<()> {
        let mut file = transaction.prepare(crate::statements::INSERT_FILE)?;
        for index in 0..self.files {
            let size = 2000 + random.below(2200) as usize;
            file.execute(params![
                hex_id(self.seed, u64::from(b'f'), index),
                self.any_room(random),
                format!("report {index}.bin"),
                "claude-2",
                utc(self.end(), random.below(1_000_000)),
                size as i64,
                "application/octet-stream",
                "main",
                random.bytes(size),
            ])?;
        }
        Ok(())
    }

    fn write_code_executions(
        &self,
        transaction: &Transaction<'_>,
        random: &mut Random,
    ) -> rusqlite::Result<()> {
        let sql = "INSERT INTO code_executions VALUES (?1, ?2, 'claude-1', ?3, 'python', ?4, ?5, ?6, ?7, ?8)";
        let mut execution = transaction.prepare(sql)?;
        for index in 0..self.code_executions {
            let failed = random.percent(10);
            execution.execute(params![
                hex_id(self.seed, u64::from(b'x'), index),
                self.any_room(random),
                utc(self.end(), random.below(1_000_000)),
                format!("print({index})"),
                (!failed).then(|| format!("{index}\n")),
                failed.then_some("NameError: name 'prnt' is not defined"),
                failed,
                random.below(1_000_000) as f64 / 997.0,
            ])?;
        }
        Ok(())
    }

    fn write_channels(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut channel = transaction.prepare("INSERT INTO channels VALUES (?1, ?2, ?3, NULL, ?4)")?;
        for index in 0..self.channels.min(self.rooms * 7) {
            let number = index / self.rooms;
            channel.execute(params![
                format!("ch-{number}"),
                self.room_id(index % self.rooms),
                format!("channel {number}"),
                utc(self.end(), 14_772),
            ])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{TestDatabase, dump};

    #[test]
    fn the_same_seed_gives_the_same_rows() {
        let dump = |seed| TestDatabase::populated(seed).dump();
        dump::assert_same(&dump(1), &dump(1));
        assert!(dump(1) != dump(2));
    }

    #[test]
    fn the_counts_are_those_asked_for() {
        let population = Population::of_messages(3000);
        let database = TestDatabase::with(&population);
        assert_eq!(database.count("rooms"), population.rooms);
        assert_eq!(database.count("messages"), population.messages);
        assert_eq!(database.count("decisions"), population.decisions);
        assert_eq!(database.count("tasks"), population.tasks);
        assert_eq!(database.count("files"), population.files);
        assert_eq!(database.count("code_executions"), population.code_executions);
        assert_eq!(database.count("channels"), population.channels);
        assert_eq!(
            database.query_strings("PRAGMA foreign_key_check"),
            Vec::<String>::new()
        );
        assert_eq!(database.query_string("PRAGMA integrity_check"), "ok");
    }

    #[test]
    fn timestamps_are_odd_in_the_share_asked_for() {
        let normal = "SELECT count(*) FROM messages WHERE timestamp LIKE '2026-%+00:00'";
        let none = TestDatabase::with(&Population {
            odd_timestamps: 0,
            ..Population::default()
        });
        assert_eq!(none.query_string(normal), "2000");
        let half = TestDatabase::with(&Population {
            odd_timestamps: 50,
            ..Population::default()
        });
        let count: u64 = half.query_string(normal).parse().unwrap();
        assert!((900..1100).contains(&count), "{count}");
        for pattern in [
            "%Z",
            "%-05:00",
            "%+05:30",
            "____-__-__T__:__:__.______",
            "yesterday",
        ] {
            let sql = format!("SELECT count(*) > 0 FROM messages WHERE timestamp LIKE '{pattern}'");
            assert_eq!(half.query_string(&sql), "1", "{pattern}");
        }
    }

    #[test]
    fn replies_lead_to_earlier_messages_or_dangle() {
        let database = TestDatabase::with(&Population {
            dangling: 10,
            ..Population::default()
        });
        let count = |sql: &str| -> u64 { database.query_string(sql).parse().unwrap() };
        let replies = count("SELECT count(*) FROM messages WHERE reply_to IS NOT NULL");
        let earlier = count(
            "SELECT count(*) FROM messages m JOIN messages p ON p.id = m.reply_to WHERE p.rowid < m.rowid",
        );
        assert!((300..500).contains(&replies), "{replies}");
        assert!(
            earlier < replies && earlier > replies / 2,
            "{earlier} of {replies}"
        );
    }

    /// Benchmarks need ten times as many, in less than 15 seconds on a quiet machine.
    #[test]
    fn a_hundred_thousand_messages_take_a_moment() {
        let started = std::time::Instant::now();
        let database = TestDatabase::with(&Population::of_messages(100_000));
        let elapsed = started.elapsed();
        assert_eq!(database.count("messages"), 100_000);
        assert!(elapsed.as_secs() < 30, "{elapsed:?}");
    }
}
