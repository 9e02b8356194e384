//! One thread of the server: what it calls, in which words, and what it remembers of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::report::{Columns, Report};
use crate::database::connect;
use crate::python_time::utc;
use crate::random::Random;
use crate::statements as sql;

/// Statements of one call with their parameters.
type Call = Vec<(&'static str, Vec<Value>)>;

/// One thread of the server, with rooms, members and decisions of its own, so that it knows what each must hold.
pub(super) struct Writer {
    path: PathBuf,
    number: u64,
    calls: u64,
    random: Random,
    decisions: Vec<String>,
    successes: Arc<AtomicU64>,
    report: Report,
}

impl Writer {
    pub(super) fn new(path: PathBuf, number: u64, successes: Arc<AtomicU64>) -> Self {
        Self {
            path,
            number,
            calls: 0,
            random: Random::new(number),
            decisions: Vec::new(),
            successes,
            report: Report::default(),
        }
    }

    pub(super) fn run(mut self, stop: &AtomicBool, pause: Duration) -> Report {
        while !stop.load(Ordering::Relaxed) {
            let before = self.report.errors.len();
            match self.calls % 10 {
                0 => self.open_room(),
                1 => self.join_room(),
                2 => self.propose(),
                3 => self.vote(),
                4 => self.upload(),
                5 => self.read(),
                _ => self.say(),
            }
            self.calls += 1;
            if self.report.errors.len() == before {
                self.successes.fetch_add(1, Ordering::Relaxed);
            }
            if !pause.is_zero() {
                std::thread::sleep(pause);
            }
        }
        self.report
    }

    fn text(&self, what: &str) -> Value {
        Value::Text(format!("{what}-of-server-{}-{}", self.number, self.calls))
    }

    fn now(&mut self) -> Value {
        Value::Text(utc(1_771_774_245 + self.calls, self.random.below(1_000_000)))
    }

    /// Ten rooms per writer, so that the server writes them anew again and again.
    fn room(&self) -> Value {
        Value::Text(format!("room-of-server-{}-{}", self.number, self.calls / 10 % 10))
    }

    fn open_room(&mut self) {
        let (room, topic, now) = (self.room(), self.text("topic"), self.now());
        let values = vec![room.clone(), topic.clone(), now.clone()];
        let row = vec![
            ("topic", topic),
            ("created_at", now),
            ("active", Value::Integer(1)),
        ];
        self.write(
            vec![(sql::INSERT_ROOM, values)],
            "rooms",
            vec![("room_id", room)],
            row,
        );
    }

    fn join_room(&mut self) {
        let (room, client) = (self.room(), Value::Text("claude-0".to_owned()));
        let (role, now, weight) = (self.text("role"), self.now(), Value::Real(2.0));
        let values = vec![
            room.clone(),
            client.clone(),
            role.clone(),
            now.clone(),
            weight.clone(),
        ];
        let row = vec![("role", role), ("joined_at", now), ("vote_weight", weight)];
        let keys = vec![("room_id", room), ("client_id", client)];
        self.write(vec![(sql::INSERT_MEMBER, values)], "members", keys, row);
    }

    fn propose(&mut self) {
        let row: Columns = vec![
            ("room_id", self.room()),
            ("text", self.text("text")),
            ("proposed_by", Value::Text("claude-0".to_owned())),
            ("proposed_at", self.now()),
            ("vote_type", Value::Text("veto".to_owned())),
            ("required_votes", Value::Integer(2)),
        ];
        let id = self.text("decision");
        let call = vec![(sql::INSERT_DECISION, with_key(&id, &row))];
        if self.write(call, "decisions", vec![("id", id.clone())], row)
            && let Value::Text(id) = id
        {
            self.decisions.push(id);
        }
    }

    /// A vote and its outcome in one transaction, on a decision that may have the same vote already.
    fn vote(&mut self) {
        let Some(index) = self.random.below(self.decisions.len() as u64 + 1).checked_sub(1) else {
            return self.say();
        };
        let decision = Value::Text(self.decisions[index as usize].clone());
        let voter = Value::Text("claude-0".to_owned());
        let (approve, veto) = (Value::Integer(self.random.below(2) as i64), Value::Integer(0));
        let now = self.now();
        let vote = vec![
            decision.clone(),
            voter.clone(),
            approve.clone(),
            veto.clone(),
            now.clone(),
        ];
        let call = vec![
            (sql::INSERT_VOTE, vote),
            (
                sql::UPDATE_DECISION_RESULT,
                vec![approve.clone(), veto.clone(), decision.clone()],
            ),
        ];
        let keys = vec![("decision_id", decision), ("voter", voter)];
        let row = vec![("approve", approve), ("veto", veto), ("voted_at", now)];
        self.write(call, "votes", keys, row);
    }

    fn upload(&mut self) {
        let content = self.random.bytes(1000);
        let row: Columns = vec![
            ("room_id", self.room()),
            ("name", self.text("name")),
            ("uploaded_by", Value::Text("claude-0".to_owned())),
            ("uploaded_at", self.now()),
            ("size", Value::Integer(1000)),
            ("content_type", Value::Text("text/plain".to_owned())),
            ("channel", Value::Text("main".to_owned())),
            ("content", Value::Blob(content)),
        ];
        let id = self.text("file");
        self.write(
            vec![(sql::INSERT_FILE, with_key(&id, &row))],
            "files",
            vec![("id", id)],
            row,
        );
    }

    fn say(&mut self) {
        let reply = match self.calls.checked_sub(1) {
            Some(last) if self.random.percent(50) => {
                Value::Text(format!("message-of-server-{}-{last}", self.number))
            }
            _ => Value::Null,
        };
        let row: Columns = vec![
            ("room_id", self.room()),
            ("from_client", Value::Text("claude-0".to_owned())),
            ("text", self.text("text")),
            ("timestamp", self.now()),
            ("type", Value::Text("message".to_owned())),
            ("channel", Value::Text("main".to_owned())),
            ("reply_to", reply),
        ];
        let id = self.text("message");
        self.write(
            vec![(sql::INSERT_MESSAGE, with_key(&id, &row))],
            "messages",
            vec![("id", id)],
            row,
        );
    }

    fn read(&mut self) {
        let room = self.room();
        let calls = [
            (sql::SELECT_ROOM, vec![room.clone()]),
            (sql::SELECT_ACTIVE_MEMBERS, vec![room.clone()]),
            (sql::SELECT_MESSAGES, vec![room.clone(), Value::Integer(50)]),
            (sql::COUNT_DECISIONS, vec![room]),
        ];
        let path = &self.path;
        for (statement, values) in calls {
            let done = self.report.time(statement, || {
                let connection = connect(path)?;
                let mut prepared = connection.prepare(statement)?;
                let mut rows = prepared.query(params_from_iter(values))?;
                while rows.next()?.is_some() {}
                Ok(())
            });
            self.report.reads += u64::from(done);
        }
    }

    /// One call of the server. Only what was committed is remembered: of the rest its user was told.
    fn write(&mut self, call: Call, table: &'static str, keys: Columns, row: Columns) -> bool {
        let path = &self.path;
        let done = self.report.time(call[0].0, || transact(&connect(path)?, &call));
        if done {
            self.report.writes += 1;
            self.report.rows.insert((table, format!("{keys:?}")), (keys, row));
        }
        done
    }
}

/// As Python's `sqlite3` does it: a deferred transaction before the first change, and a commit.
fn transact(connection: &Connection, call: &Call) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    for (statement, values) in call {
        transaction.execute(statement, params_from_iter(values))?;
    }
    transaction.commit()
}

fn with_key(key: &Value, row: &Columns) -> Vec<Value> {
    let rest = row.iter().map(|(_, value)| value.clone());
    std::iter::once(key.clone()).chain(rest).collect()
}
