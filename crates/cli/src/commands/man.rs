//! `man`: the manual pages.

use std::path::Path;

use bridge_migrate_core::{Error, ErrorKind, Hint, IoContext};
use clap::CommandFactory;

use crate::commands::arguments::Arguments as Program;
use crate::context::Context;
use crate::output::Failure;
use crate::render::text::Text;

/// Writes the manual page of the program, or of one command
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A command, such as `migrate` or `backup create`
    command: Vec<String>,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Result<u8, Failure> {
    let mut program = Program::command();
    // Gives each command its full name and the global options.
    program.build();
    let mut command = &program;
    for name in &arguments.command {
        command = command.find_subcommand(name).ok_or_else(|| {
            Error::new(ErrorKind::Usage, format!("there is no command `{name}`"))
                .with_hint(Hint::Help(Vec::new()))
        })?;
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone())
        .render(&mut page)
        .on_file("write", Path::new("the manual page"))?;
    context
        .output
        .report(&Text::new(String::from_utf8_lossy(&page).into_owned()))
}
