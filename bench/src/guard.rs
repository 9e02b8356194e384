//! `cargo xtask bench --guard`: instructions instead of seconds, which a busy machine does not change.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::lab::{Lab, SCRIPT};
use crate::outcome::MEMORY;
use crate::{cases, floor, measure};
use xtask::{Report, error::Error};

/// The size of the database that is migrated.
const MESSAGES: u64 = 10_000;

/// Bytes that a command which only looks may take. Kernels differ in how much of a program they map at once.
const MEMORY_TO_LOOK: u64 = 10 << 20;

/// A command, its floor, and how many times the floor's instructions it may take.
///
/// The limits stand about a sixth above what was counted when they were set. A change that needs more says why, and
/// sets them anew.
struct Guarded {
    name: &'static str,
    arguments: &'static [&'static str],
    database: Database,
    limit: f64,
    memory: u64,
}

#[derive(Clone, Copy)]
enum Database {
    Absent,
    Original,
    Migrated,
}

const GUARDED: [Guarded; 4] = [
    Guarded {
        name: "status",
        arguments: &["status"],
        database: Database::Migrated,
        limit: 3.4,
        memory: MEMORY_TO_LOOK,
    },
    Guarded {
        name: "migrate, nothing to do",
        arguments: &["migrate"],
        database: Database::Migrated,
        limit: 2.2,
        memory: MEMORY_TO_LOOK,
    },
    Guarded {
        name: "migrate, fresh database",
        arguments: &["migrate"],
        database: Database::Absent,
        limit: 6.0,
        memory: MEMORY,
    },
    Guarded {
        name: "migrate 1.0.0 → latest",
        arguments: &["migrate", "--no-backup"],
        database: Database::Original,
        limit: 2.6,
        memory: MEMORY,
    },
];

impl Guarded {
    /// A folder in which the command finds its database.
    fn folder(&self, lab: &Lab) -> Result<PathBuf, Error> {
        match self.database {
            Database::Absent => lab.empty("guard"),
            Database::Original => lab.copy_of(&lab.original(MESSAGES)?, "guard"),
            Database::Migrated => lab.copy_of(&lab.migrated(MESSAGES, "latest")?, "guard"),
        }
    }

    /// The least that does the same.
    fn floor(&self, lab: &Lab) -> String {
        match self.database {
            Database::Absent => floor::up(&lab.steps, 0),
            Database::Original => floor::up(&lab.steps, 1),
            Database::Migrated => cases::VERSION.to_owned(),
        }
    }

    /// What was counted, in a line, and whether it is within the limits.
    fn judge(&self, ours: u64, floor: u64, peak: Option<u64>) -> (String, bool) {
        // Lossless below 2^53.
        let ratio = ours as f64 / floor as f64;
        let is_within = ratio <= self.limit && peak.is_none_or(|peak| peak <= self.memory);
        let memory = peak.map_or_else(
            || "?".to_owned(),
            |peak| format!("{:.1}", peak as f64 / f64::from(1 << 20)),
        );
        let line = format!(
            "{}: {:.1} million instructions, {ratio:.2} × those of the bare statements (at most {}); {memory} MiB \
             (at most {}){}",
            self.name,
            ours as f64 / 1e6,
            self.limit,
            self.memory >> 20,
            if is_within { "" } else { ": TOO MUCH" }
        );
        (line, is_within)
    }
}

/// Counts each guarded command and its floor. Without valgrind there is nothing to count with, which is said.
///
/// # Errors
/// When a program fails.
pub(crate) fn guard(lab: &Lab) -> Result<Report, Error> {
    if lab.tools.valgrind.is_none() {
        let line = "left out: there is no valgrind to count instructions with".to_owned();
        return Ok(Report {
            lines: vec![line],
            passed: true,
        });
    }
    let mut report = Report {
        lines: Vec::new(),
        passed: true,
    };
    for guarded in &GUARDED {
        let folder = guarded.folder(lab)?;
        let ours = instructions(&lab.ours(&folder, guarded.arguments), Stdio::null())?;
        let folder = guarded.folder(lab)?;
        let bare = lab.bare(&folder, &guarded.floor(lab))?;
        let floor = instructions(&bare, script(&folder)?)?;
        let folder = guarded.folder(lab)?;
        // The first run does the work; the others look at it. Each ends so soon that its peak is easily missed.
        let mut peak = None;
        for _ in 0..cases::BRIEF {
            peak = peak.max(measure::peak(&mut lab.ours(&folder, guarded.arguments))?);
        }
        let (line, is_within) = guarded.judge(ours, floor, peak);
        report.lines.push(line);
        report.passed &= is_within;
    }
    Ok(report)
}

fn script(folder: &Path) -> Result<Stdio, Error> {
    let path = folder.join(SCRIPT);
    let file = File::open(&path).map_err(|error| Error::io("open", &path, &error))?;
    Ok(file.into())
}

/// The instructions that a command takes, which is run for that.
fn instructions(command: &Command, input: Stdio) -> Result<u64, Error> {
    let mut counted = Command::new("valgrind");
    counted
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(input);
    if let Some(folder) = command.get_current_dir() {
        counted.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => counted.env(name, value),
            None => counted.env_remove(name),
        };
    }
    let output = counted
        .output()
        .map_err(|error| Error::new(format!("cannot run valgrind: {error}")))?;
    let said = String::from_utf8_lossy(&output.stderr);
    match collected(&said) {
        Some(count) if output.status.success() => Ok(count),
        _ => Err(Error::new(format!(
            "valgrind ended with {}: {said}",
            output.status
        ))),
    }
}

/// The number behind `Collected :`.
fn collected(said: &str) -> Option<u64> {
    let (_, rest) = said.split_once("Collected :")?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_read_from_valgrinds_words() {
        let said = "==7== Events    : Ir\n==7== Collected : 3776686\n==7==\n";
        assert_eq!(collected(said), Some(3_776_686));
        assert_eq!(collected("==7== error"), None);
    }

    #[test]
    fn a_command_is_held_to_its_instructions_and_its_memory() {
        let guarded = Guarded {
            name: "status",
            arguments: &["status"],
            database: Database::Migrated,
            limit: 2.0,
            memory: MEMORY_TO_LOOK,
        };
        assert!(guarded.judge(200, 100, Some(MEMORY_TO_LOOK)).1);
        assert!(guarded.judge(200, 100, None).1);
        let (line, is_within) = guarded.judge(201, 100, None);
        assert!(!is_within && line.ends_with(": TOO MUCH"), "{line}");
        assert!(!guarded.judge(100, 100, Some(MEMORY_TO_LOOK + 1)).1);
    }
}
