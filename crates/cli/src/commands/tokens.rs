//! `tokens import` and `tokens verify`: the token file and the database.

use bridge_migrate::tokens::{TokenFile, compare};
use bridge_migrate_core::{Companion, Error, ErrorKind, Hint};
use bridge_migrate_sqlite::{import_again, read_companion_rows};

use crate::context::Context;
use crate::output::Failure;
use crate::render::tokens::{ComparedReport, ImportedReport};

/// The token file into the database again, or compares both
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Action {
    /// Adds the tokens that came since, and to the file what the database alone knows to be revoked
    ///
    /// Nothing else is changed, so it can be run at any time.
    Import {
        /// Also takes the file's client and times for tokens of which the database has others
        #[arg(long)]
        overwrite: bool,
    },
    /// Compares the token file with the database, in numbers; ends with 6 when they contradict each other
    Verify,
}

pub(crate) fn run(context: &Context, action: &Action) -> Result<u8, Failure> {
    match action {
        Action::Import { overwrite } => {
            let outcome = import_again(
                &context.catalog()?,
                &context.settings,
                *overwrite,
                &context.console(),
            )?;
            let changed = outcome.added + outcome.overwritten > 0 || outcome.file_written;
            let changed = changed.then_some("The import");
            super::done(context, &ImportedReport { outcome }, false, changed)
        }
        Action::Verify => {
            let tables = TokenFile.tables();
            // As every other command, by the real name of a file that a link leads to.
            let settings = context.for_catalog()?;
            let comparison =
                context.read(|reader| compare(&read_companion_rows(reader, tables)?, settings.inputs()))?;
            let report = ComparedReport {
                equal: comparison.is_equal(),
                comparison,
            };
            if comparison.is_contradiction() {
                let error = Error::new(
                    ErrorKind::VerificationFailed,
                    "the token file and the database contradict each other",
                );
                let revoked = comparison.revoked;
                let missing =
                    comparison.tokens.only_in_file + revoked.only_in_file + revoked.only_in_database;
                let error = match missing {
                    0 => error
                        .with_truth(
                            "Nothing was changed. Of some tokens they have another client or expiry. If the file is \
                             right, the import takes what it says; if not, correct the file.",
                        )
                        .with_hint(Hint::CompanionImport(true)),
                    _ => error
                        .with_truth("Nothing was changed. The import adds what one of them lacks.")
                        .with_hint(Hint::CompanionImport(false)),
                };
                return context.output.findings(&report, error);
            }
            context.output.report(&report)
        }
    }
}
