//! `cargo xtask check --db PATH`: the program's own checklist for one database, after that for the code.

use std::{path::Path, process::Command};

use xtask::{Report, cargo, error::Error, project::Project};

/// Builds the program and goes through its checklist for the database; it says itself what is missing.
///
/// # Errors
/// When the program does not build or cannot be started; that a box is empty is no error.
pub(crate) fn checklist(project: &Project, database: &Path) -> Result<Report, Error> {
    let [program] = cargo::build(
        project,
        &["--package=bridge-migrate-cli", "--bin=bridge-migrate"],
        ["bridge-migrate"],
    )?;
    let output = cargo::output(Command::new(program).arg("--db").arg(database).arg("checklist"))?;
    Ok(Report {
        lines: cargo::text(&output).lines().map(str::to_owned).collect(),
        passed: output.status.success(),
    })
}
