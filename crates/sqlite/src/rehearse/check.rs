//! What a rehearsal makes sure of, each as a check that can fail, with what was seen.

use serde::Serialize;

use bridge_migrate_core::{Error, ErrorKind, Finding, Severity};

/// One thing that a rehearsal makes sure of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Which.
    pub name: CheckName,
    /// What came of it.
    pub outcome: CheckOutcome,
    /// What was seen, in a few words.
    pub evidence: String,
    /// What is wrong; nothing when it passed.
    pub findings: Vec<Finding>,
    /// The kind of the error that ended it, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorKind>,
}

/// What a check is about. The serialised names are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckName {
    /// The plan runs, with everything that `migrate` does.
    Up,
    /// No transaction holds the write lock longer than the budget.
    LockBudget,
    /// The way back runs.
    Back,
    /// After the way back the schema is the one from the start.
    BackSchema,
    /// After the way back the data that was there at the start is the same.
    BackData,
    /// The plan runs a second time.
    Again,
    /// The second run leads to the schema of the first.
    AgainSchema,
    /// The second run leads to the data of the first.
    AgainData,
    /// The copy's pages are sound at the end.
    Integrity,
    /// The migrated copy serves what servers of the old and the new release run.
    Contracts,
    /// The smoke test passes on the migrated copy.
    SmokeTest,
}

impl CheckName {
    /// The check as a sentence that is true when it passed.
    pub const fn claim(self) -> &'static str {
        match self {
            Self::Up => "The plan runs on a copy of the data",
            Self::LockBudget => "No step holds the write lock longer than the budget",
            Self::Back => "The way back runs",
            Self::BackSchema => "The way back restores the schema",
            Self::BackData => "The way back restores the data",
            Self::Again => "The plan runs a second time",
            Self::AgainSchema => "The second run ends with the same schema",
            Self::AgainData => "The second run ends with the same data",
            Self::Integrity => "The migrated copy is sound",
            Self::Contracts => "Servers of every release that may meet it can work with the migrated copy",
            Self::SmokeTest => "The smoke test passes on the migrated copy",
        }
    }

    /// The code of its findings.
    const fn code(self) -> &'static str {
        match self {
            Self::Up => "RH101",
            Self::LockBudget => "RH102",
            Self::Back => "RH201",
            Self::BackSchema => "RH202",
            Self::BackData => "RH203",
            Self::Again => "RH301",
            Self::AgainSchema => "RH302",
            Self::AgainData => "RH303",
            Self::Integrity => "RH401",
            // Its findings have the codes of the contracts.
            Self::Contracts => "RH403",
            Self::SmokeTest => "RH402",
        }
    }
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckOutcome {
    /// It holds.
    Passed,
    /// It holds, and someone should look at it.
    Warned,
    /// It does not hold.
    Failed,
}

impl Check {
    pub(super) fn passed(name: CheckName, evidence: impl Into<String>) -> Self {
        Self {
            name,
            outcome: CheckOutcome::Passed,
            evidence: evidence.into(),
            findings: Vec::new(),
            error: None,
        }
    }

    /// As the findings say: passed when there are none.
    pub(super) fn of(name: CheckName, evidence: impl Into<String>, findings: Vec<Finding>) -> Self {
        let outcome = match findings.iter().map(|finding| finding.severity).min() {
            Some(Severity::Error) => CheckOutcome::Failed,
            Some(Severity::Warning) => CheckOutcome::Warned,
            Some(Severity::Note) | None => CheckOutcome::Passed,
        };
        Self {
            outcome,
            findings,
            ..Self::passed(name, evidence)
        }
    }

    /// Ended by an error, which says of the copy what it would say of the database.
    pub(super) fn ended(name: CheckName, subject: &str, error: &Error) -> Self {
        // Most errors begin with the step's name, which the finding has as its subject.
        let message = error.message();
        let mut message = message
            .strip_prefix(subject)
            .map_or(message, str::trim_start)
            .to_owned();
        let mut cause = std::error::Error::source(error);
        while let Some(next) = cause {
            message.push_str(&format!(": {next}"));
            cause = next.source();
        }
        let finding = name.finding(subject, message, "correct the migration and rehearse again");
        Self {
            error: Some(error.kind()),
            ..Self::of(name, "it was ended by an error", vec![finding])
        }
    }
}

impl CheckName {
    pub(super) fn finding(
        self,
        subject: impl Into<String>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Finding {
        Finding::error(self.code(), subject, message, fix)
    }

    pub(super) fn warning(
        self,
        subject: impl Into<String>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Finding {
        Finding::warning(self.code(), subject, message, fix)
    }
}
