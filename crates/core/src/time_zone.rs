//! The time zone that gives a timestamp without an offset its meaning.

use std::fmt;
use std::path::Path;
use std::sync::LazyLock;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Offset, TimeZone as _};
use chrono_tz::Tz;

/// A source of UTC offsets.
///
/// Two values are equal when they were asked for by the same name: `Local` and the zone that it happens to
/// mean are different.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeZone {
    /// The zone of the machine, from `TZ` or `/etc/localtime` and the machine's own zone files.
    Local,
    /// Coordinated Universal Time: the offset is always zero.
    Utc,
    /// A zone of the IANA database that is compiled into the program.
    Iana(Tz),
}

/// The text is neither `local`, `UTC` nor the name of a zone in the IANA database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownTimeZone {
    name: String,
}

impl UnknownTimeZone {
    /// The text that names no zone, as it was given.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for UnknownTimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "unknown time zone {:?}: give `local`, `UTC` or an IANA name such as `Europe/Berlin`",
            self.name
        )
    }
}

impl std::error::Error for UnknownTimeZone {}

impl TimeZone {
    /// Reads `local`, `UTC` or an IANA name; the case of letters does not matter.
    ///
    /// # Errors
    /// [`UnknownTimeZone`] when the text is none of these.
    pub fn parse(name: &str) -> Result<Self, UnknownTimeZone> {
        if name.eq_ignore_ascii_case("local") {
            return Ok(Self::Local);
        }
        if name.eq_ignore_ascii_case("UTC") {
            return Ok(Self::Utc);
        }
        Tz::from_str_insensitive(name)
            .map(Self::Iana)
            .map_err(|_| UnknownTimeZone {
                name: name.to_owned(),
            })
    }

    /// What the zone means here: for [`TimeZone::Local`] the value of `TZ`, or else the zone that
    /// `/etc/localtime` links to; for the others their name. `None` when the machine does not tell.
    pub fn resolved_name(&self) -> Option<String> {
        match self {
            Self::Local => match std::env::var_os("TZ") {
                Some(value) => Some(name_from_variable(&value.to_string_lossy())),
                None => name_from_link(&std::fs::read_link("/etc/localtime").ok()?),
            },
            Self::Utc | Self::Iana(_) => Some(self.to_string()),
        }
    }

    /// The seconds to add to UTC to get the zone's local time, at an instant in seconds since 1970 UTC.
    ///
    /// Before the first change that a zone file knows this is local mean time; after the last one the
    /// zone's last rule goes on for ever. `None` outside the years 0 to 10000, and for a `TZ` whose offset
    /// is about a day or more.
    pub fn utc_offset_seconds_at(&self, unix_seconds: i64) -> Option<i64> {
        let utc = DateTime::from_timestamp(unix_seconds, 0)?.naive_utc();
        if !(0..=10_000).contains(&utc.year()) {
            return None;
        }
        let offset = match self {
            Self::Local if *LOCAL_OFFSET_IS_A_DAY => return None,
            Self::Local => chrono::Local.offset_from_utc_datetime(&utc),
            Self::Utc => return Some(0),
            Self::Iana(zone) => zone.offset_from_utc_datetime(&within_the_tables(utc)?).fix(),
        };
        Some(i64::from(offset.local_minus_utc()))
    }
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "local",
            Self::Utc => "UTC",
            Self::Iana(zone) => zone.name(),
        })
    }
}

/// The first year that chrono-tz's tables do not reach.
const FIRST_YEAR_PAST_THE_TABLES: i32 = 2100;

/// Years that are in the tables and in which every zone follows the rule that it keeps from then on: the
/// last exceptions (Ramadan in Morocco and Palestine) are listed up to 2087.
const STEADY_YEARS: std::ops::Range<i32> = 2088..FIRST_YEAR_PAST_THE_TABLES;

/// The same place in a year that the tables cover.
///
/// A lasting rule is of the form "the last Sunday of March", so it gives the same days in each year whose
/// March begins on the same weekday; twelve steady years have all seven kinds. No lasting rule changes the
/// offset in January or February.
fn within_the_tables(utc: NaiveDateTime) -> Option<NaiveDateTime> {
    let first_of_march = |year| NaiveDate::from_ymd_opt(year, 3, 1);
    if utc.year() < FIRST_YEAR_PAST_THE_TABLES {
        return Some(utc);
    }
    if utc.month() < 3 {
        return utc
            .with_day(1)?
            .with_month(1)?
            .with_day(15)?
            .with_year(STEADY_YEARS.end - 1);
    }
    let march = first_of_march(utc.year())?;
    let stand_in = STEADY_YEARS
        .filter_map(first_of_march)
        .find(|candidate| candidate.weekday() == march.weekday())?;
    utc.checked_sub_signed(march - stand_in)
}

/// `TZ` as people write it: POSIX lets a colon stand before a name, and an empty value means UTC.
fn name_from_variable(value: &str) -> String {
    match value.strip_prefix(':').unwrap_or(value) {
        "" => "UTC".to_owned(),
        name => name.to_owned(),
    }
}

/// The zone's name in the target of `/etc/localtime`, such as `../usr/share/zoneinfo/Europe/Berlin`.
fn name_from_link(target: &Path) -> Option<String> {
    let (_, name) = target.to_str()?.split_once("zoneinfo/")?;
    let name = name.strip_prefix("posix/").unwrap_or(name);
    (!name.is_empty()).then(|| name.to_owned())
}

/// Whether `TZ` is a POSIX rule whose offset chrono reads but cannot represent: it would panic.
static LOCAL_OFFSET_IS_A_DAY: LazyLock<bool> =
    LazyLock::new(|| std::env::var("TZ").is_ok_and(|value| rule_offset_is_a_day(&value)));

/// Whether a rule such as `EST5EDT,M3.2.0,M11.1.0` has an offset, or by default a summer time one hour
/// later, that could reach 24 hours.
fn rule_offset_is_a_day(rule: &str) -> bool {
    let names_and_offsets = rule.split(',').next().unwrap_or_default();
    // A quoted name such as `<+0330>` may hold digits.
    let mut quoted = false;
    names_and_offsets
        .split(|c: char| {
            quoted = (quoted || c == '<') && c != '>';
            quoted || !(c.is_ascii_digit() || c == ':')
        })
        .filter_map(|offset| offset.split(':').next()?.parse::<u32>().ok())
        .any(|hours| hours >= 23)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::parse(name).unwrap()
    }

    fn unix_seconds(date: (i32, u32, u32), time: (u32, u32, u32)) -> i64 {
        let (hour, minute, second) = time;
        let date = NaiveDate::from_ymd_opt(date.0, date.1, date.2).unwrap();
        date.and_hms_opt(hour, minute, second)
            .unwrap()
            .and_utc()
            .timestamp()
    }

    #[test]
    fn names_are_read_in_any_case_and_shown_as_the_database_writes_them() {
        for (given, shown) in [
            ("local", "local"),
            ("LOCAL", "local"),
            ("utc", "UTC"),
            ("europe/berlin", "Europe/Berlin"),
            ("America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires"),
        ] {
            assert_eq!(zone(given).to_string(), shown);
        }
        assert_eq!(zone("Utc"), TimeZone::Utc);
    }

    #[test]
    fn an_unknown_name_is_refused_with_what_to_give_instead() {
        let error = TimeZone::parse("Europe/Berln").unwrap_err();
        insta::assert_snapshot!(error, @r#"unknown time zone "Europe/Berln": give `local`, `UTC` or an IANA name such as `Europe/Berlin`"#);
        assert_eq!(error.name(), "Europe/Berln");
        for text in ["", " UTC", "+02:00", "../etc/passwd"] {
            assert!(TimeZone::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_offset_changes_at_the_second_of_the_transition() {
        let berlin = zone("Europe/Berlin");
        let spring = unix_seconds((2026, 3, 29), (1, 0, 0));
        assert_eq!(berlin.utc_offset_seconds_at(spring - 1), Some(3600));
        assert_eq!(berlin.utc_offset_seconds_at(spring), Some(7200));
    }

    #[test]
    fn before_standard_time_an_offset_is_local_mean_time() {
        let instant = unix_seconds((1850, 1, 1), (0, 0, 0));
        assert_eq!(
            zone("America/New_York").utc_offset_seconds_at(instant),
            Some(-17_762)
        );
    }

    /// The second Sunday of March and the first of November, 2 o'clock local time.
    #[test]
    fn the_last_rule_goes_on_past_the_tables() {
        let new_york = zone("America/New_York");
        for year in 2100..=9999 {
            let sunday =
                |month, n| NaiveDate::from_weekday_of_month_opt(year, month, chrono::Weekday::Sun, n);
            let spring = sunday(3, 2)
                .unwrap()
                .and_hms_opt(7, 0, 0)
                .unwrap()
                .and_utc()
                .timestamp();
            let autumn = sunday(11, 1)
                .unwrap()
                .and_hms_opt(6, 0, 0)
                .unwrap()
                .and_utc()
                .timestamp();
            for (instant, hours) in [(spring - 1, -5), (spring, -4), (autumn - 1, -4), (autumn, -5)] {
                let offset = new_york.utc_offset_seconds_at(instant);
                assert_eq!(offset, Some(hours * 3600), "{instant} in {year}");
            }
        }
    }

    #[test]
    fn southern_summer_time_spans_the_new_year_past_the_tables() {
        let sydney = zone("Australia/Sydney");
        for year in [2100, 2101, 2400, 9999] {
            for date in [(year, 1, 1), (year, 2, 28), (year, 3, 1), (year, 12, 31)] {
                let offset = sydney.utc_offset_seconds_at(unix_seconds(date, (12, 0, 0)));
                assert_eq!(offset, Some(11 * 3600), "{date:?}");
            }
            let july = sydney.utc_offset_seconds_at(unix_seconds((year, 7, 1), (0, 0, 0)));
            assert_eq!(july, Some(10 * 3600));
        }
    }

    #[test]
    fn the_machine_is_asked_what_local_means() {
        assert_eq!(TimeZone::Utc.resolved_name().as_deref(), Some("UTC"));
        assert_eq!(
            zone("asia/kolkata").resolved_name().as_deref(),
            Some("Asia/Kolkata")
        );
        assert_eq!(name_from_variable(":Europe/Paris"), "Europe/Paris");
        assert_eq!(name_from_variable(""), "UTC");
        let name = |target| name_from_link(Path::new(target));
        assert_eq!(name("/usr/share/zoneinfo/Etc/UTC").as_deref(), Some("Etc/UTC"));
        assert_eq!(
            name("../usr/share/zoneinfo/posix/Asia/Tokyo").as_deref(),
            Some("Asia/Tokyo")
        );
        assert_eq!(name("/var/db/localtime"), None);
    }

    #[test]
    fn a_rule_with_an_offset_of_a_day_is_known() {
        for rule in ["X24", "X-24:59:59", "<+24>-24", "X-23Y", "X5Y24,M3.2.0,M11.1.0"] {
            assert!(rule_offset_is_a_day(rule), "{rule}");
        }
        for rule in [
            "EST5EDT,M3.2.0,M11.1.0/24",
            "<+24>-14",
            "Europe/Berlin",
            "",
            "IST-2IDT,M3.4.4/26,M10.5.0",
        ] {
            assert!(!rule_offset_is_a_day(rule), "{rule}");
        }
    }

    proptest! {
        #[test]
        fn no_instant_panics(
            instant in prop_oneof![any::<i64>(), -70_000_000_000_i64..260_000_000_000],
            zone in prop::sample::select(vec!["local", "UTC", "Africa/Casablanca", "Asia/Gaza", "Pacific/Apia"]),
        ) {
            let in_range = (-62_167_219_200..253_433_923_200).contains(&instant);
            let offset = TimeZone::parse(zone).unwrap().utc_offset_seconds_at(instant);
            prop_assert_eq!(offset.is_some(), in_range);
        }
    }
}
