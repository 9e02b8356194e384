//! The engine under test without what makes it slow or different each time: real disks, backups, the time.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use bridge_migrate_core::clock::Clock;
use bridge_migrate_sqlite::MigrateOptions;
use chrono::{DateTime, Utc};

/// Has this process make its temporary files in memory where the system has a place for that: neither a recorded
/// disk nor a killed process depends on real syncs, which are slow.
pub fn in_memory() {
    let shared_memory = Path::new("/dev/shm");
    if shared_memory.is_dir() {
        // A second call finds it set.
        let _ = tempfile::env::override_temp_dir(shared_memory);
    }
}

/// Options that make no backup.
pub fn without_backup() -> MigrateOptions {
    MigrateOptions {
        without_backup: true,
        ..MigrateOptions::default()
    }
}

/// It is always the same moment, but each run has a name of its own.
#[derive(Debug)]
pub struct StandingClock;

impl Clock for StandingClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(1_771_774_245, 0).unwrap()
    }

    fn nonce(&self) -> u32 {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        RUNS.fetch_add(1, Ordering::Relaxed)
    }
}
