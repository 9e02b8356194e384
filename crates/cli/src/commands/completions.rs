//! `completions`: what a shell needs to complete our arguments.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::commands::arguments::Arguments as Program;
use crate::context::Context;
use crate::hint::PROGRAM;
use crate::output::Failure;
use crate::render::text::Text;

/// Writes a completion script for a shell
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Program::command(), PROGRAM, &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    context.output.report(&Text::new(script))
}
