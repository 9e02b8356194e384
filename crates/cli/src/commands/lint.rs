//! `lint`: findings on the migrations themselves.

use bridge_migrate_core::{Error, ErrorKind, Finding, Hint, Severity};
use bridge_migrate_sqlite::lint::{self, Allowed};

use crate::context::Context;
use crate::output::Failure;
use crate::render::findings::FindingsReport;

/// Looks for mistakes in the migrations, and for what would break the servers that meet them
///
/// Opens no database. Each finding has a stable code, whose page in docs/lints shows a bad and a good example.
/// Ends with 1 when there are errors.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Also shows what the migrations' files allow, with their reasons, as notes
    #[arg(long)]
    allowed: bool,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Result<u8, Failure> {
    let found = lint::lint(&context.catalog()?)?;
    let errors = found.errors();
    let mut findings = found.findings;
    if arguments.allowed {
        findings.extend(found.allowed.into_iter().map(note));
    }
    let report = FindingsReport { findings };
    if errors == 0 {
        return context.output.report(&report);
    }
    let plural = if errors == 1 { "mistake" } else { "mistakes" };
    let error = Error::new(
        ErrorKind::CatalogInvalid,
        format!("the migrations have {errors} {plural}"),
    )
    .with_truth("No database was opened.")
    .with_hint(Hint::CheckMigrations);
    context.output.findings(&report, error)
}

/// What is allowed, without its fix: there is nothing to do.
fn note(allowed: Allowed) -> Finding {
    let Allowed { finding, reason } = allowed;
    Finding {
        severity: Severity::Note,
        message: format!("{}\n  allowed: {reason}", finding.message),
        fix: String::new(),
        ..finding
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_is_a_note_with_its_reason() {
        let shown = note(Allowed {
            finding: Finding::error("BM210", "V006", "it locks", "measure it"),
            reason: "It was measured.".to_owned(),
        });
        assert_eq!(
            shown,
            Finding::note("BM210", "V006", "it locks\n  allowed: It was measured.", "")
        );
    }
}
