//! The steps with what they run.

use bridge_migrate_sqlite::rehearse::{Rehearsal, RehearsedStep};

use super::html::{self, code, details, escape, prose};
use crate::text::counted;

/// One box for each step.
pub(super) fn section(rehearsal: &Rehearsal) -> String {
    let steps: String = rehearsal.steps.iter().map(step).collect();
    if steps.is_empty() {
        return String::new();
    }
    html::section("steps", "Steps", &steps)
}

fn step(step: &RehearsedStep) -> String {
    let mut content = format!(
        "<div class=\"step\">\n<h3>V{:03} {} <span class=\"tag\">{}</span> <span class=\"tag\">{}</span></h3>\n<p>{}</p>\n",
        step.version,
        escape(&step.name),
        escape(&step.release.to_string()),
        escape(step.phase.as_str()),
        prose(&step.summary),
    );
    let mut numbers = Vec::new();
    if let Some(measures) = step.up {
        numbers.push(format!("{} changed", counted(measures.rows_changed, "row")));
        if measures.rows_skipped > 0 {
            numbers.push(format!(
                "{} left as they were",
                counted(measures.rows_skipped, "row")
            ));
        }
    } else {
        numbers.push("not reached".to_owned());
    }
    if step.rows > 0 {
        numbers.push(format!("{} read", counted(step.rows, "row")));
    }
    if !step.rebuilds.is_empty() {
        numbers.push(format!("rebuilds {}", step.rebuilds.join(", ")));
    }
    content.push_str(&format!(
        "<p class=\"numbers\">{}</p>\n",
        escape(&numbers.join(" · "))
    ));
    if let Some(data) = &step.data {
        content.push_str(&format!("<p><code>{}</code></p>\n", escape(data)));
    }
    for row in &step.left {
        content.push_str(&format!(
            "<p class=\"numbers\">left: {} <code>{}</code>, {}</p>\n",
            escape(&row.table),
            escape(&row.key),
            escape(&row.why)
        ));
    }
    if !step.sql.trim().is_empty() {
        content.push_str(&details("SQL", &code(&step.sql)));
    }
    content.push_str("</div>\n");
    content
}
