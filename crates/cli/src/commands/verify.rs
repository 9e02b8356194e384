//! `verify`: whether the database is whole.

use bridge_migrate_core::{Error, ErrorKind, Hint, Severity};
use bridge_migrate_sqlite::verify::{
    self, VerifyOptions,
    codes::{self, Code},
};

use crate::context::Context;
use crate::output::Failure;
use crate::render::findings::FindingsReport;

/// Checks integrity, foreign keys, drift, history, records and leftovers; ends with 6 when something is wrong
///
/// Opens the database for reading only: not one byte of it or its folder changes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Also checks that indexes agree with their tables, which takes about ten times as long; without a
    /// write-ahead log writers wait meanwhile, so that a large database is better verified through a backup
    #[arg(long)]
    full: bool,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Result<u8, Failure> {
    let options = VerifyOptions { full: arguments.full };
    let findings = verify::verify(
        &context.catalog()?,
        &context.settings,
        options,
        &context.console(),
    )?;
    let is_only_newer = verify::is_only_newer(&findings);
    let report = FindingsReport { findings };
    let errors = report.errors();
    if errors == 0 {
        return context.output.report(&report);
    }
    let error = if is_only_newer {
        Error::new(ErrorKind::Newer, "the database is newer than this program")
            .with_hint(Hint::ProgramVersion)
    } else {
        let plural = if errors == 1 { "thing is" } else { "things are" };
        Error::new(
            ErrorKind::VerificationFailed,
            format!("{errors} {plural} wrong with the database"),
        )
        .with_hint(next(&report))
    };
    context
        .output
        .findings(&report, error.with_truth("Nothing was changed."))
}

/// The command that leads on: of one kind of finding, the one that mends it.
fn next(report: &FindingsReport) -> Hint {
    let errors = || {
        let all = report.findings.iter();
        all.filter(|finding| finding.severity == Severity::Error)
    };
    let is_all = |code: Code| errors().all(|finding| finding.code == code.code);
    if is_all(codes::RELEASE_CONTRADICTS) {
        Hint::Repair
    } else if is_all(codes::UNRECOGNIZED) {
        Hint::Adopt {
            release: None,
            accept_additions: false,
        }
    } else if is_all(codes::DRIFT) {
        Hint::SchemaDiff
    } else if errors().any(|finding| finding.fix == codes::RESTORE) {
        Hint::RestoreLatestDryRun
    } else {
        Hint::BackupList
    }
}
