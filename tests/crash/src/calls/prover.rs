//! Cuts the power at many points of a recorded run of the real program, and looks at what is left.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use support::random::mix;

use super::aftermath::{Aftermath, Found, Goal, Promise};
use super::case::{Case, DATABASE};
use super::disk::{Disk, chance};
use super::names::{is_fleeting, is_of_sqlite};
use super::trace::{Event, Op, Trace};
use super::tree::Tree;
use crate::disk::Loss;
use crate::options::Options;
use crate::prover::open;
use crate::truth::content;

/// Random cuts at each operation on files that SQLite does not write, and the same where everything is tried.
const CUTS: u64 = 2;
const ALL_CUTS: u64 = 8;
/// Of so many operations of SQLite, one is cut.
const SPARSE: u64 = 6;

/// How much is tried.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Points at most, unless all are tried.
    pub points: usize,
    /// Points after which the command is run again.
    pub reruns: u64,
}

/// What was tried and what was found.
#[derive(Debug, Default)]
pub struct Proof {
    /// Points at which the power was cut.
    pub points: u64,
    /// Of so many that there are.
    pub of: u64,
    /// Different folders that the cuts left.
    pub layouts: usize,
    /// Different databases, in place and in backups.
    pub databases: usize,
    /// What the folders turned out to be.
    pub found: BTreeSet<Found>,
    /// Commands that were run again.
    pub reruns: u64,
    /// What did not hold, with its point.
    pub failures: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

/// A recorded command.
#[derive(Debug)]
pub struct Prover {
    /// The command.
    pub case: Case,
    /// What it did to the folder.
    pub trace: Trace,
    /// What it comes to.
    pub goal: Goal,
}

impl Prover {
    /// Runs the command and records it.
    ///
    /// # Panics
    /// When it fails, or when the recording does not lead to what is in the folder.
    pub fn record(case: Case) -> Self {
        let (trace, _) = case.record();
        let root = case.root();
        let tree = Tree::read(&root);
        let mut disk = Disk::before(&trace);
        trace.events.iter().for_each(|event| disk.apply(&event.op));
        let imitated = disk.cut(Loss::Nothing);
        for (path, bytes) in &tree.0 {
            let is_shared_memory = path.to_string_lossy().ends_with("-shm");
            assert!(
                is_shared_memory || imitated.0.get(path) == Some(bytes),
                "{}: the recording does not lead to {}",
                case.name,
                path.display()
            );
        }
        let content = content(&open(&root.join(DATABASE)).unwrap());
        let goal = Goal { tree, content };
        Self { case, trace, goal }
    }

    /// Tries the points that the options ask for.
    pub fn prove(&self, options: &Options, effort: Effort) -> Proof {
        let started = Instant::now();
        let (points, of) = self.points(options, effort.points);
        let every = (points.len() as u64 / effort.reruns.max(1)).max(1);
        let mut proof = Proof {
            points: points.len() as u64,
            of,
            ..Proof::default()
        };
        let mut aftermath = Aftermath::new(&self.case, &self.goal);
        let mut known: BTreeMap<([u8; 32], Promise), Result<Found, String>> = BTreeMap::new();
        let mut disk = Disk::before(&self.trace);
        let mut applied = 0;
        for (number, point) in (0_u64..).zip(&points) {
            let new = &self.trace.events[applied..point.after];
            new.iter().for_each(|event| disk.apply(&event.op));
            applied = point.after;
            let tree = disk.cut(self.loss(options.seed, point));
            let promise = self.promise(point.after);
            let result = known.entry((tree.digest(), promise)).or_insert_with(|| {
                tree.write(&self.case.root());
                aftermath.check(promise).map(|(found, _)| found)
            });
            let mut result = result.clone();
            let is_chosen = effort.reruns > 0 && (number + options.seed).is_multiple_of(every);
            if result.is_ok() && (is_chosen || options.point.is_some()) {
                proof.reruns += 1;
                result = result.and_then(|found| aftermath.run_again(&tree).map(|()| found));
            }
            match result {
                Ok(found) => drop(proof.found.insert(found)),
                Err(wrong) => {
                    let point = self.name(point);
                    let failure = format!("CRASH_SEED={} CRASH_POINT='{point}': {wrong}", options.seed);
                    proof.failures.push(failure);
                }
            }
        }
        proof.layouts = known.len();
        proof.databases = aftermath.databases();
        proof.took = started.elapsed();
        proof
    }

    fn promise(&self, after: usize) -> Promise {
        let mut done = self.trace.events[..after].iter();
        match done.any(|event| event.op == Op::Said) {
            true => Promise::Files,
            false => Promise::None,
        }
    }

    /// The points to try, in the order of the operations, and how many there are in all.
    fn points(&self, options: &Options, cap: usize) -> (Vec<Point>, u64) {
        let mut points = Vec::new();
        for after in 0..=self.trace.events.len() {
            let around = self.trace.events[after.saturating_sub(1)..].iter().take(2);
            let is_own = after == self.trace.events.len() || around.into_iter().any(is_own);
            let cuts = match (options.all, is_own) {
                (true, _) => ALL_CUTS,
                (false, true) => CUTS,
                (false, false) => 1,
            };
            let mut add = |how| points.push(Point { after, how, is_own });
            add(How::Nothing);
            add(How::Everything);
            add(How::Bytes);
            add(How::Zeros);
            (0..cuts).for_each(|number| add(How::Chance(number)));
        }
        let of = points.len() as u64;
        if let Some(wanted) = &options.point {
            points.retain(|point| self.name(point) == *wanted);
        } else if !options.all {
            let lot = |point: &Point| mix(options.seed ^ chance(0, &self.name(point)).next_u64());
            points.retain(|point| point.is_own || lot(point).is_multiple_of(SPARSE));
            // What was promised is looked at in any case.
            let is_last = |point: &Point| self.promise(point.after) == Promise::Files;
            points.sort_by_cached_key(|point| (!is_last(point), !point.is_own, lot(point)));
            points.truncate(cap);
            points.sort_by_key(|point| (point.after, point.how));
        }
        (points, of)
    }

    /// The point's name: the case, the operation before it, and what is lost.
    fn name(&self, point: &Point) -> String {
        let after = match point.after.checked_sub(1) {
            Some(index) => self.trace.events[index].name(),
            None => "start".to_owned(),
        };
        let how = match point.how {
            How::Nothing => "kept".to_owned(),
            How::Everything => "lost".to_owned(),
            How::Bytes => "bytes".to_owned(),
            How::Zeros => "zeros".to_owned(),
            How::Chance(number) => format!("chance{number}"),
        };
        format!("{}/{after}/{how}", self.case.name)
    }

    fn loss(&self, seed: u64, point: &Point) -> Loss {
        match point.how {
            How::Nothing => Loss::Nothing,
            How::Everything => Loss::Everything,
            How::Bytes => Loss::Bytes,
            How::Zeros => Loss::Zeros,
            How::Chance(_) => Loss::Some(chance(seed, &self.name(point))),
        }
    }
}

/// Whether the operation is on a file of the engine's own, on which something depends.
fn is_own(event: &Event) -> bool {
    let name = event.what.split_once(':').map_or("", |(_, name)| name);
    !is_of_sqlite(name) && (!is_fleeting(name) || !name.starts_with("logs") && !name.ends_with(".lock"))
}

#[derive(Debug, Clone, Copy)]
struct Point {
    /// How many operations were made.
    after: usize,
    how: How,
    is_own: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum How {
    Nothing,
    Everything,
    Bytes,
    Zeros,
    Chance(u64),
}

impl std::fmt::Display for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "of {}: {} different folders, {} different databases, {} runs taken up again, {:.1} s",
            self.of,
            self.layouts,
            self.databases,
            self.reruns,
            self.took.as_secs_f64()
        )
    }
}
