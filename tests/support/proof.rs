//! What a suite tried, for whoever reads its output.

use std::fmt::Display;
use std::io::{self, Write as _};

/// Prints how much was tried: `proof: 12955 power cuts (migrate, journal)`. The test runner does not hide it when
/// the test passes, as it does with `println!`, and `.ci/run` gathers these lines.
///
/// # Panics
/// When standard output is closed.
pub fn count(number: u64, tried: &str, details: impl Display) {
    writeln!(io::stdout().lock(), "proof: {number} {tried} ({details})").unwrap();
}
