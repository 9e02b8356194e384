//! The offset that Python gives a naive local time.

use bridge_migrate_core::TimeZone;

use super::{MAX_SECONDS, MIN_SECONDS, SECONDS_PER_DAY};

/// The offset of `zone` at a local time, given as if it were UTC in seconds since 1970.
///
/// `None` when a step leaves the years 1 to 9999. That is also so in the first hours of year 1, where Python
/// looks a day back for an earlier instant with the same local time.
pub(super) fn utc_offset_seconds(local: i64, zone: &TimeZone) -> Option<i64> {
    let instant = instant_of(local, zone)?;
    // In a skipped hour this is not the offset that led to `instant`; Python asks again, so must we.
    zone.utc_offset_seconds_at(instant)
}

/// The instant with that local time: the earlier of two; when there is none, the later of the two that the
/// offsets before and after the gap give. The steps are those of `_mktime` in Python's `datetime` with
/// `fold=0`, in their order, since each may leave the range.
fn instant_of(local: i64, zone: &TimeZone) -> Option<i64> {
    let first_offset = offset_in_range(local, zone)?;
    let first = local - first_offset;
    let first_hits = first + offset_in_range(first, zone)? == local;
    let second_offset = if first_hits {
        let day_before = first - SECONDS_PER_DAY;
        let offset = offset_in_range(day_before, zone)?;
        if offset == first_offset {
            return Some(first);
        }
        offset
    } else {
        offset_in_range(first, zone)?
    };
    let second = local - second_offset;
    if second + offset_in_range(second, zone)? == local {
        Some(second)
    } else if first_hits {
        Some(first)
    } else {
        Some(first.max(second))
    }
}

/// The offset at an instant whose local time is in the years 1 to 9999.
fn offset_in_range(instant: i64, zone: &TimeZone) -> Option<i64> {
    let offset = zone.utc_offset_seconds_at(instant)?;
    (MIN_SECONDS..=MAX_SECONDS)
        .contains(&(instant + offset))
        .then_some(offset)
}
