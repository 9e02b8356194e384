//! Runs cargo, rustfmt and what cargo has built.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::{env, ffi::OsString};

use crate::error::Error;
use crate::project::Project;

/// A command that asks nothing of the person who runs it, in the project's folder.
pub fn command(project: &Project, program: &str) -> Command {
    // Cargo names itself to what it runs, so that the same toolchain is used throughout.
    let named = match program {
        "cargo" => env::var_os("CARGO"),
        "rustfmt" => env::var_os("RUSTFMT"),
        _ => None,
    };
    let mut command = Command::new(named.unwrap_or_else(|| OsString::from(program)));
    command.current_dir(project.root()).stdin(Stdio::null());
    command
}

/// Runs a command and keeps what it says.
///
/// # Errors
/// When it cannot be started; that it fails is no error.
pub fn output(command: &mut Command) -> Result<Output, Error> {
    let output = command.output();
    output.map_err(|error| cannot_run(command, &error))
}

/// Runs a command with this program's streams, and says how it ended.
///
/// # Errors
/// When it cannot be started; that it fails is no error.
pub fn status(command: &mut Command) -> Result<ExitStatus, Error> {
    let status = command.status();
    status.map_err(|error| cannot_run(command, &error))
}

fn cannot_run(command: &Command, error: &std::io::Error) -> Error {
    let program = command.get_program().to_string_lossy();
    Error::new(format!("cannot run {program}: {error}"))
        .hint("install the toolchain that rust-toolchain or Cargo.toml asks for, with rustfmt")
}

/// Both streams of a finished command, as one text.
pub fn text(output: &Output) -> String {
    let text = [&output.stdout, &output.stderr].map(|stream| String::from_utf8_lossy(stream).into_owned());
    text.concat().trim_end().to_owned()
}

/// Builds with the given arguments, and says where the executables are, in the order of `names`.
///
/// # Errors
/// When it does not build, with all that cargo said.
pub fn build<const N: usize>(
    project: &Project,
    arguments: &[&str],
    names: [&str; N],
) -> Result<[PathBuf; N], Error> {
    let mut cargo = command(project, "cargo");
    cargo
        .args([
            "build",
            "--locked",
            "--quiet",
            "--message-format=json-render-diagnostics",
        ])
        .args(arguments)
        .stderr(Stdio::inherit());
    let output = output(&mut cargo)?;
    if !output.status.success() {
        return Err(Error::new("the program does not build").hint("cargo check --workspace --all-targets"));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let mut found = Vec::new();
    for name in names {
        found.push(
            executable(&messages, name)
                .ok_or_else(|| Error::new(format!("cargo did not say where it put {name}")))?,
        );
    }
    <[PathBuf; N]>::try_from(found).map_err(|_| Error::new("cargo built too little"))
}

/// The executable of a target, from cargo's messages, one JSON object a line.
pub fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message.pointer("/target/name").and_then(|name| name.as_str()) == Some(name))
        .find_map(|message| Some(Path::new(message.get("executable")?.as_str()?).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executable_is_found_by_its_target() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"tool"},"executable":null}
not JSON
{"reason":"compiler-artifact","target":{"name":"other"},"executable":"/t/other"}
{"reason":"compiler-artifact","target":{"name":"tool"},"executable":"/t/tool"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages, "tool"), Some(PathBuf::from("/t/tool")));
        assert_eq!(executable(messages, "missing"), None);
    }
}
