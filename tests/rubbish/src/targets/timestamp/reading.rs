//! An independent reading of timestamps, from the documentation of Python's `datetime.fromisoformat`: cut the text at
//! its separators, count days one year at a time. It says nothing of the oddities that are not documented.

use bridge_migrate_core::TimeZone;
use chrono::{DateTime, Datelike as _, NaiveDateTime, Offset as _, TimeDelta, TimeZone as _};

/// Microseconds of a day.
const DAY: i128 = 86_400 * SECOND;
const SECOND: i128 = 1_000_000;

/// What a text means, in microseconds since 0001-01-01.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// A local time without an offset.
    Local(i128),
    /// A moment.
    Instant(i128),
    /// Of a documented form, but no time of any calendar.
    None,
    /// Of no documented form: Python may read it or not.
    Unknown,
}

/// Reads a documented form.
pub(super) fn read(text: &str) -> Reading {
    let characters: Vec<char> = text.chars().collect();
    for (length, date) in [(10, extended_date as fn(&str) -> Option<Date>), (8, basic_date)] {
        let Some(head) = characters.get(..length) else {
            continue;
        };
        let Some(date) = date(&head.iter().collect::<String>()) else {
            continue;
        };
        let rest = &characters[length..];
        // A week date such as `2026-W08` is cut in other ways.
        return match rest {
            [] => combine(date, Some(0), None),
            // Which digit or hyphen separates and which belongs to the date, Python guesses.
            [separator, ..] if separator.is_ascii_digit() || *separator == '-' || *separator == '\0' => {
                Reading::Unknown
            }
            [_, time @ ..] => read_time(date, &time.iter().collect::<String>()),
        };
    }
    Reading::Unknown
}

struct Date {
    year: i128,
    month: i128,
    day: i128,
}

fn extended_date(text: &str) -> Option<Date> {
    match text.split('-').collect::<Vec<_>>()[..] {
        [year, month, day] => date_of(year, month, day),
        _ => None,
    }
}

fn basic_date(text: &str) -> Option<Date> {
    date_of(text.get(..4)?, text.get(4..6)?, text.get(6..8)?)
}

fn date_of(year: &str, month: &str, day: &str) -> Option<Date> {
    Some(Date {
        year: number(year, 4)?,
        month: number(month, 2)?,
        day: number(day, 2)?,
    })
}

fn number(text: &str, width: usize) -> Option<i128> {
    let plain = text.len() == width && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().unwrap())
}

fn read_time(date: Date, text: &str) -> Reading {
    let (clock, offset) = match text.find(['Z', '+', '-']) {
        None => (text, None),
        Some(at) => (&text[..at], Some(&text[at..])),
    };
    let Some(clock) = parts(clock) else {
        return Reading::Unknown;
    };
    let offset = match offset {
        None => None,
        Some("Z") => Some(Some(0)),
        Some(more) if more.starts_with('Z') => return Reading::Unknown,
        Some(signed) => match parts(&signed[1..]) {
            // Less than a second is documented nowhere.
            Some(parts) if parts.micros == 0 || parts.seconds() > 0 => {
                let size = parts.seconds() * SECOND + parts.micros;
                let sign = if signed.starts_with('-') { -1 } else { 1 };
                Some((parts.seconds() < 86_400).then_some(size * sign))
            }
            _ => return Reading::Unknown,
        },
    };
    let is_clock = clock.hour < 24 && clock.minute < 60 && clock.second < 60;
    combine(
        date,
        is_clock.then(|| clock.seconds() * SECOND + clock.micros),
        offset,
    )
}

struct Parts {
    hour: i128,
    minute: i128,
    second: i128,
    micros: i128,
}

impl Parts {
    fn seconds(&self) -> i128 {
        self.hour * 3600 + self.minute * 60 + self.second
    }
}

/// `HH[:MM[:SS[.fff…]]]` or `HH[MM[SS[.fff…]]]`.
fn parts(text: &str) -> Option<Parts> {
    let (whole, fraction) = match text.find(['.', ',']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let fields: Vec<&str> = if whole.contains(':') {
        whole.split(':').collect()
    } else {
        (0..whole.len())
            .step_by(2)
            .map(|at| whole.get(at..at + 2))
            .collect::<Option<_>>()?
    };
    let fields: Vec<i128> = fields
        .into_iter()
        .map(|field| number(field, 2))
        .collect::<Option<_>>()?;
    let field = |index: usize| fields.get(index).copied().unwrap_or(0);
    // A fraction of anything but a second is not documented, nor one without digits.
    let micros = match fraction {
        None => 0,
        Some(digits)
            if fields.len() == 3
                && !digits.is_empty()
                && digits.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            format!("{digits:0<6}")[..6].parse().unwrap()
        }
        Some(_) => return None,
    };
    (1..=3).contains(&fields.len()).then(|| Parts {
        hour: field(0),
        minute: field(1),
        second: field(2),
        micros,
    })
}

/// `None` in `clock` and in the offset's inside: out of range.
fn combine(date: Date, clock: Option<i128>, offset: Option<Option<i128>>) -> Reading {
    let (Some(days), Some(clock), false) = (days(&date), clock, offset == Some(None)) else {
        return Reading::None;
    };
    let local = days * DAY + clock;
    match offset.flatten() {
        Some(offset) => Reading::Instant(local - offset),
        None => Reading::Local(local),
    }
}

fn is_leap(year: i128) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn month_lengths(year: i128) -> [i128; 12] {
    let february = if is_leap(year) { 29 } else { 28 };
    [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

fn year_length(year: i128) -> i128 {
    if is_leap(year) { 366 } else { 365 }
}

/// Days from 0001-01-01; `None` for a day that is in no calendar.
fn days(date: &Date) -> Option<i128> {
    if date.year == 0 || !(1..=12).contains(&date.month) {
        return None;
    }
    let lengths = month_lengths(date.year);
    let month = usize::try_from(date.month - 1).unwrap();
    if !(1..=lengths[month]).contains(&date.day) {
        return None;
    }
    let years: i128 = (1..date.year).map(year_length).sum();
    Some(years + lengths[..month].iter().sum::<i128>() + date.day - 1)
}

/// What Python prints for a moment; `None` outside the years 1 to 9999.
pub(super) fn print_utc(micros: i128) -> Option<String> {
    if micros < 0 {
        return None;
    }
    let (mut days, clock) = (micros / DAY, micros % DAY);
    let mut year = 1;
    while days >= year_length(year) {
        days -= year_length(year);
        year += 1;
        if year > 9999 {
            return None;
        }
    }
    let mut month = 0;
    while days >= month_lengths(year)[month] {
        days -= month_lengths(year)[month];
        month += 1;
    }
    let (seconds, micros) = (clock / SECOND, clock % SECOND);
    let fraction = if micros == 0 {
        String::new()
    } else {
        format!(".{micros:06}")
    };
    Some(format!(
        "{year:04}-{:02}-{:02}T{:02}:{:02}:{:02}{fraction}+00:00",
        month + 1,
        days + 1,
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    ))
}

/// The offset of a local time in microseconds: of two the earlier moment's, in a gap that after it. `None` where
/// the documentation says nothing: near the first and the last day, and in a zone outside 1900 to 2099.
pub(super) fn local_offset_micros(micros: i128, zone: &TimeZone) -> Option<i128> {
    let TimeZone::Iana(zone) = zone else {
        return (2 * DAY..3_652_057 * DAY).contains(&micros).then_some(0);
    };
    let unix = i64::try_from(micros - 719_162 * DAY).ok()?;
    let local: NaiveDateTime = DateTime::from_timestamp_micros(unix)?.naive_utc();
    if !(1900..2100).contains(&local.year()) {
        return None;
    }
    let seconds = match zone.offset_from_local_datetime(&local) {
        chrono::LocalResult::Single(offset) | chrono::LocalResult::Ambiguous(offset, _) => {
            offset.fix().local_minus_utc()
        }
        // The longest gap is a whole day.
        chrono::LocalResult::None => {
            let after = local + TimeDelta::hours(26);
            zone.offset_from_local_datetime(&after)
                .earliest()?
                .fix()
                .local_minus_utc()
        }
    };
    Some(i128::from(seconds) * SECOND)
}
