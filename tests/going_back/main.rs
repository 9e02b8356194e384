//! Everything goes back: between every pair of versions, with writes in between, and killed at any moment.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says so by panicking"
)]

mod commands;
mod engine;
mod kills;
mod pairs;
mod writes;

/// The seed of a run: `SEED`, or the time, so that every run tries something else; a failure names it.
fn seed() -> u64 {
    match std::env::var("SEED") {
        Ok(text) => text.parse().unwrap(),
        Err(_) => {
            let now = std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .unwrap();
            u64::from(now.subsec_nanos()) ^ now.as_secs()
        }
    }
}
