//! `tokens import` and `tokens verify`: the token file and the database.

use bridge_migrate::tokens::{TokenFile, compare};
use bridge_migrate_core::catalog::Companion;
use bridge_migrate_core::companion_rows;
use bridge_migrate_core::error::{Error, ErrorKind, Hint, shell_quote};
use bridge_migrate_core::import::import_again;

use crate::context::Context;
use crate::exit_code;
use crate::failure::Failure;
use crate::render::tokens::{ComparedReport, ImportedReport};

/// The token file into the database again, or compares both
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Action {
    /// Adds the tokens that came since; changes nothing else, so it can be run at any time
    Import,
    /// Compares the token file with the database, in numbers; ends with 6 when they differ
    Verify,
}

impl Action {
    /// The command's name.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Import => "tokens import",
            Self::Verify => "tokens verify",
        }
    }
}

pub(crate) fn run(context: &Context, action: &Action) -> Result<u8, Failure> {
    match action {
        Action::Import => {
            let console = context.console();
            let added = import_again(&context.catalog()?, &context.settings, &console)?;
            context
                .output
                .report_done(&ImportedReport { added })
                .map_err(super::after_change(context, added > 0, "The import"))?;
        }
        Action::Verify => {
            let tables = TokenFile.tables();
            let comparison =
                context.read(|reader| compare(&companion_rows::read(reader, tables)?, &context.settings))?;
            let report = ComparedReport {
                equal: comparison.is_equal(),
                comparison,
            };
            if !report.equal {
                let error = Error::new(
                    ErrorKind::VerificationFailed,
                    "the token file and the database differ",
                )
                .with_hint(Hint::tool(["tokens", "import"]));
                let comparison = &report.comparison;
                let error = if comparison.tokens.only_in_file + comparison.revoked.only_in_file > 0 {
                    error.with_truth("Nothing was changed. The import adds what is only in the file.")
                } else {
                    let path = context.settings.companion.display();
                    error
                        .with_truth(format!(
                            "Nothing was changed. Servers from 1.1.0 on wrote what only the database has, or \
                             {path} is an old file, or another database's."
                        ))
                        .with_hint(Hint::shell(format!(
                            "ls -l {}",
                            shell_quote(&context.settings.companion)
                        )))
                };
                return Err(context.output.findings(&report, error));
            }
            context.output.report(&report)?;
        }
    }
    Ok(exit_code::DONE)
}
