//! What a suite tried, for whoever reads its output.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::io::{self, Write as _};
use std::sync::Mutex;

/// Prints how much was tried: `proof: 12955 power cuts (migrate, journal)`. The test runner does not hide it when
/// the test passes, as it does with `println!`, and `.ci/run` gathers these lines.
///
/// # Panics
/// When standard output is closed.
pub fn count(number: u64, tried: &str, details: impl Display) {
    writeln!(io::stdout().lock(), "proof: {number} {tried} ({details})").unwrap();
}

/// Says, once in a process, that something is not tried since this machine has not what it needs.
///
/// # Panics
/// In CI (`CI` is set), which must have it, or name it in `TESTS_DO_WITHOUT`, as in `python3,mount`.
pub fn left_out(tried: &str, needs: &str) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let is_news = SAID
        .lock()
        .is_ok_and(|mut said| said.insert(format!("{tried}/{needs}")));
    if is_news {
        count(0, tried, format_args!("left out: it needs {needs}"));
    }
    let of = |name: &str| std::env::var(name).unwrap_or_default();
    let in_ci = !["", "false"].contains(&of("CI").as_str());
    let known = of("TESTS_DO_WITHOUT")
        .split(',')
        .any(|word| needs.contains(word) && !word.is_empty());
    assert!(!in_ci || known, "{tried}: CI must have what it needs, {needs}");
}
