//! `adopt`: takes an unversioned database into management.

use bridge_migrate_core::Release;
use bridge_migrate_sqlite::{AdoptionOptions, adopt};

use super::migrate::answer;
use crate::context::Context;
use crate::output::Failure;

/// Takes an unversioned database into management, only on an exact match
///
/// `migrate` does this too, before its first step. Tables, indexes, views and triggers of your own stay.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The release that the database must turn out to have
    #[arg(long, value_parser = Release::parse)]
    release: Option<Release>,
    /// Accepts columns that no release has; they stay
    #[arg(long)]
    accept_additions: bool,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Result<u8, Failure> {
    let options = AdoptionOptions {
        release: arguments.release,
        accept_additions: arguments.accept_additions,
    };
    let outcome = adopt(
        &context.catalog()?,
        &context.settings,
        options,
        &context.console(),
    )?;
    answer(context, outcome)
}
