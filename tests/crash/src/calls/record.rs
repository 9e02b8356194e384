//! Turns the calls of a run into a trace.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use nix::libc;

use super::call::{Action, Call, Process};
use super::names::lasting;
use super::trace::{Event, Op, Trace};
use super::tracer::{Verdict, Watcher};
use super::tree::Tree;

/// Records.
#[derive(Debug)]
pub struct Recorder {
    root: PathBuf,
    trace: Trace,
    /// Files by their inode. A new file takes the place of a removed one that had the same.
    files: HashMap<u64, usize>,
    next: usize,
    /// How often each name of an operation was used.
    numbers: BTreeMap<String, u64>,
    said: Vec<u8>,
    /// What cannot be recorded, which no test may overlook.
    pub unknown: BTreeSet<String>,
}

impl Recorder {
    /// Takes `root` as it is now for the state before.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn new(root: &Path) -> Self {
        let before = Tree::read(root);
        let mut files = HashMap::new();
        for (number, name) in file_names(&before).enumerate() {
            files.insert(fs::metadata(root.join(name)).unwrap().ino(), number);
        }
        Self {
            root: root.to_owned(),
            next: files.len(),
            files,
            trace: Trace {
                before,
                events: Vec::new(),
            },
            numbers: BTreeMap::new(),
            said: Vec::new(),
            unknown: BTreeSet::new(),
        }
    }

    /// What was recorded.
    ///
    /// # Panics
    /// When something happened that the disk cannot imitate.
    pub fn finish(self) -> Trace {
        assert!(
            self.unknown.is_empty(),
            "the disk of the tests does not know these: {:?}",
            self.unknown
        );
        self.trace
    }

    fn relative(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root).unwrap_or(path).to_owned()
    }

    fn push(&mut self, verb: &str, path: &Path, op: Op) {
        let what = format!("{verb}:{}", lasting(&self.relative(path)));
        let number = self.numbers.entry(what.clone()).or_default();
        *number += 1;
        let event = Event {
            op,
            what,
            number: *number,
        };
        self.trace.events.push(event);
    }

    fn opened(&mut self, inode: u64, call: &Call, flags: i32, existed: bool) {
        let path = self.relative(&call.path);
        if !existed && flags & libc::O_CREAT != 0 {
            let file = self.next;
            self.next += 1;
            self.files.insert(inode, file);
            self.push("create", &call.path, Op::Create { path, file });
        } else if flags & libc::O_TRUNC != 0 {
            self.resize(inode, call, 0, false);
        }
    }

    fn resize(&mut self, inode: u64, call: &Call, length: u64, at_least: bool) {
        if let Some(file) = self.files.get(&inode).copied() {
            let length = usize::try_from(length).unwrap();
            let op = Op::Resize {
                file,
                length,
                at_least,
            };
            self.push("resize", &call.path, op);
        }
    }

    fn written(&mut self, inode: u64, call: &Call, offset: u64, bytes: Vec<u8>) {
        if let Some(file) = self.files.get(&inode).copied() {
            let offset = usize::try_from(offset).unwrap();
            self.push("write", &call.path, Op::Write { file, offset, bytes });
        }
    }

    /// A call that got a descriptor, or was given one.
    fn on_file(&mut self, process: &Process, call: &Call, fd: i32, result: u64) -> std::io::Result<()> {
        let inode = process.inode(fd)?;
        match &call.action {
            Action::Open { flags, existed } => self.opened(inode, call, *flags, *existed),
            Action::Write { offset, bytes } => {
                // After the call, the descriptor stands behind what was written.
                let offset = match offset {
                    Some(offset) => *offset,
                    None => process.position(fd)?.saturating_sub(result),
                };
                let length = usize::try_from(result).unwrap();
                self.written(inode, call, offset, bytes[..length].to_vec());
            }
            Action::Copy { offset_at } => {
                let end = match offset_at {
                    0 => process.position(fd)?,
                    address => process.number_at(*address)?,
                };
                let offset = end.saturating_sub(result);
                let mut bytes = vec![0; usize::try_from(result).unwrap()];
                File::open(process.file_of(fd))?.read_exact_at(&mut bytes, offset)?;
                if !bytes.is_empty() {
                    self.written(inode, call, offset, bytes);
                }
            }
            Action::Resize { length, at_least } => self.resize(inode, call, *length, *at_least),
            Action::Sync => {
                if fs::metadata(process.file_of(fd))?.is_dir() {
                    let path = self.relative(&call.path);
                    self.push("sync", &call.path, Op::SyncFolder { path });
                } else if let Some(file) = self.files.get(&inode).copied() {
                    self.push("sync", &call.path, Op::Sync { file });
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn on_names(&mut self, call: &Call) {
        let path = self.relative(&call.path);
        match &call.action {
            Action::Rename { from, exchanges } => {
                if !from.starts_with(&self.root) {
                    self.unknown.insert(format!("a rename from {}", from.display()));
                }
                let from = self.relative(from);
                let op = Op::Rename {
                    from,
                    to: path,
                    exchanges: *exchanges,
                };
                self.push("rename", &call.path, op);
            }
            Action::Link { from } => {
                let from = self.relative(from);
                self.push("link", &call.path, Op::Link { from, to: path });
            }
            Action::Unlink => self.push("remove", &call.path, Op::Remove { path }),
            Action::MakeFolder => self.push("mkdir", &call.path, Op::MakeFolder { path }),
            Action::Say { bytes } => {
                self.said.extend_from_slice(bytes);
                // With --json it prints one line, at its end.
                if self.said.ends_with(b"\n") {
                    self.push("say", Path::new("done"), Op::Said);
                }
            }
            Action::Unknown { number } => {
                self.unknown
                    .insert(format!("call {number} on {}", call.path.display()));
            }
            _ => {}
        }
    }
}

impl Watcher for Recorder {
    fn before(&mut self, _: &Call) -> Verdict {
        Verdict::Pass
    }

    fn after(&mut self, process: &Process, call: &Call, result: i64) {
        // Memory that is shared through a file does not outlive the machine.
        let is_shared_memory = call.path.to_string_lossy().ends_with("-shm");
        let Ok(result) = u64::try_from(result) else {
            return;
        };
        if is_shared_memory {
            return;
        }
        let fd = match &call.action {
            Action::Open { .. } => i32::try_from(result).ok(),
            _ => call.fd,
        };
        let seen = match fd {
            Some(fd) if fd > 2 => self.on_file(process, call, fd, result),
            _ => {
                self.on_names(call);
                Ok(())
            }
        };
        if let Err(error) = seen {
            self.unknown
                .insert(format!("{:?} of {}: {error}", call.action, call.path.display()));
        }
    }
}

/// The files in a tree; the first has the number 0.
pub fn file_names(tree: &Tree) -> impl Iterator<Item = &PathBuf> {
    tree.0
        .iter()
        .filter(|(_, bytes)| bytes.is_some())
        .map(|(name, _)| name)
}
