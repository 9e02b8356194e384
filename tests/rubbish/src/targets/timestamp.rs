//! Timestamps: equal to an independent reading of the forms that Python documents, and stable once normal.

mod reading;

use bridge_migrate::timestamps::{is_normal_form, parse, to_utc_isoformat};
use bridge_migrate_core::time_zone::TimeZone;
use chrono_tz::Tz;

use reading::{Reading, local_offset_micros, print_utc, read};

/// Half-hour and second offsets, a day that was left out, and a change by half an hour.
const ZONES: [Tz; 5] = [
    Tz::America__St_Johns,
    Tz::Europe__Berlin,
    Tz::Pacific__Apia,
    Tz::Australia__Lord_Howe,
    Tz::Africa__Monrovia,
];

/// Normalises a text in several time zones.
///
/// # Panics
/// When a normal form is none, when normalising it again changes it, or when it is not what the independent reading
/// gives.
pub fn timestamp(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let utc = to_utc_isoformat(text, &TimeZone::Utc);
    assert_eq!(is_normal_form(text), utc.as_deref() == Some(text), "{text:?}");
    check(text, TimeZone::Utc, utc);
    for zone in ZONES {
        let zone = TimeZone::Iana(zone);
        check(text, zone, to_utc_isoformat(text, &zone));
    }
}

fn check(text: &str, zone: TimeZone, normal: Option<String>) {
    if let Some(normal) = &normal {
        assert!(is_normal_form(normal), "{text:?} became {normal:?}");
        assert!(
            parse(text).is_some(),
            "{text:?} has a normal form and is no timestamp"
        );
        for other in [TimeZone::Utc, zone] {
            let again = to_utc_isoformat(normal, &other);
            assert_eq!(again.as_ref(), Some(normal), "{text:?} in {other}, done twice");
        }
    }
    let expected = match read(text) {
        Reading::Unknown => return,
        Reading::None => None,
        Reading::Local(micros) => match local_offset_micros(micros, zone) {
            Some(offset) => print_utc(micros - offset),
            None => return,
        },
        Reading::Instant(micros) => print_utc(micros),
    };
    assert_eq!(normal, expected, "{text:?} in {zone}");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a converter with that mistake would give for a text in UTC.
    fn assert_noticed(mistake: &str, text: &str, given: Option<&str>) {
        let given = given.map(str::to_owned);
        let noticed = std::panic::catch_unwind(|| check(text, TimeZone::Utc, given));
        assert!(noticed.is_err(), "{mistake}: nobody notices");
    }

    #[test]
    fn mistakes_of_a_converter_are_noticed() {
        let text = "2026-02-22T15:30:45+01:00:30";
        check(text, TimeZone::Utc, to_utc_isoformat(text, &TimeZone::Utc));
        assert_noticed("an offset left out", text, Some("2026-02-22T15:30:45+00:00"));
        assert_noticed("its seconds left out", text, Some("2026-02-22T14:30:45+00:00"));
        assert_noticed("another form", text, Some("2026-02-22T14:30:15Z"));
        assert_noticed("a timestamp not known as one", text, None);
        assert_noticed("anything taken for a timestamp", "yesterday", Some(text));
    }
}
