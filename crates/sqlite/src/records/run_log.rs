//! The log of a run: one JSON object a line, in a file of its own.

use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::{cell::RefCell, fs::File, sync::Arc};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::records::runs::{RecordedRun, Run};
use bridge_migrate_core::clock::{Clock, timestamp};
use bridge_migrate_core::regular_file::{self, create_new, if_there, make_folder, refuse_strange_link};
use bridge_migrate_core::{
    Cause, Error, ErrorKind, Event, Hint, IoContext, Observer, Result, Settings, SkippedRow,
};

/// Length of `migration_YYYYMMDD_HHMMSS`.
const STAMPED: usize = 25;
/// How many rows that were left as they are an outcome names; the log names all.
const NAMED_ROWS: usize = 10;
/// More than the first or the last line of a log takes.
const LINE_BYTES: u64 = 256 * 1024;

/// Writes every event of a run to its log and hands it on.
pub(crate) struct RunLog<'a> {
    next: &'a dyn Observer,
    clock: Arc<dyn Clock>,
    run: String,
    path: Option<PathBuf>,
    file: RefCell<Option<BufWriter<File>>>,
    skipped: RefCell<Vec<SkippedRow>>,
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    run: &'a str,
    #[serde(flatten)]
    event: &'a Event,
}

impl<'a> RunLog<'a> {
    /// Makes the log's file. A log that cannot be written is a warning: it must not stop a migration, or a
    /// way back.
    pub(crate) fn create(settings: &Settings, run: &Run, next: &'a dyn Observer) -> Self {
        let path = settings.log_dir.join(run.log_file_name());
        let file = match open(&settings.log_dir, &path) {
            Ok(file) => Some(BufWriter::new(file)),
            Err(error) => {
                let cause =
                    std::error::Error::source(&error).map_or(String::new(), |cause| format!(": {cause}"));
                next.warn(format!("this run has no log: {error}{cause}"));
                None
            }
        };
        Self {
            next,
            clock: Arc::clone(&settings.clock),
            run: run.name.clone(),
            path: file.is_some().then_some(path),
            file: RefCell::new(file),
            skipped: RefCell::default(),
        }
    }

    /// Where the log is; `None` when it could not be made.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        self.path.clone()
    }

    /// The first rows that were left as they are.
    pub(crate) fn skipped(&self) -> Vec<SkippedRow> {
        self.skipped.borrow().clone()
    }
}

fn open(folder: &Path, path: &Path) -> Result<File> {
    make_folder(folder)?;
    refuse_strange_link(folder)?;
    create_new(path, 0o640).on_file("create", path)
}

impl Observer for RunLog<'_> {
    fn observe(&self, event: &Event) {
        // Progress is for the eyes; the batches are logged.
        if !matches!(event, Event::Progress { .. } | Event::ProgressFinished { .. })
            && let Ok(mut file) = self.file.try_borrow_mut()
            && let Some(writer) = file.as_mut()
        {
            let line = Line {
                time: timestamp(self.clock.now()),
                run: &self.run,
                event,
            };
            let written = serde_json::to_writer(&mut *writer, &line)
                .map_err(std::io::Error::from)
                .and_then(|()| writer.write_all(b"\n"))
                .and_then(|()| writer.flush());
            if let Err(error) = written {
                *file = None;
                self.next.warn(format!("the log ends here: {error}"));
            }
        }
        if let Event::RowSkipped(row) = event
            && let Ok(mut skipped) = self.skipped.try_borrow_mut()
            && skipped.len() < NAMED_ROWS
            // One that begins again meets rows again.
            && !skipped.contains(row)
        {
            skipped.push(row.clone());
        }
        self.next.observe(event);
    }
}

/// The logs in the log directory, oldest first.
///
/// # Errors
/// When the directory cannot be read; one that does not exist is empty.
pub(crate) fn list(settings: &Settings) -> Result<Vec<PathBuf>> {
    let folder = &settings.log_dir;
    let Some(entries) = if_there(std::fs::read_dir(folder)).on_file("read", folder)? else {
        return Ok(Vec::new());
    };
    let mut logs = Vec::new();
    for entry in entries {
        let path = entry.on_file("read", folder)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("migration_") && name.ends_with(".log") {
            logs.push(path);
        }
    }
    // Runs of the same second follow each other, since each holds the lock: who wrote last began last.
    logs.sort_by_cached_key(|path| {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let second = name.get(..STAMPED).map(str::to_owned);
        let written = path.metadata().and_then(|metadata| metadata.modified()).ok();
        (second, written, name)
    });
    Ok(logs)
}

/// The runs of the database with why those failed that did, as far as their logs are there: also of runs that changed
/// nothing, of which the database itself knows nothing. `runs` are those that it records, oldest first.
///
/// # Errors
/// When the log directory cannot be read.
pub fn with_failures(settings: &Settings, mut runs: Vec<RecordedRun>) -> Result<Vec<RecordedRun>> {
    let database = settings.database.to_string_lossy();
    for log in list(settings)? {
        let Some((of, failed)) = failed_run(&log) else {
            continue;
        };
        match runs.iter_mut().find(|run| run.run == failed.run) {
            Some(run) => run.failure = failed.failure,
            None if of == database => runs.push(failed),
            None => {}
        }
    }
    runs.sort_by(|one, other| one.started_at.cmp(&other.started_at));
    Ok(runs)
}

/// Why the run failed, if its log is there and says so.
pub(crate) fn failure_of(settings: &Settings, run: &str) -> Option<Cause> {
    let log = find(settings, Some(run)).ok()?;
    failed_run(&log)?.1.failure
}

/// The run that a log tells of, if it failed, and its database. A log is input: it may hold anything.
fn failed_run(log: &Path) -> Option<(String, RecordedRun)> {
    #[derive(Deserialize)]
    struct Started {
        time: String,
        run: String,
        command: String,
        database: String,
        from: u32,
        to: u32,
        host: String,
        tool: String,
    }
    #[derive(Deserialize)]
    struct Finished {
        version: u32,
        #[serde(flatten)]
        cause: Cause,
    }
    let mut file = regular_file::open(log).ok()?;
    let length = file.metadata().ok()?.len();
    let mut first = Vec::new();
    (&file).take(LINE_BYTES).read_to_end(&mut first).ok()?;
    let mut last = Vec::new();
    file.seek(SeekFrom::Start(length.saturating_sub(LINE_BYTES)))
        .ok()?;
    file.take(LINE_BYTES).read_to_end(&mut last).ok()?;
    let started: Started = read_line(first.split(|byte| *byte == b'\n').next()?)?;
    let finished: Finished = read_line(last.trim_ascii_end().rsplit(|byte| *byte == b'\n').next()?)?;
    let failed = RecordedRun {
        run: started.run,
        command: started.command,
        started_at: started.time,
        finished_at: None,
        from: started.from,
        to: started.to,
        reached: finished.version,
        host: started.host,
        tool: started.tool,
        backup: None,
        allowed_drift: Vec::new(),
        failure: Some(finished.cause),
    };
    Some((started.database, failed))
}

/// A line names its run twice, which is an error to all but a map.
fn read_line<T: DeserializeOwned>(line: &[u8]) -> Option<T> {
    let line: Value = serde_json::from_slice(line).ok()?;
    serde_json::from_value(line).ok()
}

/// The log of the run with this name, or the newest one.
///
/// # Errors
/// [`ErrorKind::Missing`] when there is no such log.
pub fn find(settings: &Settings, run: Option<&str>) -> Result<PathBuf> {
    let logs = list(settings)?;
    let found = match run {
        Some(run) => logs.into_iter().find(|path| {
            path.file_stem()
                .is_some_and(|stem| stem.to_string_lossy().ends_with(&format!("_{run}")))
        }),
        None => logs.into_iter().next_back(),
    };
    found.ok_or_else(|| {
        let what = run.map_or_else(
            || "there is no log".to_owned(),
            |run| format!("there is no log of run {run}"),
        );
        Error::new(
            ErrorKind::Missing,
            format!("{what} in {}", settings.log_dir.display()),
        )
        .with_hint(Hint::History)
    })
}
