//! Lets calls of the program fail one by one, or kills it before one, and looks at what it says and leaves.

use std::collections::BTreeMap;

use nix::libc;
use serde_json::Value;

use super::aftermath::{Aftermath, Found, Promise};
use super::call::{Action, Call, Process};
use super::names::{is_of_sqlite, lasting};
use super::prover::Prover;
use super::tracer::{Ending, Verdict, Watcher};
use super::tree::Tree;
use crate::options::Options;

/// Which calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Writes and copies.
    Write,
    /// Syncs of files and folders.
    Sync,
    /// Opens of what is there.
    Open,
    /// Opens that make a file.
    Create,
    /// New names for files.
    Rename,
    /// Names that are taken away.
    Unlink,
    /// New folders.
    MakeFolder,
    /// New lengths.
    Resize,
    /// Locks of the migration and of temporary files.
    Lock,
}

impl Kind {
    fn of(call: &Call) -> Option<Self> {
        Some(match &call.action {
            Action::Write { .. } | Action::Copy { .. } => Self::Write,
            Action::Sync => Self::Sync,
            Action::Open { flags, existed } if !existed && flags & libc::O_CREAT != 0 => Self::Create,
            Action::Open { .. } => Self::Open,
            Action::Rename { .. } | Action::Link { .. } => Self::Rename,
            Action::Unlink => Self::Unlink,
            Action::MakeFolder => Self::MakeFolder,
            Action::Resize { .. } => Self::Resize,
            Action::Lock => Self::Lock,
            Action::Say { .. } | Action::Unknown { .. } => return None,
        })
    }
}

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// The engine's.
    Engine,
    /// SQLite's, of which the other suite tries more.
    Sqlite,
}

/// What can fail: people's word for it, which calls, and what the system says.
pub const FAULTS: [(&str, Kind, i32); 13] = [
    ("ENOSPC in a write", Kind::Write, libc::ENOSPC),
    ("EIO in a write", Kind::Write, libc::EIO),
    ("EIO in a sync", Kind::Sync, libc::EIO),
    ("ENOSPC in a sync", Kind::Sync, libc::ENOSPC),
    ("EACCES in an open", Kind::Open, libc::EACCES),
    ("EIO in an open", Kind::Open, libc::EIO),
    ("ENOSPC in a creation", Kind::Create, libc::ENOSPC),
    ("EACCES in a creation", Kind::Create, libc::EACCES),
    ("EIO in a rename", Kind::Rename, libc::EIO),
    ("ENOSPC in a rename", Kind::Rename, libc::ENOSPC),
    ("EACCES in a removal", Kind::Unlink, libc::EACCES),
    ("ENOSPC in a new folder", Kind::MakeFolder, libc::ENOSPC),
    ("EIO in a new length", Kind::Resize, libc::EIO),
];

/// Counts the calls, and disturbs one.
#[derive(Debug, Default)]
struct Disturber {
    counts: BTreeMap<(Kind, Owner), u64>,
    /// Calls that change something, whatever kind they are.
    changes: u64,
    /// The call that fails, by its number from 1 on, and the error.
    fails: Option<((Kind, Owner), u64, i32)>,
    /// Before which change the program is killed, from 1 on.
    killed: Option<u64>,
    /// The call that was disturbed.
    met: Option<String>,
}

impl Watcher for Disturber {
    fn before(&mut self, call: &Call) -> Verdict {
        let Some(kind) = Kind::of(call) else {
            return Verdict::Pass;
        };
        let owner = match is_of_sqlite(&lasting(&call.path)) {
            true => Owner::Sqlite,
            false => Owner::Engine,
        };
        let count = self.counts.entry((kind, owner)).or_default();
        *count += 1;
        if !matches!(kind, Kind::Open | Kind::Lock) {
            self.changes += 1;
            if self.killed == Some(self.changes) {
                self.met = Some(format!("{kind:?} of {}", lasting(&call.path)));
                return Verdict::Kill;
            }
        }
        match self.fails {
            Some((which, nth, error)) if which == (kind, owner) && nth == *count => {
                self.met = Some(format!("{kind:?} of {}", lasting(&call.path)));
                Verdict::Answer(-i64::from(error))
            }
            _ => Verdict::Pass,
        }
    }

    fn after(&mut self, _: &Process, _: &Call, _: i64) {}
}

/// What was tried and what was found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Calls that failed, by what the system said; or kills.
    pub tried: BTreeMap<&'static str, u64>,
    /// Runs that said that they failed; the others went on without what failed.
    pub refused: u64,
    /// What did not hold.
    pub failures: Vec<String>,
}

/// How many disturbances of a kind there are at most, unless all are tried.
#[derive(Debug, Clone, Copy)]
pub struct Caps {
    /// In the engine's files.
    pub engine: u64,
    /// In SQLite's.
    pub sqlite: u64,
}

/// Lets calls of a case fail one by one.
///
/// # Panics
/// When the program cannot be traced.
pub fn inject(prover: &Prover, options: &Options, caps: Caps) -> Findings {
    let mut counter = Disturber::default();
    prover.case.watch(&mut counter);
    let mut trial = Trial::new(prover);
    for (name, kind, error) in FAULTS {
        for (owner, cap) in [(Owner::Engine, caps.engine), (Owner::Sqlite, caps.sqlite)] {
            let count = counter.counts.get(&(kind, owner)).copied().unwrap_or(0);
            for nth in spread(count, cap, options) {
                let point = format!("{}/{name}/{owner:?}{nth}", prover.case.name);
                if options.point.as_ref().is_some_and(|wanted| *wanted != point) {
                    continue;
                }
                let disturber = Disturber {
                    fails: Some(((kind, owner), nth, error)),
                    ..Disturber::default()
                };
                let result = trial.fault(disturber);
                trial.note(name, &point, options, result);
            }
        }
    }
    trial.findings
}

/// Kills a case's program before changes of files.
///
/// # Panics
/// When the program cannot be traced.
pub fn kill(prover: &Prover, options: &Options, cap: u64) -> Findings {
    let mut counter = Disturber::default();
    prover.case.watch(&mut counter);
    let mut trial = Trial::new(prover);
    for nth in spread(counter.changes, cap, options) {
        let point = format!("{}/kill{nth}", prover.case.name);
        if options.point.as_ref().is_some_and(|wanted| *wanted != point) {
            continue;
        }
        let disturber = Disturber {
            killed: Some(nth),
            ..Disturber::default()
        };
        let result = trial.kill(disturber);
        trial.note("kills", &point, options, result);
    }
    trial.findings
}

/// Numbers from 1 to `count`, at most `cap` of them, evenly over all and with another seed at other places.
fn spread(count: u64, cap: u64, options: &Options) -> Vec<u64> {
    let tries = if options.all || options.point.is_some() {
        count
    } else {
        count.min(cap)
    };
    let number = |index: u64| 1 + (index * count + options.seed.wrapping_mul(7) % count) / tries;
    (0..tries).map(number).collect()
}

struct Trial<'a> {
    prover: &'a Prover,
    aftermath: Aftermath<'a>,
    findings: Findings,
}

impl<'a> Trial<'a> {
    fn new(prover: &'a Prover) -> Self {
        Self {
            prover,
            aftermath: Aftermath::new(&prover.case, &prover.goal),
            findings: Findings::default(),
        }
    }

    fn note(&mut self, what: &'static str, point: &str, options: &Options, result: Result<bool, String>) {
        *self.findings.tried.entry(what).or_default() += 1;
        match result {
            Ok(refused) => self.findings.refused += u64::from(refused),
            Err(wrong) => {
                let failure = format!("CRASH_SEED={} CRASH_POINT='{point}': {wrong}", options.seed);
                self.findings.failures.push(failure);
            }
        }
    }

    /// Whether the program said that it failed.
    fn fault(&mut self, mut disturber: Disturber) -> Result<bool, String> {
        let ending = self.prover.case.watch(&mut disturber);
        // A crowd of threads may make fewer calls than the last time.
        let Some(met) = disturber.met else {
            return Ok(false);
        };
        let said = |wrong: String| format!("{wrong} ({met}; {ending})");
        let tree = Tree::read(&self.prover.case.root());
        // What stays kept because its file cannot be read comes back later.
        let does_stay = ending.stdout.contains("\"stays\":[{");
        let promise = match ending.code {
            Some(0) if !does_stay => Promise::Goal,
            Some(0 | 1 | 3) => Promise::None,
            _ => return Err(said("it ends in another way than it says".to_owned())),
        };
        let (found, content) = self.aftermath.check(promise).map_err(said)?;
        if promise == Promise::Goal {
            return Ok(false);
        }
        if ending.code != Some(0) {
            self.check_error(&ending, &found, &content).map_err(said)?;
        }
        self.aftermath.run_again(&tree).map_err(said)?;
        Ok(true)
    }

    fn kill(&mut self, mut disturber: Disturber) -> Result<bool, String> {
        let ending = self.prover.case.watch(&mut disturber);
        let Some(met) = disturber.met else {
            return Ok(false);
        };
        let said = |wrong: String| format!("{wrong} ({met}; {ending})");
        if ending.code.is_some() {
            return Err(said("it was not killed".to_owned()));
        }
        let tree = Tree::read(&self.prover.case.root());
        self.aftermath.check(Promise::None).map_err(said)?;
        self.aftermath.run_again(&tree).map_err(said)?;
        Ok(false)
    }

    /// The error says what the disk did, and what it says about the database is so.
    fn check_error(&self, ending: &Ending, found: &Found, content: &str) -> Result<(), String> {
        let json: Value =
            serde_json::from_str(&ending.stdout).map_err(|error| format!("no JSON: {error}"))?;
        let error = &json["error"];
        let kind = error["kind"].as_str().unwrap_or_default();
        let message = error["message"].as_str().unwrap_or_default();
        let is_clear = ["io", "disk_full", "permission"].contains(&kind);
        if json["ok"] != false || !is_clear {
            return Err(format!("the kind is {kind:?}"));
        }
        if message.is_empty() || error["hint"].as_str().is_none_or(str::is_empty) {
            return Err("it does not say what, or what to do".to_owned());
        }
        if error["exit_code"] != ending.code.unwrap_or_default() {
            return Err(format!("it says exit code {}", error["exit_code"]));
        }
        if ending.code == Some(3) {
            let version = found.standing.map_or(0, |standing| standing.version);
            return match error["reached"]["version"] == version {
                true => Ok(()),
                false => Err(format!(
                    "it says it reached {}, the database is {found:?}",
                    error["reached"]
                )),
            };
        }
        // 1 says that nothing is changed.
        if content != self.aftermath.content_before() {
            return Err("it ends with 1, but the database is changed".to_owned());
        }
        Ok(())
    }
}
