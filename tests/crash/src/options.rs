//! How much is tried, and what is tried again, as the environment says.

use std::str::FromStr;

/// What the environment asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where chance begins: `CRASH_SEED`.
    pub seed: u64,
    /// Whether everything is tried instead of a sample: `CRASH_ALL=1`.
    pub all: bool,
    /// The one point to try again, as a failure names it: `CRASH_POINT`.
    pub point: Option<String>,
}

impl Options {
    /// Reads the environment.
    ///
    /// # Panics
    /// When `CRASH_SEED` is no number.
    pub fn read() -> Self {
        Self {
            seed: number("CRASH_SEED").unwrap_or(1),
            all: number("CRASH_ALL").is_some_and(|all: u64| all != 0),
            point: std::env::var("CRASH_POINT").ok(),
        }
    }

    /// Whether the one point to try is in another scenario than the one of this name.
    pub fn is_elsewhere(&self, scenario: &str) -> bool {
        let wanted = self.point.as_deref().and_then(|point| point.split('/').next());
        wanted.is_some_and(|wanted| wanted != scenario)
    }
}

/// A number in the environment.
///
/// # Panics
/// When it is something else.
pub fn number<T: FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    match text.parse() {
        Ok(number) => Some(number),
        Err(_) => panic!("{name} is {text:?}, not a number"),
    }
}
