//! A converter of timestamps that gets offsets, zones or forms wrong.

use bridge_migrate::timestamps::to_utc_isoformat;
use bridge_migrate_core::TimeZone;
use rubbish::targets::timestamp::check;

use super::assert_noticed;
use crate::words;

type Convert = fn(&str, &TimeZone) -> Option<String>;

/// Where the offset `+HH:MM:SS`, or as much of it, begins.
fn offset(text: &str, length: usize) -> Option<usize> {
    let at = text.len().checked_sub(length)?;
    text.get(at..)?.starts_with(['+', '-']).then_some(at)
}

fn without_offset(text: &str, zone: &TimeZone) -> Option<String> {
    let at = offset(text, "+HH:MM".len()).filter(|at| *at > "YYYY-MM-DD".len());
    to_utc_isoformat(at.map_or(text, |at| &text[..at]), zone)
}

fn without_its_seconds(text: &str, zone: &TimeZone) -> Option<String> {
    let whole = offset(text, "+HH:MM:SS".len()).map_or(text, |_| &text[..text.len() - ":SS".len()]);
    to_utc_isoformat(whole, zone)
}

fn with_z(text: &str, zone: &TimeZone) -> Option<String> {
    to_utc_isoformat(text, zone).map(|normal| normal.replace("+00:00", "Z"))
}

/// The basic form is a number.
fn only_extended(text: &str, zone: &TimeZone) -> Option<String> {
    to_utc_isoformat(text, zone).filter(|_| text.contains('-'))
}

/// A word is the beginning of time.
fn of_words(text: &str, zone: &TimeZone) -> Option<String> {
    let beginning = || {
        text.starts_with(char::is_alphabetic)
            .then(|| "0001-01-01T00:00:00+00:00".to_owned())
    };
    to_utc_isoformat(text, zone).or_else(beginning)
}

#[test]
fn another_moment_is_noticed() {
    let mistakes: [(&str, Convert, &str); 6] = [
        ("an offset left out", without_offset, " in UTC"),
        ("its seconds left out", without_its_seconds, " in UTC"),
        (
            "every local time in UTC",
            |text, _| to_utc_isoformat(text, &TimeZone::Utc),
            " in America/St_Johns",
        ),
        ("another form", with_z, " became "),
        ("the basic form not known", only_extended, " in UTC"),
        ("a word taken for a timestamp", of_words, "is no timestamp"),
    ];
    for (mistake, convert, why) in mistakes {
        assert_noticed(&words::timestamp(), mistake, |data| check(convert, data), why);
    }
}
