//! What reached the disk, in order.

/// Which of a database's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// The database itself.
    Database,
    /// Its rollback journal.
    Journal,
    /// Its write-ahead log.
    Log,
}

impl Name {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Database, Self::Journal, Self::Log];

    /// What SQLite adds to the database's name.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Database => "",
            Self::Journal => "-journal",
            Self::Log => "-wal",
        }
    }
}

/// What a run told its caller, after which a power cut must not take it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The database is at this version.
    At(u32),
    /// The run ended well.
    Done,
}

/// One operation. A file is known by a number, since a name may stand for one file after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// A new file got a name.
    Create {
        /// The file.
        file: usize,
        /// Its name.
        name: Name,
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
    Truncate {
        /// The file.
        file: usize,
        /// The length in bytes.
        length: usize,
    },
    /// Everything written to the file is on disk.
    Sync {
        /// The file.
        file: usize,
        /// Its name, for whoever ignores some syncs.
        name: Name,
        /// Whether the names of the folder are on disk, too.
        folder: bool,
    },
    /// A name was removed.
    Delete {
        /// The name.
        name: Name,
        /// Whether the names of the folder are on disk.
        folder: bool,
    },
    /// Something was promised.
    Told(Told),
}

/// All operations of a run, and what was on disk before it.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// The database before, if there was one; file 0.
    pub before: Option<Vec<u8>>,
    /// The operations.
    pub ops: Vec<Op>,
}

impl Trace {
    /// How many operations of each kind there are, for people.
    pub fn summary(&self) -> String {
        let count = |is: fn(&Op) -> bool| self.ops.iter().filter(|op| is(op)).count();
        format!(
            "{} operations: {} writes, {} truncations, {} syncs, {} creations, {} deletions",
            self.ops.len(),
            count(|op| matches!(op, Op::Write { .. })),
            count(|op| matches!(op, Op::Truncate { .. })),
            count(|op| matches!(op, Op::Sync { .. })),
            count(|op| matches!(op, Op::Create { .. })),
            count(|op| matches!(op, Op::Delete { .. })),
        )
    }
}
