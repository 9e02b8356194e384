//! How each step goes back, and that it did.

use bridge_migrate_sqlite::rehearse::{Rehearsal, RehearsedStep};

use super::html::{self, code, details, escape, prose};
use crate::text::{counted, duration};

/// The way back, in the order in which it is gone.
pub(super) fn section(rehearsal: &Rehearsal) -> String {
    if rehearsal.steps.is_empty() {
        return String::new();
    }
    let command = format!(
        "bridge-migrate rollback --to {} --dry-run",
        rehearsal.from.version
    );
    let mut content = format!(
        "<p>From {} back to {}: <code>{}</code> shows it for the real database, without doing it.</p>\n",
        escape(&rehearsal.to.to_string()),
        escape(&rehearsal.from.to_string()),
        escape(&command)
    );
    for step in rehearsal.steps.iter().rev() {
        content.push_str(&way(step));
    }
    html::section("way-back", "The way back", &content)
}

fn way(step: &RehearsedStep) -> String {
    let result = match step.back {
        Some(measures) => format!(
            "<b class=\"good\">✓ went back</b> in {}, {} put back",
            escape(&duration(measures.duration_ms)),
            escape(&counted(measures.rows_changed, "row"))
        ),
        None => "<b class=\"bad\">✗ not tried</b>".to_owned(),
    };
    let how = match step.way_back.split_once(' ') {
        Some(("journal", column)) => format!("by the old values of {column} in the journal"),
        Some(("clear", column)) => format!("by clearing {column}, which it filled"),
        _ => "by the statements that are stored with it".to_owned(),
    };
    let statements = if step.down.trim().is_empty() {
        String::new()
    } else {
        details("SQL of the way back", &code(&step.down))
    };
    format!(
        "<div class=\"step\">\n<h3>V{:03} {}</h3>\n<p>{result} <span class=\"quiet\">{}</span></p>\n<p>{}</p>\n{statements}</div>\n",
        step.version,
        escape(&step.name),
        escape(&how),
        prose(&step.rollback),
    )
}
