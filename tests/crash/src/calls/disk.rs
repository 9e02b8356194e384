//! A disk that forgets, for any names: what was synced stays, and of the rest a power cut keeps what it likes.
//!
//! The rules are those of the disk under SQLite's shim (`crate::disk`). A file's bytes are on disk when the file was
//! synced, its name when the folder was. What is written and not synced may be there, be missing, or be there in some
//! of its sectors. A change of names is there as a whole or not at all; changes of different names are kept or lost by
//! themselves, those of one name in their order. What stands in a folder that is lost is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use support::random::Random;

use super::names::lasting;
use super::record::file_names;
use super::trace::{Op, Trace};
use super::tree::Tree;
use crate::disk::{Change, Loss, Stored};

/// The disk after a part of a trace.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    files: Vec<Stored>,
    names: BTreeMap<PathBuf, Node>,
    pending: Vec<Renaming>,
    /// The names as the running machine knows them.
    now: BTreeMap<PathBuf, Node>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Folder,
    File(usize),
}

/// Names that change at once. The last one's folder is the one whose sync counts.
#[derive(Debug, Clone)]
struct Renaming(Vec<(PathBuf, Option<Node>)>);

impl Renaming {
    fn folder(&self) -> &Path {
        let path = self.0.last().map(|(path, _)| path.as_path());
        path.and_then(Path::parent).unwrap_or(Path::new(""))
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        for (path, node) in &self.0 {
            match node {
                Some(node) => names.insert(path.clone(), *node),
                None => names.remove(path),
            };
        }
    }
}

impl Disk {
    /// The disk before the trace.
    pub fn before(trace: &Trace) -> Self {
        let mut disk = Self::default();
        for name in file_names(&trace.before) {
            let bytes = trace.before.get(name).unwrap_or_default();
            disk.names.insert(name.clone(), Node::File(disk.files.len()));
            disk.files.push(Stored::synced(bytes.to_vec()));
        }
        let folders = trace.before.0.iter().filter(|(_, bytes)| bytes.is_none());
        disk.names
            .extend(folders.map(|(name, _)| (name.clone(), Node::Folder)));
        disk.now = disk.names.clone();
        disk
    }

    /// Goes on by one operation.
    ///
    /// # Panics
    /// When a whole folder gets another name, which nothing here does.
    pub fn apply(&mut self, op: &Op) {
        match op {
            Op::Create { path, file } => {
                if self.files.len() <= *file {
                    self.files.resize(*file + 1, Stored::default());
                }
                self.rename(vec![(path.clone(), Some(Node::File(*file)))]);
            }
            Op::MakeFolder { path } => self.rename(vec![(path.clone(), Some(Node::Folder))]),
            Op::Remove { path } => self.rename(vec![(path.clone(), None)]),
            Op::Link { from, to } => {
                let node = self.now.get(from).copied();
                self.rename(vec![(to.clone(), node)]);
            }
            Op::Rename { from, to, exchanges } => {
                let node = self.now.get(from).copied();
                assert!(node != Some(Node::Folder), "{} is a folder", from.display());
                if from != to {
                    let back = exchanges.then(|| self.now.get(to).copied()).flatten();
                    self.rename(vec![(from.clone(), back), (to.clone(), node)]);
                }
            }
            Op::Write { file, offset, bytes } => {
                let change = Change::Write {
                    offset: *offset,
                    bytes: bytes.clone(),
                };
                self.files[*file].change(change);
            }
            Op::Resize {
                file,
                length,
                at_least,
            } => {
                let length = match at_least {
                    true => self.files[*file].length().max(*length),
                    false => *length,
                };
                self.files[*file].change(Change::Truncate { length });
            }
            Op::Sync { file } => self.files[*file].sync(),
            Op::SyncFolder { path } => {
                let (done, waiting) = std::mem::take(&mut self.pending)
                    .into_iter()
                    .partition(|renaming| renaming.folder() == path);
                self.pending = waiting;
                let done: Vec<Renaming> = done;
                done.iter().for_each(|renaming| renaming.apply(&mut self.names));
            }
            Op::Said => {}
        }
    }

    fn rename(&mut self, names: Vec<(PathBuf, Option<Node>)>) {
        let renaming = Renaming(names);
        renaming.apply(&mut self.now);
        self.pending.push(renaming);
    }

    /// How much a power cut could take.
    pub fn unsynced(&self) -> usize {
        self.pending.len() + self.files.iter().map(Stored::unsynced).sum::<usize>()
    }

    /// What a power cut leaves.
    ///
    /// Chance decides about each name by itself: threads of the program that come in another order in the next run
    /// change nothing for the others.
    pub fn cut(&self, loss: Loss) -> Tree {
        let mut dice = Dice::new(loss);
        let mut names = self.names.clone();
        for renaming in self.kept(&mut dice) {
            renaming.apply(&mut names);
        }
        let mut tree = BTreeMap::new();
        for (path, node) in &names {
            // Folders stand before what is in them.
            let parent = path.parent().unwrap_or(Path::new(""));
            let is_reachable = parent == Path::new("") || tree.get(parent) == Some(&None);
            if is_reachable {
                let bytes = match node {
                    Node::Folder => None,
                    Node::File(file) => Some(self.files[*file].cut(&mut dice.about(path), dice.share)),
                };
                tree.insert(path.clone(), bytes);
            }
        }
        Tree(tree)
    }

    /// Changes of names that reached the disk. One that did, did so after all earlier ones of the same names.
    fn kept(&self, dice: &mut Dice) -> Vec<&Renaming> {
        let mut kept = Vec::new();
        let mut needed: BTreeSet<&Path> = BTreeSet::new();
        for renaming in self.pending.iter().rev() {
            let mut paths = renaming.0.iter().map(|(path, _)| path.as_path());
            let is_kept = match paths.clone().next_back().map(|path| dice.about(path)) {
                Some(Loss::Some(mut random)) => !random.percent(dice.share),
                Some(Loss::Nothing | Loss::Bytes | Loss::Zeros) => true,
                Some(Loss::Everything) | None => false,
            };
            if is_kept || paths.any(|path| needed.contains(path)) {
                needed.extend(renaming.0.iter().map(|(path, _)| path.as_path()));
                kept.push(renaming);
            }
        }
        kept.reverse();
        kept
    }
}

/// What a power cut takes, name by name.
struct Dice {
    loss: Loss,
    base: u64,
    /// In percent: some cuts take little and some take much.
    share: u8,
    asked: BTreeMap<String, u64>,
}

impl Dice {
    fn new(mut loss: Loss) -> Self {
        let (base, share) = match &mut loss {
            Loss::Some(random) => {
                let share = [10, 50, 90][usize::try_from(random.below(3)).unwrap()];
                (random.next_u64(), share)
            }
            _ => (0, 0),
        };
        Self {
            loss,
            base,
            share,
            asked: BTreeMap::new(),
        }
    }

    /// What is taken of this name; each time that it is asked, something else.
    fn about(&mut self, path: &Path) -> Loss {
        if !matches!(self.loss, Loss::Some(_)) {
            return self.loss.clone();
        }
        let name = lasting(path);
        let asked = self.asked.entry(name.clone()).or_default();
        *asked += 1;
        Loss::Some(chance(self.base, &format!("{name}#{asked}")))
    }
}

/// A source of chance for a point with this name.
pub fn chance(seed: u64, name: &str) -> Random {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    Random::new(support::random::mix(seed ^ hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(ops: &[Op]) -> Disk {
        let tree = BTreeMap::from([
            (PathBuf::from("a"), Some(b"old".to_vec())),
            (PathBuf::from("d"), None),
        ]);
        let mut disk = Disk::before(&Trace {
            before: Tree(tree),
            events: Vec::new(),
        });
        ops.iter().for_each(|op| disk.apply(op));
        disk
    }

    fn new_file(path: &str) -> [Op; 2] {
        let create = Op::Create {
            path: path.into(),
            file: 1,
        };
        let bytes = b"new".to_vec();
        [
            create,
            Op::Write {
                file: 1,
                offset: 0,
                bytes,
            },
        ]
    }

    fn sync_folder(path: &str) -> Op {
        Op::SyncFolder { path: path.into() }
    }

    /// What the cuts leave of the file `a`.
    fn seen(disk: &Disk) -> BTreeSet<Option<Vec<u8>>> {
        let cuts = (0..200).map(|seed| Loss::Some(Random::new(seed)));
        cuts.map(|loss| disk.cut(loss).get("a").map(<[u8]>::to_vec))
            .collect()
    }

    #[test]
    fn a_rename_over_a_file_leaves_the_old_or_the_new_if_that_was_synced() {
        let rename = |exchanges| Op::Rename {
            from: "b".into(),
            to: "a".into(),
            exchanges,
        };
        let [create, write] = new_file("b");
        let exchanged = disk(&[create.clone(), write.clone(), rename(true)]);
        assert_eq!(exchanged.cut(Loss::Nothing).get("b"), Some(&b"old"[..]));
        let rename = rename(false);
        let unsynced = disk(&[create.clone(), write.clone(), rename.clone()]);
        assert!(
            seen(&unsynced).contains(&Some(Vec::new())),
            "the new name without its bytes"
        );
        let synced = disk(&[create, write, Op::Sync { file: 1 }, rename]);
        let wanted = [b"old", b"new"].map(|bytes| Some(bytes.to_vec()));
        assert_eq!(seen(&synced), BTreeSet::from(wanted.clone()));
        let mut durable = synced;
        durable.apply(&sync_folder("d"));
        assert_eq!(seen(&durable), BTreeSet::from(wanted), "another folder's sync");
        durable.apply(&sync_folder(""));
        assert_eq!(seen(&durable), BTreeSet::from([Some(b"new".to_vec())]));
    }

    #[test]
    fn names_may_be_newer_than_bytes() {
        let [create, write] = new_file("b");
        let disk = disk(&[create, write]);
        assert_eq!(disk.cut(Loss::Bytes).get("b"), Some(&b""[..]));
        assert_eq!(disk.cut(Loss::Zeros).get("b"), Some(&[0; 3][..]));
        assert_eq!(disk.cut(Loss::Everything).get("b"), None);
    }

    #[test]
    fn what_stands_in_a_lost_folder_is_lost() {
        let make = Op::MakeFolder { path: "e".into() };
        let [create, write] = new_file("e/f");
        let mut disk = disk(&[make, create, write, Op::Sync { file: 1 }, sync_folder("e")]);
        assert_eq!(disk.cut(Loss::Nothing).get("e/f"), Some(&b"new"[..]));
        assert_eq!(disk.cut(Loss::Everything).get("e/f"), None);
        disk.apply(&sync_folder(""));
        assert_eq!(disk.cut(Loss::Everything).get("e/f"), Some(&b"new"[..]));
    }

    #[test]
    fn changes_of_one_name_arrive_in_their_order() {
        let [create, write] = new_file("b");
        let remove = Op::Remove { path: "a".into() };
        let link = Op::Link {
            from: "b".into(),
            to: "a".into(),
        };
        let disk = disk(&[create, write, Op::Sync { file: 1 }, remove, link]);
        let wanted = [Some(b"old".to_vec()), None, Some(b"new".to_vec())];
        assert_eq!(seen(&disk), BTreeSet::from(wanted));
    }
}
