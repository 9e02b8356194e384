//! The log of a run, which `doctor` reads: nothing of it comes through but what the program itself would write.

use std::cell::OnceCell;
use std::fs;

use bridge_migrate_core::doctor::{LogFacts, last_log};
use bridge_migrate_core::error::ErrorKind;
use chrono::DateTime;
use serde_json::Value;

use crate::ground::{CATALOG, Place};

/// Lines at the end of a log that are shown.
const SHOWN: usize = 200;
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
/// When a line is lost, or a text comes through that the program does not know.
pub fn run_log(data: &[u8]) {
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
        let log = last_log(&CATALOG, &place.settings).expect("there is a log");
        check(&log, data);
    });
}

fn check(log: &LogFacts, data: &[u8]) {
    if data.len() <= 256 * 1024 {
        let lines = String::from_utf8_lossy(data).lines().count();
        assert_eq!(log.lines.len() + log.other_lines, lines.min(SHOWN));
    }
    for line in &log.lines {
        if let Some(time) = &line.time {
            assert!(DateTime::parse_from_rfc3339(time).is_ok(), "{time:?}");
        }
        if let Some(run) = &line.run {
            assert!(run.len() == 8 && u32::from_str_radix(run, 16).is_ok(), "{run:?}");
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
            assert!(is_known, "{key}: {value}");
        }
    }
}
