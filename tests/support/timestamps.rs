//! Texts that stand in `messages.timestamp`, sorted by what Python 3.11 makes of each.
//!
//! "Converts" means `datetime.fromisoformat(x).astimezone(timezone.utc).isoformat()`; the lists and the expected
//! values come from running it.

/// Already in the normal form: Python gives each back as it is.
pub const NORMAL: &[&str] = &[
    "2026-02-22T15:30:45.123456+00:00",
    "2026-02-22T15:30:45+00:00",
    "2026-02-22T15:30:45.000001+00:00",
    "0001-01-01T00:00:00.000001+00:00",
    "9999-12-31T23:59:59+00:00",
];

/// With an offset, and what each converts to in every time zone.
pub const WITH_OFFSET: &[(&str, &str)] = &[
    ("2026-02-22T15:30:45.Z", "2026-02-22T15:30:45+00:00"),
    ("2026-02-22T15:30:45 +00:00", "2026-02-22T15:30:45+00:00"),
    ("2026-02-22T15:30:45 Z", "2026-02-22T15:30:45+00:00"),
    ("2026-02-22T15:30:45.123456Z", "2026-02-22T15:30:45.123456+00:00"),
    ("2026-02-22T15:30:45Z", "2026-02-22T15:30:45+00:00"),
    ("2026-02-22T15:30Z", "2026-02-22T15:30:00+00:00"),
    ("2026-02-22T15Z", "2026-02-22T15:00:00+00:00"),
    ("20260222T153045Z", "2026-02-22T15:30:45+00:00"),
    ("20260222T153045+0530", "2026-02-22T10:00:45+00:00"),
    ("2026-02-22T15:30:45-05:00", "2026-02-22T20:30:45+00:00"),
    ("2026-02-22T15:30:45.5-05:00", "2026-02-22T20:30:45.500000+00:00"),
    (
        "2026-02-22T15:30:45.123456+05:30",
        "2026-02-22T10:00:45.123456+00:00",
    ),
    (
        "2026-02-22T15:30:45.123456+0530",
        "2026-02-22T10:00:45.123456+00:00",
    ),
    ("2026-02-22T15:30:45+05", "2026-02-22T10:30:45+00:00"),
    ("2026-02-22T15:30:45+12:45", "2026-02-22T02:45:45+00:00"),
    ("2026-02-22T15:30:45-00:00", "2026-02-22T15:30:45+00:00"),
    ("2026-02-22T15:30:45.000000+00:00", "2026-02-22T15:30:45+00:00"),
    ("2026-02-22 15:30:45+00:00", "2026-02-22T15:30:45+00:00"),
    ("2026-02-22T15:30:45+00:00:30", "2026-02-22T15:30:15+00:00"),
    (
        "2026-02-22T15:30:45+05:30:15.250000",
        "2026-02-22T10:00:29.750000+00:00",
    ),
    (
        "2026-02-22T15:30:45.999999-00:00:00.000001",
        "2026-02-22T15:30:45.999999+00:00",
    ),
    ("2026-02-22T15:30:45+23:59", "2026-02-21T15:31:45+00:00"),
    (
        "2026-02-22T15:30:45-23:59:59.999999",
        "2026-02-23T15:30:44.999999+00:00",
    ),
    ("2026-W08-7T15:30:45Z", "2026-02-22T15:30:45+00:00"),
    ("2026W087T153045.123456-0800", "2026-02-22T23:30:45.123456+00:00"),
    ("0001-01-01T00:00:00+00:00", "0001-01-01T00:00:00+00:00"),
    ("0001-01-01T12:00:00+05:30", "0001-01-01T06:30:00+00:00"),
    (
        "9999-12-31T23:59:59.999999+00:00",
        "9999-12-31T23:59:59.999999+00:00",
    ),
    ("9999-12-31T12:00:00-05:30", "9999-12-31T17:30:00+00:00"),
    ("2024-02-29T00:30:00+01:00", "2024-02-28T23:30:00+00:00"),
    ("2026-01-01T00:30:00+01:00", "2025-12-31T23:30:00+00:00"),
    (
        "2026-02-22T15:30:45.1234567+00:00",
        "2026-02-22T15:30:45.123456+00:00",
    ),
    ("2026-02-22T15:30:45,5Z", "2026-02-22T15:30:45.500000+00:00"),
];

/// Without an offset, so that the time zone decides; ambiguous and non-existent local times of Berlin, New York,
/// Sydney, Lord Howe and Apia among them.
pub const NAIVE: &[&str] = &[
    "20260222T15:30:45",
    "2026-02-22T153045",
    "2026-02-22T15:30:45.123456",
    "2026-02-22T15:30:45",
    "2026-02-22 15:30:45",
    "2026-02-22T15:30",
    "2026-02-22T15",
    "2026-02-22",
    "20260222T153045",
    "20260222T153045.123456",
    "20260222T1530",
    "20260222",
    "2026-W08-7",
    "2026W087",
    "2026-W08",
    "2026-W08-7T15:30:45",
    "2020-W53-5T23:59:59",
    "2026-02-22x15:30:45",
    "2026-02-22é15:30:45",
    "2026-02-22🎉15:30:45",
    "2026-02-22T15:30:45,123456",
    "2026-02-22T15:30:45.1",
    "2026-02-22T15:30:45.12",
    "2026-02-22T15:30:45.123",
    "2026-02-22T15:30:45.1234567890",
    "2026-02-22T00:00:00",
    "2024-02-29T12:00:00",
    "2000-02-29T12:00:00",
    "1970-01-01T00:00:00",
    "1969-12-31T23:59:59.999999",
    "1900-01-01T00:00:00",
    "1883-11-18T12:02:00",
    "1582-10-10T00:00:00",
    "0001-01-03T00:00:00",
    "9999-12-29T23:59:59.999999",
    "2025-10-26T02:30:00",
    "2026-03-29T02:30:00",
    "2025-11-02T01:30:00.250000",
    "2026-03-08T02:30:00",
    "2026-04-05T01:45:00",
    "2026-10-04T02:15:00",
    "2011-12-30T12:00:00",
    "2016-12-31T23:59:59",
    "2038-01-19T03:14:08",
    "2100-03-01T02:30:00",
];

/// Python reads each and fails to convert it: the result is outside the years 1 to 9999.
pub const OUT_OF_RANGE: &[&str] = &[
    "0001-01-01T00:00:00+00:01",
    "0001-01-01T05:29:59+05:30",
    "9999-12-31T23:59:59-00:01",
    "9999-12-31T18:30:00-05:30",
    "0001-01-01T00:00:00+23:59",
];

/// Python does not take these for timestamps.
pub const GARBAGE: &[&str] = &[
    "",
    " ",
    "yesterday",
    "NULL",
    "null",
    "1771774245",
    "1771774245.123456",
    "2026-13-01T00:00:00+00:00",
    "2026-02-30T00:00:00Z",
    "2025-02-29T12:00:00",
    "2026-02-22T24:00:00",
    "2026-02-22T15:60:00",
    "2026-02-22T15:30:60Z",
    "0000-01-01T00:00:00Z",
    "10000-01-01T00:00:00Z",
    "-2026-02-22T15:30:45",
    "2026-02-22T15:30:45+24:00",
    "2026-02-22T15:30:45z",
    " 2026-02-22T15:30:45Z",
    "2026-02-22T15:30:45Z ",
    "2026-02-22T15:30:45Z\n",
    "2026-02-22T15:30:45+5:30",
    "2026-2-2T15:30:45",
    "2026/02/22 15:30:45",
    "22.02.2026 15:30",
    "Sun, 22 Feb 2026 15:30:45 GMT",
    "2026-02-22T",
    "2026-053",
    "2021-W53-1",
    "2026-W08-8",
    "2026-W00-1",
    "2026-02-22T15:3",
    "٢٠٢٦-٠٢-٢٢T١٥:٣٠:٤٥",
    "２０２６-02-22",
    "2026−02−22T15:30:45",
    "2026-02-22T15:30:45UTC",
    "2026-02-22T15:30:45[Europe/Berlin]",
    "now",
    "🎉",
    "2026-02-22T15:30:45+00:00+00:00",
    "2026-02-22T15:30:45.12345x",
    "2026-02-22T15:30:45--05:00",
];

/// Every text of the lists above.
pub fn all() -> impl Iterator<Item = &'static str> {
    let with_offset = WITH_OFFSET.iter().map(|(text, _)| *text);
    let rest = [NORMAL, NAIVE, OUT_OF_RANGE, GARBAGE]
        .into_iter()
        .flatten()
        .copied();
    with_offset.chain(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::{python3_11, run_python};

    /// What the lists claim, as `text → expected`: the converted text, `naive`, `range` or `garbage`.
    fn claims() -> serde_json::Value {
        let same = |texts: &[&str], expected: Option<&str>| -> Vec<(String, String)> {
            let pair = |text: &&str| ((*text).to_owned(), expected.unwrap_or(text).to_owned());
            texts.iter().map(pair).collect()
        };
        let mut claims = same(NORMAL, None);
        claims.extend(
            WITH_OFFSET
                .iter()
                .map(|(text, utc)| ((*text).to_owned(), (*utc).to_owned())),
        );
        claims.extend(same(NAIVE, Some("naive")));
        claims.extend(same(OUT_OF_RANGE, Some("range")));
        claims.extend(same(GARBAGE, Some("garbage")));
        serde_json::json!(claims)
    }

    #[test]
    fn python_agrees_where_it_is_installed() {
        let script = "
import json, sys
from datetime import datetime, timezone
def verdict(text):
    try: time = datetime.fromisoformat(text)
    except ValueError: return 'garbage'
    if time.tzinfo is None: return 'naive'
    try: return time.astimezone(timezone.utc).isoformat()
    except OverflowError: return 'range'
for text, expected in json.load(open(sys.argv[1])):
    if verdict(text) != expected: print(repr(text), expected, verdict(text))
";
        let Some(python) = python3_11() else { return };
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), claims().to_string()).unwrap();
        assert_eq!(run_python(&python, file.path(), script).as_deref(), Ok(""));
    }

    #[test]
    fn no_text_is_listed_twice() {
        let distinct: std::collections::BTreeSet<_> = all().collect();
        assert_eq!(distinct.len(), all().count());
    }
}
