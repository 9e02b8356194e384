//! The checks that need the toolchain: how migrations are formatted, and what they do.

use crate::check::{Finding, Subject};
use xtask::cargo;
use xtask::error::Error;
use xtask::project::Project;

/// The crate whose tests hold the migrations to their golden SQL, to going up, back and up again, and to the
/// release that the code calls its version.
const CATALOG: &str = "bridge-migrate";

/// `cargo fmt` does not reach the migrations: the build script includes them by path.
pub(crate) fn formatting(subject: &Subject<'_>) -> Result<Vec<Finding>, Error> {
    let project = subject.project;
    let mut rustfmt = cargo::command(project, "rustfmt");
    rustfmt.args(["--check", "--files-with-diff"]);
    let mut paths = Vec::new();
    for (name, _) in &subject.migrations {
        paths.push(project.migration(name));
    }
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let output = cargo::output(rustfmt.args(&paths))?;
    if output.status.success() {
        return Ok(Vec::new());
    }
    let listed = String::from_utf8_lossy(&output.stdout);
    let mut found: Vec<Finding> = subject
        .migrations
        .iter()
        .filter(|(name, _)| {
            let file_name = name.file_name();
            listed.lines().any(|line| line.trim_end().ends_with(&file_name))
        })
        .map(|(name, _)| {
            let file = project.show(&project.migration(name));
            Finding {
                code: "XT701".into(),
                fix: format!("rustfmt {file}"),
                subject: file,
                message: "is not formatted".to_owned(),
            }
        })
        .collect();
    if found.is_empty() {
        found.push(Finding {
            code: "XT702".into(),
            subject: project.show(&project.migrations_dir()),
            message: format!("rustfmt cannot read it:\n{}", cargo::text(&output)),
            fix: "make it compile".to_owned(),
        });
    }
    Ok(found)
}

pub(crate) fn behaviour(subject: &Subject<'_>) -> Result<Vec<Finding>, Error> {
    let mut cargo = cargo::command(subject.project, "cargo");
    let output = cargo::output(cargo.args(["test", "--quiet", "--locked", "--package", CATALOG]))?;
    if output.status.success() {
        return Ok(Vec::new());
    }
    Ok(vec![Finding {
        code: "XT801".into(),
        subject: "migrations".to_owned(),
        message: format!("do not do what they should:\n{}", cargo::text(&output)),
        fix: format!("cargo test --package {CATALOG}"),
    }])
}

/// Writes every migration's golden SQL anew.
///
/// # Errors
/// When the migrations do not compile or contradict themselves, with what cargo said.
pub(crate) fn bless(project: &Project) -> Result<(), Error> {
    let mut cargo = cargo::command(project, "cargo");
    cargo
        .args(["test", "--quiet", "--locked", "--package", CATALOG])
        .args(["--test", "golden"])
        .env("BLESS", "1");
    let output = cargo::output(&mut cargo)?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::new(format!(
        "the golden SQL cannot be written:\n{}",
        cargo::text(&output)
    ))
    .hint("cargo xtask check --text-only, and make the migrations compile"))
}
