//! The time zone that gives a timestamp without an offset its meaning.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Offset, TimeZone as _};
use chrono_tz::Tz;

use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Result};
use crate::files::{digest::hex, regular_file};
use crate::hint::Hint;

/// Where programs on this machine look for zones.
const ZONE_FOLDERS: [&str; 4] = [
    "/usr/share/zoneinfo",
    "/usr/lib/zoneinfo",
    "/share/zoneinfo",
    "/etc/zoneinfo",
];
/// The zone of the machine, where `TZ` names none.
const LOCAL_TIME: &str = "/etc/localtime";
/// The name of that zone, where it is a copy and no link.
const LOCAL_NAME: &str = "/etc/timezone";
/// No zone file is as long as this, in bytes.
const LONGEST_FILE: u64 = 1 << 20;

/// A source of UTC offsets. Two values are equal when they have the same name, which stands for the same offsets.
#[derive(Debug, Clone)]
pub enum TimeZone {
    /// Coordinated Universal Time: the offset is always zero.
    Utc,
    /// A zone of the IANA database that is compiled into the program.
    Iana(Tz),
    /// What only the machine knows: a rule in `TZ`, or a zone file that is in no database.
    Machine(Arc<MachineZone>),
}

/// A zone that has no name in the IANA database.
#[derive(Debug)]
pub struct MachineZone {
    name: String,
    zone: tz::TimeZone,
    /// The offset at this instant is that of all before it, in seconds since 1970 UTC.
    since: i64,
}

/// There is no zone of this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownTimeZone {
    name: String,
    why: String,
}

impl UnknownTimeZone {
    fn of_machine(name: impl Into<String>, what: impl fmt::Display) -> Self {
        Self {
            name: name.into(),
            why: format!("{what}, and other programs here would take it for UTC"),
        }
    }

    /// The text that names no zone, as it was given.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for UnknownTimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown time zone {:?}: {}", self.name, self.why)
    }
}

impl std::error::Error for UnknownTimeZone {}

impl From<UnknownTimeZone> for Error {
    fn from(unknown: UnknownTimeZone) -> Self {
        Self::new(ErrorKind::Usage, unknown.to_string())
            .with_truth("Nothing was changed.")
            .with_hint(Hint::NameTimeZone)
    }
}

type Found = std::result::Result<TimeZone, UnknownTimeZone>;

/// What a timestamp without an offset means: UTC, unless somebody says otherwise. The machine's zone is looked for when
/// it is first needed, since most of what is done has no use for it; clones share what was found.
#[derive(Debug, Clone)]
pub struct Zone {
    found: Arc<LazyLock<Found, Box<dyn FnOnce() -> Found + Send>>>,
    is_named: bool,
}

impl Zone {
    /// A zone that an operator named.
    pub fn named(zone: TimeZone) -> Self {
        Self::new(true, move || Ok(zone))
    }

    /// [`TimeZone::of_machine`], given the value of `TZ`.
    pub fn of_machine(variable: Option<OsString>) -> Self {
        Self::new(false, move || TimeZone::of_machine(variable.as_deref()))
    }

    fn new(is_named: bool, find: impl FnOnce() -> Found + Send + 'static) -> Self {
        Self {
            found: Arc::new(LazyLock::new(Box::new(find))),
            is_named,
        }
    }

    /// The zone.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] when it is that of a machine on which `TZ` or `/etc/localtime` mean nothing.
    pub fn get(&self) -> Result<&TimeZone> {
        self.found
            .as_ref()
            .as_ref()
            .map_err(|unknown| unknown.clone().into())
    }

    /// Whether an operator named it.
    pub fn is_named(&self) -> bool {
        self.is_named
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self::new(false, || Ok(TimeZone::Utc))
    }
}

/// The name of the zone; of one that means nothing, what was given.
impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &**self.found {
            Ok(zone) => zone.fmt(f),
            Err(unknown) => write!(f, "unknown ({})", unknown.name),
        }
    }
}

impl TimeZone {
    /// Reads `UTC` or an IANA name; the case of letters does not matter.
    ///
    /// # Errors
    /// [`UnknownTimeZone`] when the text is neither.
    pub fn parse(name: &str) -> std::result::Result<Self, UnknownTimeZone> {
        if name.eq_ignore_ascii_case("UTC") {
            return Ok(Self::Utc);
        }
        Tz::from_str_insensitive(name)
            .map(Self::Iana)
            .map_err(|_| UnknownTimeZone {
                name: name.to_owned(),
                why: "give `local`, `UTC` or an IANA name such as `Europe/Berlin`".to_owned(),
            })
    }

    /// The zone that programs on this machine take for local, given the value of `TZ`: that, or else `/etc/localtime`.
    ///
    /// Where they would fall back to UTC because a zone cannot be found, this does not.
    ///
    /// # Errors
    /// [`UnknownTimeZone`] when `TZ` or `/etc/localtime` mean nothing.
    pub fn of_machine(variable: Option<&OsStr>) -> std::result::Result<Self, UnknownTimeZone> {
        let Some(value) = variable else {
            return local_time(Path::new(LOCAL_TIME), Path::new(LOCAL_NAME));
        };
        let value = value.to_string_lossy();
        // POSIX lets a colon stand before a name, and an empty value means UTC.
        match value.strip_prefix(':').unwrap_or(&value) {
            "" => Ok(Self::Utc),
            name => of_variable(name),
        }
    }

    /// The seconds to add to UTC to get the zone's local time, at an instant in seconds since 1970 UTC.
    ///
    /// Before the first change that a zone file knows this is local mean time; after the last one the
    /// zone's last rule goes on for ever. `None` outside the years 0 to 10000, and for an offset of a day or more.
    pub fn utc_offset_seconds_at(&self, unix_seconds: i64) -> Option<i64> {
        let utc = DateTime::from_timestamp(unix_seconds, 0)?.naive_utc();
        if !(0..=10_000).contains(&utc.year()) {
            return None;
        }
        let seconds: i32 = match self {
            Self::Utc => 0,
            Self::Iana(zone) => zone
                .offset_from_utc_datetime(&within_the_tables(utc)?)
                .fix()
                .local_minus_utc(),
            Self::Machine(machine) => {
                let instant = unix_seconds.max(machine.since);
                machine.zone.find_local_time_type(instant).ok()?.ut_offset()
            }
        };
        (seconds.abs() < 86_400).then(|| i64::from(seconds))
    }
}

/// A file's name in the IANA database; for a link, its own before that of what it leads to.
fn name_in_database(path: &Path) -> Option<&str> {
    let (_, name) = path.to_str()?.split_once("zoneinfo/")?;
    Some(name.strip_prefix("posix/").unwrap_or(name))
}

fn of_variable(name: &str) -> std::result::Result<TimeZone, UnknownTimeZone> {
    let path = Path::new(name);
    let found = if path.is_absolute() {
        Some(path.to_owned())
    } else {
        let folders = ZONE_FOLDERS.iter().map(|folder| Path::new(folder).join(name));
        folders.into_iter().find(|file| file.is_file())
    };
    if let Some(file) = found {
        return of_file(name, &file, name_in_database(&file));
    }
    if ["UTC", "GMT", "Etc/UTC"].contains(&name) {
        return Ok(TimeZone::Utc);
    }
    match tz::TimeZone::from_posix_tz(name) {
        Ok(zone) => Ok(TimeZone::Machine(Arc::new(MachineZone {
            name: name.to_owned(),
            zone,
            // The C library takes the beginning of 1970 for all that was before.
            since: 0,
        }))),
        Err(_) => Err(UnknownTimeZone::of_machine(
            name,
            "TZ is no rule, and this machine has no such zone",
        )),
    }
}

fn local_time(file: &Path, name: &Path) -> std::result::Result<TimeZone, UnknownTimeZone> {
    let Ok(link) = file.read_link() else {
        if file.symlink_metadata().is_err() {
            // Without it, everything is in UTC, and is meant to be.
            return Ok(TimeZone::Utc);
        }
        let named = regular_file::read(name, LONGEST_FILE).unwrap_or_default();
        let named = String::from_utf8_lossy(&named).trim().to_owned();
        let is_copy = |folder: &&str| {
            let read = |file: &Path| regular_file::read(file, LONGEST_FILE).ok();
            !named.is_empty()
                && read(file).is_some_and(|bytes| read(&Path::new(folder).join(&named)) == Some(bytes))
        };
        let name = ZONE_FOLDERS.iter().any(is_copy).then_some(&*named);
        return of_file(&file.to_string_lossy(), file, name);
    };
    let target: PathBuf = file.parent().unwrap_or(Path::new("/")).join(link);
    of_file(&file.to_string_lossy(), file, name_in_database(&target))
}

/// The zone in a file, which `name` names if it is in the IANA database.
fn of_file(given: &str, file: &Path, name: Option<&str>) -> std::result::Result<TimeZone, UnknownTimeZone> {
    let unknown = |why: &dyn fmt::Display| {
        UnknownTimeZone::of_machine(given, format_args!("{} cannot be used: {why}", file.display()))
    };
    let bytes = regular_file::read(file, LONGEST_FILE).map_err(|error| unknown(&error))?;
    let zone = tz::TimeZone::from_tz_data(&bytes).map_err(|error| unknown(&error))?;
    if !zone.as_ref().leap_seconds().is_empty() {
        return Err(unknown(&"it counts leap seconds"));
    }
    match name.and_then(|name| name.parse().ok()) {
        Some(Tz::UTC | Tz::Etc__UTC) => Ok(TimeZone::Utc),
        Some(zone) => Ok(TimeZone::Iana(zone)),
        None => {
            let digest = hex(&Sha256::digest(&bytes));
            Ok(TimeZone::Machine(Arc::new(MachineZone {
                name: format!("{} {digest:.8}", file.display()),
                zone,
                since: i64::MIN,
            })))
        }
    }
}

impl PartialEq for TimeZone {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for TimeZone {}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Utc => "UTC",
            Self::Iana(zone) => zone.name(),
            Self::Machine(machine) => &machine.name,
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

    fn of_variable(value: &str) -> std::result::Result<TimeZone, UnknownTimeZone> {
        TimeZone::of_machine(Some(OsStr::new(value)))
    }

    #[test]
    fn the_machine_is_asked_what_local_means() {
        for (value, means) in [("", "UTC"), (":", "UTC"), ("UTC", "UTC"), ("UTC0", "UTC0")] {
            assert_eq!(of_variable(value).unwrap().to_string(), means, "{value:?}");
        }
        let rule = of_variable(":CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        assert_eq!(rule.to_string(), "CET-1CEST,M3.5.0,M10.5.0/3");
        let berlin = zone("Europe/Berlin");
        for year in [2026, 2099, 2100, 9998] {
            for month in 1..=12 {
                let instant = unix_seconds((year, month, 28), (0, 0, 0));
                assert_eq!(
                    rule.utc_offset_seconds_at(instant),
                    berlin.utc_offset_seconds_at(instant),
                    "{year}-{month}"
                );
            }
        }
        for value in [
            "Europe/Berln",
            "CET-1CEST,tomorrow",
            "/nonexistent/zone",
            "../../../etc/passwd",
            "local",
            "X99",
        ] {
            let unknown = of_variable(value).unwrap_err();
            assert!(unknown.to_string().contains("would take it for UTC"), "{unknown}");
        }
    }

    /// A zone file of one rule, as RFC 8536 describes it: two empty blocks and a footer.
    fn zone_file(rule: &str) -> Vec<u8> {
        let mut file = Vec::new();
        for _ in 0..2 {
            file.extend(b"TZif2");
            file.extend([0; 15]);
            for count in [0_u32, 0, 0, 0, 1, 4] {
                file.extend(count.to_be_bytes());
            }
            file.extend([0; 6]);
            file.extend(b"LMT\0");
        }
        file.extend(format!("\n{rule}\n").bytes());
        file
    }

    #[test]
    fn a_machine_whose_zone_has_no_name_has_it_by_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let (file, name) = (folder.path().join("localtime"), folder.path().join("timezone"));
        assert_eq!(local_time(&file, &name).unwrap(), TimeZone::Utc);
        std::fs::write(&file, zone_file("XST-3:30")).unwrap();
        std::fs::write(&name, "Europe/Berlin\n").unwrap();
        let one = local_time(&file, &name).unwrap();
        assert_eq!(one.utc_offset_seconds_at(0), Some(12_600));
        std::fs::write(&file, zone_file("XST-4")).unwrap();
        let other = local_time(&file, &name).unwrap();
        assert_eq!(other.utc_offset_seconds_at(0), Some(14_400));
        assert_ne!(one, other);
        std::fs::write(&file, "rubbish").unwrap();
        assert!(local_time(&file, &name).is_err());
        #[cfg(unix)]
        {
            std::fs::remove_file(&file).unwrap();
            std::os::unix::fs::symlink("zoneinfo/Europe/Berlin", &file).unwrap();
            assert!(local_time(&file, &name).is_err(), "it leads to nothing");
            std::fs::create_dir_all(folder.path().join("zoneinfo/Europe")).unwrap();
            std::fs::write(folder.path().join("zoneinfo/Europe/Berlin"), zone_file("CET-1")).unwrap();
            assert_eq!(local_time(&file, &name).unwrap(), zone("Europe/Berlin"));
        }
    }

    proptest! {
        #[test]
        fn no_instant_panics(
            instant in prop_oneof![any::<i64>(), -70_000_000_000_i64..260_000_000_000],
            zone in prop::sample::select(vec!["UTC", "Africa/Casablanca", "Asia/Gaza", "Pacific/Apia"]),
        ) {
            let in_range = (-62_167_219_200..253_433_923_200).contains(&instant);
            let offset = TimeZone::parse(zone).unwrap().utc_offset_seconds_at(instant);
            prop_assert_eq!(offset.is_some(), in_range);
        }
    }
}
