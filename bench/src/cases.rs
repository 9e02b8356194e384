//! The cases of one process: what the program does, and what the least that could do it is.

use std::path::{Path, PathBuf};

use crate::floor;
use crate::lab::{DATABASE, Lab, system};
use crate::measure::{self, Sample};
use crate::outcome::{MEMORY_TO_LOOK, Outcome, Row};
use crate::race::{Contestant, Times, race};
use xtask::error::Error;

pub(crate) const MIGRATE: &str = "migrate 1.0.0 → latest";
pub(crate) const MIGRATE_ALONE: &str = "migrate --no-backup 1.0.0 → latest";
pub(crate) const TIMESTAMPS: &str = "migrate V005 alone";
pub(crate) const THREADS: &str = "migrate 1.1.0 → latest, threads";
pub(crate) const BACKUP: &str = "backup create";

/// A process of milliseconds is run this many times a round.
pub(crate) const BRIEF: usize = 20;

/// The strategy's own question, as servers ask it.
pub(crate) const VERSION: &str = "SELECT version FROM schema_version ORDER BY applied_at DESC LIMIT 1";

/// The strategy's own script, but that it goes on after a text that is no timestamp.
const PYTHON: &str = "\
import sqlite3, sys
from datetime import datetime, timezone
conn = sqlite3.connect(sys.argv[1])
cursor = conn.cursor()
cursor.execute(\"SELECT id, timestamp FROM messages WHERE timestamp NOT LIKE '%+00:00'\")
for row in cursor.fetchall():
    msg_id, old_ts = row
    try:
        new_ts = datetime.fromisoformat(old_ts).astimezone(timezone.utc).isoformat()
    except ValueError:
        continue
    cursor.execute('UPDATE messages SET timestamp = ? WHERE id = ?', (new_ts, msg_id))
conn.commit()
conn.close()
";

const COPY: &str = "cp \"$1\" \"$2\" && sync \"$2\"";

/// What a case finds it in, and where it puts what it found.
pub(crate) struct Bench<'a> {
    pub(crate) lab: &'a Lab,
    pub(crate) messages: u64,
    pub(crate) rounds: usize,
    pub(crate) outcome: &'a mut Outcome,
}

impl Bench<'_> {
    pub(crate) fn leave_out(&mut self, reason: &str) {
        if !self.outcome.left_out.iter().any(|known| known == reason) {
            self.outcome.left_out.push(reason.to_owned());
        }
    }

    /// Whether the sqlite3 shell is there; that it is not is noted.
    pub(crate) fn has_sqlite3(&mut self, case: &str) -> bool {
        let there = self.lab.tools.sqlite3.is_some();
        if !there {
            self.leave_out(&format!("{case}: there is no sqlite3 shell"));
        }
        there
    }

    /// Whether the program has a command; that it has not is noted.
    fn has_command(&mut self, name: &str) -> bool {
        let there = self.lab.has_command(name);
        if !there {
            self.leave_out(&format!("{name}: the program has no such command"));
        }
        there
    }

    /// Notes a contestant's times beside those of its floors.
    pub(crate) fn compare(&mut self, subject: &Times, floors: &[(&Times, Option<f64>)]) {
        for (floor, target) in floors {
            let row = Row::new(self.messages, subject, floor, *target);
            self.outcome.rows.push(row);
        }
    }

    /// `status`, and `migrate` with nothing to do.
    pub(crate) fn start_up(&mut self) -> Result<(), Error> {
        if !self.has_sqlite3("start-up") {
            return Ok(());
        }
        let lab = self.lab;
        let folder = lab.copy_of(&lab.migrated(self.messages, "latest")?, "start-up")?;
        let ours = |arguments: &'static [&'static str]| {
            let folder = &folder;
            move || measure::time(&mut lab.ours(folder, arguments))
        };
        let times = race(
            &[
                Contestant::new("status", ours(&["status"])),
                Contestant::new("migrate, nothing to do", ours(&["migrate"])),
                Contestant::new("sqlite3 shell reads one row", || {
                    measure::time(&mut system(&folder, "sqlite3", &[DATABASE, VERSION]))
                }),
            ],
            self.rounds * BRIEF,
        )?;
        let [status, migrate, shell] = times.as_slice() else {
            return Ok(());
        };
        for (times, command) in [(status, "status"), (migrate, "migrate")] {
            let mut times = times.clone();
            for _ in 0..BRIEF {
                times.peak = times.peak.max(measure::peak(&mut lab.ours(&folder, &[command]))?);
            }
            let mut row = Row::new(self.messages, &times, shell, Some(1.3));
            row.peak_target = MEMORY_TO_LOOK;
            self.outcome.rows.push(row);
        }
        Ok(())
    }

    /// A fresh database.
    pub(crate) fn fresh(&mut self) -> Result<(), Error> {
        if !self.has_sqlite3("fresh database") {
            return Ok(());
        }
        let lab = self.lab;
        let (each, together) = (floor::up(&lab.steps, 0), floor::up_together(&lab.steps));
        let shell = |script| measure::run(&mut lab.sqlite3(&lab.empty("fresh-floor")?, script)?);
        let times = race(
            &[
                Contestant::new("migrate, fresh database", || {
                    measure::run(&mut lab.ours(&lab.empty("fresh")?, &["migrate"]))
                }),
                Contestant::new("same SQL, sqlite3 shell", || shell(&each)),
                Contestant::new("same SQL, shell, one transaction", || shell(&together)),
            ],
            self.rounds * 3,
        )?;
        if let [ours, each, together] = times.as_slice() {
            self.messages = 0;
            self.compare(ours, &[(each, Some(1.5)), (together, None)]);
        }
        Ok(())
    }

    /// From 1.0.0 to the newest release.
    pub(crate) fn migrate(&mut self) -> Result<(), Error> {
        let lab = self.lab;
        let original = lab.original(self.messages)?;
        let script = floor::up(&lab.steps, 1);
        let times = race(
            &[
                Contestant::new(MIGRATE, || {
                    measure::run(&mut lab.ours(&lab.copy_of(&original, "ours")?, &["migrate"]))
                }),
                Contestant::new(MIGRATE_ALONE, || {
                    let folder = lab.copy_of(&original, "alone")?;
                    measure::run(&mut lab.ours(&folder, &["migrate", "--no-backup"]))
                }),
                Contestant::new("bare statements", || {
                    measure::run(&mut lab.bare(&lab.copy_of(&original, "bare")?, &script)?)
                }),
            ],
            self.rounds,
        )?;
        self.same_answer("alone", "bare", &["timestamp", "thread_id"])?;
        if let [ours, alone, bare] = times.as_slice() {
            self.compare(ours, &[(bare, Some(2.0))]);
            self.compare(alone, &[(bare, Some(2.0))]);
        }
        Ok(())
    }

    /// V005 alone, with its journal.
    pub(crate) fn timestamps(&mut self) -> Result<(), Error> {
        let lab = self.lab;
        let before = lab.migrated(self.messages, "V004")?;
        let script = floor::transaction(floor::NORMALIZE_TIMESTAMPS);
        let mut contestants = vec![
            Contestant::new(TIMESTAMPS, || {
                let folder = lab.copy_of(&before, "ours")?;
                measure::run(&mut lab.ours(&folder, &["migrate", "--no-backup", "--to", "V005"]))
            }),
            Contestant::new("one bare UPDATE", || {
                measure::run(&mut lab.bare(&lab.copy_of(&before, "bare")?, &script)?)
            }),
        ];
        if lab.tools.python3.is_some() {
            contestants.push(Contestant::new("the strategy's script", || {
                let folder = lab.copy_of(&before, "python")?;
                measure::run(system(&folder, "python3", &["-c", PYTHON, DATABASE]).env("TZ", "UTC"))
            }));
        } else {
            self.leave_out("the strategy's script: there is no python3");
        }
        let times = race(&contestants, self.rounds)?;
        self.same_answer("ours", "bare", &["timestamp"])?;
        if let [ours, bare, python @ ..] = times.as_slice() {
            self.compare(ours, &[(bare, Some(1.5))]);
            if let [python] = python {
                self.compare(ours, &[(python, None)]);
                self.compare(python, &[(bare, None)]);
            }
        }
        Ok(())
    }

    /// The column of V006, its rows, and its index, with the two small steps between them.
    pub(crate) fn threads(&mut self) -> Result<(), Error> {
        let lab = self.lab;
        let before = lab.migrated(self.messages, "1.1.0")?;
        let script = floor::up(&lab.steps, 5);
        let times = race(
            &[
                Contestant::new(THREADS, || {
                    let folder = lab.copy_of(&before, "ours")?;
                    measure::run(&mut lab.ours(&folder, &["migrate", "--no-backup"]))
                }),
                Contestant::new("bare statements", || {
                    measure::run(&mut lab.bare(&lab.copy_of(&before, "bare")?, &script)?)
                }),
            ],
            self.rounds,
        )?;
        self.same_answer("ours", "bare", &["thread_id"])?;
        if let [ours, bare] = times.as_slice() {
            self.compare(ours, &[(bare, Some(1.3))]);
        }
        Ok(())
    }

    /// A backup: copied, synced, checked, digested.
    pub(crate) fn backup(&mut self) -> Result<(), Error> {
        let lab = self.lab;
        let original = lab.migrated(self.messages, "latest")?;
        let folder = |name| lab.copy_of(&original, name);
        let mut contestants = vec![
            Contestant::new(BACKUP, || {
                measure::run(&mut lab.ours(&folder("ours")?, &["backup", "create"]))
            }),
            Contestant::new("cp and sync", || {
                copy(&folder("copy")?, Path::new(DATABASE), "copy.db")
            }),
        ];
        if self.has_sqlite3("`.backup`") {
            contestants.push(Contestant::new("sqlite3 shell's .backup, unchecked", || {
                measure::run(&mut system(
                    &folder("shell")?,
                    "sqlite3",
                    &[DATABASE, ".backup copy.db"],
                ))
            }));
        }
        let times = race(&contestants, self.rounds)?;
        self.against_copies(&times, Some(1.0));
        Ok(())
    }

    /// A restore, which secures the present state first.
    pub(crate) fn restore(&mut self) -> Result<(), Error> {
        let lab = self.lab;
        let (original, now) = (
            lab.original(self.messages)?,
            lab.migrated(self.messages, "latest")?,
        );
        let kept = lab.copy_of(&original, "kept")?;
        measure::time(&mut lab.ours(&kept, &["backup", "create", "--backup-dir", "backups"]))?;
        let backups = kept.join("backups");
        let plain = original.join(DATABASE);
        let mut contestants = vec![
            Contestant::new("restore", || {
                let folder = lab.copy_of(&now, "ours")?;
                let mut command = lab.ours(&folder, &["restore", "latest", "--backup-dir"]);
                measure::run(command.arg(&backups))
            }),
            Contestant::new("cp and sync", || {
                copy(&lab.copy_of(&now, "copy")?, &plain, DATABASE)
            }),
        ];
        if self.has_sqlite3("`.restore`") {
            contestants.push(Contestant::new("sqlite3 shell's .restore, unchecked", || {
                let folder = lab.copy_of(&now, "shell")?;
                let script = format!(".restore '{}'\n", plain.display());
                measure::run(&mut lab.sqlite3(&folder, &script)?)
            }));
        }
        let times = race(&contestants, self.rounds)?;
        self.against_copies(&times, None);
        Ok(())
    }

    fn against_copies(&mut self, times: &[Times], target: Option<f64>) {
        if let [ours, copy, shell @ ..] = times {
            for shell in shell {
                self.compare(ours, &[(shell, target)]);
            }
            self.compare(ours, &[(copy, None)]);
        }
    }

    /// Taking a database into management.
    pub(crate) fn adopt(&mut self) -> Result<(), Error> {
        let lab = self.lab;
        let original = lab.original(self.messages)?;
        let times = race(
            &[
                Contestant::new("adopt", || {
                    measure::run(&mut lab.ours(&lab.copy_of(&original, "ours")?, &["adopt"]))
                }),
                Contestant::new("one committed row", || {
                    let script = "CREATE TABLE v (version TEXT); INSERT INTO v VALUES ('1.0.0');";
                    measure::run(
                        &mut lab.bare(&lab.copy_of(&original, "bare")?, &floor::transaction(script))?,
                    )
                }),
            ],
            self.rounds * 3,
        )?;
        if let [ours, bare] = times.as_slice() {
            self.compare(ours, &[(bare, None)]);
        }
        Ok(())
    }

    /// From the newest release back to 1.0.0.
    pub(crate) fn rollback(&mut self) -> Result<(), Error> {
        if !self.has_command("rollback") {
            return Ok(());
        }
        let script = floor::down(&self.lab.steps, 1);
        let arguments = ["rollback", "--to", "1.0.0", "--strategy", "down"];
        self.back("rollback latest → 1.0.0", &arguments, &script)
    }

    /// Every record that V005 changed, back.
    pub(crate) fn undo(&mut self) -> Result<(), Error> {
        if !self.has_command("undo") {
            return Ok(());
        }
        let script = floor::transaction(floor::OLD_TIMESTAMPS);
        self.back("undo V005, all records", &["undo", "V005"], &script)
    }

    fn back(&mut self, name: &str, arguments: &[&str], script: &str) -> Result<(), Error> {
        let lab = self.lab;
        let now = lab.migrated(self.messages, "latest")?;
        let times = race(
            &[
                Contestant::new(name, || {
                    measure::run(&mut lab.ours(&lab.copy_of(&now, "ours")?, arguments))
                }),
                Contestant::new("bare statements", || {
                    measure::run(&mut lab.bare(&lab.copy_of(&now, "bare")?, script)?)
                }),
            ],
            self.rounds,
        )?;
        self.same_answer("ours", "bare", &["timestamp"])?;
        if let [ours, bare] = times.as_slice() {
            self.compare(ours, &[(bare, None)]);
        }
        Ok(())
    }

    /// A floor that came to another answer did other work.
    fn same_answer(&self, ours: &str, floor: &str, columns: &[&str]) -> Result<(), Error> {
        let folder = |name: &str| -> PathBuf { self.lab.folder().join(format!("work-{name}")) };
        let differs: Vec<String> = columns
            .iter()
            .map(|column| format!("ours.{column} IS NOT floor.{column}"))
            .collect();
        let script = format!(
            "ATTACH '{}' AS other;\nCREATE TEMP TABLE answers (different INTEGER CHECK (different = 0));\n\
             INSERT INTO answers SELECT count(*) FROM main.messages AS ours \
             JOIN other.messages AS floor ON floor.rowid = ours.rowid WHERE {};\n\
             INSERT INTO answers SELECT (SELECT count(*) FROM main.messages) <> (SELECT count(*) FROM other.messages);\n",
            folder(floor)
                .join(DATABASE)
                .display()
                .to_string()
                .replace('\'', "''"),
            differs.join(" OR ")
        );
        measure::time(&mut self.lab.bare(&folder(ours), &script)?)
            .map(|_| ())
            .map_err(|error| Error::new(format!("the floor's rows are not the program's: {error}")))
    }
}

/// Copies a file onto the disk, as an operator would.
fn copy(folder: &Path, from: &Path, to: &str) -> Result<Sample, Error> {
    let mut command = system(folder, "sh", &["-c", COPY, "sh"]);
    measure::run(command.arg(from).arg(to))
}
