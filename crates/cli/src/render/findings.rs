//! Findings: what a check saw, and what to do about it.

use bridge_migrate_core::{Finding, Severity};
use serde::Serialize;

use crate::output::Report;
use crate::text::{CAUTION, LABEL, STRONG, WRONG, count, line, safe_lines, styled};

/// The answer of a check.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct FindingsReport {
    pub(crate) findings: Vec<Finding>,
}

impl FindingsReport {
    /// How many must be put right.
    pub(crate) fn errors(&self) -> usize {
        self.of(Severity::Error)
    }

    fn of(&self, severity: Severity) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count()
    }
}

impl Report for FindingsReport {
    fn render(&self) -> String {
        let mut page = String::new();
        for finding in &self.findings {
            let style = match finding.severity {
                Severity::Error => WRONG,
                Severity::Warning => CAUTION,
                Severity::Note => LABEL,
            };
            let head = format!("{} {}", finding.severity, finding.code);
            let subject = styled(STRONG, &safe_lines(&finding.subject));
            line!(
                page,
                "{} {subject}: {}",
                styled(style, &head),
                safe_lines(&finding.message)
            );
            if !finding.fix.is_empty() {
                line!(page, "  {LABEL}fix:{LABEL:#} {}", safe_lines(&finding.fix));
            }
        }
        let parts: Vec<String> = [
            (Severity::Error, "error"),
            (Severity::Warning, "warning"),
            (Severity::Note, "note"),
        ]
        .into_iter()
        .map(|(severity, name)| (self.of(severity) as u64, name))
        .filter(|(number, _)| *number > 0)
        .map(|(number, name)| format!("{} {name}{}", count(number), if number == 1 { "" } else { "s" }))
        .collect();
        if parts.is_empty() {
            line!(page, "nothing was found");
        } else {
            line!(page, "{}", parts.join(", "));
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;

    #[test]
    fn each_finding_says_what_to_do_and_cannot_move_the_cursor() {
        let report = FindingsReport {
            findings: vec![
                Finding::error(
                    "BV110",
                    "notes",
                    "notes: column more is not expected\n  + more\u{1b}",
                    "see `schema diff`",
                ),
                Finding::note("BV133", "notes", "it has 1 row", ""),
            ],
        };
        insta::assert_snapshot!(strip_str(&report.render()), @r"
        error BV110 notes: notes: column more is not expected
          + more\u{1b}
          fix: see `schema diff`
        note BV133 notes: it has 1 row
        1 error, 1 note
        ");
        assert_eq!(report.errors(), 1);
    }

    #[test]
    fn nothing_found_is_said() {
        let report = FindingsReport { findings: Vec::new() };
        assert_eq!(report.render(), "nothing was found\n");
    }
}
