//! Takes out of a program's output what differs from run to run, so that the rest can be a snapshot.

/// Shapes and what stands for them, the longest first. In a shape `0` is any digit, `x` any lower-case hexadecimal
/// digit, and every other character itself; the text around a match must not go on with a letter or digit.
const SHAPES: [(&str, &str); 6] = [
    ("00000000_000000_xxxxxxxx", "[RUN]"),
    ("00000000_000000", "[STAMP]"),
    ("0000-00-00T00:00:00.000000", "[TIME]"),
    ("0000-00-00T00:00:00", "[TIME]"),
    ("0000-00-00 00:00:00", "[TIME]"),
    (
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "[SHA256]",
    ),
];
/// Units behind a number that make it a duration.
const UNITS: [&str; 8] = ["ms", "µs", "us", "ns", "s", "seconds", "second", "minutes"];
/// JSON keys whose number or text differs from run to run.
const KEYS: [(&str, &str); 5] = [
    ("duration_ms", "[DURATION]"),
    ("max_lock_ms", "[DURATION]"),
    ("waited_ms", "[DURATION]"),
    ("run", "[RUN]"),
    ("pid", "[PID]"),
];

/// `text` with `literals` (such as paths) and then times, durations, digests and run names replaced.
///
/// Only an `s`-like unit directly behind a number, or after one space, makes a duration: `3 steps` stays.
pub fn redact(text: &str, literals: &[(String, String)]) -> String {
    let mut text = text.to_owned();
    for (literal, stands_for) in literals {
        text = text.replace(literal, stands_for);
    }
    let mut result = String::with_capacity(text.len());
    let mut rest = text.as_str();
    let mut before = '\n';
    while let Some(next) = rest.chars().next() {
        let found = if before.is_alphanumeric() {
            None
        } else {
            shape(rest).or_else(|| duration(rest))
        };
        let found = found.or_else(|| if next == '"' { json_value(rest) } else { None });
        if let Some((length, stands_for)) = found {
            result.push_str(&stands_for);
            before = ']';
            rest = &rest[length..];
        } else {
            result.push(next);
            before = next;
            rest = &rest[next.len_utf8()..];
        }
    }
    result
}

fn ends_word(rest: &str) -> bool {
    !rest.starts_with(|next: char| next.is_alphanumeric())
}

fn shape(text: &str) -> Option<(usize, String)> {
    SHAPES.iter().find_map(|(shape, stands_for)| {
        let head = text.as_bytes().get(..shape.len())?;
        let fits = shape.bytes().zip(head).all(|(expected, byte)| match expected {
            b'0' => byte.is_ascii_digit(),
            b'x' => byte.is_ascii_digit() || (b'a'..=b'f').contains(byte),
            other => other == *byte,
        });
        // All bytes of a match are ASCII, so the end is a character's boundary.
        let mut rest = if fits { &text[shape.len()..] } else { return None };
        if *stands_for == "[TIME]" {
            rest = rest
                .strip_prefix('Z')
                .or_else(|| rest.strip_prefix("+00:00"))
                .unwrap_or(rest);
            rest = rest.strip_prefix(" UTC").unwrap_or(rest);
        }
        ends_word(rest).then(|| (text.len() - rest.len(), (*stands_for).to_owned()))
    })
}

fn number(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches(|digit: char| digit.is_ascii_digit());
    if rest.len() == text.len() {
        return None;
    }
    match rest.strip_prefix('.') {
        Some(fraction) if fraction.starts_with(|digit: char| digit.is_ascii_digit()) => {
            Some(fraction.trim_start_matches(|digit: char| digit.is_ascii_digit()))
        }
        _ => Some(rest),
    }
}

fn duration(text: &str) -> Option<(usize, String)> {
    let rest = number(text)?;
    let rest = rest.strip_prefix(' ').unwrap_or(rest);
    let rest = UNITS
        .iter()
        .filter_map(|unit| rest.strip_prefix(unit))
        .find(|rest| ends_word(rest))?;
    Some((text.len() - rest.len(), "[DURATION]".to_owned()))
}

/// `"key": value` with one of [`KEYS`].
fn json_value(text: &str) -> Option<(usize, String)> {
    KEYS.iter().find_map(|(key, stands_for)| {
        let rest = text.strip_prefix('"')?.strip_prefix(key)?.strip_prefix("\":")?;
        let value = rest.trim_start_matches(' ');
        let head = &text[..text.len() - value.len()];
        let rest = match value.strip_prefix('"') {
            Some(inner) => &inner[inner.find('"')? + 1..],
            None => number(value)?,
        };
        Some((text.len() - rest.len(), format!("{head}\"{stands_for}\"")))
    })
}

#[cfg(test)]
mod tests {
    use super::redact;

    #[test]
    fn what_differs_from_run_to_run_goes() {
        let digest = "0123456789abcdef".repeat(4);
        for (text, expected) in [
            ("run 20261122_120000_0a1b2c3d done", "run [RUN] done"),
            (
                "collab.db.backup.20261122_120000.json",
                "collab.db.backup.[STAMP].json",
            ),
            (
                "collab.db.backup.20261122_120000_2.json",
                "collab.db.backup.[STAMP]_2.json",
            ),
            ("at 2026-11-22T12:00:00.123456Z.", "at [TIME]."),
            (
                "at 2026-11-22T12:00:00+00:00, 2026-11-22 12:00:00 UTC",
                "at [TIME], [TIME]",
            ),
            (
                "in 12 ms, 1.5s (350 µs)",
                "in [DURATION], [DURATION] ([DURATION])",
            ),
            (
                r#"{"duration_ms": 12, "rows_changed": 7}"#,
                r#"{"duration_ms": "[DURATION]", "rows_changed": 7}"#,
            ),
            (r#"{"run":"abc","x":1}"#, r#"{"run":"[RUN]","x":1}"#),
            (&format!("sha256 {digest}"), "sha256 [SHA256]"),
        ] {
            assert_eq!(redact(text, &[]), expected);
        }
    }

    #[test]
    fn what_is_the_same_in_each_run_stays() {
        for text in [
            "3 steps, 12 rows, V005, 1.2.0",
            "2026-11-22 is a day",
            "a lock budget of 250 msec",
            r#"{"version": 9, "running": 1}"#,
            "naïve 数据库 🎉",
            "deadbeef",
            "",
        ] {
            assert_eq!(redact(text, &[]), text);
        }
    }

    #[test]
    fn paths_go_first() {
        let literals = [("/tmp/bridge-20261122_120000".to_owned(), "[ROOT]".to_owned())];
        assert_eq!(
            redact("/tmp/bridge-20261122_120000/data/collab.db", &literals),
            "[ROOT]/data/collab.db"
        );
    }
}
