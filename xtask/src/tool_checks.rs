//! The checks that need the toolchain: how migrations are formatted, whether they compile, and what they do.

use std::{path::PathBuf, process::Output};

use naming::MigrationName;
use serde_json::Value;
use xtask::{cargo, error::Error, project::Project};

use crate::check::{Context, Finding};

/// The crate whose tests hold the migrations to their golden SQL, to going up, back and up again, and to the
/// release that the code calls its version.
const CATALOG: &str = "bridge-migrate";

/// `cargo fmt` does not reach the migrations: the build script includes them by path.
pub(crate) fn formatting(context: &Context<'_>) -> Result<Vec<Finding>, Error> {
    let project = context.project;
    let mut rustfmt = cargo::command(project, "rustfmt");
    rustfmt.args(["--check", "--files-with-diff"]);
    let mut paths = Vec::new();
    for (name, _) in &context.migrations {
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
    let mut found: Vec<Finding> = context
        .migrations
        .iter()
        .filter(|(name, _)| {
            let file_name = name.file_name();
            listed.lines().any(|line| line.trim_end().ends_with(&file_name))
        })
        .map(|(name, _)| {
            let file = project.show(&project.migration(name));
            Finding::new("XT701", &file, "is not formatted", format!("rustfmt {file}"))
        })
        .collect();
    if found.is_empty() {
        found.push(Finding::new(
            "XT702",
            project.show(&project.migrations_dir()),
            "rustfmt cannot read it",
            "make it compile",
        ));
    }
    Ok(found)
}

/// The tests of the catalog, each failure a finding.
pub(crate) fn behaviour(context: &Context<'_>) -> Result<Vec<Finding>, Error> {
    tests(context.project, &[], None)
}

/// Writes every migration's golden SQL anew.
///
/// # Errors
/// When cargo cannot be started; what hinders the writing is found.
pub(crate) fn bless(project: &Project) -> Result<Vec<Finding>, Error> {
    tests(project, &["--test", "golden"], Some("BLESS"))
}

fn tests(project: &Project, which: &[&str], variable: Option<&str>) -> Result<Vec<Finding>, Error> {
    let built = build(
        project,
        &[&["test", "--no-run", "--package", CATALOG][..], which].concat(),
    )?;
    if let Err(found) = built {
        return Ok(found);
    }
    let mut cargo = cargo::command(project, "cargo");
    cargo
        .args([
            "test",
            "--quiet",
            "--locked",
            "--no-fail-fast",
            "--package",
            CATALOG,
        ])
        .args(which)
        .env("RUST_BACKTRACE", "0");
    if let Some(variable) = variable {
        cargo.env(variable, "1");
    }
    let output = cargo::output(&mut cargo)?;
    Ok(if output.status.success() {
        Vec::new()
    } else {
        failures(&cargo::text(&output))
    })
}

/// Builds the program.
///
/// # Errors
/// When cargo cannot be started; that something does not compile is found.
pub(crate) fn program(project: &Project) -> Result<Result<PathBuf, Vec<Finding>>, Error> {
    let arguments = ["build", "--package=bridge-migrate-cli", "--bin=bridge-migrate"];
    Ok(match build(project, &arguments)? {
        Ok(output) => {
            let messages = String::from_utf8_lossy(&output.stdout);
            Ok(cargo::executable(&messages, "bridge-migrate")
                .ok_or_else(|| Error::new("cargo did not say where it put bridge-migrate"))?)
        }
        Err(found) => Err(found),
    })
}

/// Runs cargo, and finds what does not compile.
fn build(project: &Project, arguments: &[&str]) -> Result<Result<Output, Vec<Finding>>, Error> {
    let mut cargo = cargo::command(project, "cargo");
    cargo
        .args(arguments)
        .args(["--quiet", "--locked", "--message-format=json"]);
    let output = cargo::output(&mut cargo)?;
    if output.status.success() {
        return Ok(Ok(output));
    }
    let mut found = compiler_errors(project, &String::from_utf8_lossy(&output.stdout));
    found.extend(build_script_errors(&String::from_utf8_lossy(&output.stderr)));
    found.sort_by(|a, b| a.subject.cmp(&b.subject).then_with(|| a.message.cmp(&b.message)));
    found.dedup();
    if found.is_empty() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Error::new(said).hint("cargo check --workspace --all-targets"));
    }
    Ok(Err(found))
}

/// The errors among cargo's messages, one JSON object a line.
fn compiler_errors(project: &Project, messages: &str) -> Vec<Finding> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message.get("reason").and_then(Value::as_str) == Some("compiler-message"))
        .filter_map(|message| {
            let error = message.get("message")?;
            if error.get("level")?.as_str()? != "error" {
                return None;
            }
            let spans = error.get("spans")?.as_array()?;
            let primary = spans
                .iter()
                .find(|span| span.get("is_primary").and_then(Value::as_bool) == Some(true))?;
            let file = project.show(&project.root().join(primary.get("file_name")?.as_str()?));
            Some(Finding::new(
                "XT802",
                format!("{file}:{}", primary.get("line_start")?),
                format!("does not compile: {}", error.get("message")?.as_str()?),
                "cargo check --package bridge-migrate shows the place",
            ))
        })
        .collect()
}

/// What the build script has to say of the files that it reads.
fn build_script_errors(said: &str) -> impl Iterator<Item = Finding> {
    said.lines().filter_map(|line| {
        let (_, mistake) = line.strip_prefix("error: bridge-migrate@")?.split_once(": ")?;
        let (subject, message) = mistake.split_once(": ").unwrap_or(("migrations", mistake));
        Some(Finding::new(
            "XT802",
            subject.to_owned(),
            message.to_owned(),
            "put it right in that file",
        ))
    })
}

/// The tests that failed, each with the first line of what it said.
fn failures(said: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut lines = said.lines();
    while let Some(line) = lines.next() {
        let Some(test) = line
            .strip_prefix("---- ")
            .and_then(|rest| rest.strip_suffix(" stdout ----"))
        else {
            continue;
        };
        let panicked = lines.by_ref().find(|line| line.contains("panicked at "));
        let why = panicked.and_then(|_| lines.next()).unwrap_or("it failed").trim();
        found.push(Finding::new(
            "XT801",
            "migrations",
            format!("{}: {why}", test.replace('_', " ")),
            format!("cargo test --package {CATALOG} {test}"),
        ));
    }
    if found.is_empty() {
        found.push(Finding::new(
            "XT801",
            "migrations",
            "do not do what they should",
            format!("cargo test --package {CATALOG}"),
        ));
    }
    found
}

/// A finding about what a migration's definition says, from the program's own words: `migration V010__x: why`.
pub(crate) fn contradiction(project: &Project, message: &str) -> Option<Finding> {
    let (stem, why) = message.strip_prefix("migration ")?.split_once(": ")?;
    let name = MigrationName::parse(&format!("{stem}.rs")).ok()?;
    let fix = if why.contains("a `down`") {
        "write `.up(…)` and the `.down(…)` that takes it back"
    } else {
        "put it right in its definition"
    };
    Some(Finding::new(
        "XT803",
        project.show(&project.migration(&name)),
        why.to_owned(),
        fix.to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_compile_is_found_by_file_and_line() {
        let messages = r#"{"reason":"compiler-artifact"}
{"reason":"compiler-message","message":{"level":"warning","message":"w","spans":[]}}
{"reason":"compiler-message","message":{"level":"error","message":"cannot find value `x`","spans":[
"#
        .to_owned()
            + r#"{"reason":"compiler-message","message":{"level":"error","message":"cannot find value `x`","spans":[{"is_primary":false,"file_name":"/p/other.rs","line_start":1},{"is_primary":true,"file_name":"/p/migrations/V010__x.rs","line_start":12}]}}
{"reason":"compiler-message","message":{"level":"error","message":"aborting due to 1 previous error","spans":[]}}"#;
        let found = compiler_errors(&Project::at("/p"), &messages);
        assert_eq!(
            found.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "XT802 migrations/V010__x.rs:12: does not compile: cannot find value `x`\n             fix: cargo check --package bridge-migrate shows the place"
            ]
        );
    }

    #[test]
    fn what_the_build_script_refuses_is_found_by_file() {
        let said = "warning: unused\nerror: bridge-migrate@0.1.0: migrations/V010__x.rs: it must name its release\nerror: build script logged errors\n";
        let found: Vec<Finding> = build_script_errors(said).collect();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].subject, "migrations/V010__x.rs");
        assert_eq!(found[0].message, "it must name its release");
    }

    #[test]
    fn a_test_that_fails_is_found_by_what_it_said_first() {
        let said = "running 2 tests\nF.\nfailures:\n\n---- it_goes_back stdout ----\n\nthread 'it_goes_back' (7) panicked at tests/x.rs:1:2:\n\
                    down of V010__x\nnote: run with `RUST_BACKTRACE=1`\n\nfailures:\n    it_goes_back\n";
        let found = failures(said);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].message, "it goes back: down of V010__x");
        assert_eq!(found[0].fix, "cargo test --package bridge-migrate it_goes_back");
        assert_eq!(failures("killed").len(), 1);
    }

    #[test]
    fn a_missing_way_back_is_found_with_its_file_and_its_fix() {
        let said = "migration V010__x: it needs both an `up` and a `down`";
        let found = contradiction(&Project::at("/p"), said).unwrap();
        assert_eq!(
            found.to_string(),
            "XT803 migrations/V010__x.rs: it needs both an `up` and a `down`\n             fix: write `.up(…)` and the `.down(…)` that takes it back"
        );
        assert_eq!(
            contradiction(&Project::at("/p"), "contracts/1.0.0.sql: line 3"),
            None
        );
    }
}
