//! Starts `examples/other_process.rs`, a program that does what only another process can do.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// The program at work with a path.
pub(crate) fn other_process(what: &str, path: &Path) -> Child {
    Command::new(program())
        .arg(what)
        .arg(path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Cargo builds examples with all tests, and not with one: it is asked to, and says where it put it.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        let profile = match test
            .ancestors()
            .nth(2)
            .unwrap()
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
        {
            "debug" => "dev",
            other => other,
        };
        let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args([
                "build",
                "--quiet",
                "--locked",
                "--example",
                "other_process",
                "--profile",
                profile,
            ])
            .args(["--message-format", "json"])
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        let said = String::from_utf8(built.stdout).unwrap();
        let messages = said
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let place = messages
            .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
            .next_back();
        place.expect("the example is built")
    })
}
