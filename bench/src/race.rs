//! Lets contestants run in turn, so that what slows the machine down slows all of them.

use crate::measure::Sample;
use crate::statistics::median_ratio;
use xtask::error::Error;

/// One run of a contestant: it prepares what it needs, unmeasured, and gives the measured part.
pub(crate) type Run<'a> = Box<dyn Fn() -> Result<Sample, Error> + 'a>;

/// Who runs.
pub(crate) struct Contestant<'a> {
    /// As the table calls it.
    pub(crate) name: &'a str,
    /// How it runs.
    pub(crate) run: Run<'a>,
}

impl<'a> Contestant<'a> {
    pub(crate) fn new(name: &'a str, run: impl Fn() -> Result<Sample, Error> + 'a) -> Self {
        Self {
            name,
            run: Box::new(run),
        }
    }
}

/// What a contestant's runs came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Times {
    /// As the table calls it.
    pub(crate) name: String,
    /// One number of seconds a round.
    pub(crate) seconds: Vec<f64>,
    /// The most memory of all rounds, in bytes.
    pub(crate) peak: Option<u64>,
}

impl Times {
    /// How many times the floor this took.
    pub(crate) fn ratio_to(&self, floor: &Self) -> Option<f64> {
        median_ratio(&self.seconds, &floor.seconds)
    }
}

/// Runs all contestants for some rounds; each round begins with another one.
///
/// # Errors
/// The first failure ends the race.
pub(crate) fn race(contestants: &[Contestant<'_>], rounds: usize) -> Result<Vec<Times>, Error> {
    let mut times: Vec<Times> = contestants
        .iter()
        .map(|contestant| Times {
            name: contestant.name.to_owned(),
            ..Times::default()
        })
        .collect();
    for round in 0..rounds {
        let mut order: Vec<_> = contestants.iter().zip(&mut times).collect();
        let first = round.checked_rem(order.len()).unwrap_or(0);
        order.rotate_left(first);
        for (contestant, times) in order {
            let sample = (contestant.run)()?;
            times.seconds.push(sample.seconds);
            times.peak = times.peak.max(sample.peak);
        }
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn each_round_begins_with_another_and_times_stay_with_their_names() {
        let order = RefCell::new(String::new());
        let contestant = |name: &'static str, seconds, peak| {
            let order = &order;
            Contestant::new(name, move || {
                order.borrow_mut().push_str(name);
                Ok(Sample { seconds, peak })
            })
        };
        let times = race(&[contestant("a", 3.0, Some(7)), contestant("b", 2.0, None)], 3).unwrap();
        assert_eq!(*order.borrow(), "abbaab");
        assert_eq!(times[0].seconds, [3.0; 3]);
        assert_eq!(times[0].peak, Some(7));
        assert_eq!(times[1].name, "b");
        assert_eq!(times[0].ratio_to(&times[1]), Some(1.5));
    }

    #[test]
    fn a_failure_ends_the_race() {
        let contestant = Contestant::new("a", || Err(Error::new("it fell")));
        assert_eq!(race(&[contestant], 2).unwrap_err().message(), "it fell");
    }
}
