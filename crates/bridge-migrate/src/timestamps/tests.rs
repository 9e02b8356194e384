//! Conversion compared with Python: a golden table, properties, and a live comparison where Python 3.11 is.

use std::io::Write as _;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::*;

fn zone(name: &str) -> TimeZone {
    match name {
        "local" => TimeZone::of_machine(std::env::var_os("TZ").as_deref()).unwrap(),
        _ => TimeZone::parse(name).unwrap(),
    }
}

/// Dates, times and offsets of every form that Python reads, and of some that it nearly reads.
fn timestamp() -> impl Strategy<Value = String> {
    const DATE: &str = "(0001-01-0[1-3]|9999-12-3[01]|9999-W52-[3-7]|20[0-3][0-9]W[0-5][0-9][0-8]?\
        |(19[7-9][0-9]|20[0-3][0-9])-((0[1-9]|1[0-3])-[0-3][0-9]|W[0-5][0-9](-[0-8])?)\
        |(19[7-9][0-9]|20[0-3][0-9])(0[1-9]|1[0-2])[0-2][0-9])";
    const SEPARATOR: &str = "[T \\-:0-9Wé→😀]";
    const TIME: &str =
        "([0-2][0-9]:[0-5][0-9]:[0-5][0-9]([.,][0-9]{0,8})?|[0-2][0-9]([0-5][0-9]){0,2}([.,:]?[0-9]{0,8}))";
    const OFFSET: &str =
        "(Z|[+-][0-2][0-9]:?[0-6][0-9](:?[0-5][0-9]([.,][0-9]{1,7})?)?|[+-]00:00|[+-][0-2][0-9])?";
    (DATE, proptest::option::weighted(0.95, (SEPARATOR, TIME, OFFSET))).prop_map(|(date, rest)| match rest {
        Some((separator, time, offset)) => format!("{date}{separator}{time}{offset}"),
        None => date,
    })
}

/// A timestamp in which one character may have been replaced, inserted or removed.
fn nearly_a_timestamp() -> impl Strategy<Value = String> {
    let edit = (
        any::<prop::sample::Index>(),
        "[0-9+\\-:.,TWZ \u{0}é]?",
        0..2_usize,
    );
    (timestamp(), proptest::option::of(edit)).prop_map(|(text, edit)| {
        let mut characters: Vec<char> = text.chars().collect();
        if let Some((index, new, removed)) = edit {
            let at = index.index(characters.len());
            characters.splice(at..at + removed, new.chars());
        }
        characters.into_iter().collect()
    })
}

#[test]
fn every_row_of_the_golden_table_is_what_python_prints() {
    let mut rows = 0;
    for line in include_str!("golden.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
    {
        let [zone_name, text, expected] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("three columns in {line:?}");
        };
        let text: String = serde_json::from_str(text).unwrap();
        let converted = to_utc_isoformat(&text, &zone(zone_name));
        assert_eq!(
            converted.as_deref().unwrap_or("-"),
            expected,
            "{text:?} in {zone_name}"
        );
        assert_eq!(is_normal_form(&text), expected == text, "{text:?}");
        rows += 1;
    }
    assert!(rows > 500, "only {rows} rows");
}

#[test]
fn the_normal_form_is_told_from_its_neighbours() {
    for text in [
        "2026-02-22T15:30:45.123456+00:00",
        "2026-02-22T15:30:45+00:00",
        "2024-02-29T23:59:59.000001+00:00",
    ] {
        assert!(is_normal_form(text), "{text}");
    }
    for text in [
        "2026-02-22T15:30:45.000000+00:00",
        "2026-02-22T15:30:45.123+00:00",
        "2026-02-22T15:30:45-00:00",
        "2026-02-22 15:30:45+00:00",
        "2026-02-22T15:30:45,123456+00:00",
        "2026-02-29T15:30:45+00:00",
        "1900-02-29T15:30:45+00:00",
        "0000-01-01T00:00:00+00:00",
        "2026-02-22T24:00:00+00:00",
        "2026-02-22T15:30:45Z",
        "2026-02-22T15:30:45",
        "",
    ] {
        assert!(!is_normal_form(text), "{text}");
    }
}

#[test]
fn what_was_read_is_what_was_written() {
    let timestamp = parse("2026-W08-7T15:30:45,1234567-05:30").unwrap();
    assert_eq!(
        timestamp,
        ParsedTimestamp {
            date: NaiveDate::from_ymd_opt(2026, 2, 22).unwrap(),
            hour: 15,
            minute: 30,
            second: 45,
            microsecond: 123_456,
            utc_offset_microseconds: Some(-19_800_000_000),
        }
    );
    assert_eq!(parse("2026-02-22").unwrap().utc_offset_microseconds, None);
}

proptest! {
    #[test]
    fn no_text_panics(text in prop_oneof![any::<String>(), "[0-9W:+Z.\\-\u{0}é]{0,40}", nearly_a_timestamp()]) {
        let converted = to_utc_isoformat(&text, &zone("America/St_Johns"));
        prop_assert!(converted.is_none() || parse(&text).is_some());
    }

    #[test]
    fn a_converted_timestamp_stays_as_it_is_in_every_zone(text in timestamp()) {
        if let Some(converted) = to_utc_isoformat(&text, &zone("Europe/Berlin")) {
            prop_assert!(is_normal_form(&converted));
            for name in ["local", "UTC", "Australia/Lord_Howe"] {
                let again = to_utc_isoformat(&converted, &zone(name));
                prop_assert_eq!(again.as_deref(), Some(converted.as_str()));
            }
        }
    }

    #[test]
    fn the_normal_form_is_exactly_what_conversion_leaves_alone(
        text in prop_oneof![
            nearly_a_timestamp(),
            "[0-2]0[0-2][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6]0:[0-6]0(\\.[0-9]00000)?[+-]0[0-1]:00",
        ]
    ) {
        let unchanged = to_utc_isoformat(&text, &TimeZone::Utc).as_deref() == Some(text.as_str());
        prop_assert_eq!(is_normal_form(&text), unchanged);
    }
}

/// Reads JSON texts from stdin, a line each, and prints each one's conversion, or `-` where Python raises.
const CONVERT_WITH_PYTHON: &str = r#"
import json, sys
from datetime import datetime, timezone
def convert(text):
    try:
        return datetime.fromisoformat(text).astimezone(timezone.utc).isoformat()
    except (ValueError, OverflowError):
        return '-'
for line in sys.stdin.buffer.read().decode().splitlines():
    print(convert(json.loads(line)))
"#;

/// Succeeds only in CPython 3.11, since later releases read other texts, and only with the zone files that
/// the compared zones need.
const CHECK_PYTHON: &str = r#"
import os, sys, time
assert sys.version_info[:2] == (3, 11) and sys.implementation.name == 'cpython'
os.environ['TZ'] = 'Europe/Berlin'
time.tzset()
assert time.localtime(1767225600).tm_gmtoff == 3600
"#;

fn python() -> Option<&'static str> {
    ["python3.11", "python3"].into_iter().find(|program| {
        let check = Command::new(program)
            .args(["-c", CHECK_PYTHON])
            .stderr(Stdio::null())
            .status();
        check.is_ok_and(|status| status.success())
    })
}

#[test]
fn python_itself_converts_random_texts_alike() {
    let Some(python) = python() else {
        // Past the test runner, which hides what `println!` prints.
        let said = "proof: 0 timestamps (left out: it needs python3, CPython 3.11 with zone files)";
        writeln!(std::io::stdout().lock(), "{said}").unwrap();
        let known = std::env::var("TESTS_DO_WITHOUT").is_ok_and(|without| without.contains("python3"));
        assert!(
            known || std::env::var_os("CI").is_none(),
            "CI must have python3 of 3.11"
        );
        return;
    };
    let mut runner = TestRunner::deterministic();
    let strategy = nearly_a_timestamp();
    for zone_name in ["local", "UTC", "America/New_York", "Europe/Berlin"] {
        let texts: Vec<String> = (0..2000)
            .map(|_| strategy.new_tree(&mut runner).unwrap().current())
            .collect();
        let lines: Vec<String> = texts
            .iter()
            .map(|text| serde_json::to_string(text).unwrap() + "\n")
            .collect();
        let mut command = Command::new(python);
        command
            .args(["-c", CONVERT_WITH_PYTHON])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if zone_name != "local" {
            command.env("TZ", zone_name);
        }
        let mut child = command.spawn().unwrap();
        // Python reads all of its input before it prints, so writing it first cannot block.
        child
            .stdin
            .take()
            .unwrap()
            .write_all(lines.concat().as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let expected = String::from_utf8(output.stdout).unwrap();
        assert_eq!(expected.lines().count(), texts.len());
        let mut converted = 0;
        for (text, expected) in texts.iter().zip(expected.lines()) {
            let actual = to_utc_isoformat(text, &zone(zone_name));
            assert_eq!(
                actual.as_deref().unwrap_or("-"),
                expected,
                "{text:?} in {zone_name}"
            );
            converted += usize::from(actual.is_some());
        }
        assert!(
            (500..1900).contains(&converted),
            "{converted} of 2000 texts were timestamps"
        );
    }
}
