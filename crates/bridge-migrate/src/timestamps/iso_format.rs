//! The grammar of `datetime.fromisoformat` in CPython 3.11.
//!
//! CPython reads a NUL-terminated UTF-8 string and at some places takes a NUL inside the text for its end;
//! so does [`byte_at`], which gives a NUL past the end.

use chrono::{Datelike, NaiveDate, Weekday};

use super::{MICROSECONDS_PER_SECOND, ParsedTimestamp, SECONDS_PER_DAY};

/// Reads a timestamp as Python 3.11 does; `None` where `datetime.fromisoformat` raises.
pub fn parse(text: &str) -> Option<ParsedTimestamp> {
    let text = text.as_bytes();
    // Every date has at least seven characters.
    if text.len() < 7 {
        return None;
    }
    let separator = find_separator(text)?;
    let date = parse_date(text, separator)?;
    let (time, utc_offset_microseconds) = if text.len() > separator {
        parse_time(text.get(separator + utf8_length(byte_at(text, separator))..)?)?
    } else {
        (TimeOfDay::default(), None)
    };
    (time.hour < 24 && time.minute < 60 && time.second < 60).then_some(ParsedTimestamp {
        date,
        hour: time.hour,
        minute: time.minute,
        second: time.second,
        microsecond: time.microsecond,
        utc_offset_microseconds,
    })
}

fn byte_at(text: &[u8], index: usize) -> u8 {
    text.get(index).copied().unwrap_or(0)
}

fn utf8_length(first_byte: u8) -> usize {
    match first_byte {
        0..0x80 => 1,
        0x80..0xE0 => 2,
        0xE0..0xF0 => 3,
        0xF0.. => 4,
    }
}

/// A number of exactly `N` ASCII digits.
fn digits<const N: usize>(text: &[u8], start: usize) -> Option<u32> {
    text.get(start..start + N)?.iter().try_fold(0, |number, byte| {
        byte.is_ascii_digit()
            .then(|| number * 10 + u32::from(byte - b'0'))
    })
}

/// Where the date ends. Any character may separate it from the time, even a digit or a hyphen, so the form
/// of the date decides; where that is ambiguous CPython guesses, and so does this.
fn find_separator(text: &[u8]) -> Option<usize> {
    if text.len() == 7 {
        return Some(7);
    }
    match (byte_at(text, 4), byte_at(text, 5)) {
        (b'-', b'W') if text.len() > 8 && byte_at(text, 8) == b'-' => match text.len() {
            9 => None,
            // `YYYY-Www-HH…` rather than `YYYY-Www-D` followed by a digit as separator.
            _ if byte_at(text, 10).is_ascii_digit() => Some(8),
            _ => Some(10),
        },
        (b'-', b'W') => Some(8),
        (b'-', _) => Some(10),
        (b'W', _) => {
            // Times have an even number of digits: with `YYYYWww` and a digit as separator the run of
            // digits ends at an even index, with `YYYYWwwd` at an odd one.
            let digits = text
                .iter()
                .skip(7)
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            match 7 + digits {
                end @ ..9 => Some(end),
                end if end % 2 == 0 => Some(7),
                _ => Some(8),
            }
        }
        _ => Some(8),
    }
}

/// The date before `separator`: `YYYY-MM-DD`, `YYYYMMDD`, `YYYY-Www[-D]` or `YYYYWww[D]`.
fn parse_date(text: &[u8], separator: usize) -> Option<NaiveDate> {
    let year = i32::try_from(digits::<4>(text, 0)?).ok()?;
    let extended = byte_at(text, 4) == b'-';
    let hyphen_at = |index| !extended || byte_at(text, index) == b'-';
    let width = usize::from(extended);
    let rest = 4 + width;
    if year == 0 {
        return None;
    }
    if byte_at(text, rest) == b'W' {
        let week = digits::<2>(text, rest + 1)?;
        let weekday = match rest + 3 {
            end if end >= separator => 1,
            end if hyphen_at(end) => digits::<1>(text, end + width)?,
            _ => return None,
        };
        let weekday = Weekday::try_from(u8::try_from(weekday.checked_sub(1)?).ok()?).ok()?;
        // The last week of 9999 ends in the year 10000.
        return NaiveDate::from_isoywd_opt(year, week, weekday).filter(|date| date.year() <= 9999);
    }
    let month = digits::<2>(text, rest)?;
    if !hyphen_at(rest + 2) {
        return None;
    }
    NaiveDate::from_ymd_opt(year, month, digits::<2>(text, rest + 2 + width)?)
}

#[derive(Default)]
struct TimeOfDay {
    hour: u8,
    minute: u8,
    second: u8,
    microsecond: u32,
}

/// How a time of day ended.
#[derive(PartialEq)]
enum End {
    Clean,
    /// A character follows that belongs to no time of day. CPython minds only when no offset follows.
    Junk,
}

/// A time of day and the offset that may follow it, in microseconds.
fn parse_time(text: &[u8]) -> Option<(TimeOfDay, Option<i64>)> {
    let sign = text.iter().position(|byte| matches!(byte, b'Z' | b'+' | b'-'));
    let (time, end) = parse_time_of_day(text, sign.unwrap_or(text.len()))?;
    let Some(sign) = sign else {
        return (end == End::Clean).then_some((time, None));
    };
    let after = text.get(sign + 1..)?;
    let offset = match byte_at(text, sign) {
        b'Z' if byte_at(after, 0) == 0 => 0,
        b'Z' => return None,
        b'-' => -parse_offset(after)?,
        _ => parse_offset(after)?,
    };
    Some((time, Some(offset)))
}

/// An offset without its sign, in microseconds: below a day, though its minutes and seconds may exceed 59.
fn parse_offset(text: &[u8]) -> Option<i64> {
    let (time, end) = parse_time_of_day(text, text.len())?;
    let seconds = i64::from(time.hour) * 3600 + i64::from(time.minute) * 60 + i64::from(time.second);
    // CPython takes an offset of less than a second for UTC.
    let microseconds = if seconds == 0 {
        0
    } else {
        i64::from(time.microsecond)
    };
    (end == End::Clean && seconds < SECONDS_PER_DAY)
        .then_some(seconds * MICROSECONDS_PER_SECOND + microseconds)
}

/// `HH[[:]MM[[:]SS]]` and a fraction, which may follow any of them, up to `end`.
fn parse_time_of_day(text: &[u8], end: usize) -> Option<(TimeOfDay, End)> {
    let mut components = [0; 3];
    let with_fraction = |[hour, minute, second]: [u8; 3], microsecond, next| {
        (
            TimeOfDay {
                hour,
                minute,
                second,
                microsecond,
            },
            if next == 0 { End::Clean } else { End::Junk },
        )
    };
    let mut index = 0;
    let mut extended = false;
    for position in 0..components.len() {
        components[position] = u8::try_from(digits::<2>(text, index)?).ok()?;
        let next = byte_at(text, index + 2);
        index += 3;
        if position == 0 {
            extended = next == b':';
        }
        if index >= end {
            return Some(with_fraction(components, 0, next));
        }
        match next {
            b':' if extended => {}
            b'.' | b',' => break,
            _ if !extended => index -= 1,
            _ => return None,
        }
    }
    // After `HH:MM:SS:` and `HHMMSS` CPython reads a fraction too, though no decimal mark stands before it.
    let (microsecond, digits_end) = parse_fraction(text, index, end)?;
    Some(with_fraction(components, microsecond, byte_at(text, digits_end)))
}

/// Up to six digits as microseconds, and where the digits end, those that are cut off included.
fn parse_fraction(text: &[u8], start: usize, end: usize) -> Option<(u32, usize)> {
    let significant = text.get(start..end.min(start + 6))?;
    let mut microsecond = 0;
    for byte in significant {
        if !byte.is_ascii_digit() {
            return None;
        }
        microsecond = microsecond * 10 + u32::from(byte - b'0');
    }
    for _ in significant.len()..6 {
        microsecond *= 10;
    }
    let rest = text.get(start + significant.len()..)?;
    let cut_off = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    Some((microsecond, start + significant.len() + cut_off))
}
