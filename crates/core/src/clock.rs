//! Time and chance as inputs, so that the same input gives the same bytes.

use std::fmt::Debug;
use std::hash::{BuildHasher, Hasher};

use chrono::{DateTime, SecondsFormat, Utc};

/// Where the engine gets the time and a run's identity from.
pub trait Clock: Debug + Send + Sync {
    /// The time now, in UTC.
    fn now(&self) -> DateTime<Utc>;

    /// A number that no other run has, for the run's name.
    fn nonce(&self) -> u32;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn nonce(&self) -> u32 {
        // std seeds each RandomState from the operating system's random source.
        let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
        hasher.write_u32(std::process::id());
        let [a, b, c, d, ..] = hasher.finish().to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }
}

/// `YYYY-MM-DDTHH:MM:SS.ffffffZ`, the form of every time that the tool stores.
pub fn timestamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// `YYYYMMDD_HHMMSS`, the form of every time in a file's name.
pub fn file_stamp(time: DateTime<Utc>) -> String {
    time.format("%Y%m%d_%H%M%S").to_string()
}
