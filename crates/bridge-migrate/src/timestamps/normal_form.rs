//! The normal form of a timestamp: writing it, and telling it from its bytes.

use chrono::{Datelike, NaiveDate};

use super::{MAX_SECONDS, MICROSECONDS_PER_SECOND, MIN_SECONDS, SECONDS_PER_DAY};

/// The ordinal of 1970-01-01, where 0001-01-01 is day 1.
pub(super) const DAYS_TO_1970: i32 = 719_163;

/// The normal form of an instant in microseconds since 1970 UTC; `None` outside the years 1 to 9999.
pub(super) fn format(unix_microseconds: i64) -> Option<String> {
    let seconds = unix_microseconds.div_euclid(MICROSECONDS_PER_SECOND);
    let microsecond = unix_microseconds.rem_euclid(MICROSECONDS_PER_SECOND);
    if !(MIN_SECONDS..=MAX_SECONDS).contains(&seconds) {
        return None;
    }
    let days = i32::try_from(seconds.div_euclid(SECONDS_PER_DAY)).ok()?;
    let date = NaiveDate::from_num_days_from_ce_opt(days + DAYS_TO_1970)?;
    let second_of_day = seconds.rem_euclid(SECONDS_PER_DAY);

    let mut text = String::with_capacity("2026-02-22T15:30:45.123456+00:00".len());
    push_digits(&mut text, i64::from(date.year()), 4);
    text.push('-');
    push_digits(&mut text, i64::from(date.month()), 2);
    text.push('-');
    push_digits(&mut text, i64::from(date.day()), 2);
    text.push('T');
    push_digits(&mut text, second_of_day / 3600, 2);
    text.push(':');
    push_digits(&mut text, second_of_day / 60 % 60, 2);
    text.push(':');
    push_digits(&mut text, second_of_day % 60, 2);
    if microsecond != 0 {
        text.push('.');
        push_digits(&mut text, microsecond, 6);
    }
    text.push_str("+00:00");
    Some(text)
}

/// `number` with leading zeros; `std::fmt` would take most of the time of a conversion.
fn push_digits(text: &mut String, number: i64, width: u32) {
    for position in (0..width).rev() {
        let digit = number / 10_i64.pow(position) % 10;
        text.push(char::from(b'0' + digit.unsigned_abs() as u8));
    }
}

/// Whether a text is already what [`to_utc_isoformat`](super::to_utc_isoformat) makes of it, in any zone.
///
/// Looks at the bytes only and allocates nothing: it is for scanning whole tables.
pub fn is_normal_form(text: &str) -> bool {
    let text = text.as_bytes();
    let fraction = match text.len() {
        25 => &[][..],
        32 => &text[19..26],
        _ => return false,
    };
    let fraction_is_normal = match fraction {
        [] => true,
        [mark, digits @ ..] => {
            *mark == b'.'
                && digits.iter().all(u8::is_ascii_digit)
                && digits.iter().any(|digit| *digit != b'0')
        }
    };
    fraction_is_normal && text.ends_with(b"+00:00") && is_date_and_time(&text[..19])
}

/// Whether 19 bytes are `YYYY-MM-DDTHH:MM:SS` with a valid date in the years 1 to 9999 and a valid time.
fn is_date_and_time(text: &[u8]) -> bool {
    let &[
        y1,
        y2,
        y3,
        y4,
        b'-',
        m1,
        m2,
        b'-',
        d1,
        d2,
        b'T',
        h1,
        h2,
        b':',
        n1,
        n2,
        b':',
        s1,
        s2,
    ] = text
    else {
        return false;
    };
    if ![y1, y2, y3, y4, m1, m2, d1, d2, h1, h2, n1, n2, s1, s2]
        .iter()
        .all(u8::is_ascii_digit)
    {
        return false;
    }
    let pair = |tens: u8, ones: u8| u32::from(tens - b'0') * 10 + u32::from(ones - b'0');
    let year = pair(y1, y2) * 100 + pair(y3, y4);
    let days = match pair(m1, m2) {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 0,
    };
    year > 0
        && (1..=days).contains(&pair(d1, d2))
        && pair(h1, h2) < 24
        && pair(n1, n2) < 60
        && pair(s1, s2) < 60
}
