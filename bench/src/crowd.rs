//! The cases of many: processes that start at once, and a server that goes on writing.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{path::Path, thread};

use serde_json::Value;

use crate::cases::Bench;
use crate::lab::{DATABASE, system};
use crate::outcome::Latency;
use crate::race::Contestant;
use crate::{floor, measure};
use xtask::{cargo, error::Error};

/// As many as the server has calls in flight on a busy day.
const WRITERS: u32 = 8;
/// Between two calls of a writer. A call takes a disk some milliseconds: with much less the writers alone would fill
/// it, and wait for each other.
const PAUSE_MS: u32 = 100;
/// How long the server is watched while nothing else goes on.
const QUIET: Duration = Duration::from_secs(3);

/// The server begins to count anew at each start, and its ids with it: what its last run wrote has to go.
const FORGET: &str = "\
DELETE FROM messages WHERE id GLOB 'message-of-server-*';
DELETE FROM decisions WHERE id GLOB 'decision-of-server-*';
DELETE FROM files WHERE id GLOB 'file-of-server-*';
";

/// What an operator would write: whoever gets the lock looks, and makes what is missing.
const LOCKED: &str = "\
[ \"$(sqlite3 -cmd '.timeout 5000' \"$1\" 'PRAGMA user_version')\" = 1 ] || sqlite3 -batch -bail \"$1\" <\"$2\"";

impl Bench<'_> {
    /// Processes that start at once on a fresh database.
    pub(crate) fn crowd(&mut self) -> Result<(), Error> {
        let (lab, flock) = (self.lab, self.lab.tools.flock);
        if !flock {
            self.leave_out("processes at once: there is no flock");
        }
        if !self.has_sqlite3("processes at once") || !flock {
            return Ok(());
        }
        self.messages = 0;
        let script = floor::up(&lab.steps, 0) + "PRAGMA user_version = 1;\n";
        let scripts = lab.empty("crowd-script")?;
        let script_file = scripts.join("fresh.sql");
        xtask::project::create(&script_file, &script)?;
        for (number, target) in [(32, Some(1.5)), (64, None)] {
            let name = format!("{number} × migrate, fresh database");
            let ours = Contestant::new(&name, || {
                let folder = lab.empty("crowd")?;
                let commands = (0..number).map(|_| lab.ours(&folder, &["migrate"]));
                measure::crowd(&mut commands.collect::<Vec<_>>())
            });
            let floor = Contestant::new("flock and sqlite3 shell", || {
                let folder = lab.empty("crowd-floor")?;
                let commands = (0..number).map(|_| {
                    let mut command = system(&folder, "flock", &["lock", "sh", "-c", LOCKED, "sh", DATABASE]);
                    command.arg(&script_file);
                    command
                });
                measure::crowd(&mut commands.collect::<Vec<_>>())
            });
            self.against(self.rounds, ours, vec![(floor, target)], &[])?;
        }
        Ok(())
    }

    /// What the users of a running server wait, step by step and for the whole way.
    pub(crate) fn writers(&mut self) -> Result<(), Error> {
        let lab = self.lab;
        let original = lab.original(self.messages)?;
        let folder = lab.copy_of(&original, "steps")?;
        self.wait("nothing", &folder, None)?;
        for version in lab
            .steps
            .iter()
            .map(|step| step.version)
            .filter(|version| *version > 1)
        {
            let target = format!("V{version:03}");
            let mut command = lab.ours(&folder, &["migrate", "--json", "--no-backup", "--to"]);
            self.wait(&target, &folder, Some(command.arg(&target)))?;
        }
        let folder = lab.copy_of(&original, "whole")?;
        let mut command = lab.ours(&folder, &["migrate", "--json"]);
        self.wait("migrate with its backup", &folder, Some(&mut command))
    }

    fn wait(&mut self, during: &str, folder: &Path, command: Option<&mut Command>) -> Result<(), Error> {
        measure::time(&mut self.lab.bare(folder, &floor::transaction(FORGET))?)?;
        let mut server = Server::start(&mut self.lab.writers(folder, WRITERS, PAUSE_MS))?;
        let started = Instant::now();
        let longest_lock = match command {
            Some(command) => longest_lock(command)?,
            None => {
                thread::sleep(QUIET);
                None
            }
        };
        let seconds = started.elapsed().as_secs_f64();
        let report = server.stop()?;
        let number = |key: &str| report.get(key).and_then(Value::as_f64).unwrap_or_default();
        let whole = |key: &str| report.get(key).and_then(Value::as_u64).unwrap_or_default();
        if let Some(error) = report.get("first_error").and_then(Value::as_str) {
            let failed = format!("writers during {during}, {} messages: {error}", self.messages);
            self.outcome.failed.push(failed);
        }
        self.outcome.latencies.push(Latency {
            during: during.to_owned(),
            messages: self.messages,
            calls: whole("calls"),
            errors: whole("errors"),
            p50: number("p50_ms"),
            p99: (whole("calls") >= 100).then(|| number("p99_ms")),
            max: number("max_ms"),
            longest_lock,
            seconds,
        });
        Ok(())
    }
}

/// Runs a `migrate --json`, and says the longest write lock that it reports, in milliseconds.
fn longest_lock(command: &mut Command) -> Result<Option<u64>, Error> {
    let output = cargo::output(command)?;
    if !output.status.success() {
        return Err(Error::new(format!(
            "migrate ended with {} beside the writers: {}",
            output.status,
            cargo::text(&output)
        )));
    }
    let answer: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| Error::new(format!("migrate --json wrote no JSON: {error}")))?;
    let steps = answer.get("applied").and_then(Value::as_array);
    let locks = steps
        .into_iter()
        .flatten()
        .filter_map(|step| step.get("max_lock_ms")?.as_u64());
    Ok(locks.max())
}

/// The running `writers`. It stops when its standard input ends, also when this is dropped.
struct Server {
    child: Child,
    says: BufReader<std::process::ChildStdout>,
}

impl Server {
    fn start(command: &mut Command) -> Result<Self, Error> {
        let cannot = |error: std::io::Error| Error::new(format!("cannot run the writers: {error}"));
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(cannot)?;
        let says = child
            .stdout
            .take()
            .ok_or_else(|| Error::new("the writers have no standard output"))?;
        let mut server = Self {
            child,
            says: BufReader::new(says),
        };
        let mut ready = String::new();
        server.says.read_line(&mut ready).map_err(cannot)?;
        if ready.trim() == "ready" {
            return Ok(server);
        }
        Err(Error::new("the writers did not start"))
    }

    fn stop(&mut self) -> Result<Value, Error> {
        drop(self.child.stdin.take());
        let mut said = String::new();
        self.says
            .read_to_string(&mut said)
            .map_err(|error| Error::new(format!("cannot read what the writers say: {error}")))?;
        serde_json::from_str(&said).map_err(|error| Error::new(format!("the writers wrote no JSON: {error}")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // It ends by itself once its input has.
        let _ = self.child.wait();
    }
}
