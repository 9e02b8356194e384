//! What the benchmarks found: rows to compare with targets.

use serde_json::{Value, json};

use crate::race::Times;
use crate::statistics::median;

/// 48 MiB: what the program may take at any size.
pub(crate) const MEMORY: u64 = 48 << 20;
/// 8 MiB: what it may take to look at a database.
pub(crate) const MEMORY_TO_LOOK: u64 = 8 << 20;

/// A case on a database of some size, against one floor.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Row {
    /// What the program did.
    pub(crate) case: String,
    /// The messages in the database.
    pub(crate) messages: u64,
    /// The median of its times.
    pub(crate) seconds: Option<f64>,
    /// What it is compared with.
    pub(crate) floor: String,
    /// The median of the floor's times.
    pub(crate) floor_seconds: Option<f64>,
    /// The median of the rounds' ratios.
    pub(crate) ratio: Option<f64>,
    /// The program's time and the floor's, round by round.
    pub(crate) rounds: Vec<(f64, f64)>,
    /// The most that the ratio should be.
    pub(crate) target: Option<f64>,
    /// The most memory that the program had in RAM, in bytes.
    pub(crate) peak: Option<u64>,
    /// The most that it should have.
    pub(crate) peak_target: u64,
}

impl Row {
    pub(crate) fn new(messages: u64, subject: &Times, floor: &Times, target: Option<f64>) -> Self {
        Self {
            case: subject.name.clone(),
            messages,
            seconds: median(&subject.seconds),
            floor: floor.name.clone(),
            floor_seconds: median(&floor.seconds),
            ratio: subject.ratio_to(floor),
            rounds: subject
                .seconds
                .iter()
                .copied()
                .zip(floor.seconds.iter().copied())
                .collect(),
            target,
            peak: subject.peak,
            peak_target: MEMORY,
        }
    }

    /// Whether the ratio and the memory meet their targets.
    pub(crate) fn is_met(&self) -> bool {
        let ratio = match (self.ratio, self.target) {
            (Some(ratio), Some(target)) => ratio <= target,
            _ => true,
        };
        ratio && self.peak.is_none_or(|peak| peak <= self.peak_target)
    }

    fn json(&self) -> Value {
        json!({
            "case": self.case, "messages": self.messages, "seconds": self.seconds, "floor": self.floor,
            "floor_seconds": self.floor_seconds, "ratio": self.ratio, "rounds": self.rounds, "target": self.target,
            "peak_bytes": self.peak, "peak_target_bytes": self.peak_target, "met": self.is_met(),
        })
    }
}

/// How long the users of a running server waited.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Latency {
    /// What went on meanwhile.
    pub(crate) during: String,
    /// The messages in the database.
    pub(crate) messages: u64,
    /// Calls of the server.
    pub(crate) calls: u64,
    /// Calls that failed.
    pub(crate) errors: u64,
    /// Milliseconds that half of the calls stayed below.
    pub(crate) p50: f64,
    /// Milliseconds that 99 of 100 stayed below; of fewer than 100 calls there is no such number.
    pub(crate) p99: Option<f64>,
    /// Milliseconds of the longest.
    pub(crate) max: f64,
    /// The longest write lock that the program held, in milliseconds, as it says itself.
    pub(crate) longest_lock: Option<u64>,
    /// How long it all took.
    pub(crate) seconds: f64,
}

impl Latency {
    /// The most milliseconds that 99 of 100 calls should take.
    pub(crate) const P99: f64 = 60.0;
    /// The most milliseconds that a call should take: twice the default lock budget.
    pub(crate) const MAX: f64 = 500.0;

    /// Whether the waits meet their targets, without an error.
    pub(crate) fn is_met(&self) -> bool {
        self.errors == 0 && self.p99.is_none_or(|p99| p99 <= Self::P99) && self.max <= Self::MAX
    }

    fn json(&self) -> Value {
        json!({
            "during": self.during, "messages": self.messages, "calls": self.calls, "errors": self.errors,
            "p50_ms": self.p50, "p99_ms": self.p99, "max_ms": self.max, "max_lock_ms": self.longest_lock,
            "seconds": self.seconds, "met": self.is_met(),
        })
    }
}

/// Everything that one run of the benchmarks found.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// What it ran on, in a sentence.
    pub(crate) machine: String,
    /// Comparisons.
    pub(crate) rows: Vec<Row>,
    /// Waits.
    pub(crate) latencies: Vec<Latency>,
    /// What was left out, and why.
    pub(crate) left_out: Vec<String>,
    /// What did not run to its end, and why.
    pub(crate) failed: Vec<String>,
}

/// One size of database, and what a row of it cost.
#[derive(Debug, PartialEq)]
pub(crate) struct Growth<'a> {
    pub(crate) case: &'a str,
    pub(crate) messages: u64,
    /// Microseconds a message.
    pub(crate) each: f64,
    /// Times as much a message as at the size before.
    pub(crate) factor: f64,
    pub(crate) peak: Option<u64>,
}

impl Outcome {
    /// How the cases that handle every message grow with them, from size to size: a factor of 1 is linear.
    pub(crate) fn growth(&self, cases: &[&'static str]) -> Vec<Growth<'static>> {
        let mut growth = Vec::new();
        for case in cases {
            let mut sizes: Vec<&Row> = Vec::new();
            for row in self.rows.iter().filter(|row| row.case == *case) {
                if sizes.iter().all(|seen| seen.messages != row.messages) {
                    sizes.push(row);
                }
            }
            sizes.sort_by_key(|row| row.messages);
            for pair in sizes.windows(2) {
                let [before, row] = pair else { continue };
                // Lossless below 2^53 messages.
                let each = |row: &Row| Some(row.seconds? * 1e6 / row.messages as f64);
                if let (Some(each), Some(before)) = (each(row), each(before)) {
                    growth.push(Growth {
                        case,
                        messages: row.messages,
                        each,
                        factor: each / before,
                        peak: row.peak,
                    });
                }
            }
        }
        growth
    }

    /// As one object.
    pub(crate) fn json(&self) -> Value {
        json!({
            "machine": self.machine,
            "rows": self.rows.iter().map(Row::json).collect::<Vec<_>>(),
            "writers": self.latencies.iter().map(Latency::json).collect::<Vec<_>>(),
            "left_out": self.left_out,
            "failed": self.failed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(name: &str, seconds: &[f64], peak: Option<u64>) -> Times {
        Times {
            name: name.to_owned(),
            seconds: seconds.to_vec(),
            peak,
        }
    }

    #[test]
    fn a_row_is_held_to_its_ratio_and_its_memory() {
        let floor = times("floor", &[1.0, 2.0, 1.0], None);
        let row = |seconds: &[f64], peak| Row::new(10, &times("ours", seconds, peak), &floor, Some(1.5));
        let good = row(&[1.4, 3.0, 1.5], Some(MEMORY));
        assert_eq!(good.ratio, Some(1.5));
        assert_eq!(good.rounds, [(1.4, 1.0), (3.0, 2.0), (1.5, 1.0)]);
        assert_eq!((good.seconds, good.floor_seconds), (Some(1.5), Some(1.0)));
        assert!(good.is_met());
        assert!(!row(&[1.6, 3.2, 1.6], None).is_met());
        assert!(!row(&[1.0, 2.0, 1.0], Some(MEMORY + 1)).is_met());
        let free = Row::new(10, &times("ours", &[9.0], None), &floor, None);
        assert!(free.is_met(), "without a target");
    }

    #[test]
    fn one_lost_call_is_too_many() {
        let calm = Latency {
            p99: Some(60.0),
            max: 500.0,
            ..Latency::default()
        };
        assert!(calm.is_met());
        assert!(
            Latency {
                p99: None,
                ..calm.clone()
            }
            .is_met()
        );
        assert!(
            !Latency {
                p99: Some(61.0),
                ..calm.clone()
            }
            .is_met()
        );
        assert!(
            !Latency {
                max: 501.0,
                ..calm.clone()
            }
            .is_met()
        );
        assert!(!Latency { errors: 1, ..calm }.is_met());
    }

    #[test]
    fn growth_compares_the_cost_of_a_message_with_the_size_before() {
        let row = |messages, seconds| Row {
            case: "migrate".to_owned(),
            messages,
            seconds: Some(seconds),
            ..Row::default()
        };
        let outcome = Outcome {
            // The same case stands once for each of its floors.
            rows: vec![
                row(1000, 1.0),
                row(1000, 1.0),
                row(10_000, 20.0),
                row(100_000, 200.0),
            ],
            ..Outcome::default()
        };
        let growth = outcome.growth(&["migrate", "other"]);
        let found: Vec<_> = growth
            .iter()
            .map(|size| (size.messages, size.each, size.factor))
            .collect();
        assert_eq!(found, [(10_000, 2000.0, 2.0), (100_000, 2000.0, 1.0)]);
    }
}
