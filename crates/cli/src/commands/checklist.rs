//! `checklist`: what has to be in order before a migration.

use bridge_migrate_core::{Error, ErrorKind, Hint};
use bridge_migrate_sqlite::checklist::checklist;

use crate::context::Context;
use crate::output::Failure;
use crate::render::checklist::ChecklistReport;

/// The oldest SQLite that a server of the Bridge carries, with its Python.
const OLDEST_SERVER: (u32, u32) = (3, 37);

/// Goes through the checklist before a migration, box by box, with evidence; ends with 6 when a box is empty
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {}

pub(crate) fn run(context: &Context, _: &Arguments) -> Result<u8, Failure> {
    let catalog = context.catalog()?;
    let list = checklist(&catalog, &context.settings, Some(OLDEST_SERVER))?;
    let report = ChecklistReport::from(list);
    if report.passed {
        return context.output.report(&report);
    }
    let error = Error::new(
        ErrorKind::VerificationFailed,
        "the database is not ready for a migration",
    )
    .with_truth("Nothing was changed.")
    .with_hint(Hint::Plan);
    context.output.findings(&report, error)
}
