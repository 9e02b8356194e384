//! A log of which lines are lost or invented, or texts come through.

use std::fs;

use bridge_migrate_core::Settings;
use bridge_migrate_sqlite::doctor::{LogFacts, last_log};
use rubbish::ground::CATALOG;
use rubbish::targets::run_log::check;
use serde_json::Value;

use super::assert_noticed;
use crate::files;

type Change = fn(&Settings, &mut LogFacts);

/// With the message of each warning.
fn with_messages(settings: &Settings, log: &mut LogFacts) {
    let files = fs::read_dir(&settings.log_dir).unwrap();
    let text: Vec<u8> = files
        .flat_map(|file| fs::read(file.unwrap().path()).unwrap())
        .collect();
    let warnings = String::from_utf8_lossy(&text)
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|line: &Value| line["event"] == "warning")
        .collect::<Vec<_>>();
    let shown = log.lines.iter_mut().filter(|line| line.event == "warning");
    for (line, warning) in shown.zip(warnings) {
        let message = warning.get("message").cloned();
        line.facts
            .extend(message.map(|message| ("message".to_owned(), message)));
    }
}

#[test]
fn another_log_is_noticed() {
    let mistakes: [(&str, Change, &str); 7] = [
        (
            "a line twice",
            |_, log| log.lines.extend(log.lines.last().cloned()),
            "a line is lost or invented",
        ),
        (
            "a malformed line not counted",
            |_, log| log.other_lines = 0,
            "a line is lost or invented",
        ),
        (
            "a warning no event",
            |_, log| {
                let before = log.lines.len();
                log.lines.retain(|line| line.event != "warning");
                log.other_lines += before - log.lines.len();
            },
            "an event is lost or invented",
        ),
        (
            "the message of a warning",
            with_messages,
            "a text comes through: message",
        ),
        (
            "a version lost",
            |_, log| {
                for line in &mut log.lines {
                    line.facts.remove("version");
                }
            },
            "is lost",
        ),
        (
            "another version",
            |_, log| {
                for version in log
                    .lines
                    .iter_mut()
                    .filter_map(|line| line.facts.get_mut("version"))
                {
                    *version = 0.into();
                }
            },
            "version is another",
        ),
        (
            "any text as a time",
            |_, log| {
                for line in &mut log.lines {
                    line.time.get_or_insert_with(|| "yesterday".to_owned());
                }
            },
            "no time: ",
        ),
    ];
    for (mistake, change, why) in mistakes {
        let read = |settings: &Settings| {
            let mut log = last_log(&CATALOG, settings)?;
            change(settings, &mut log);
            Some(log)
        };
        assert_noticed(&files::run_log(), mistake, |data| check(read, data), why);
    }
}
