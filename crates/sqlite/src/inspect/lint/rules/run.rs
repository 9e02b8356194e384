//! Whether a migration runs, and whether its way back leads where it came from.

use super::super::{Found, Linted, Place, scratch};
use crate::schema::{diff, expected, probe::message, render_diff, script};
use bridge_migrate_core::Result;

/// What is found when SQLite refuses the statements, with SQLite's words.
pub(in super::super) fn does_not_run(linted: &Linted<'_>, failure: String) -> Option<Found> {
    // A statement that must not be there is the reason, and is reported already.
    (!linted.up.iter().any(super::control::is_control)).then(|| {
        Found::error(
            "BM101",
            Place::Whole,
            format!(
                "it does not run on the schema before it, so that later ones cannot be looked at: {failure}"
            ),
            "make it run on an empty database that has all migrations before it",
        )
    })
}

pub(super) fn no_way_back(linted: &Linted<'_>) -> Vec<Found> {
    if linted.up.is_empty() || !linted.down.is_empty() {
        return Vec::new();
    }
    vec![Found::error(
        "BM102",
        Place::Whole,
        "it has no `down`: a database cannot go back past it but by a restore",
        "write the `down` that undoes it",
    )]
}

pub(super) fn no_rollback_section(linted: &Linted<'_>) -> Vec<Found> {
    if !linted.migration.rollback.trim().is_empty() {
        return Vec::new();
    }
    vec![Found::error(
        "BM104",
        Place::Whole,
        "nothing says what going back does and what it loses",
        "write it in the module docs, under `//! # Rollback`",
    )]
}

pub(super) fn does_not_undo(linted: &Linted<'_>) -> Result<Vec<Found>> {
    if linted.down.is_empty() {
        return Ok(Vec::new());
    }
    let connection = scratch(linted.before)?;
    let migration = linted.migration;
    let ran =
        script::run(&connection, &migration.up).and_then(|()| script::run(&connection, &migration.down));
    let found = |message: String| {
        vec![Found::error(
            "BM103",
            Place::Down(1),
            message,
            "undo each change of `up`, the last one first",
        )]
    };
    if let Err(error) = ran {
        return Ok(found(format!("the way back does not run: {}", message(&error))));
    }
    let differences = diff(linted.before, &expected::read(&connection)?);
    if differences.is_empty() {
        return Ok(Vec::new());
    }
    let text = render_diff(&differences);
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    Ok(found(format!(
        "after the way back the schema is not what it was: {}",
        lines.join("; ")
    )))
}
