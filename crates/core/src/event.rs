//! What the engine says while it works. It never prints: observers render, store or ignore.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A long activity whose progress is worth a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// Copying the database into a backup, or a backup back; bytes.
    Copy,
    /// Checking the pages of a copy.
    Check,
    /// Taking a file's digest; bytes.
    Digest,
    /// A data step's rows.
    Rows,
}

/// A part of a rehearsal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The database and its companion are copied.
    Copy,
    /// The plan runs on the copy.
    Up,
    /// The copy goes back to where it was.
    Back,
    /// The plan runs a second time.
    Again,
    /// What uses the database is tried on the copy.
    Use,
}

/// Paths need not be UTF-8, and JSON is: what cannot be shown is replaced.
/// Who holds the lock, as the holder wrote it into the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// The machine.
    pub host: String,
    /// Since when, in UTC.
    pub since: String,
    /// What it is doing.
    pub command: String,
    /// Which program.
    pub tool: String,
}

/// One thing that happened during a run. Never holds a secret or a value of user data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// Another process holds the migration lock.
    Waiting {
        /// Who holds it, as far as the lock file says.
        holder: Option<Holder>,
    },
    /// A run began, under the migration lock.
    RunStarted {
        /// The run's name.
        run: String,
        /// What the run does: `migrate`, `rollback`, …
        command: String,
        /// The database that it is about.
        #[serde(serialize_with = "crate::serial::path")]
        database: PathBuf,
        /// The version it starts from.
        from: u32,
        /// The version it goes to.
        to: u32,
        /// What a timestamp without an offset means in this run.
        time_zone: String,
        /// The machine.
        host: String,
        /// The program.
        tool: String,
    },
    /// There was no database: a new one was made.
    DatabaseCreated {
        /// Where.
        #[serde(serialize_with = "crate::serial::path")]
        database: PathBuf,
    },
    /// An unversioned database matched the schema of a version and was taken into management.
    Adopted {
        /// The version it matched.
        version: u32,
        /// Its release.
        release: String,
        /// Objects of the operators' own, which stay.
        kept: Vec<String>,
        /// Tables created, as the server would at its next start.
        created: Vec<String>,
    },
    /// A long activity moves on.
    Progress {
        /// Which.
        activity: Activity,
        /// What it works on.
        subject: String,
        /// How far it is.
        done: u64,
        /// Where it ends, when known.
        total: Option<u64>,
    },
    /// A long activity is over.
    ProgressFinished {
        /// Which.
        activity: Activity,
        /// What it worked on.
        subject: String,
    },
    /// A backup is complete, verified and on disk.
    BackedUp {
        /// The copy of the database.
        #[serde(serialize_with = "crate::serial::path")]
        database: PathBuf,
        /// The copy of the companion file, if there is one.
        #[serde(serialize_with = "crate::serial::optional_path")]
        companion: Option<PathBuf>,
        /// The manifest.
        #[serde(serialize_with = "crate::serial::path")]
        manifest: PathBuf,
        /// Whether an earlier run made it of exactly this state.
        reused: bool,
    },
    /// An old backup is removed.
    BackupRemoved {
        /// The copy of the database.
        #[serde(serialize_with = "crate::serial::path")]
        database: PathBuf,
    },
    /// A step began.
    StepStarted {
        /// The migration's number.
        version: u32,
        /// The migration's name.
        name: String,
        /// Whether it goes back.
        down: bool,
        /// The batch cursor that an earlier, interrupted run left.
        resumed: bool,
    },
    /// A batch of a data step is committed.
    BatchCommitted {
        /// The migration's number.
        version: u32,
        /// Rows read.
        visited: u64,
        /// Rows changed.
        changed: u64,
        /// How long the write lock was held, in microseconds.
        lock_us: u64,
    },
    /// A data step left a row as it is.
    RowSkipped(SkippedRow),
    /// A step is committed.
    StepFinished {
        /// The migration's number.
        version: u32,
        /// The migration's name.
        name: String,
        /// Whether it went back.
        down: bool,
        /// From begin to commit of its last transaction, in milliseconds.
        duration_ms: u64,
        /// Rows that the step changed.
        rows_changed: u64,
        /// The longest time that one of its transactions held the write lock, in milliseconds.
        max_lock_ms: u64,
    },
    /// A rehearsal goes on to its next part; the steps that follow happen on the copy.
    Rehearsing {
        /// Which.
        stage: Stage,
    },
    /// Something an operator should know that does not stop the run.
    Warning {
        /// What.
        message: String,
    },
    /// A run is over.
    RunFinished {
        /// The run's name.
        run: String,
        /// The version it reached.
        version: u32,
        /// The kind of the error that ended it, if one did.
        error: Option<crate::error::ErrorKind>,
        /// Why it failed, if it did.
        #[serde(flatten)]
        cause: Option<crate::cause::Cause>,
    },
}

/// A row that a data step left as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SkippedRow {
    /// The migration's number.
    pub version: u32,
    /// The row's table.
    pub table: String,
    /// The row's key, as text.
    pub key: String,
    /// Why it was left, without the value.
    pub why: String,
}

/// Sees the events of a run, in order, on the thread that runs.
pub trait Observer {
    /// Takes note of one event. Must not panic; cannot fail the run.
    fn observe(&self, event: &Event);

    /// A long activity goes on.
    fn progress(&self, activity: Activity, subject: &str, done: u64, total: Option<u64>) {
        self.observe(&Event::Progress {
            activity,
            subject: subject.to_owned(),
            done,
            total,
        });
    }

    /// A long activity has ended.
    fn finished(&self, activity: Activity, subject: &str) {
        self.observe(&Event::ProgressFinished {
            activity,
            subject: subject.to_owned(),
        });
    }

    /// Something that the operator should know.
    fn warn(&self, message: String) {
        self.observe(&Event::Warning { message });
    }
}

/// An observer that ignores everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn observe(&self, _: &Event) {}
}
