//! Time and chance as inputs, so that the same input gives the same bytes.

use std::hash::{BuildHasher, Hasher};
use std::{fmt::Debug, time::SystemTime};

use chrono::{DateTime, Datelike, SecondsFormat, TimeDelta, TimeZone as _, Utc};

use crate::error::{Error, ErrorKind, Result};
use crate::hint::Hint;

/// Where the engine gets the time and a run's identity from.
pub trait Clock: Debug + Send + Sync {
    /// The time now, in UTC.
    fn now(&self) -> DateTime<Utc>;

    /// A number that no other run has, for the run's name.
    fn nonce(&self) -> u32;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        from_system(SystemTime::now())
    }

    fn nonce(&self) -> u32 {
        // std seeds each RandomState from the operating system's random source.
        let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
        hasher.write_u32(std::process::id());
        let [a, b, c, d, ..] = hasher.finish().to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }
}

/// The first second that a clock may show.
const FIRST: DateTime<Utc> = DateTime::UNIX_EPOCH;
/// Whoever reads a stored time expects four digits of the year.
const END_YEAR: i32 = 10_000;

/// The system's time; one that no stamp can hold becomes one just outside of what [`checked`] accepts.
fn from_system(time: SystemTime) -> DateTime<Utc> {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => FIRST
            .checked_add_signed(TimeDelta::from_std(since).unwrap_or(TimeDelta::MAX))
            .filter(|time| time.year() < END_YEAR)
            .or_else(|| Utc.with_ymd_and_hms(END_YEAR, 1, 1, 0, 0, 0).single())
            .unwrap_or(FIRST - TimeDelta::seconds(1)),
        Err(_) => FIRST - TimeDelta::seconds(1),
    }
}

/// The time now, if it can be put on record.
///
/// # Errors
/// [`ErrorKind::Io`] outside of the years 1970 to 9999, which cannot be right.
pub fn checked(clock: &dyn Clock) -> Result<DateTime<Utc>> {
    let now = clock.now();
    if now >= FIRST && now.year() < END_YEAR {
        return Ok(now);
    }
    Err(Error::unchanged(
        ErrorKind::Io,
        "the machine's clock is before 1970 or after 9999: no record could say when it was made",
    )
    .with_hint(Hint::MachineTime))
}

/// `YYYY-MM-DDTHH:MM:SS.ffffffZ`, the form of every time that the tool stores.
pub fn timestamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// `YYYY-MM-DD HH:MM:SS UTC`, the form of every time that people are shown, of one that the tool stored. What is no such
/// time stays as it is.
pub fn for_people(stored: &str) -> String {
    match DateTime::parse_from_rfc3339(stored) {
        Ok(time) => time.to_utc().format("%Y-%m-%d %H:%M:%S UTC").to_string(),
        Err(_) => stored.to_owned(),
    }
}

/// `YYYYMMDD_HHMMSS`, the form of every time in a file's name.
pub fn file_stamp(time: DateTime<Utc>) -> String {
    time.format("%Y%m%d_%H%M%S").to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[derive(Debug)]
    struct Shows(SystemTime);

    impl Clock for Shows {
        fn now(&self) -> DateTime<Utc> {
            from_system(self.0)
        }

        fn nonce(&self) -> u32 {
            0
        }
    }

    #[test]
    fn people_are_shown_times_without_a_fraction_and_other_text_as_it_is() {
        assert_eq!(
            for_people("2026-02-22T15:30:45.123456Z"),
            "2026-02-22 15:30:45 UTC"
        );
        assert_eq!(for_people("2026-02-22T15:30:45+02:00"), "2026-02-22 13:30:45 UTC");
        for text in ["unknown", "größe größe größe Z", "2026-02-22T15:30:45", ""] {
            assert_eq!(for_people(text), text);
        }
    }

    #[test]
    fn a_clock_that_cannot_be_right_is_refused_without_a_panic() {
        let seconds = Duration::from_secs;
        let epoch = SystemTime::UNIX_EPOCH;
        let year_10000 = 253_402_300_800;
        for (time, is_right) in [
            (SystemTime::now(), true),
            (epoch, true),
            (epoch - seconds(1), false),
            (epoch - seconds(1 << 40), false),
            (epoch + seconds(year_10000 - 1), true),
            (epoch + seconds(year_10000), false),
            (epoch + seconds(1 << 45), false),
            (epoch + seconds(i64::MAX as u64), false),
        ] {
            let clock = Shows(time);
            assert_eq!(checked(&clock).is_ok(), is_right, "{time:?}");
            // What is shown, and not put on record, is made of it all the same.
            assert!(!timestamp(clock.now()).is_empty() && !file_stamp(clock.now()).is_empty());
        }
    }
}
