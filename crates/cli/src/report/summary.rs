//! The top of the page: the verdict, the facts, and what was made sure of.

use bridge_migrate_core::{Finding, disk::size};
use bridge_migrate_sqlite::rehearse::{CheckOutcome, Rehearsal};

use super::html::{self, code, escape, table};
use crate::text::{count, counted, duration, time};

/// The title, the verdict and the facts.
pub(super) fn section(rehearsal: &Rehearsal) -> String {
    let (class, word) = verdict(rehearsal);
    let sentence = sentence(rehearsal);
    let mut facts = vec![
        ("Database", rehearsal.database.to_string_lossy().into_owned()),
        ("Size", size(rehearsal.database_bytes)),
        ("Start", rehearsal.from.to_string()),
        ("Target", rehearsal.to.to_string()),
        (
            "Longest write lock",
            format!(
                "{} (budget {})",
                duration(rehearsal.longest_lock_ms()),
                duration(rehearsal.lock_budget_ms)
            ),
        ),
        ("Duration of the steps", duration(total(rehearsal))),
        (
            "Writers waited for the copy",
            format!("at most {}", duration(rehearsal.source_lock_ms)),
        ),
        ("Time without an offset means", rehearsal.time_zone.clone()),
        ("Receipt", rehearsal.id.clone()),
        ("Rehearsed", time(&rehearsal.created_at)),
    ];
    if let Some(adoption) = &rehearsal.adopted {
        let release = adoption
            .release
            .map_or_else(String::new, |release| format!("{release}, "));
        facts.insert(
            4,
            (
                "Adopted as",
                format!("{release}V{:03}: the schema matches", adoption.version),
            ),
        );
    }
    let memory = rehearsal
        .steps
        .iter()
        .filter_map(|step| step.up?.peak_memory_bytes)
        .max();
    if let Some(bytes) = memory {
        facts.insert(7, ("Most memory held", size(bytes)));
    }
    let facts: String = facts
        .iter()
        .map(|(name, value)| format!("<div><dt>{}</dt><dd>{}</dd></div>\n", escape(name), escape(value)))
        .collect();
    format!(
        "<header>\n<p class=\"quiet\">{}: rehearsal of a migration on a copy of the live database</p>\n\
         <h1>{} → {}</h1>\n</header>\n\
         <div class=\"verdict {class}\"><b>{word}</b><span>{}</span></div>\n<dl class=\"facts\">\n{facts}</dl>\n",
        escape(&rehearsal.application),
        escape(&rehearsal.from.to_string()),
        escape(&rehearsal.to.to_string()),
        escape(&sentence),
    )
}

fn verdict(rehearsal: &Rehearsal) -> (&'static str, &'static str) {
    let warned = rehearsal
        .checks
        .iter()
        .any(|check| check.outcome == CheckOutcome::Warned);
    match (rehearsal.ok(), warned) {
        (false, _) => ("bad", "✗ Failed"),
        (true, true) => ("warn", "✓ Passed, with warnings"),
        (true, false) => ("good", "✓ Passed"),
    }
}

fn sentence(rehearsal: &Rehearsal) -> String {
    if !rehearsal.ok() {
        let failed = rehearsal
            .checks
            .iter()
            .find(|check| check.outcome == CheckOutcome::Failed);
        let finding = failed.and_then(|check| check.findings.first());
        return match finding {
            Some(finding) => format!("{}: {}.", finding.subject, finding.message),
            None => "A check does not hold.".to_owned(),
        };
    }
    let steps = counted(rehearsal.steps.len() as u64, "step");
    let left: u64 = rehearsal
        .steps
        .iter()
        .filter_map(|step| step.up)
        .map(|measures| measures.rows_skipped)
        .sum();
    let rest = match left {
        0 => String::new(),
        left => format!(
            " {} could not be converted and stay as they are.",
            counted(left, "value")
        ),
    };
    format!("{steps} went up, back and up again, and no row was lost on the way.{rest}")
}

fn total(rehearsal: &Rehearsal) -> u64 {
    rehearsal
        .steps
        .iter()
        .filter_map(|step| step.up)
        .map(|measures| measures.duration_ms)
        .sum()
}

/// What was made sure of.
pub(super) fn checks(rehearsal: &Rehearsal) -> String {
    let rows: Vec<Vec<String>> = rehearsal
        .checks
        .iter()
        .map(|check| {
            let (class, word) = match check.outcome {
                CheckOutcome::Passed => ("good", "✓ holds"),
                CheckOutcome::Warned => ("warn", "! look at it"),
                CheckOutcome::Failed => ("bad", "✗ fails"),
            };
            let findings: String = check.findings.iter().map(finding).collect();
            vec![
                format!("<b class=\"{class}\">{word}</b>"),
                format!("{}{findings}", escape(check.name.claim())),
                format!("<span class=\"quiet\">{}</span>", escape(&check.evidence)),
            ]
        })
        .collect();
    let head = ["", "What was made sure of", "Evidence"];
    html::section("checks", "Checks", &table(&head, &[], &rows))
}

fn finding(finding: &Finding) -> String {
    let fix = match finding.fix.as_str() {
        "" => String::new(),
        fix => format!(" <span class=\"quiet\">To do: {}.</span>", escape(fix)),
    };
    format!(
        "<p><code>{}</code> <b>{}</b>: {}.{fix}</p>",
        escape(finding.code),
        escape(&finding.subject),
        escape(&finding.message).replace('\n', "<br>"),
    )
}

/// What the user's own test said.
pub(super) fn smoke_test(rehearsal: &Rehearsal) -> String {
    let Some(test) = &rehearsal.smoke_test else {
        return String::new();
    };
    let how = match test.exit_code {
        Some(code) => format!("ended with exit code {code}"),
        None => "was ended by a signal".to_owned(),
    };
    let output = match test.output.trim() {
        "" => "<p class=\"quiet\">It wrote nothing.</p>\n".to_owned(),
        output => html::details("What it wrote", &code(output)),
    };
    let content = format!(
        "<p><code>{}</code> {} after {}.</p>\n{output}",
        escape(&test.command),
        escape(&how),
        escape(&duration(test.duration_ms))
    );
    html::section("smoke-test", "Smoke test", &content)
}

/// By which the page and the receipt are known to belong together.
pub(super) fn footer(rehearsal: &Rehearsal) -> String {
    let rows: u64 = rehearsal.tables.iter().filter_map(|table| table.rows_after).sum();
    format!(
        "<footer>\n<p>Receipt {} of {}, counting for seven days and for this database and these migrations only. \
         {} in {}.</p>\n<p class=\"mono\">schema {}<br>migrations {}</p>\n<p>{}, SQLite {}. \
         This page holds data of the database: treat it as such. It shows no value of a table of tokens.</p>\n</footer>\n",
        escape(&rehearsal.id),
        escape(&time(&rehearsal.created_at)),
        escape(&counted(rows, "row")),
        escape(&format!("{} tables", count(rehearsal.tables_after.len() as u64))),
        escape(&rehearsal.schema),
        escape(&rehearsal.catalog),
        escape(&rehearsal.tool),
        escape(&rehearsal.sqlite),
    )
}
