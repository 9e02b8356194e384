//! Conversion of timestamps to their normal form, equal to what Python 3.11 makes of them.
//!
//! The Bridge's server writes its timestamps with Python's `datetime.isoformat()`. The normal form is what
//! `datetime.fromisoformat(text).astimezone(timezone.utc).isoformat()` prints, and a text that this
//! expression refuses is left alone. The reference is CPython 3.11's C implementation with the oddities that
//! its pure-Python twin and later releases do not share; `golden.tsv` and the tests hold on to them.

mod iso_format;
mod local_time;
mod normal_form;

#[cfg(test)]
mod tests;

use bridge_migrate_core::TimeZone;
use chrono::{Datelike, NaiveDate};

pub use iso_format::parse;
pub use normal_form::is_normal_form;

const SECONDS_PER_DAY: i64 = 86_400;
const MICROSECONDS_PER_SECOND: i64 = 1_000_000;

/// 0001-01-01T00:00:00 in seconds since 1970: the smallest that Python represents.
const MIN_SECONDS: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59 in seconds since 1970: the largest that Python represents.
const MAX_SECONDS: i64 = 253_402_300_799;

/// What a timestamp says: a valid calendar date and time of day, and perhaps an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParsedTimestamp {
    /// The date, in years 1 to 9999.
    pub date: NaiveDate,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// 0 to 999,999; further digits of the fraction are cut off.
    pub microsecond: u32,
    /// Local time minus UTC in microseconds, less than a day either way; `None` in a naive local time.
    pub utc_offset_microseconds: Option<i64>,
}

impl ParsedTimestamp {
    /// The date and time as if they were UTC, in seconds since 1970, without the fraction.
    fn local_seconds(&self) -> i64 {
        let days = i64::from(self.date.num_days_from_ce() - normal_form::DAYS_TO_1970);
        days * SECONDS_PER_DAY
            + i64::from(self.hour) * 3600
            + i64::from(self.minute) * 60
            + i64::from(self.second)
    }
}

/// The normal form of a timestamp: UTC with `+00:00`, and microseconds unless they are zero.
///
/// A text without an offset is local time in `zone`; of two instants with the same local time the earlier
/// one is meant, and a time that the clock skipped is taken as Python does with `fold=0`. `None` where
/// Python raises: the text is no timestamp to it, or a step of the conversion leaves the years 1 to 9999.
pub fn to_utc_isoformat(text: &str, zone: &TimeZone) -> Option<String> {
    let timestamp = parse(text)?;
    let local_seconds = timestamp.local_seconds();
    let offset = match timestamp.utc_offset_microseconds {
        Some(microseconds) => microseconds,
        None => local_time::utc_offset_seconds(local_seconds, zone)? * MICROSECONDS_PER_SECOND,
    };
    let utc = local_seconds * MICROSECONDS_PER_SECOND + i64::from(timestamp.microsecond) - offset;
    normal_form::format(utc)
}
