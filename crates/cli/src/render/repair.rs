//! What was put right, or would be.

use std::path::PathBuf;

use bridge_migrate_core::serial::optional_path;
use bridge_migrate_sqlite::{Defect, Repaired};
use serde::Serialize;

use crate::output::{Output, Report};
use crate::text::{CAUTION, COMMAND, line, safe, shown, styled};

/// The answer of `repair`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RepairReport {
    /// The run's name; nothing when nothing was changed.
    pub(crate) run: Option<String>,
    /// What was put right, or would be.
    pub(crate) repairs: Vec<Defect>,
    /// What other commands are for.
    pub(crate) elsewhere: Vec<Elsewhere>,
    /// The backup that secured the state before.
    #[serde(serialize_with = "optional_path")]
    pub(crate) secured: Option<PathBuf>,
}

/// Something that another command is for.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Elsewhere {
    pub(crate) subject: String,
    pub(crate) why: String,
    pub(crate) command: String,
}

impl RepairReport {
    pub(crate) fn new(outcome: Repaired, output: &Output) -> Self {
        Self {
            run: outcome.run,
            repairs: outcome.repairs,
            elsewhere: outcome
                .elsewhere
                .into_iter()
                .map(|other| Elsewhere {
                    subject: other.subject,
                    why: other.why,
                    command: output.command_line(&other.hint),
                })
                .collect(),
            secured: outcome.secured,
        }
    }
}

impl Report for RepairReport {
    fn render(&self) -> String {
        let mut page = String::new();
        if self.repairs.is_empty() && self.elsewhere.is_empty() {
            return "nothing to put right\n".to_owned();
        }
        let done = if self.run.is_some() {
            "put right"
        } else {
            "would put right"
        };
        for defect in &self.repairs {
            line!(
                page,
                "{}",
                styled(CAUTION, &format!("{done} {}", safe(&defect.subject)))
            );
            line!(page, "  {}", safe(&defect.why));
            line!(page, "  {}", safe(&defect.what));
        }
        for other in &self.elsewhere {
            line!(page, "{}", styled(CAUTION, &safe(&other.subject)));
            line!(page, "  {}", safe(&other.why));
            line!(page, "  {}", styled(COMMAND, &safe(&other.command)));
        }
        if let Some(secured) = &self.secured {
            line!(page, "the state before is secured in {}", shown(secured));
        }
        page
    }
}
