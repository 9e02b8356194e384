//! The Bridge's 1.0.0 server under load: writers that open a connection for each call, wait 5 s for a lock, and
//! know nothing of migrations.

mod report;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use report::Report;

use crate::database::connect;
use crate::schema_1_0_0;
use writer::Writer;

/// A running server.
#[derive(Debug)]
pub struct Server {
    stop: Arc<AtomicBool>,
    successes: Arc<AtomicU64>,
    writers: Vec<JoinHandle<Report>>,
    start_up: Report,
}

impl Server {
    /// Starts a server whose writers call one after the other without a pause.
    pub fn start(path: &Path, writers: u64) -> Self {
        Self::start_paced(path, writers, Duration::ZERO)
    }

    /// Starts a server whose writers pause between calls.
    pub fn start_paced(path: &Path, writers: u64, pause: Duration) -> Self {
        let mut start_up = Report::default();
        for statement in schema_1_0_0::start_up() {
            start_up.time(statement, || connect(path)?.execute_batch(statement));
        }
        let stop = Arc::new(AtomicBool::new(false));
        let successes = Arc::new(AtomicU64::new(0));
        let writers = (0..writers).map(|number| {
            let writer = Writer::new(path.to_owned(), number, Arc::clone(&successes));
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || writer.run(&stop, pause))
        });
        Self {
            writers: writers.collect(),
            stop,
            successes,
            start_up,
        }
    }

    /// Successful calls of all writers so far.
    pub fn calls(&self) -> u64 {
        self.successes.load(Ordering::Relaxed)
    }

    /// Returns when the writers have made this many more successful calls.
    ///
    /// # Panics
    /// After a minute without.
    pub fn wait_for_calls(&self, more: u64) {
        let (target, deadline) = (self.calls() + more, Instant::now() + Duration::from_secs(60));
        while self.calls() < target {
            assert!(
                Instant::now() < deadline,
                "the server made {} of {target} calls in a minute",
                self.calls()
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Lets each writer finish its call, and says what all calls came to.
    pub fn stop(mut self) -> Report {
        self.stop.store(true, Ordering::Relaxed);
        let mut report = std::mem::take(&mut self.start_up);
        for writer in self.writers.drain(..) {
            report.add(writer.join().unwrap());
        }
        report.latencies.sort_unstable();
        report
    }
}

impl Drop for Server {
    /// A failing test must not leave writers behind.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for writer in self.writers.drain(..) {
            let _ = writer.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TestDatabase;

    #[test]
    fn a_server_loses_nothing_on_its_own_release() {
        for wal in [false, true] {
            let database = TestDatabase::populated(1);
            database.set_wal(wal);
            let server = Server::start(&database.path(), 3);
            server.wait_for_calls(120);
            let report = server.stop();
            report.assert_no_errors();
            report.assert_nothing_lost(&database);
            assert!(report.rows_written() >= 50 && report.reads > 0, "{report:?}");
            assert!(report.p50() <= report.p99() && report.p99() <= report.max());
            assert!(report.max() > Duration::ZERO);
        }
    }

    #[test]
    fn lost_and_changed_rows_are_noticed() {
        let database = TestDatabase::fresh_1_0_0();
        let server = Server::start_paced(&database.path(), 1, Duration::from_millis(1));
        server.wait_for_calls(20);
        let report = server.stop();
        report.assert_nothing_lost(&database);
        database.execute(
            "DELETE FROM messages WHERE rowid = 1; UPDATE files SET content = X'00' WHERE rowid = 1",
        );
        assert_eq!(report.lost(&database).len(), 2);
    }

    #[test]
    fn failed_calls_are_counted_and_not_taken_for_lost_rows() {
        let database = TestDatabase::fresh_1_0_0();
        database.execute(
            "CREATE TRIGGER t BEFORE INSERT ON files BEGIN SELECT RAISE(ABORT, 'disk on fire'); END",
        );
        let server = Server::start(&database.path(), 1);
        server.wait_for_calls(20);
        let report = server.stop();
        assert!(
            report.errors.iter().all(|error| error.contains("disk on fire")),
            "{:?}",
            report.errors
        );
        assert!(!report.errors.is_empty());
        report.assert_nothing_lost(&database);
    }
}
