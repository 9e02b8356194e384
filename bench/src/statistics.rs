//! The arithmetic of the benchmarks: medians, and ratios of runs that were made side by side.

/// The middle value, or the mean of the two in the middle; none of nothing.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    match middle.checked_sub(1).and_then(|index| sorted.get(index)) {
        Some(lower) if sorted.len().is_multiple_of(2) => Some((lower + upper) / 2.0),
        _ => Some(upper),
    }
}

/// The median of the rounds' ratios. Each round is divided by itself: a machine that slows down for a while slows
/// both of a round, and the ratio stays.
pub(crate) fn median_ratio(subject: &[f64], floor: &[f64]) -> Option<f64> {
    let ratios: Vec<f64> = subject
        .iter()
        .zip(floor)
        .filter(|(_, floor)| **floor > 0.0)
        .map(|(subject, floor)| subject / floor)
        .collect();
    median(&ratios)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[9.0, 1.0, 2.0, 4.0]), Some(3.0));
    }

    #[test]
    fn one_slow_round_does_not_change_the_ratio() {
        // The third round met a busy machine.
        assert_eq!(
            median_ratio(&[2.0, 2.0, 20.0, 3.0], &[1.0, 1.0, 10.0, 1.0]),
            Some(2.0)
        );
    }

    #[test]
    fn a_floor_that_took_no_time_gives_no_ratio() {
        assert_eq!(median_ratio(&[1.0], &[0.0]), None);
        assert_eq!(median_ratio(&[], &[]), None);
    }
}
