//! The log of a run: one JSON object a line, in a file of its own.

use std::cell::RefCell;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::clock::{Clock, timestamp};
use crate::error::{Error, ErrorKind, Hint, IoContext, Result};
use crate::event::{Event, Observer};
use crate::regular_file::{create_new, make_folder, refuse_strange_link};
use crate::runs::Run;
use crate::settings::Settings;

/// Length of `migration_YYYYMMDD_HHMMSS`.
const STAMPED: usize = 25;

/// Writes every event of a run to its log and hands it on.
pub(crate) struct RunLog<'a> {
    next: &'a dyn Observer,
    clock: Arc<dyn Clock>,
    run: String,
    file: RefCell<Option<BufWriter<File>>>,
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
                next.observe(&Event::Warning {
                    message: format!("this run has no log: {error}{cause}"),
                });
                None
            }
        };
        Self {
            next,
            clock: Arc::clone(&settings.clock),
            run: run.name.clone(),
            file: RefCell::new(file),
        }
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
                self.next.observe(&Event::Warning {
                    message: format!("the log ends here: {error}"),
                });
            }
        }
        self.next.observe(event);
    }
}

/// The logs in the log directory, oldest first.
///
/// # Errors
/// When the directory cannot be read; one that does not exist is empty.
pub fn list(settings: &Settings) -> Result<Vec<PathBuf>> {
    let folder = &settings.log_dir;
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("read", folder, error)),
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
        .with_hint(Hint::tool(["history"]))
    })
}
