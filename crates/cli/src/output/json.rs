//! What scripts get: one object with `ok`, `command` and `database`, and the command's own keys.

use bridge_migrate_core::{Error, ErrorKind, Reached, is_hidden};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::exit_code;

/// An answer.
#[derive(Serialize)]
struct Success<'a, T> {
    ok: bool,
    command: &'a str,
    database: &'a str,
    #[serde(flatten)]
    report: &'a T,
}

/// The same for a report that has a key `database` of its own: the contract of `backup create`.
#[derive(Serialize)]
struct SuccessElsewhere<'a, T> {
    ok: bool,
    command: &'a str,
    source: &'a str,
    #[serde(flatten)]
    report: &'a T,
}

/// A failure.
#[derive(Serialize)]
struct Failed<'a> {
    ok: bool,
    command: &'a str,
    database: &'a str,
    error: ErrorObject<'a>,
    #[serde(flatten)]
    report: Option<&'a Map<String, Value>>,
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    kind: ErrorKind,
    message: &'a str,
    hint: &'a str,
    exit_code: u8,
    truth: Option<String>,
    causes: Vec<String>,
    reached: Option<&'a Reached>,
}

/// Which key of the envelope names the database that the command is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DatabaseKey {
    /// `database`.
    Database,
    /// `source`, since `database` is a key of the report.
    Source,
}

/// The object of an answer, as a line.
pub(crate) fn success<T: Serialize>(
    command: &str,
    database: &str,
    key: DatabaseKey,
    report: &T,
) -> serde_json::Result<String> {
    let line = match key {
        DatabaseKey::Database => serde_json::to_string(&Success {
            ok: true,
            command,
            database,
            report,
        }),
        DatabaseKey::Source => serde_json::to_string(&SuccessElsewhere {
            ok: true,
            command,
            source: database,
            report,
        }),
    };
    line.map(on_one_line)
}

/// The object of a failure, as a line.
pub(crate) fn failure(
    command: &str,
    database: &str,
    error: &Error,
    hint: &str,
    report: Option<&Value>,
) -> serde_json::Result<String> {
    let failed = Failed {
        ok: false,
        command,
        database,
        error: ErrorObject {
            kind: error.kind(),
            message: error.message(),
            hint,
            exit_code: exit_code::of(error),
            truth: super::error::truth(error),
            causes: causes(error),
            reached: error.reached(),
        },
        report: report.and_then(Value::as_object),
    };
    serde_json::to_string(&failed).map(on_one_line)
}

/// The line with hidden characters escaped as JSON does it: they can stand in its texts only, and mean the same.
fn on_one_line(json: String) -> String {
    let mut line = String::with_capacity(json.len() + 1);
    for character in json.chars() {
        if is_hidden(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                line.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            line.push(character);
        }
    }
    line.push('\n');
    line
}

/// What lies beneath an error, outermost first.
pub(crate) fn causes(error: &Error) -> Vec<String> {
    let mut causes = Vec::new();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    causes
}

#[cfg(test)]
mod tests {
    use bridge_migrate_core::Hint;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_begins_with_what_it_answers() {
        let report = json!({ "version": 9 });
        let line = success("status", "data/collab.db", DatabaseKey::Database, &report).unwrap();
        insta::assert_snapshot!(line, @r#"{"ok":true,"command":"status","database":"data/collab.db","version":9}"#);
    }

    #[test]
    fn a_failure_says_all_that_people_are_told() {
        let error = Error::new(ErrorKind::DiskFull, "cannot write x")
            .with_truth("The database is whole, at 1.1.0 (V005).")
            .with_hint(Hint::FreeSpace(None))
            .with_source(std::io::Error::other("no space"))
            .with_reached(Reached {
                version: 5,
                release: bridge_migrate_core::Release::parse("1.1.0").ok(),
            });
        let line = failure("migrate", "x.db", &error, "df -h", None).unwrap();
        let value: Value = serde_json::from_str(&line).unwrap();
        insta::assert_snapshot!(serde_json::to_string_pretty(&value).unwrap(), @r#"
        {
          "command": "migrate",
          "database": "x.db",
          "error": {
            "causes": [
              "no space"
            ],
            "exit_code": 3,
            "hint": "df -h",
            "kind": "disk_full",
            "message": "cannot write x",
            "reached": {
              "release": "1.1.0",
              "version": 5
            },
            "truth": "The database is whole, at 1.1.0 (V005)."
          },
          "ok": false
        }
        "#);
    }

    #[test]
    fn what_is_hidden_in_a_text_is_escaped_and_means_the_same() {
        let report = json!({ "name": "a\u{202e}b\u{e0041}\u{7f}" });
        let line = success("status", "x.db", DatabaseKey::Database, &report).unwrap();
        assert!(line.contains(r#""a\u202eb\udb40\udc41\u007f""#), "{line}");
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["name"], report["name"]);
    }

    #[test]
    fn findings_stand_beside_the_error() {
        let error = Error::new(ErrorKind::VerificationFailed, "1 problem");
        let report = json!({ "problems": ["x"] });
        let line = failure("backup verify", "x.db", &error, "", Some(&report)).unwrap();
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["problems"][0], "x");
        assert_eq!(value["ok"], false);
    }
}
