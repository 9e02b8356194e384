//! The log of a run, a line for each event.

use std::path::PathBuf;

use bridge_migrate_core::serial::path;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::output::Report;
use crate::text::{LABEL, counted, line, safe, shown, styled};

/// The answer of `log`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LogReport {
    /// The log's file.
    #[serde(serialize_with = "path")]
    pub(crate) file: PathBuf,
    /// Its lines.
    pub(crate) events: Vec<Map<String, Value>>,
    /// Lines that are no JSON object: a run that was killed while it wrote.
    pub(crate) unreadable_lines: usize,
}

impl LogReport {
    /// Reads the text of a log.
    pub(crate) fn parse(file: PathBuf, text: &str) -> Self {
        let mut events = Vec::new();
        let mut unreadable_lines = 0;
        for line in text.lines().filter(|line| !line.is_empty()) {
            match serde_json::from_str(line) {
                Ok(event) => events.push(event),
                Err(_) => unreadable_lines += 1,
            }
        }
        Self {
            file,
            events,
            unreadable_lines,
        }
    }
}

impl Report for LogReport {
    fn render(&self) -> String {
        let mut page = String::new();
        line!(page, "{}", styled(LABEL, &shown(&self.file)));
        for event in &self.events {
            line!(page, "{}", event_line(event));
        }
        if self.unreadable_lines > 0 {
            let text = format!(
                "{} cannot be read: the run was probably killed",
                counted(self.unreadable_lines as u64, "line",)
            );
            line!(page, "{}", styled(LABEL, &text));
        }
        page
    }
}

/// `15:30:45  step_finished  version=5 name=…`
fn event_line(event: &Map<String, Value>) -> String {
    let text = |key: &str| event.get(key).map(plain).unwrap_or_default();
    let time = text("time");
    let clock = time.split_once('T').map_or(time.as_str(), |(_, clock)| clock);
    let seconds = clock.split(['.', 'Z']).next().unwrap_or_default();
    let details: Vec<String> = event
        .iter()
        .filter(|(key, value)| !matches!(key.as_str(), "time" | "run" | "event") && !value.is_null())
        .map(|(key, value)| format!("{}={}", safe(key), safe(&plain(value))))
        .collect();
    let line = format!(
        "{}  {:<16} {}",
        safe(seconds),
        safe(&text("event")),
        details.join(" ")
    );
    line.trim_end().to_owned()
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;

    #[test]
    fn a_log_that_ends_in_the_middle_of_a_line_is_read_up_to_there() {
        let text = concat!(
            r#"{"time":"2026-02-22T15:30:45.123456Z","run":"5f2c01aa","event":"run_started","command":"migrate","from":1,"to":9}"#,
            "\n",
            r#"{"time":"2026-02-22T15:30:45.223456Z","run":"5f2c01aa","event":"row_skipped","key":"m-\u001b","why":null}"#,
            "\n",
            r#"{"time":"2026-02-22T15:30"#,
        );
        let report = LogReport::parse("logs/migration_20260222_153045_5f2c01aa.log".into(), text);
        insta::assert_snapshot!(strip_str(&report.render()), @r"
        logs/migration_20260222_153045_5f2c01aa.log
        15:30:45  run_started      command=migrate from=1 to=9
        15:30:45  row_skipped      key=m-\u{1b}
        1 line cannot be read: the run was probably killed
        ");
    }
}
