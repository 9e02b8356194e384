//! Findings as they come in, and which failures of a look are findings themselves.

use std::{collections::HashSet, error::Error as _};

use bridge_migrate_core::{Error, ErrorKind, Finding, Result};

use super::codes::{self, Code};

/// Findings, in the order in which they were made.
#[derive(Debug, Default, Clone)]
pub(super) struct Report {
    findings: Vec<Finding>,
    /// Two looks at the same damage say the same.
    said: HashSet<(&'static str, String, String)>,
}

impl Report {
    /// Adds a finding.
    pub(super) fn add(&mut self, code: &Code, subject: impl Into<String>, message: impl Into<String>) {
        self.add_with_fix(code, subject, message, code.fix);
    }

    /// Adds a finding about which there is more to say than its kind tells.
    pub(super) fn add_with_fix(
        &mut self,
        code: &Code,
        subject: impl Into<String>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        let finding = Finding {
            code: code.code,
            severity: code.severity,
            subject: subject.into(),
            message: message.into(),
            fix: fix.into(),
        };
        let said = (finding.code, finding.subject.clone(), finding.message.clone());
        if self.said.insert(said) {
            self.findings.push(finding);
        }
    }

    /// Whether there is such a finding already.
    pub(super) fn has(&self, code: &Code) -> bool {
        self.findings.iter().any(|finding| finding.code == code.code)
    }

    /// Adds a failure of SQLite as a finding.
    pub(super) fn failure(&mut self, area: &str, error: &Error) {
        let code = match error.kind() {
            ErrorKind::Corrupt | ErrorKind::NotADatabase => &codes::DAMAGED,
            ErrorKind::HistoryDamaged => &codes::HISTORY_DAMAGED,
            _ => &codes::UNREADABLE,
        };
        let mut message = error.message().to_owned();
        let mut cause = error.source();
        while let Some(source) = cause {
            message.push_str(": ");
            message.push_str(&source.to_string());
            cause = source.source();
        }
        self.add(code, area, message);
    }

    /// Turns a failure that comes from what is inside the database into a finding; hands on the others.
    pub(super) fn absorb(&mut self, area: &str, outcome: Result<()>) -> Result<()> {
        match outcome {
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::Corrupt
                        | ErrorKind::NotADatabase
                        | ErrorKind::Sqlite
                        | ErrorKind::HistoryDamaged
                        | ErrorKind::SchemaMismatch
                ) =>
            {
                self.failure(area, &error);
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// The findings, worst first.
    pub(super) fn into_findings(self) -> Vec<Finding> {
        let mut findings = self.findings;
        findings.sort_by_key(|finding| finding.severity);
        findings
    }
}
