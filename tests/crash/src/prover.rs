//! Cuts the power at many points of a recorded run, and looks at what is left.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use bridge_migrate_core::Silent;
use rusqlite::{Connection, OpenFlags};
use sha2::{Digest as _, Sha256};
use support::random::{Random, mix};

use crate::disk::{Disk, Forgotten, Layout, Loss};
use crate::options::Options;
use crate::scenario::{Command, Place, Scenario};
use crate::trace::{Name, Op, Told, Trace};
use crate::truth::{Standing, Truth, content, first_difference};
use crate::vfs::sibling;
use crate::watch::Watching;

/// Random cuts before each sync, where most is at stake.
const CUTS_PER_SYNC: u64 = 4;
/// One in so many other operations is cut at random, too.
const SPARSE: u64 = 3;
/// Failures that are told in full.
const TOLD: usize = 5;

/// How much is tried.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Points after which the command is run again.
    pub reruns: u64,
    /// Syncs that are taken for not done.
    pub forgotten: Forgotten,
}

/// What was tried and what was found.
#[derive(Debug, Default)]
pub struct Proof {
    /// Points at which the power was cut.
    pub points: u64,
    /// Different files that the cuts left.
    pub layouts: usize,
    /// Different databases after recovery.
    pub states: usize,
    /// Where these stand.
    pub standings: BTreeSet<Standing>,
    /// Commands that were run again.
    pub reruns: u64,
    /// What did not hold, with its point.
    pub failures: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

impl Proof {
    /// Fails when something did not hold.
    ///
    /// # Panics
    /// With what and where.
    pub fn assert_holds(&self) {
        let first: Vec<&str> = self.failures.iter().take(TOLD).map(String::as_str).collect();
        assert!(
            self.failures.is_empty(),
            "{} of {} points:\n{}",
            self.failures.len(),
            self.points,
            first.join("\n")
        );
    }
}

impl std::fmt::Display for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} crash points, {} different layouts, {} different databases, {} runs taken up again, {:.1} s",
            self.points,
            self.layouts,
            self.states,
            self.reruns,
            self.took.as_secs_f64()
        )
    }
}

/// A recorded scenario with what must hold of it.
#[derive(Debug)]
pub struct Prover {
    /// The scenario.
    pub scenario: Scenario,
    /// What it did to the disk.
    pub trace: Trace,
    /// What must hold at any moment.
    pub truth: Truth,
    /// The database after an undisturbed run.
    pub after: Place,
    /// The content of that.
    pub final_content: String,
}

impl Prover {
    /// Runs the scenario and records it.
    pub fn record(scenario: Scenario) -> Self {
        let (trace, after) = scenario.record();
        let last = last_release(&scenario);
        let original = scenario.original.as_ref().map(|bytes| {
            let place = Place::new();
            fs::write(place.database(), bytes).unwrap();
            place
        });
        let is_undone = scenario.command == Command::Undo;
        let truth = Truth::new(
            scenario.catalog(),
            original.as_ref().map(Place::database).as_deref(),
            &last.as_ref().unwrap_or(&after).database(),
            is_undone,
        );
        let final_content = content(&Connection::open(after.database()).unwrap());
        Self {
            scenario,
            trace,
            truth,
            after,
            final_content,
        }
    }

    /// Tries the points that the options ask for.
    pub fn prove(&self, options: &Options, effort: Effort) -> Proof {
        let mut trial = Trial {
            prover: self,
            seed: options.seed,
            layouts: BTreeSet::new(),
            states: BTreeMap::new(),
            proof: Proof::default(),
            place: Place::new(),
        };
        let started = Instant::now();
        let points = self.points(options, effort);
        let every = (points.len() as u64 / effort.reruns.max(1)).max(1);
        let mut disk = Disk::before(&self.trace, effort.forgotten);
        let mut told = None;
        let mut next = points.iter().enumerate().peekable();
        for (index, op) in std::iter::once(None)
            .chain(self.trace.ops.iter().map(Some))
            .enumerate()
        {
            if let Some(op) = op {
                disk.apply(op);
            }
            if let Some(Op::Told(new)) = op {
                told = Some(*new);
            }
            while let Some((number, point)) = next.next_if(|(_, point)| point.after == index) {
                let rerun = effort.reruns > 0 && (number as u64 + options.seed).is_multiple_of(every);
                trial.cut(&disk, point, told, rerun || options.point.is_some());
            }
        }
        let mut proof = trial.proof;
        proof.layouts = trial.layouts.len();
        proof.states = trial.states.len();
        proof.took = started.elapsed();
        proof
    }

    /// The points, in the order of the operations.
    fn points(&self, options: &Options, effort: Effort) -> Vec<Point> {
        let mut points = Vec::new();
        let mut disk = Disk::before(&self.trace, effort.forgotten);
        for after in 0..=self.trace.ops.len() {
            let mut add = |how| points.push(Point { after, how });
            if after > 0 {
                disk.apply(&self.trace.ops[after - 1]);
            }
            // What the machine still knows when only the process dies, and the least that a disk keeps.
            add(How::Nothing);
            let next = self.trace.ops.get(after);
            let is_boundary = matches!(
                next,
                None | Some(Op::Sync { .. } | Op::Delete { .. } | Op::Told(_))
            );
            let is_sampled = mix(options.seed ^ mix(after as u64)).is_multiple_of(SPARSE);
            if disk.unsynced() == 0 {
                continue;
            }
            if is_boundary || options.all {
                add(How::Everything);
            }
            let cuts = match (options.all, is_boundary, is_sampled) {
                (true, _, _) => 16,
                (false, true, _) => CUTS_PER_SYNC,
                (false, false, true) => 1,
                (false, false, false) => 0,
            };
            (0..cuts).for_each(|number| add(How::Chance(number)));
        }
        match &options.point {
            Some(wanted) => points
                .into_iter()
                .filter(|point| self.name(point) == *wanted)
                .collect(),
            None => points,
        }
    }

    fn name(&self, point: &Point) -> String {
        let how = match point.how {
            How::Nothing => "kept".to_owned(),
            How::Everything => "lost".to_owned(),
            How::Chance(number) => format!("chance{number}"),
        };
        format!("{}/{}/{how}", self.scenario.name(), point.after)
    }

    /// Runs the scenario's command again and compares what comes out.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn run_again(&self, place: &Place) -> Result<(), String> {
        self.scenario.put_tokens(place);
        self.scenario
            .run(&place.database(), &Silent)
            .map_err(|error| format!("the next run fails: {error}: {:?}", error))?;
        let connection = open(&place.database())?;
        self.truth
            .check(&connection)
            .map_err(|wrong| format!("after the next run: {wrong}"))?;
        let found = content(&connection);
        if found == self.final_content {
            return Ok(());
        }
        let difference = first_difference(&self.final_content, &found);
        Err(format!("the next run ends with other content: {difference}"))
    }
}

/// The database at the last release, where the scenario does not end there.
fn last_release(scenario: &Scenario) -> Option<Place> {
    match scenario.command {
        Command::Fresh | Command::Migrate => None,
        Command::Rollback | Command::Undo | Command::Restore => Some(scenario.place()),
        Command::Adopt => {
            let place = scenario.place();
            let migrate = Scenario::new(Command::Migrate, scenario.wal, scenario.seed);
            migrate.run(&place.database(), &Silent).unwrap();
            Some(place)
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Point {
    /// How many operations were made.
    after: usize,
    how: How,
}

#[derive(Debug, Clone, Copy)]
enum How {
    Nothing,
    Everything,
    Chance(u64),
}

struct Trial<'a> {
    prover: &'a Prover,
    seed: u64,
    layouts: BTreeSet<[u8; 32]>,
    /// Databases after recovery, by their digest.
    states: BTreeMap<[u8; 32], Result<Standing, String>>,
    proof: Proof,
    place: Place,
}

impl Trial<'_> {
    fn cut(&mut self, disk: &Disk, point: &Point, told: Option<Told>, rerun: bool) {
        let loss = match point.how {
            How::Nothing => Loss::Nothing,
            How::Everything => Loss::Everything,
            How::Chance(number) => Loss::Some(Random::new(mix(
                self.seed ^ mix(point.after as u64 ^ (number << 48))
            ))),
        };
        self.proof.points += 1;
        let layout = disk.cut(loss);
        let is_new = self.layouts.insert(digest_of(&layout));
        let result = self.look(&layout, told, is_new || told.is_some()).and_then(|()| {
            if rerun {
                self.proof.reruns += 1;
                let place = Place::new();
                lay_out(&place.database(), &layout);
                let _quiet = Watching::quietly(&place.database());
                self.prover.run_again(&place)
            } else {
                Ok(())
            }
        });
        if let Err(wrong) = result {
            let name = self.prover.name(point);
            let failure = format!("CRASH_SEED={} CRASH_POINT={name}: {wrong}", self.seed);
            self.proof.failures.push(failure);
        }
    }

    fn look(&mut self, layout: &Layout, told: Option<Told>, needed: bool) -> Result<(), String> {
        if !needed {
            return Ok(());
        }
        let database = self.place.database();
        lay_out(&database, layout);
        let _quiet = Watching::quietly(&database);
        let bytes = recover(&database)?;
        let digest: [u8; 32] = Sha256::digest(&bytes).into();
        let truth = &self.prover.truth;
        let standing = self
            .states
            .entry(digest)
            .or_insert_with(|| truth.check(&open(&database)?))
            .clone()?;
        self.proof.standings.insert(standing);
        self.check_told(standing, told)
    }

    /// What the engine said it did must have been done.
    fn check_told(&self, standing: Standing, told: Option<Told>) -> Result<(), String> {
        let scenario = &self.prover.scenario;
        let is_kept = match told {
            None => true,
            Some(Told::Done) => standing.version == scenario.goal() && !standing.in_part,
            Some(Told::At(version)) if scenario.goes_back() => standing.version <= version,
            Some(Told::At(version)) => standing.version >= version,
        };
        if is_kept {
            return Ok(());
        }
        Err(format!("the engine said {told:?}, the database is {standing:?}"))
    }
}

fn digest_of(layout: &Layout) -> [u8; 32] {
    let mut sha = Sha256::new();
    for (name, bytes) in layout {
        sha.update(name.suffix());
        sha.update((bytes.len() as u64).to_le_bytes());
        sha.update(bytes);
    }
    sha.finalize().into()
}

fn lay_out(database: &Path, layout: &Layout) {
    for name in Name::ALL {
        let path = sibling(database, name);
        match layout.get(&name) {
            Some(bytes) => fs::write(path, bytes).unwrap(),
            None => drop(fs::remove_file(path)),
        }
    }
    drop(fs::remove_file(format!("{}-shm", database.display())));
}

/// Opens the database as the server would, which recovers it.
///
/// # Errors
/// What SQLite says.
pub fn open(database: &Path) -> Result<Connection, String> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let connection =
        Connection::open_with_flags(database, flags).map_err(|error| format!("opening: {error}"))?;
    connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
        .map_err(|error| format!("recovering: {error}"))?;
    Ok(connection)
}

/// The bytes of the database after recovery, with its log brought in.
fn recover(database: &Path) -> Result<Vec<u8>, String> {
    let connection = open(database)?;
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .map_err(|error| format!("bringing the log in: {error}"))?;
    drop(connection);
    Ok(fs::read(database).unwrap_or_default())
}
