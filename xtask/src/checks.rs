//! The checks that read names and text: they work while a migration does not compile.

use naming::MigrationName;

use crate::check::{Context, Finding};
use crate::seals::{self, Difference};
use crate::{current_version, migration_log, seal, source, template};
use xtask::{error::Error, project};

pub(crate) fn names(context: &Context<'_>) -> Result<Vec<Finding>, Error> {
    let errors = naming::scan(context.file_names.iter().cloned())
        .err()
        .unwrap_or_default();
    Ok(errors
        .into_iter()
        .map(|error| Finding::new("XT101", "migrations", error.to_string(), "rename the file"))
        .collect())
}

pub(crate) fn sealing(context: &Context<'_>) -> Result<Vec<Finding>, Error> {
    let present: Vec<seals::Seal> = context
        .migrations
        .iter()
        .map(|(name, text)| seals::Seal::of(name.clone(), text))
        .collect();
    let sealed = match seal::sealed(context.project) {
        Ok(sealed) => sealed,
        Err(error) => {
            return Ok(vec![Finding::new(
                "XT205",
                context.project.show(&context.project.seals()),
                error.message().to_owned(),
                "take the file whole from version control, then run `cargo xtask seal`",
            )]);
        }
    };
    let differences = seals::differences(&sealed.seals, &present);
    let closed = seal::closed(context.project, &sealed, &differences);
    let closed = closed.iter().map(|(name, release, last)| {
        let file = context.project.show(&context.project.migration(name));
        let last = last.label();
        let message = format!("belongs to {release}, which is closed: its last migration, {last}, is sealed");
        let fix = format!(
            "give it a later release, or, while no database but your own has all of {release}: \
             cargo xtask seal --open {release}"
        );
        Finding::new("XT206", file, message, fix)
    });
    Ok(differences
        .iter()
        .map(|found| {
            let undo = "undo the change and write a new migration instead";
            let (code, fix) = match found {
                Difference::Added(_) => ("XT201", "cargo xtask seal, once nothing else is found"),
                Difference::Edited(_) => ("XT202", undo),
                Difference::Removed(_) => ("XT203", undo),
                Difference::Moved { .. } => ("XT204", undo),
            };
            let file = context.project.show(&context.project.migration(found.subject()));
            Finding::new(code, file, found.what(), fix)
        })
        .chain(closed)
        .collect())
}

pub(crate) fn golden(context: &Context<'_>) -> Result<Vec<Finding>, Error> {
    let project = context.project;
    let mut found = Vec::new();
    for (name, _) in &context.migrations {
        let path = project.golden(name);
        let text = project::read_if_there(&path)?;
        let (code, message) = match text {
            None => ("XT301", "is missing"),
            Some(text)
                if text
                    .lines()
                    .any(|line| line.trim_start().starts_with("-- PENDING")) =>
            {
                ("XT302", "is a stub")
            }
            Some(_) => continue,
        };
        let fix = "cargo xtask check --bless, and read what it wrote".to_owned();
        found.push(Finding::new(code, project.show(&path), message.to_owned(), fix));
    }
    for file_name in project::file_names(&project.golden_dir())? {
        let stem = file_name.strip_suffix(".sql");
        if stem.is_some_and(|stem| !context.migrations.iter().any(|(name, _)| name.stem() == stem)) {
            found.push(Finding::new(
                "XT303",
                project.show(&project.golden_dir().join(&file_name)),
                "belongs to no migration",
                "remove it, or rename it with its migration",
            ));
        }
    }
    Ok(found)
}

pub(crate) fn documentation(context: &Context<'_>) -> Result<Vec<Finding>, Error> {
    let mut found = Vec::new();
    for (name, text) in &context.migrations {
        let file = context.project.show(&context.project.migration(name));
        for (heading, missing, pending, content) in [
            ("Why", "XT401", "XT402", "what needs the change"),
            ("Rollback", "XT403", "XT404", "what going back does and loses"),
        ] {
            let (code, message) = match source::section(text, heading) {
                None => (
                    missing,
                    format!("has no `# {heading}` in its module documentation"),
                ),
                Some(body) if body.is_empty() => (missing, format!("says nothing under `# {heading}`")),
                Some(body) if body.contains(source::PENDING) => {
                    (pending, format!("has a stub under `# {heading}`"))
                }
                Some(_) => continue,
            };
            let fix = format!("write {content} under `//! # {heading}`");
            found.push(Finding::new(code, file.clone(), message, fix));
        }
        let mut code_lines = text.lines().filter(|line| !line.trim_start().starts_with("//!"));
        if code_lines.any(|line| line.contains(source::PENDING_MARK)) {
            found.push(Finding::new(
                "XT405",
                file,
                "still holds the template's example",
                "write `up` and `down`, and remove the comment that says PENDING",
            ));
        }
    }
    Ok(found)
}

pub(crate) fn log(context: &Context<'_>) -> Result<Vec<Finding>, Error> {
    let project = context.project;
    let file = project.show(&project.log());
    let finding = |code: &'static str, message, fix| Finding::new(code, file.clone(), message, fix);
    let text = project::read_if_there(&project.log())?.unwrap_or_default();
    let Some(entries) = migration_log::entries(&text) else {
        let fix = format!("add the heading `{}`", migration_log::HEADING);
        return Ok(vec![finding("XT504", "has no migration log".to_owned(), fix)]);
    };
    let mut found = Vec::new();
    for (name, _) in &context.migrations {
        let heading = template::log_heading(name);
        let fix = format!("write what changes, and what operators should know, under `{heading}`");
        match entries
            .iter()
            .find(|entry| entry.label == name.label() && entry.name == name.name())
        {
            None => found.push(finding("XT501", format!("has no entry `{heading}`"), fix)),
            Some(entry) if entry.body.is_empty() || entry.body.contains(source::PENDING) => {
                found.push(finding("XT502", format!("has a stub under `{heading}`"), fix));
            }
            Some(_) => {}
        }
    }
    for entry in &entries {
        let known =
            |(name, _): &(MigrationName, String)| entry.label == name.label() && entry.name == name.name();
        if !context.migrations.iter().any(known) {
            let message = format!(
                "has an entry `### {} {}` for no migration",
                entry.label, entry.name
            );
            found.push(finding(
                "XT503",
                message,
                "remove it, or rename it with its migration".to_owned(),
            ));
        }
    }
    Ok(found)
}

/// The code's own version is the newest migration's release by construction; what people read must say the same.
pub(crate) fn schema_version(context: &Context<'_>) -> Result<Vec<Finding>, Error> {
    let project = context.project;
    let Some((newest, text)) = context.migrations.last() else {
        return Ok(Vec::new());
    };
    let Some(release) = source::release(text) else {
        return Ok(vec![Finding::new(
            "XT603",
            project.show(&project.migration(newest)),
            "names no release",
            "write it as in `Definition::new(\"1.1.0\", Phase::Expand)`",
        )]);
    };
    let document = project::read_if_there(&project.log())?.unwrap_or_default();
    let stated = current_version::stated(&document);
    let (code, message) = match stated {
        Some(stated) if stated == release => return Ok(Vec::new()),
        Some(stated) => (
            "XT601",
            format!("says that the current version is {stated}; {newest} belongs to {release}"),
        ),
        None => ("XT602", "does not say the current version".to_owned()),
    };
    Ok(vec![Finding::new(
        code,
        project.show(&project.log()),
        message,
        format!(
            "write `**Version**: {release}` under `{}`",
            current_version::HEADING
        ),
    )])
}

/// A release's contract may hold nothing new, but somebody must have looked. That it is missing is a finding of lint.
pub(crate) fn contracts(context: &Context<'_>) -> Result<Vec<Finding>, Error> {
    let project = context.project;
    let mut found = Vec::new();
    for file_name in project::file_names(&project.contracts_dir())? {
        let path = project.contracts_dir().join(file_name);
        if project::read(&path)?.contains(source::PENDING_MARK) {
            found.push(Finding::new(
                "XT604",
                project.show(&path),
                "is a stub",
                "write what servers of the release run that those before did not; then take out PENDING",
            ));
        }
    }
    Ok(found)
}
