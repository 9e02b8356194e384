//! Timestamps: equal to an independent reading of the forms that Python documents, and stable once normal.

mod reading;

use bridge_migrate::timestamps::{is_normal_form, parse, to_utc_isoformat};
use bridge_migrate_core::TimeZone;
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
/// As [`check`].
pub fn timestamp(data: &[u8]) {
    check(to_utc_isoformat, data);
}

/// The same with that converter.
///
/// # Panics
/// When a normal form is none, when normalising it again changes it, or when it is not what the independent reading
/// gives.
pub fn check(convert: impl Fn(&str, &TimeZone) -> Option<String>, data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let utc = convert(text, &TimeZone::Utc);
    assert_eq!(
        is_normal_form(text),
        utc.as_deref() == Some(text),
        "{text:?} is normal or not"
    );
    check_one(&convert, text, &TimeZone::Utc, utc);
    for zone in ZONES {
        let zone = TimeZone::Iana(zone);
        check_one(&convert, text, &zone, convert(text, &zone));
    }
}

fn check_one(
    convert: impl Fn(&str, &TimeZone) -> Option<String>,
    text: &str,
    zone: &TimeZone,
    normal: Option<String>,
) {
    if let Some(normal) = &normal {
        assert!(is_normal_form(normal), "{text:?} became {normal:?}");
        assert!(
            parse(text).is_some(),
            "{text:?} has a normal form and is no timestamp"
        );
        for other in [&TimeZone::Utc, zone] {
            let again = convert(normal, other);
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
