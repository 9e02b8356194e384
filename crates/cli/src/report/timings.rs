//! Durations and locks as bars.

use std::fmt::Write as _;

use bridge_migrate_core::disk::size;
use bridge_migrate_sqlite::rehearse::{Measures, Rehearsal, RehearsedStep};

use super::html::{self, escape, table};
use crate::text::{count, duration};

/// Where the bars begin.
const LEFT: u64 = 270;
/// The length of the longest bar.
const LENGTH: u64 = 700;
/// From step to step.
const PITCH: u64 = 34;
/// The whole drawing.
const WIDTH: u64 = 1120;

/// Bars for durations and locks, and the numbers behind them.
pub(super) fn section(rehearsal: &Rehearsal) -> String {
    if rehearsal.steps.is_empty() {
        return html::section(
            "timings",
            "Time and space",
            "<p>There was nothing to migrate: the database is at the target.</p>\n",
        );
    }
    let content = format!(
        "<h3>How long each step takes</h3>\n{}\
         <p class=\"legend\"><span><i class=\"up\"></i>up</span><span><i class=\"back\"></i>back</span></p>\n\
         <h3>How long each step makes writers wait at most</h3>\n{}\
         <p class=\"legend\"><span><i class=\"up\"></i>within the budget of {budget}</span>\
         <span><i class=\"over\"></i>beyond it</span></p>\n<h3>In numbers</h3>\n{}",
        durations(rehearsal),
        locks(rehearsal),
        numbers(rehearsal),
        budget = escape(&duration(rehearsal.lock_budget_ms)),
    );
    html::section("timings", "Time and space", &content)
}

fn durations(rehearsal: &Rehearsal) -> String {
    let of = |measures: Option<Measures>| measures.map(|measures| measures.duration_ms);
    let longest = rehearsal
        .steps
        .iter()
        .flat_map(|step| [of(step.up), of(step.back)])
        .flatten()
        .max()
        .unwrap_or(0);
    let bars = |step: &RehearsedStep, top: u64| {
        let mut bars = String::new();
        for (class, value, y, height) in [
            ("up", of(step.up), top + 3, 13),
            ("back", of(step.back), top + 18, 7),
        ] {
            let Some(value) = value else { continue };
            let width = length(value, longest);
            let _ = write!(
                bars,
                "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"2\"/>"
            );
            if class == "up" {
                let x = LEFT + width + 8;
                let _ = write!(
                    bars,
                    "<text x=\"{x}\" y=\"{}\">{}</text>",
                    top + 14,
                    escape(&duration(value))
                );
            }
        }
        bars
    };
    drawing(rehearsal, "Duration of each step", "", bars)
}

fn locks(rehearsal: &Rehearsal) -> String {
    let budget = rehearsal.lock_budget_ms;
    let longest = rehearsal.longest_lock_ms().max(budget);
    let bars = |step: &RehearsedStep, top: u64| {
        let Some(measures) = step.up else {
            return String::new();
        };
        let value = measures.max_lock_ms;
        let width = length(value, longest);
        let class = if value > budget { "over" } else { "up" };
        format!(
            "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{}\" width=\"{width}\" height=\"14\" rx=\"2\"/>\
             <text x=\"{}\" y=\"{}\">{}</text>",
            top + 6,
            LEFT + width + 8,
            top + 18,
            escape(&duration(value))
        )
    };
    let x = LEFT + length(budget, longest);
    let bottom = rehearsal.steps.len() as u64 * PITCH + 4;
    let line = format!(
        "<line class=\"budget\" x1=\"{x}\" y1=\"0\" x2=\"{x}\" y2=\"{bottom}\"/>\
         <text class=\"bad\" x=\"{}\" y=\"14\">budget {}</text>",
        x + 6,
        escape(&duration(budget))
    );
    drawing(
        rehearsal,
        "Longest write lock of each step against the budget",
        &line,
        bars,
    )
}

fn drawing(
    rehearsal: &Rehearsal,
    label: &str,
    extra: &str,
    bars: impl Fn(&RehearsedStep, u64) -> String,
) -> String {
    let height = rehearsal.steps.len() as u64 * PITCH + 8;
    let mut text = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" role=\"img\" aria-label=\"{}\">\n\
         <line class=\"axis\" x1=\"{LEFT}\" y1=\"0\" x2=\"{LEFT}\" y2=\"{height}\"/>\n",
        escape(label)
    );
    for (index, step) in rehearsal.steps.iter().enumerate() {
        let top = index as u64 * PITCH + 2;
        let _ = writeln!(
            text,
            "<text x=\"0\" y=\"{}\">V{:03} {}</text>{}",
            top + 16,
            step.version,
            escape(&super::shape::cut(&step.name, 33)),
            bars(step, top)
        );
    }
    // Over the bars, so that it is seen where one crosses it.
    text.push_str(extra);
    text.push_str("</svg>\n");
    text
}

/// A bar that can be seen, however short what it stands for.
fn length(value: u64, longest: u64) -> u64 {
    (value.saturating_mul(LENGTH) / longest.max(1)).max(2)
}

fn numbers(rehearsal: &Rehearsal) -> String {
    let cell = |measures: Option<Measures>, show: &dyn Fn(Measures) -> String| {
        measures.map_or_else(|| "–".to_owned(), |measures| escape(&show(measures)))
    };
    let rows: Vec<Vec<String>> = rehearsal
        .steps
        .iter()
        .map(|step| {
            vec![
                escape(&format!("V{:03} {}", step.version, step.name)),
                cell(step.up, &|m| duration(m.duration_ms)),
                cell(step.back, &|m| duration(m.duration_ms)),
                cell(step.again, &|m| duration(m.duration_ms)),
                cell(step.up, &|m| count(m.rows_changed)),
                cell(step.up, &|m| count(m.rows_skipped)),
                cell(step.up, &|m| duration(m.max_lock_ms)),
                cell(step.up, &|m| seen(m.peak_journal_bytes)),
                cell(step.up, &|m| size(m.peak_database_bytes)),
                cell(step.up, &|m| {
                    m.peak_memory_bytes.map_or_else(|| "–".to_owned(), size)
                }),
            ]
        })
        .collect();
    let head = [
        "Step",
        "Up",
        "Back",
        "Up again",
        "Rows changed",
        "Rows left",
        "Longest lock",
        "Journal",
        "Database",
        "Memory",
    ];
    table(&head, &[1, 2, 3, 4, 5, 6, 7, 8, 9], &rows)
}

/// A journal that was gone before anybody could look.
fn seen(bytes: u64) -> String {
    match bytes {
        0 => "–".to_owned(),
        bytes => size(bytes),
    }
}
