//! How much is tried, and what is tried again, as the environment says.
//!
//! | variable | means | suites |
//! |---|---|---|
//! | `CRASH_SEED` | where chance begins: another number tries other points on other rows; `.ci/run` takes a new one | all |
//! | `CRASH_ALL=1` | every point, every call that can fail, every kill, instead of a sample | all but `kills` |
//! | `CRASH_CASE` | only this scenario or case, such as `migrate-wal` | all but `kills` |
//! | `CRASH_POINT` | only this point, as a failure names it; with the `CRASH_SEED` beside it | `power_cuts`, `calls_*` |
//! | `CRASH_KILLS` | how many kills there must be | `kills` |
//!
//! The point of a recorded run of the program is named by the operation before the cut and what was lost
//! (`restore/rename:data/tokens.json#1/zeros`), a failing call by its kind and number
//! (`undo/EIO in a sync/Engine2`), a kill by its number (`migrate/kill40`). Stamps and temporary names are left out of
//! these, so that they mean the same in each run.

use std::str::FromStr;

/// What the environment asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where chance begins: `CRASH_SEED`.
    pub seed: u64,
    /// Whether everything is tried instead of a sample: `CRASH_ALL=1`.
    pub all: bool,
    /// The one scenario to try: `CRASH_CASE`.
    pub case: Option<String>,
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
            case: std::env::var("CRASH_CASE").ok(),
            point: std::env::var("CRASH_POINT").ok(),
        }
    }

    /// Whether something is to be tried, but not in the scenario of this name.
    pub fn is_elsewhere(&self, scenario: &str) -> bool {
        let point = self.point.as_deref().and_then(|point| point.split('/').next());
        let mut wanted = [point, self.case.as_deref()].into_iter().flatten();
        wanted.any(|wanted| wanted != scenario)
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
