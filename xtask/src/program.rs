//! Runs the program as nobody in particular: the settings of whoever runs it do not reach it.

use std::path::Path;
use std::process::{Command, Stdio};

/// The program in a folder, with the defaults and in UTC: what a time without an offset means must not depend on
/// where it is watched.
pub fn command(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name == "DATABASE_PATH" || name.to_string_lossy().starts_with("BRIDGE_") {
            command.env_remove(name);
        }
    }
    command
        .current_dir(folder)
        .env("BRIDGE_TIMEZONE", "UTC")
        .stdin(Stdio::null());
    command
}
