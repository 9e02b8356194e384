//! Which databases the file system shim looks at, what it has seen, and what it makes fail.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::ffi;

use crate::trace::{Name, Op, Told, Trace};
use crate::vfs;

/// A kind of operation that can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Opening or creating a file.
    Open,
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Changing the length.
    Truncate,
    /// Putting on disk.
    Sync,
    /// Removing a file.
    Delete,
}

/// What fails, how, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The kind of operation.
    pub kind: Kind,
    /// SQLite's result code.
    pub code: i32,
    /// The first operation of the kind that fails, counted from 1.
    pub nth: u64,
    /// Whether all later ones fail, too, as on a full disk.
    pub lasting: bool,
}

/// A database under watch.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    trace: Trace,
    /// The file that each name stands for.
    names: BTreeMap<Name, usize>,
    files: usize,
    counts: BTreeMap<Kind, u64>,
    fault: Option<Fault>,
    injected: u64,
    recording: bool,
}

static WATCHES: Mutex<BTreeMap<Vec<u8>, Arc<Watch>>> = Mutex::new(BTreeMap::new());

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The watch on the database that `path` belongs to, and which of its files that is.
pub(crate) fn find(path: &[u8]) -> Option<(Arc<Watch>, Name)> {
    let watches = lock(&WATCHES);
    Name::ALL.into_iter().find_map(|name| {
        let database = path.strip_suffix(name.suffix().as_bytes())?;
        Some((Arc::clone(watches.get(database)?), name))
    })
}

impl Watch {
    /// Counts an operation; the code with which it is to fail, if it is.
    pub(crate) fn fails(&self, kind: Kind) -> Option<i32> {
        let mut state = lock(&self.state);
        let count = state.counts.entry(kind).or_default();
        *count += 1;
        let count = *count;
        let fault = state.fault.filter(|fault| {
            fault.kind == kind && (count == fault.nth || (fault.lasting && count > fault.nth))
        })?;
        state.injected += 1;
        Some(fault.code)
    }

    /// The number of the file that `name` stands for; a new one when it was just created.
    pub(crate) fn opened(&self, name: Name, created: bool) -> usize {
        let mut state = lock(&self.state);
        match state.names.get(&name) {
            Some(file) if !created => *file,
            _ => {
                let file = state.files;
                state.files += 1;
                state.names.insert(name, file);
                state.note(Op::Create { file, name });
                file
            }
        }
    }

    pub(crate) fn note(&self, op: Op) {
        lock(&self.state).note(op);
    }
}

impl State {
    fn note(&mut self, op: Op) {
        if let Op::Delete { name, .. } = op {
            self.names.remove(&name);
        }
        if self.recording {
            self.trace.ops.push(op);
        }
    }
}

/// Has the shim look at a database until dropped. While it does, nothing is synced for real.
#[derive(Debug)]
pub struct Watching {
    path: PathBuf,
    watch: Arc<Watch>,
}

impl Watching {
    /// Only leaves out syncs, which a test's throw-away files do not need.
    pub fn quietly(path: &Path) -> Self {
        Self::start(path, State::default())
    }

    /// Records what happens to the database.
    ///
    /// # Panics
    /// When the database has a log or a journal, which the recording would not know.
    pub fn recording(path: &Path) -> Self {
        for name in [Name::Journal, Name::Log] {
            assert!(
                !vfs::sibling(path, name).exists(),
                "the recording starts in the middle"
            );
        }
        let before = fs::read(path).ok();
        let mut state = State {
            recording: true,
            ..State::default()
        };
        if before.is_some() {
            state.names.insert(Name::Database, 0);
            state.files = 1;
        }
        state.trace.before = before;
        Self::start(path, state)
    }

    /// Makes something fail.
    pub fn failing(path: &Path, fault: Fault) -> Self {
        let state = State {
            fault: Some(fault),
            ..State::default()
        };
        Self::start(path, state)
    }

    fn start(path: &Path, state: State) -> Self {
        vfs::install();
        let watch = Arc::new(Watch {
            state: Mutex::new(state),
        });
        let known = lock(&WATCHES).insert(path.as_os_str().as_bytes().to_vec(), Arc::clone(&watch));
        assert!(known.is_none(), "{} is watched already", path.display());
        Self {
            path: path.to_owned(),
            watch,
        }
    }

    /// Notes a promise at this point of the recording.
    pub fn told(&self, told: Told) {
        self.watch.note(Op::Told(told));
    }

    /// How many operations of a kind there were.
    pub fn count(&self, kind: Kind) -> u64 {
        lock(&self.watch.state)
            .counts
            .get(&kind)
            .copied()
            .unwrap_or_default()
    }

    /// How many operations were made to fail.
    pub fn injected(&self) -> u64 {
        lock(&self.watch.state).injected
    }

    /// Ends the recording.
    pub fn finish(self) -> Trace {
        std::mem::take(&mut lock(&self.watch.state).trace)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        lock(&WATCHES).remove(self.path.as_os_str().as_bytes());
    }
}

/// The result codes that the tests use, by the names of the operating system's errors.
pub mod codes {
    use super::ffi;

    /// No space left.
    pub const ENOSPC: i32 = ffi::SQLITE_FULL;
    /// The disk failed in a write.
    pub const EIO_WRITE: i32 = ffi::SQLITE_IOERR_WRITE;
    /// The disk failed in a read.
    pub const EIO_READ: i32 = ffi::SQLITE_IOERR_READ;
    /// The disk failed in a sync.
    pub const EIO_SYNC: i32 = ffi::SQLITE_IOERR_FSYNC;
    /// The disk failed in a truncation.
    pub const EIO_TRUNCATE: i32 = ffi::SQLITE_IOERR_TRUNCATE;
    /// The disk failed in a deletion.
    pub const EIO_DELETE: i32 = ffi::SQLITE_IOERR_DELETE;
    /// Not allowed.
    pub const EACCES: i32 = ffi::SQLITE_CANTOPEN;
}
