//! The log of a run, which `doctor` reads: nothing of it comes through but what the program itself would write.

use std::cell::OnceCell;
use std::fs;

use bridge_migrate_core::{ErrorKind, Settings};
use bridge_migrate_sqlite::doctor::{LogFacts, LogLine, last_log};
use chrono::DateTime;
use serde_json::Value;

use crate::ground::{CATALOG, Place};

/// Lines at the end of a log that are shown.
const SHOWN: usize = 200;
/// What a line tells of.
const EVENTS: [&str; 10] = [
    "waiting",
    "run_started",
    "adopted",
    "backed_up",
    "step_started",
    "batch_committed",
    "row_skipped",
    "step_finished",
    "warning",
    "run_finished",
];
/// Keys of numbers and flags.
const NUMBERS: [&str; 11] = [
    "version",
    "from",
    "to",
    "down",
    "resumed",
    "visited",
    "changed",
    "lock_us",
    "duration_ms",
    "rows_changed",
    "max_lock_ms",
];

thread_local! {
    static GROUND: OnceCell<Place> = const { OnceCell::new() };
}

/// Puts the bytes into a log, and reads what a maintainer gets of it.
///
/// # Panics
/// As [`check`].
pub fn run_log(data: &[u8]) {
    check(|settings| last_log(&CATALOG, settings), data);
}

/// The same with that reader.
///
/// # Panics
/// When a line is lost or invented, or a text comes through that the program does not know.
pub fn check(last_log: impl Fn(&Settings) -> Option<LogFacts>, data: &[u8]) {
    GROUND.with(|ground| {
        let place = ground.get_or_init(|| {
            let place = Place::new();
            fs::create_dir(&place.settings.log_dir).unwrap();
            place
        });
        fs::write(
            place
                .settings
                .log_dir
                .join("migration_20260222_153045_00ff12ab.log"),
            data,
        )
        .unwrap();
        let log = last_log(&place.settings).expect("there is a log");
        check_facts(&log, data);
    });
}

fn check_facts(log: &LogFacts, data: &[u8]) {
    if data.len() <= 256 * 1024 {
        check_lines(log, &String::from_utf8_lossy(data));
    }
    for line in &log.lines {
        if let Some(time) = &line.time {
            assert!(DateTime::parse_from_rfc3339(time).is_ok(), "no time: {time:?}");
        }
        if let Some(run) = &line.run {
            assert!(
                run.len() == 8 && u32::from_str_radix(run, 16).is_ok(),
                "no run: {run:?}"
            );
        }
        for (key, value) in &line.facts {
            let is_known = match value {
                Value::Number(_) | Value::Bool(_) => NUMBERS.contains(&key.as_str()),
                Value::String(text) => match key.as_str() {
                    "name" => CATALOG
                        .migrations()
                        .iter()
                        .any(|migration| migration.name == *text),
                    "command" => ["migrate", "rollback", "undo", "adopt"].contains(&text.as_str()),
                    "error" => serde_json::from_value::<ErrorKind>(value.clone()).is_ok(),
                    _ => false,
                },
                _ => false,
            };
            assert!(is_known, "a text comes through: {key}: {value}");
        }
    }
}

/// Of the lines that are shown, those that are events of the program come with their numbers, and the others are counted.
fn check_lines(log: &LogFacts, text: &str) {
    let lines: Vec<&str> = text.lines().collect();
    let shown = &lines[lines.len().saturating_sub(SHOWN)..];
    assert_eq!(
        log.lines.len() + log.other_lines,
        shown.len(),
        "a line is lost or invented"
    );
    let events: Vec<Value> = shown
        .iter()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|line: &Value| {
            line["event"]
                .as_str()
                .is_some_and(|event| EVENTS.contains(&event))
        })
        .collect();
    assert_eq!(log.lines.len(), events.len(), "an event is lost or invented");
    for (line, event) in log.lines.iter().zip(&events) {
        assert_eq!(Some(line.event), event["event"].as_str(), "another event");
        check_numbers(line, event);
    }
}

fn check_numbers(line: &LogLine, event: &Value) {
    for (key, value) in &line.facts {
        assert_eq!(*value, event[key], "{key} is another");
    }
    let is_number = event["version"].is_number() || event["version"].is_boolean();
    let has_version = !["waiting", "run_started", "backed_up", "warning"].contains(&line.event);
    assert_eq!(
        line.facts.contains_key("version"),
        is_number && has_version,
        "the version of {event} is lost"
    );
}
