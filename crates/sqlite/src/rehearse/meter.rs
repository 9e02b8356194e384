//! What a step costs: time and rows as its events tell, files and memory as a watching thread sees them.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::{cell::RefCell, sync::Arc, thread::JoinHandle, time::Duration};

use serde::Serialize;

use crate::files::database_file::with_suffix;
use crate::plan::receipt::Measures;
use bridge_migrate_core::{Event, Observer};

/// Between two looks at the files. A journal lives as long as a transaction, so one that is shorter than this
/// may be missed.
const PAUSE: Duration = Duration::from_millis(1);
/// Rows that are named for each step.
const NAMED_ROWS: usize = 5;

/// A row that a data step left as it is, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftRow {
    /// Its table.
    pub table: String,
    /// Its key, as text.
    pub key: String,
    /// Why, without the value.
    pub why: String,
}

/// A step that was measured.
#[derive(Debug, Clone)]
pub(super) struct Measured {
    pub(super) version: u32,
    pub(super) measures: Measures,
    /// The first rows that it left.
    pub(super) left: Vec<LeftRow>,
}

/// Measures the steps of one run on the copy, and hands on what is of interest beyond the copy.
pub(super) struct Meter<'a> {
    next: &'a dyn Observer,
    watch: Watch,
    current: RefCell<(u64, Vec<LeftRow>)>,
    measured: RefCell<Vec<Measured>>,
}

impl<'a> Meter<'a> {
    pub(super) fn new(database: &Path, next: &'a dyn Observer) -> Self {
        Self {
            next,
            watch: Watch::start(database),
            current: RefCell::default(),
            measured: RefCell::default(),
        }
    }

    /// The steps that were completed, in order.
    pub(super) fn into_measured(self) -> Vec<Measured> {
        self.measured.into_inner()
    }
}

impl Observer for Meter<'_> {
    fn observe(&self, event: &Event) {
        match event {
            Event::StepStarted { .. } => {
                self.current.take();
                self.watch.begin();
            }
            Event::RowSkipped(row) => {
                let mut current = self.current.borrow_mut();
                current.0 += 1;
                if current.1.len() < NAMED_ROWS {
                    current.1.push(LeftRow {
                        table: row.table.clone(),
                        key: row.key.clone(),
                        why: row.why.clone(),
                    });
                }
            }
            Event::StepFinished {
                version,
                duration_ms,
                rows_changed,
                max_lock_ms,
                ..
            } => {
                let (rows_skipped, left) = self.current.take();
                let (peak_database_bytes, peak_journal_bytes) = self.watch.peaks();
                self.measured.borrow_mut().push(Measured {
                    version: *version,
                    measures: Measures {
                        duration_ms: *duration_ms,
                        rows_changed: *rows_changed,
                        rows_skipped,
                        max_lock_ms: *max_lock_ms,
                        peak_journal_bytes,
                        peak_database_bytes,
                        peak_memory_bytes: peak_memory(),
                    },
                    left,
                });
            }
            _ => {}
        }
        let is_of_the_copy = matches!(
            event,
            Event::RunStarted { .. } | Event::RunFinished { .. } | Event::BackedUp { .. }
        );
        if !is_of_the_copy {
            self.next.observe(event);
        }
    }
}

/// Hands on how far a copy is, and not where it lies.
pub(super) struct ProgressOnly<'a>(pub(super) &'a dyn Observer);

impl Observer for ProgressOnly<'_> {
    fn observe(&self, event: &Event) {
        if !matches!(event, Event::BackedUp { .. }) {
            self.0.observe(event);
        }
    }
}

/// Looks at the sizes of a database's files all the time.
struct Watch {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    database: PathBuf,
    sidecars: [PathBuf; 2],
    peak_database: AtomicU64,
    peak_sidecars: AtomicU64,
    over: AtomicBool,
}

impl Shared {
    fn sample(&self) {
        let length = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
        let sidecars = self.sidecars.iter().map(|path| length(path)).sum();
        self.peak_database
            .fetch_max(length(&self.database), Ordering::Relaxed);
        self.peak_sidecars.fetch_max(sidecars, Ordering::Relaxed);
    }
}

impl Watch {
    fn start(database: &Path) -> Self {
        let shared = Arc::new(Shared {
            database: database.to_owned(),
            sidecars: ["-wal", "-journal"].map(|suffix| with_suffix(database, suffix)),
            peak_database: AtomicU64::new(0),
            peak_sidecars: AtomicU64::new(0),
            over: AtomicBool::new(false),
        });
        let watched = Arc::clone(&shared);
        // Without the thread the ends of steps are still seen.
        let thread = std::thread::Builder::new()
            .name("rehearsal watch".to_owned())
            .spawn(move || {
                while !watched.over.load(Ordering::Relaxed) {
                    watched.sample();
                    std::thread::sleep(PAUSE);
                }
            })
            .ok();
        Self { shared, thread }
    }

    fn begin(&self) {
        self.shared.peak_database.store(0, Ordering::Relaxed);
        self.shared.peak_sidecars.store(0, Ordering::Relaxed);
    }

    fn peaks(&self) -> (u64, u64) {
        self.shared.sample();
        (
            self.shared.peak_database.load(Ordering::Relaxed),
            self.shared.peak_sidecars.load(Ordering::Relaxed),
        )
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has nothing to tell.
            let _ = thread.join();
        }
    }
}

/// The most memory that this process has held so far, in bytes (`VmHWM` of proc(5)).
fn peak_memory() -> Option<u64> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
