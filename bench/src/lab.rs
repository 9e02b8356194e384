//! What the cases need: the programs, the data, and folders to work in.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use crate::floor::{self, Step};
use crate::measure;
use xtask::{cargo, error::Error, program, project::Project};

/// The database's name in every folder.
pub(crate) const DATABASE: &str = "collab.db";
/// What is read as standard input, beside the database.
pub(crate) const SCRIPT: &str = "script.sql";

const HOUR: Duration = Duration::from_secs(3600);

/// The programs of the system that serve as floors where they are installed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Tools {
    /// The version of the sqlite3 shell.
    pub(crate) sqlite3: Option<String>,
    /// The version of python3.
    pub(crate) python3: Option<String>,
    /// Whether the shell's `flock` is there.
    pub(crate) flock: bool,
    /// The version of valgrind.
    pub(crate) valgrind: Option<String>,
}

impl Tools {
    fn find() -> Self {
        Self {
            sqlite3: version("sqlite3", "-version"),
            python3: version("python3", "--version"),
            flock: version("flock", "--version").is_some(),
            valgrind: version("valgrind", "--version"),
        }
    }
}

/// The first words that a program says about itself; none when it is not there.
fn version(program: &str, flag: &str) -> Option<String> {
    let output = Command::new(program)
        .arg(flag)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = said
        .split_whitespace()
        .find(|word| word.contains(|c: char| c.is_ascii_digit()));
    output.status.success().then(|| number.unwrap_or("?").to_owned())
}

/// The programs, the data, and a temporary folder that goes away with it.
#[derive(Debug)]
pub(crate) struct Lab {
    folder: TempDir,
    program: PathBuf,
    make: PathBuf,
    bare: PathBuf,
    writers: PathBuf,
    /// The floors that the system has.
    pub(crate) tools: Tools,
    /// The migrations as bare statements.
    pub(crate) steps: Vec<Step>,
}

impl Lab {
    /// Builds all programs as they are released.
    ///
    /// # Errors
    /// When something does not build, or there is no room for temporary files.
    pub(crate) fn set_up(project: &Project) -> Result<Self, Error> {
        let steps = floor::steps(project)?;
        let [program, make, bare, writers] = cargo::build(
            project,
            &[
                "--release",
                "--package=bridge-migrate-cli",
                "--package=bridge-migrate-tests",
                "--bin=bridge-migrate",
                "--example=make_1_0_0",
                "--example=bare",
                "--example=writers",
            ],
            ["bridge-migrate", "make_1_0_0", "bare", "writers"],
        )?;
        let folder = tempfile::Builder::new()
            .prefix("bridge-migrate-bench-")
            .tempdir()
            .map_err(|error| Error::new(format!("cannot make a temporary folder: {error}")))?;
        // Copied as whoever installs it does: the system's page cache holds what a linker wrote in small pieces, and to
        // map those takes a tenth of the time of `status`.
        let installed = folder.path().join("bridge-migrate");
        fs::copy(&program, &installed).map_err(|error| Error::io("copy to", &installed, &error))?;
        Ok(Self {
            folder,
            program: installed,
            make,
            bare,
            writers,
            tools: Tools::find(),
            steps,
        })
    }

    /// The temporary folder of all data.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A folder with a database of release 1.0.0 of so many messages; made once.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn original(&self, messages: u64) -> Result<PathBuf, Error> {
        let folder = self.folder().join(format!("original-{messages}"));
        if !folder.exists() {
            measure::time(Command::new(&self.make).arg(&folder).arg(messages.to_string()))?;
        }
        Ok(folder)
    }

    /// A folder with the same database at a later version; made once.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn migrated(&self, messages: u64, target: &str) -> Result<PathBuf, Error> {
        let folder = self.folder().join(format!("{target}-{messages}"));
        if !folder.exists() {
            copy(&self.original(messages)?, &folder)?;
            measure::time(&mut self.ours(&folder, &["migrate", "--no-backup", "--to", target]))?;
        }
        Ok(folder)
    }

    /// A new copy of a folder for one run, all of it on the disk, so that nothing is written later on its account.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub(crate) fn copy_of(&self, original: &Path, name: &str) -> Result<PathBuf, Error> {
        let folder = self.empty(name)?;
        copy(original, &folder)?;
        Ok(folder)
    }

    /// A new empty folder for one run.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn empty(&self, name: &str) -> Result<PathBuf, Error> {
        let folder = self.folder().join(format!("work-{name}"));
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(|error| Error::io("remove", &folder, &error))?;
        }
        fs::create_dir_all(&folder).map_err(|error| Error::io("make", &folder, &error))?;
        Ok(folder)
    }

    /// Removes what the runs of a case left.
    ///
    /// # Errors
    /// When a folder cannot be removed.
    pub(crate) fn tidy(&self) -> Result<(), Error> {
        self.remove(|name| name.starts_with("work-"))
    }

    /// Removes the data of this size.
    ///
    /// # Errors
    /// When a folder cannot be removed.
    pub(crate) fn forget(&self, messages: u64) -> Result<(), Error> {
        self.remove(|name| name.ends_with(&format!("-{messages}")))
    }

    fn remove(&self, is_meant: impl Fn(&str) -> bool) -> Result<(), Error> {
        let here = self.folder();
        let entries = fs::read_dir(here).map_err(|error| Error::io("read", here, &error))?;
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if is_meant(&name) {
                fs::remove_dir_all(&path).map_err(|error| Error::io("remove", &path, &error))?;
            }
        }
        Ok(())
    }

    /// The program on the folder's database.
    pub(crate) fn ours(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = program::command(&self.program, folder);
        command.args(["--db", DATABASE]).args(arguments);
        command
    }

    /// Whether the program has a command.
    pub(crate) fn has_command(&self, name: &str) -> bool {
        measure::time(&mut self.ours(self.folder(), &[name, "--help"])).is_ok()
    }

    /// A script on the folder's database, by the SQLite that the program carries.
    ///
    /// # Errors
    /// When the script cannot be written beside the database.
    pub(crate) fn bare(&self, folder: &Path, script: &str) -> Result<Command, Error> {
        let mut command = Command::new(&self.bare);
        command
            .current_dir(folder)
            .arg(DATABASE)
            .stdin(file(folder, script)?);
        Ok(command)
    }

    /// A script on the folder's database, by the sqlite3 shell.
    ///
    /// # Errors
    /// When the script cannot be written beside the database.
    pub(crate) fn sqlite3(&self, folder: &Path, script: &str) -> Result<Command, Error> {
        let mut command = Command::new("sqlite3");
        command
            .current_dir(folder)
            .args(["-batch", "-bail", DATABASE])
            .stdin(file(folder, script)?);
        Ok(command)
    }

    /// Writers that know nothing of migrations.
    pub(crate) fn writers(&self, folder: &Path, writers: u32, pause_ms: u32) -> Command {
        let mut command = Command::new(&self.writers);
        command
            .current_dir(folder)
            .arg(DATABASE)
            .args([writers.to_string(), pause_ms.to_string()]);
        command
    }
}

/// A program of the system in a folder, with no input.
pub(crate) fn system(folder: &Path, program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).args(arguments).stdin(Stdio::null());
    command
}

/// A script as a file, to be read as standard input.
fn file(folder: &Path, script: &str) -> Result<File, Error> {
    let path = folder.join(SCRIPT);
    fs::write(&path, script).map_err(|error| Error::io("write", &path, &error))?;
    File::open(&path).map_err(|error| Error::io("open", &path, &error))
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    fs::create_dir_all(to).map_err(|error| Error::io("make", to, &error))?;
    for name in [DATABASE, "tokens.json"] {
        let target = to.join(name);
        fs::copy(from.join(name), &target)
            .and_then(|_| {
                let copied = File::options().write(true).open(&target)?;
                // Nobody rewrites a server's tokens when its database is copied: the file is at rest.
                copied.set_modified(SystemTime::now() - HOUR)?;
                copied.sync_all()
            })
            .map_err(|error| Error::io("copy to", &target, &error))?;
    }
    Ok(())
}
