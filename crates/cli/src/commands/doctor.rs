//! `doctor`: what a maintainer needs to help.

use std::path::PathBuf;

use bridge_migrate_sqlite::doctor;

use crate::context::Context;
use crate::output::Failure;
use crate::render::doctor::DoctorReport;

/// Gathers what a maintainer needs to help, with no secret and no row of user data in it
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Writes it to this new file
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Result<u8, Failure> {
    let bundle = doctor::gather(&context.catalog()?, &context.settings, &context.console())?;
    if let Some(file) = &arguments.bundle {
        doctor::write(&bundle, file)?;
    }
    context.output.report(&DoctorReport {
        file: arguments.bundle.clone(),
        bundle,
    })
}
