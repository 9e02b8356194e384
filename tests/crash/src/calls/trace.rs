//! What a run did to the files below a folder, in order.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::names::lasting;
use super::tree::Tree;

/// One operation. Paths are relative to the folder; a file is known by a number, since names come and go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// A new file got a name.
    Create {
        /// The name.
        path: PathBuf,
        /// The file.
        file: usize,
    },
    /// A folder was made.
    MakeFolder {
        /// Its name.
        path: PathBuf,
    },
    /// Bytes were handed to the operating system.
    Write {
        /// The file.
        file: usize,
        /// Where the bytes go.
        offset: usize,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// The file got another length.
    Resize {
        /// The file.
        file: usize,
        /// The length in bytes.
        length: usize,
        /// Whether a longer file stayed as it was.
        at_least: bool,
    },
    /// Everything written to the file is on disk.
    Sync {
        /// The file.
        file: usize,
    },
    /// The names in a folder are on disk.
    SyncFolder {
        /// The folder; empty for the watched one itself.
        path: PathBuf,
    },
    /// A file got another name, and whatever had that lost it, or took the old one.
    Rename {
        /// The old name.
        from: PathBuf,
        /// The new one.
        to: PathBuf,
        /// Whether the old one was taken.
        exchanges: bool,
    },
    /// A file got one more name.
    Link {
        /// The first name.
        from: PathBuf,
        /// The further one.
        to: PathBuf,
    },
    /// A name was taken away.
    Remove {
        /// The name.
        path: PathBuf,
    },
    /// The program said on standard output that it is done.
    Said,
}

/// One operation with a name that is the same in each run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The operation.
    pub op: Op,
    /// What it does to which file.
    pub what: String,
    /// The how-manieth of that name it is, from 1 on.
    pub number: u64,
}

impl Event {
    /// The event's name: `rename:data/collab.db.backup.*#1`.
    pub fn name(&self) -> String {
        format!("{}#{}", self.what, self.number)
    }
}

/// All operations of a run, and what was on disk before it.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// The folder before, which is taken for being on disk.
    pub before: Tree,
    /// The operations.
    pub events: Vec<Event>,
}

impl Trace {
    /// The names of all operations, by which points are found again.
    pub fn names(&self) -> BTreeSet<String> {
        self.events.iter().map(Event::name).collect()
    }

    /// The same run, had it not put on disk the file that got the name `to`, which is written as in the names of events.
    ///
    /// # Panics
    /// When there was no such sync.
    #[must_use]
    pub fn without_sync_of(&self, to: &str) -> Self {
        let (_, temporary) = self.publication(to);
        let created = self.events.iter().find_map(|event| match &event.op {
            Op::Create { path, file } if *path == temporary => Some(*file),
            _ => None,
        });
        let file = created.unwrap();
        self.without(|_, op| matches!(op, Op::Sync { file: synced } if *synced == file))
    }

    /// The same run, had it not put the folder on disk after a file got the name `to`.
    ///
    /// # Panics
    /// When it did not do so.
    #[must_use]
    pub fn without_folder_sync_after(&self, to: &str) -> Self {
        let (renamed, _) = self.publication(to);
        self.without(|index, op| index > renamed && matches!(op, Op::SyncFolder { .. }))
    }

    /// The same run, had it put no folder on disk.
    ///
    /// # Panics
    /// When it did not do so.
    #[must_use]
    pub fn without_folder_syncs(&self) -> Self {
        self.without(|_, op| matches!(op, Op::SyncFolder { .. }))
    }

    /// When the last file got this name, and what it was called before.
    fn publication(&self, to: &str) -> (usize, PathBuf) {
        let mut events = self.events.iter().enumerate().rev();
        let found = events.find_map(|(index, event)| match &event.op {
            Op::Rename { from, to: new, .. } if lasting(new) == to => Some((index, from.clone())),
            _ => None,
        });
        found.unwrap()
    }

    fn without(&self, is_left_out: impl Fn(usize, &Op) -> bool) -> Self {
        let mut trace = self.clone();
        let mut index = 0..;
        trace
            .events
            .retain(|event| !is_left_out(index.next().unwrap_or_default(), &event.op));
        assert!(trace.events.len() < self.events.len(), "nothing was left out");
        trace
    }

    /// How many operations of each kind there are, for people.
    pub fn summary(&self) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for event in &self.events {
            let verb = event.what.split(':').next().unwrap_or_default();
            *counts.entry(verb).or_default() += 1;
        }
        let counts: Vec<String> = counts
            .iter()
            .map(|(verb, count)| format!("{count} {verb}"))
            .collect();
        format!("{} calls: {}", self.events.len(), counts.join(", "))
    }
}
