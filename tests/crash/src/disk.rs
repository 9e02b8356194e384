//! A disk that forgets: what was synced stays, and of the rest a power cut keeps what it likes.
//!
//! What is written and not synced may be there, be missing, or be there in some of its sectors, each write by
//! itself. A new or removed name stays when its folder was synced; else names of different files are kept or lost
//! by themselves, those of one file in their order.

use std::collections::BTreeMap;

use support::random::Random;

use crate::trace::{Name, Op, Trace};

/// Disks write this much or nothing.
const SECTOR: usize = 512;

/// Syncs that a run left out, in the imagination of a test that wants to be caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Forgotten {
    /// All syncs happened.
    #[default]
    None,
    /// The syncs of one kind of file did not.
    Of(Name),
    /// The folder was not synced after deletions.
    Deletions,
}

/// What a power cut takes.
#[derive(Debug, Clone)]
pub enum Loss {
    /// Nothing: the machine goes on and only the process is gone.
    Nothing,
    /// Everything that was not synced.
    Everything,
    /// The bytes that were not synced. Names are newer than what stands under them, as many disks leave it.
    Bytes,
    /// The same, but the files are as long as they were: there are zeros.
    Zeros,
    /// What chance says.
    Some(Random),
}

/// The files that a power cut leaves.
pub type Layout = BTreeMap<Name, Vec<u8>>;

/// The disk after a part of a trace.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    files: Vec<Stored>,
    names: BTreeMap<Name, usize>,
    pending: Vec<(Name, Option<usize>)>,
    forgotten: Forgotten,
}

/// What the disk has of a file, and what it was given since.
#[derive(Debug, Clone, Default)]
pub struct Stored {
    synced: Vec<u8>,
    pending: Vec<Change>,
}

/// A change of a file's bytes.
#[derive(Debug, Clone)]
pub enum Change {
    /// Bytes come.
    Write {
        /// Where the bytes go.
        offset: usize,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Another length.
    Truncate {
        /// The length in bytes.
        length: usize,
    },
}

impl Disk {
    /// The disk before the trace.
    pub fn before(trace: &Trace, forgotten: Forgotten) -> Self {
        let mut disk = Self {
            forgotten,
            ..Self::default()
        };
        if let Some(bytes) = &trace.before {
            disk.files.push(Stored::synced(bytes.clone()));
            disk.names.insert(Name::Database, 0);
        }
        disk
    }

    /// Goes on by one operation.
    pub fn apply(&mut self, op: &Op) {
        match op {
            Op::Create { file, name } => {
                if self.files.len() <= *file {
                    self.files.resize(*file + 1, Stored::default());
                }
                self.pending.push((*name, Some(*file)));
            }
            Op::Write { file, offset, bytes } => self.files[*file].pending.push(Change::Write {
                offset: *offset,
                bytes: bytes.clone(),
            }),
            Op::Truncate { file, length } => self.files[*file]
                .pending
                .push(Change::Truncate { length: *length }),
            Op::Sync { name, .. } if self.forgotten == Forgotten::Of(*name) => {}
            Op::Sync { file, folder, .. } => {
                self.files[*file].sync();
                if *folder {
                    self.sync_names();
                }
            }
            Op::Delete { name, folder } => {
                self.pending.push((*name, None));
                if *folder && self.forgotten != Forgotten::Deletions {
                    self.sync_names();
                }
            }
            Op::Told(_) => {}
        }
    }

    fn sync_names(&mut self) {
        for (name, file) in self.pending.drain(..) {
            match file {
                Some(file) => self.names.insert(name, file),
                None => self.names.remove(&name),
            };
        }
    }

    /// How much a power cut could take.
    pub fn unsynced(&self) -> usize {
        self.pending.len() + self.files.iter().map(Stored::unsynced).sum::<usize>()
    }

    /// What a power cut leaves.
    pub fn cut(&self, mut loss: Loss) -> Layout {
        let mut names = self.names.clone();
        for name in Name::ALL {
            let changes: Vec<_> = self.pending.iter().filter(|(of, _)| *of == name).collect();
            let kept = match &mut loss {
                Loss::Nothing | Loss::Bytes | Loss::Zeros => changes.len(),
                Loss::Everything => 0,
                Loss::Some(random) => pick(random, changes.len() + 1),
            };
            match changes[..kept].last() {
                Some((_, Some(file))) => drop(names.insert(name, *file)),
                Some((_, None)) => drop(names.remove(&name)),
                None => {}
            }
        }
        // Some cuts take little and some take much.
        let share = match &mut loss {
            Loss::Some(random) => [10, 50, 90][pick(random, 3)],
            _ => 0,
        };
        names
            .into_iter()
            .map(|(name, file)| (name, self.files[file].cut(&mut loss, share)))
            .collect()
    }
}

impl Stored {
    /// A file that is on disk.
    pub fn synced(bytes: Vec<u8>) -> Self {
        Self {
            synced: bytes,
            pending: Vec::new(),
        }
    }

    /// Takes a change, which may be lost.
    pub fn change(&mut self, change: Change) {
        self.pending.push(change);
    }

    /// Puts all changes on disk.
    pub fn sync(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            change.apply(&mut self.synced);
        }
    }

    /// The length in bytes, as the running machine knows it.
    pub fn length(&self) -> usize {
        let length = |length: usize, change: &Change| match change {
            Change::Write { offset, bytes } => length.max(offset + bytes.len()),
            Change::Truncate { length } => *length,
        };
        self.pending.iter().fold(self.synced.len(), length)
    }

    /// How many changes could be lost.
    pub fn unsynced(&self) -> usize {
        self.pending.len()
    }

    /// What a power cut leaves; of what is not synced, it takes `share` percent, if that is left to chance.
    pub fn cut(&self, loss: &mut Loss, share: u8) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        for change in &self.pending {
            match loss {
                Loss::Nothing => change.apply(&mut bytes),
                Loss::Everything | Loss::Bytes => {}
                Loss::Zeros => change.stretch(&mut bytes),
                Loss::Some(random) => {
                    let (is_lost, is_torn) = (random.percent(share), random.percent(25));
                    match (is_lost, is_torn) {
                        (true, _) => {}
                        (false, true) => change.tear(&mut bytes, random),
                        (false, false) => change.apply(&mut bytes),
                    }
                }
            }
        }
        bytes
    }
}

impl Change {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => put(file, *offset, bytes),
            Self::Truncate { length } => file.resize(*length, 0),
        }
    }

    /// The length arrives.
    fn stretch(&self, file: &mut Vec<u8>) {
        let length = match self {
            Self::Write { offset, bytes } => file.len().max(offset + bytes.len()),
            Self::Truncate { length } => *length,
        };
        file.resize(length, 0);
    }

    /// Some sectors of a write arrive.
    fn tear(&self, file: &mut Vec<u8>, random: &mut Random) {
        let Self::Write { offset, bytes } = self else {
            return;
        };
        // A file may be as long as it should be before its content is there.
        if random.percent(50) && file.len() < offset + bytes.len() {
            file.resize(offset + bytes.len(), 0);
        }
        let mut at = *offset;
        let end = offset + bytes.len();
        while at < end {
            let next = ((at / SECTOR + 1) * SECTOR).min(end);
            if random.percent(50) {
                put(file, at, &bytes[at - offset..next - offset]);
            }
            at = next;
        }
    }
}

fn put(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[offset..end].copy_from_slice(bytes);
}

/// A number below `end`, which must not be 0.
fn pick(random: &mut Random, end: usize) -> usize {
    usize::try_from(random.below(end as u64)).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(file: usize, offset: usize, byte: u8, length: usize) -> Op {
        Op::Write {
            file,
            offset,
            bytes: vec![byte; length],
        }
    }

    fn disk(ops: &[Op]) -> Disk {
        let trace = Trace {
            before: Some(vec![0; 1024]),
            ops: Vec::new(),
        };
        let mut disk = Disk::before(&trace, Forgotten::None);
        ops.iter().for_each(|op| disk.apply(op));
        disk
    }

    const SYNC: Op = Op::Sync {
        file: 0,
        name: Name::Database,
        folder: false,
    };

    #[test]
    fn what_was_synced_stays_and_the_rest_may_go() {
        let disk = disk(&[write(0, 0, 1, 512), SYNC, write(0, 512, 2, 1024)]);
        assert_eq!(disk.unsynced(), 1);
        let kept = [vec![1; 512], vec![0; 512]].concat();
        assert_eq!(disk.cut(Loss::Everything)[&Name::Database], kept);
        let all = [vec![1; 512], vec![2; 1024]].concat();
        assert_eq!(disk.cut(Loss::Nothing)[&Name::Database], all);
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..300 {
            let bytes = disk
                .cut(Loss::Some(Random::new(seed)))
                .remove(&Name::Database)
                .unwrap();
            assert_eq!(bytes[..512], [1; 512]);
            assert!(
                bytes
                    .chunks(SECTOR)
                    .all(|sector| sector.iter().all(|byte| *byte == sector[0]))
            );
            seen.insert(bytes.chunks(SECTOR).map(|sector| sector[0]).collect::<Vec<_>>());
        }
        // Gone, whole, the first sector only, and the second only, also with the length of the whole.
        for sectors in [
            vec![1, 0],
            vec![1, 2, 2],
            vec![1, 2],
            vec![1, 2, 0],
            vec![1, 0, 2],
        ] {
            assert!(seen.contains(&sectors), "{sectors:?} in {seen:?}");
        }
    }

    #[test]
    fn names_come_and_go_with_the_sync_of_their_folder() {
        let create = Op::Create {
            file: 1,
            name: Name::Journal,
        };
        let sync = |folder| Op::Sync {
            file: 1,
            name: Name::Journal,
            folder,
        };
        let delete = |folder| Op::Delete {
            name: Name::Journal,
            folder,
        };
        let has = |ops: &[Op], loss| disk(ops).cut(loss).contains_key(&Name::Journal);
        assert!(has(std::slice::from_ref(&create), Loss::Nothing));
        assert!(!has(&[create.clone(), sync(false)], Loss::Everything));
        assert!(has(&[create.clone(), sync(true)], Loss::Everything));
        assert!(has(
            &[create.clone(), sync(true), delete(false)],
            Loss::Everything
        ));
        assert!(!has(&[create, sync(true), delete(true)], Loss::Everything));
    }
}
