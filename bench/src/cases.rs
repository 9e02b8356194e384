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

    /// Races ours against its floors, each with the most that the ratio to it should be, and notes the times. What ours
    /// and the bare statements left in these columns has to be the same.
    pub(crate) fn against<'b>(
        &mut self,
        rounds: usize,
        ours: Contestant<'b>,
        floors: Vec<(Contestant<'b>, Option<f64>)>,
        columns: &[&str],
    ) -> Result<Vec<Times>, Error> {
        let (floors, targets): (Vec<_>, Vec<_>) = floors.into_iter().unzip();
        let contestants: Vec<_> = std::iter::once(ours).chain(floors).collect();
        let times = race(&contestants, rounds)?;
        self.same_answer("ours", "bare", columns)?;
        if let [ours, floors @ ..] = times.as_slice() {
            for (floor, target) in floors.iter().zip(targets) {
                self.note(ours, floor, target);
            }
        }
        Ok(times)
    }

    fn note(&mut self, subject: &Times, floor: &Times, target: Option<f64>) {
        self.outcome
            .rows
            .push(Row::new(self.messages, subject, floor, target));
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
        self.messages = 0;
        let ours = Contestant::new("migrate, fresh database", || {
            measure::run(&mut lab.ours(&lab.empty("fresh")?, &["migrate"]))
        });
        let each = Contestant::new("same SQL, sqlite3 shell", || shell(&each));
        let together = Contestant::new("same SQL, shell, one transaction", || shell(&together));
        let floors = vec![(each, Some(1.5)), (together, None)];
        self.against(self.rounds * 3, ours, floors, &[]).map(drop)
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
            self.note(ours, bare, Some(2.0));
            self.note(alone, bare, Some(2.0));
        }
        Ok(())
    }

    /// V005 alone, with its journal.
    pub(crate) fn timestamps(&mut self) -> Result<(), Error> {
        let lab = self.lab;
        let before = lab.migrated(self.messages, "V004")?;
        let script = floor::transaction(floor::NORMALIZE_TIMESTAMPS);
        let ours = Contestant::new(TIMESTAMPS, || {
            let folder = lab.copy_of(&before, "ours")?;
            measure::run(&mut lab.ours(&folder, &["migrate", "--no-backup", "--to", "V005"]))
        });
        let bare = Contestant::new("one bare UPDATE", || {
            measure::run(&mut lab.bare(&lab.copy_of(&before, "bare")?, &script)?)
        });
        let mut floors = vec![(bare, Some(1.5))];
        if lab.tools.python3.is_some() {
            let python = Contestant::new("the strategy's script", || {
                let folder = lab.copy_of(&before, "python")?;
                measure::run(system(&folder, "python3", &["-c", PYTHON, DATABASE]).env("TZ", "UTC"))
            });
            floors.push((python, None));
        } else {
            self.leave_out("the strategy's script: there is no python3");
        }
        let times = self.against(self.rounds, ours, floors, &["timestamp"])?;
        if let [_, bare, python] = times.as_slice() {
            self.note(python, bare, None);
        }
        Ok(())
    }

    /// The column of V006, its rows, and its index, with the two small steps between them.
    pub(crate) fn threads(&mut self) -> Result<(), Error> {
        let lab = self.lab;
        let before = lab.migrated(self.messages, "1.1.0")?;
        let script = floor::up(&lab.steps, 5);
        let ours = Contestant::new(THREADS, || {
            let folder = lab.copy_of(&before, "ours")?;
            measure::run(&mut lab.ours(&folder, &["migrate", "--no-backup"]))
        });
        let bare = Contestant::new("bare statements", || {
            measure::run(&mut lab.bare(&lab.copy_of(&before, "bare")?, &script)?)
        });
        self.against(self.rounds, ours, vec![(bare, Some(1.3))], &["thread_id"])
            .map(drop)
    }

    /// A backup: copied, synced, checked, digested.
    pub(crate) fn backup(&mut self) -> Result<(), Error> {
        let lab = self.lab;
        let original = lab.migrated(self.messages, "latest")?;
        let folder = |name| lab.copy_of(&original, name);
        let ours = Contestant::new(BACKUP, || {
            measure::run(&mut lab.ours(&folder("ours")?, &["backup", "create"]))
        });
        let mut floors = vec![(
            Contestant::new("cp and sync", || {
                copy(&folder("copy")?, Path::new(DATABASE), "copy.db")
            }),
            None,
        )];
        if self.has_sqlite3("`.backup`") {
            let shell = Contestant::new("sqlite3 shell's .backup, unchecked", || {
                measure::run(&mut system(
                    &folder("shell")?,
                    "sqlite3",
                    &[DATABASE, ".backup copy.db"],
                ))
            });
            floors.insert(0, (shell, Some(1.0)));
        }
        self.against(self.rounds, ours, floors, &[]).map(drop)
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
        let ours = Contestant::new("restore", || {
            let folder = lab.copy_of(&now, "ours")?;
            let mut command = lab.ours(&folder, &["restore", "latest", "--backup-dir"]);
            measure::run(command.arg(&backups))
        });
        let mut floors = vec![(
            Contestant::new("cp and sync", || {
                copy(&lab.copy_of(&now, "copy")?, &plain, DATABASE)
            }),
            None,
        )];
        if self.has_sqlite3("`.restore`") {
            let shell = Contestant::new("sqlite3 shell's .restore, unchecked", || {
                let folder = lab.copy_of(&now, "shell")?;
                let script = format!(".restore '{}'\n", plain.display());
                measure::run(&mut lab.sqlite3(&folder, &script)?)
            });
            floors.insert(0, (shell, None));
        }
        self.against(self.rounds, ours, floors, &[]).map(drop)
    }

    /// Taking a database into management.
    pub(crate) fn adopt(&mut self) -> Result<(), Error> {
        let lab = self.lab;
        let original = lab.original(self.messages)?;
        let ours = Contestant::new("adopt", || {
            measure::run(&mut lab.ours(&lab.copy_of(&original, "ours")?, &["adopt"]))
        });
        let bare = Contestant::new("one committed row", || {
            let script = floor::transaction("CREATE TABLE v (version TEXT); INSERT INTO v VALUES ('1.0.0');");
            measure::run(&mut lab.bare(&lab.copy_of(&original, "bare")?, &script)?)
        });
        self.against(self.rounds * 3, ours, vec![(bare, None)], &[])
            .map(drop)
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
        let ours = Contestant::new(name, || {
            measure::run(&mut lab.ours(&lab.copy_of(&now, "ours")?, arguments))
        });
        let bare = Contestant::new("bare statements", || {
            measure::run(&mut lab.bare(&lab.copy_of(&now, "bare")?, script)?)
        });
        self.against(self.rounds, ours, vec![(bare, None)], &["timestamp"])
            .map(drop)
    }

    /// A floor that came to another answer did other work.
    fn same_answer(&self, ours: &str, floor: &str, columns: &[&str]) -> Result<(), Error> {
        if columns.is_empty() {
            return Ok(());
        }
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
