//! Times as Python's `datetime.isoformat()` prints them, fast enough for millions of rows in a test build.

/// The normal form of a time in seconds since 1970: what Python prints for an aware UTC time.
pub fn utc(seconds: u64, micros: u64) -> String {
    isoformat(seconds, micros, "+00:00")
}

/// What Python's `isoformat()` prints for a local time given as seconds since 1970-01-01T00:00:00 of that place, with
/// `suffix` behind it.
pub fn isoformat(seconds: u64, micros: u64, suffix: &str) -> String {
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    match micros {
        0 => format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{suffix}"),
        _ => format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}{suffix}"),
    }
}

/// Year, month and day of a number of days since 1970-01-01, by counting from 1 March of year 0 in eras of 400 years.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_printed_as_python_prints_them() {
        assert_eq!(utc(1_769_763_600, 0), "2026-01-30T09:00:00+00:00");
        assert_eq!(utc(1_769_763_600, 14_772), "2026-01-30T09:00:00.014772+00:00");
        for days in [
            0, 58, 59, 789, 790, 11_016, 11_017, 20_512, 47_540, 47_541, 60_000,
        ] {
            let date = chrono::DateTime::from_timestamp(days * 86_400, 0).unwrap();
            assert_eq!(
                isoformat(days as u64 * 86_400, 0, "Z"),
                date.format("%Y-%m-%dT%H:%M:%SZ").to_string()
            );
        }
    }
}
