//! What a rehearsal showed.

use std::path::{Path, PathBuf};

use bridge_migrate_core::{Finding, disk::size, serial::optional_path};
use bridge_migrate_sqlite::rehearse::{CheckOutcome, Measures, Rehearsal, TableChange};
use serde::Serialize;

use crate::output::Report;
use crate::text::{
    CAUTION, LABEL, STRONG, WRONG, count, counted, duration, field, line, safe, safe_lines, shown, styled,
    table::table, version,
};

/// The lines of a smoke test's output that people see.
const OUTPUT_LINES: usize = 20;

/// The answer of `rehearse`. It holds no value of the database: samples stand in the page only.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RehearseReport<'a> {
    #[serde(flatten)]
    rehearsal: &'a Rehearsal,
    longest_lock_ms: u64,
    findings: Vec<&'a Finding>,
    receipt: ReceiptEntry<'a>,
    #[serde(serialize_with = "optional_path")]
    report: Option<PathBuf>,
}

/// The receipt.
#[derive(Debug, Clone, Serialize)]
struct ReceiptEntry<'a> {
    id: &'a str,
    #[serde(serialize_with = "bridge_migrate_core::serial::path")]
    file: &'a Path,
    ok: bool,
}

impl<'a> RehearseReport<'a> {
    /// The answer, with the page if one was written.
    pub(crate) fn new(rehearsal: &'a Rehearsal, report: Option<PathBuf>) -> Self {
        Self {
            rehearsal,
            longest_lock_ms: rehearsal.longest_lock_ms(),
            findings: rehearsal.findings().collect(),
            receipt: ReceiptEntry {
                id: &rehearsal.id,
                file: &rehearsal.receipt,
                ok: rehearsal.ok(),
            },
            report,
        }
    }

    fn steps_for_people(&self, page: &mut String) {
        if self.rehearsal.steps.is_empty() {
            return;
        }
        let cell = |measures: Option<Measures>, show: &dyn Fn(Measures) -> String| {
            measures.map_or_else(|| "-".to_owned(), show)
        };
        let rows = self.rehearsal.steps.iter().map(|step| {
            vec![
                format!("{} {}", version(step.version), step.name),
                cell(step.up, &|m| duration(m.duration_ms)),
                cell(step.back, &|m| duration(m.duration_ms)),
                cell(step.again, &|m| duration(m.duration_ms)),
                cell(step.up, &|m| count(m.rows_changed)),
                cell(step.up, &|m| count(m.rows_skipped)),
                cell(step.up, &|m| duration(m.max_lock_ms)),
                cell(step.up, &|m| size(m.peak_journal_bytes)),
                cell(step.up, &|m| size(m.peak_database_bytes)),
            ]
        });
        let columns = [
            "STEP",
            ">UP",
            ">BACK",
            ">AGAIN",
            ">ROWS",
            ">LEFT",
            ">LOCK",
            ">JOURNAL",
            ">DATABASE",
        ];
        line!(page);
        page.push_str(&table(&columns, rows));
    }

    fn tables_for_people(&self, page: &mut String) {
        let changed: Vec<&TableChange> = self
            .rehearsal
            .tables
            .iter()
            .filter(|change| change.rows_before != change.rows_after || !change.columns.is_empty())
            .collect();
        if changed.is_empty() {
            return;
        }
        let number = |rows: Option<u64>| rows.map_or_else(|| "-".to_owned(), count);
        let rows = changed.into_iter().map(|change| {
            let values: Vec<String> = change
                .columns
                .iter()
                .map(|column| format!("{} {}", count(column.rows), column.column))
                .collect();
            vec![
                change.table.clone(),
                number(change.rows_before),
                number(change.rows_after),
                values.join(", "),
            ]
        });
        let columns = ["TABLE", ">BEFORE", ">AFTER", "VALUES THAT CHANGE"];
        line!(page);
        page.push_str(&table(&columns, rows));
    }

    fn checks_for_people(&self, page: &mut String) {
        line!(page);
        for check in &self.rehearsal.checks {
            let (style, word) = match check.outcome {
                CheckOutcome::Passed => (STRONG, "ok     "),
                CheckOutcome::Warned => (CAUTION, "warning"),
                CheckOutcome::Failed => (WRONG, "failed "),
            };
            line!(
                page,
                "{} {} {LABEL}({}){LABEL:#}",
                styled(style, word),
                check.name.claim(),
                safe(&check.evidence)
            );
            for finding in &check.findings {
                let subject = safe(&finding.subject);
                let message = safe_lines(&finding.message);
                line!(page, "        {} {subject}: {message}", finding.code);
            }
        }
    }

    fn smoke_test_for_people(&self, page: &mut String) {
        let Some(test) = self.rehearsal.smoke_test.as_ref().filter(|test| !test.passed()) else {
            return;
        };
        line!(page);
        line!(page, "what `{}` wrote last:", safe(&test.command));
        let lines: Vec<&str> = test.output.lines().collect();
        for text in lines
            .get(lines.len().saturating_sub(OUTPUT_LINES)..)
            .unwrap_or_default()
        {
            line!(page, "  {}", safe(text));
        }
    }
}

impl Report for RehearseReport<'_> {
    fn render(&self) -> String {
        let mut page = String::new();
        let way = format!("{} to {}", self.rehearsal.from, self.rehearsal.to);
        line!(
            page,
            "rehearsed {} on a copy of {} ({})",
            styled(STRONG, &way),
            shown(&self.rehearsal.database),
            size(self.rehearsal.database_bytes)
        );
        self.steps_for_people(&mut page);
        self.tables_for_people(&mut page);
        self.checks_for_people(&mut page);
        self.smoke_test_for_people(&mut page);
        line!(page);
        let lock = format!(
            "longest {}, budget {}",
            duration(self.longest_lock_ms),
            duration(self.rehearsal.lock_budget_ms)
        );
        field!(page, "write lock", "{lock}");
        let verdict = if self.receipt.ok { "passed" } else { "failed" };
        field!(
            page,
            "receipt",
            "{} ({verdict}), {}",
            safe(self.receipt.id),
            shown(self.receipt.file)
        );
        if let Some(report) = &self.report {
            field!(page, "report", "{}", shown(report));
        }
        if let Some(copy) = &self.rehearsal.copy {
            field!(page, "copy", "{}", shown(copy));
        }
        let left: u64 = self
            .rehearsal
            .steps
            .iter()
            .filter_map(|step| step.up)
            .map(|m| m.rows_skipped)
            .sum();
        if left > 0 {
            let rows = counted(left, "row");
            field!(
                page,
                "left",
                "{}",
                styled(CAUTION, &format!("{rows} that cannot be converted"))
            );
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;
    use crate::report::tests::sample;

    fn text(rehearsal: &Rehearsal, report: Option<&str>) -> String {
        let report = RehearseReport::new(rehearsal, report.map(PathBuf::from));
        strip_str(&report.render()).to_string()
    }

    #[test]
    fn people_see_what_it_costs_what_changes_and_what_holds() {
        insta::assert_snapshot!(text(&sample::passed(), Some("review.html")));
    }

    #[test]
    fn people_see_where_it_failed() {
        insta::assert_snapshot!(text(&sample::failed(), None));
    }

    #[test]
    fn a_failed_smoke_test_is_quoted_without_moving_the_cursor() {
        let mut rehearsal = sample::passed();
        if let Some(test) = &mut rehearsal.smoke_test {
            test.exit_code = Some(1);
            test.output = (0..30)
                .map(|number| format!("line {number}\u{1b}[2J\n"))
                .collect();
        }
        let text = text(&rehearsal, None);
        assert!(
            text.contains("  line 29\\u{1b}[2J\n") && !text.contains("line 9\\"),
            "{text}"
        );
    }

    #[test]
    fn scripts_find_everything_but_values_of_the_database() {
        let value = serde_json::to_value(RehearseReport::new(&sample::passed(), None)).unwrap();
        for key in [
            "from", "to", "steps", "tables", "checks", "findings", "receipt", "report", "copy",
        ] {
            assert!(value.get(key).is_some(), "{key}");
        }
        assert_eq!(value["receipt"]["ok"], true);
        assert_eq!(value["steps"][1]["up"]["rows_skipped"], 12);
        assert_eq!(value["tables"][1]["columns"][0]["rows"], 999_988);
        let text = value.to_string();
        assert!(
            !text.contains("2026-02-22T15:30:45Z") && !text.contains("passed <script"),
            "{text}"
        );
    }
}
