//! The last lines of the newest log, with nothing in them but events, numbers and times.

use std::io::{Read, Seek, SeekFrom};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::records::run_log;
use bridge_migrate_core::{Catalog, ErrorKind, Settings, regular_file};

use super::known;

/// Lines that are shown.
const SHOWN: usize = 200;
/// Bytes at the end of a log that are read.
const READ_BYTES: u64 = 256 * 1024;

/// The newest log.
#[derive(Debug, Clone, Serialize)]
pub struct LogFacts {
    /// How many logs there are.
    pub logs: usize,
    /// The last lines of the newest one.
    pub lines: Vec<LogLine>,
    /// Lines among them that are no event of this program.
    pub other_lines: usize,
}

/// One event.
#[derive(Debug, Clone, Serialize)]
pub struct LogLine {
    /// When.
    pub time: Option<String>,
    /// Which run.
    pub run: Option<String>,
    /// Which event.
    pub event: &'static str,
    /// Its numbers, and what else the program knows.
    #[serde(flatten)]
    pub facts: Map<String, Value>,
}

/// Events that a log holds, and which of their keys hold numbers.
const EVENTS: [(&str, &[&str]); 11] = [
    ("waiting", &[]),
    ("run_started", &["from", "to"]),
    ("database_created", &[]),
    ("adopted", &["version"]),
    ("backed_up", &[]),
    ("step_started", &["version", "down", "resumed"]),
    ("batch_committed", &["version", "visited", "changed", "lock_us"]),
    ("row_skipped", &["version"]),
    (
        "step_finished",
        &["version", "down", "duration_ms", "rows_changed", "max_lock_ms"],
    ),
    ("warning", &[]),
    ("run_finished", &["version"]),
];

/// The last lines of the newest log, with nothing in them but what this program would have written; `None` when there
/// is no log.
pub fn last_log(catalog: &Catalog, settings: &Settings) -> Option<LogFacts> {
    let logs = run_log::list(settings).ok()?;
    let path = logs.last()?;
    let mut file = regular_file::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(READ_BYTES)))
        .ok()?;
    let mut bytes = Vec::new();
    file.take(READ_BYTES).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let mut facts = LogFacts {
        logs: logs.len(),
        lines: Vec::new(),
        other_lines: 0,
    };
    for line in lines.get(lines.len().saturating_sub(SHOWN)..).unwrap_or_default() {
        match read(catalog, line) {
            Some(line) => facts.lines.push(line),
            None => facts.other_lines += 1,
        }
    }
    Some(facts)
}

fn read(catalog: &Catalog, line: &str) -> Option<LogLine> {
    let Ok(Value::Object(object)) = serde_json::from_str(line) else {
        return None;
    };
    let text = |key: &str| object.get(key).and_then(Value::as_str);
    let (event, numbers) = EVENTS
        .into_iter()
        .find(|(name, _)| Some(*name) == text("event"))?;
    let mut facts = Map::new();
    for key in numbers {
        if let Some(value @ (Value::Number(_) | Value::Bool(_))) = object.get(*key) {
            facts.insert((*key).to_owned(), value.clone());
        }
    }
    let version = object
        .get("version")
        .and_then(Value::as_u64)
        .and_then(|version| u32::try_from(version).ok());
    if let Some(migration) = version.and_then(|version| catalog.get(version))
        && text("name") == Some(migration.name.as_str())
    {
        facts.insert("name".to_owned(), migration.name.clone().into());
    }
    if let Some(command) = text("command").and_then(known::command) {
        facts.insert("command".to_owned(), command.into());
    }
    if let Some(error) = object
        .get("error")
        .and_then(|error| serde_json::from_value::<ErrorKind>(error.clone()).ok())
        .and_then(|kind| serde_json::to_value(kind).ok())
    {
        facts.insert("error".to_owned(), error);
    }
    Some(LogLine {
        time: text("time").and_then(known::time),
        run: text("run").and_then(known::run),
        event,
        facts,
    })
}
