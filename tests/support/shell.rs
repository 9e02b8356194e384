//! The machine's own SQLite, usually older than the bundled one, to see whether it can still read a schema.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::proof;

/// The `sqlite3` shell; without one, it is told that what needs it is left out.
pub fn sqlite3_shell() -> Option<PathBuf> {
    works("sqlite3", &["-version"])
}

/// A `python3` with its `sqlite3` module; without one, it is told that what needs it is left out.
pub fn python3() -> Option<PathBuf> {
    works("python3", &["-c", "import sqlite3"])
}

/// The `python3` whose reading of timestamps is compared with: 3.11, as the Bridge's servers have.
pub fn python3_11() -> Option<PathBuf> {
    works(
        "python3",
        &[
            "-c",
            "import sqlite3, sys; assert sys.version_info[:2] == (3, 11)",
        ],
    )
}

/// Runs SQL in the shell given by [`sqlite3_shell`].
///
/// # Errors
/// What the shell says on standard error, when it says anything or fails.
pub fn run_sql(shell: &Path, database: &Path, sql: &str) -> Result<String, String> {
    finish(
        Command::new(shell)
            .arg("-batch")
            .arg("-bail")
            .arg(database)
            .arg(sql),
    )
}

/// Runs a script in the interpreter given by [`python3`]; `sys.argv[1]` is the database.
///
/// # Errors
/// What the interpreter says on standard error, when it says anything or fails.
pub fn run_python(python: &Path, database: &Path, script: &str) -> Result<String, String> {
    finish(Command::new(python).arg("-c").arg(script).arg(database))
}

fn finish(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() || !errors.is_empty() {
        return Err(format!("{}: {errors}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn works(name: &str, arguments: &[&str]) -> Option<PathBuf> {
    let output = Command::new(name).args(arguments).output();
    if output.is_ok_and(|output| output.status.success()) {
        return Some(PathBuf::from(name));
    }
    proof::left_out("comparisons with another program", name);
    None
}
