//! One command of the program on the files of one folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bridge_migrate_core::Settings;
use support::engine::in_memory;
use tempfile::TempDir;

use super::record::Recorder;
use super::trace::Trace;
use super::tracer::{Ending, Watcher, run};
use super::tree::Tree;
use crate::truth::Truth;

/// A run that takes longer than this hangs. The longest takes a few seconds, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// The database, in the folder.
pub const DATABASE: &str = "data/collab.db";
/// The token file, in the folder.
pub const TOKENS: &str = "data/tokens.json";

/// A command, and what it finds.
#[derive(Debug)]
pub struct Case {
    /// For people and for `CRASH_POINT`.
    pub name: &'static str,
    /// The arguments behind the global ones.
    pub arguments: Vec<String>,
    /// What the folder holds before.
    pub before: Tree,
    /// What must hold of the database, and of copies of it, at any moment.
    pub truth: Truth,
    /// Where backups go, in the folder.
    pub backups: &'static str,
    /// What is said of where the database is: nothing, for the default.
    pub database: Option<&'static str>,
    /// Whether the database holds what it held before or what the command comes to, and nothing in between.
    pub at_once: bool,
    /// Tokens that open nothing before, and must not at any moment: their hash in the tables, and their text.
    pub revoked: Vec<(String, String)>,
    // Commands note absolute paths in the database, so everything happens in one place.
    place: TempDir,
}

impl Case {
    /// A command in a folder that holds nothing yet.
    ///
    /// # Panics
    /// When there is no room for it.
    pub fn new(name: &'static str, arguments: &[&str], truth: Truth) -> Self {
        in_memory();
        let place = tempfile::Builder::new()
            .prefix("bridge-calls-")
            .tempdir()
            .unwrap();
        Self {
            name,
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            before: Tree::default(),
            truth,
            backups: "data",
            database: Some(DATABASE),
            at_once: false,
            revoked: Vec::new(),
            place,
        }
    }

    /// The folder, by its real name.
    ///
    /// # Panics
    /// When it is gone.
    pub fn root(&self) -> PathBuf {
        self.place.path().canonicalize().unwrap()
    }

    /// The settings that the program runs with.
    pub fn settings(&self) -> Settings {
        let root = self.root();
        let mut settings = Settings::new(root.join(DATABASE));
        settings.backup_dir = root.join(self.backups);
        settings.log_dir = root.join("logs");
        settings
    }

    /// The program with other arguments than the case's, in UTC and with none of the caller's settings.
    pub fn program<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let root = self.root();
        let mut command = Command::new(support::command::binary());
        command.current_dir(&root).env_clear().env("TZ", "UTC").args([
            "--json",
            "--timezone",
            "UTC",
            "--backup-dir",
            self.backups,
        ]);
        if let Some(database) = self.database {
            command.args(["--db", database]);
        }
        command.args(arguments);
        command
    }

    fn command(&self) -> Command {
        self.program(self.arguments.iter().map(String::as_str))
    }

    /// Lays `tree` out and runs the command on it, without looking on.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn run_on(&self, tree: &Tree) -> Ending {
        tree.write(&self.root());
        run_quietly(self.command())
    }

    /// Runs the program with other arguments on the folder as it is.
    ///
    /// # Panics
    /// When it fails.
    pub fn prepare(&self, arguments: &[&str]) {
        let ending = run_quietly(self.program(arguments.iter().copied()));
        assert_eq!(ending.code, Some(0), "{arguments:?}: {ending}");
    }

    /// Lays out what the folder holds before and runs the command under a watcher.
    ///
    /// # Panics
    /// When it cannot be traced, which [`are_traceable`](super::are_traceable) says.
    pub fn watch(&self, watcher: &mut dyn Watcher) -> Ending {
        self.before.write(&self.root());
        self.watch_here(watcher)
    }

    /// The same on the folder as it is.
    ///
    /// # Panics
    /// As [`Self::watch`].
    pub fn watch_here(&self, watcher: &mut dyn Watcher) -> Ending {
        run(self.command(), &self.root(), PATIENCE, watcher).unwrap()
    }

    /// Runs the command undisturbed and records it.
    ///
    /// # Panics
    /// When it fails.
    pub fn record(&self) -> (Trace, Ending) {
        self.before.write(&self.root());
        let mut recorder = Recorder::new(&self.root());
        let ending = run(self.command(), &self.root(), PATIENCE, &mut recorder).unwrap();
        assert_eq!(ending.code, Some(0), "{}: {ending}", self.name);
        (recorder.finish(), ending)
    }

    /// Writes a file before everything.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        let path = self.root().join(name);
        fs::create_dir_all(path.parent().unwrap_or(Path::new(""))).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Takes what the folder holds now for what the command finds.
    #[must_use]
    pub fn from_here(mut self) -> Self {
        self.before = Tree::read(&self.root());
        self
    }
}

fn run_quietly(mut command: Command) -> Ending {
    let output = command.output().unwrap();
    Ending {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        hung: false,
    }
}
