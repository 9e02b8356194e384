//! Runs the program under test as an operator or a script does.

use std::ffi::OsStr;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::{CommandOutput, TestDatabase};

/// After this long a run counts as hanging.
const PATIENCE: Duration = Duration::from_secs(300);

/// Variables that would change what the program does or prints.
const CLEARED: [&str; 8] = [
    "DATABASE_PATH",
    "NO_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "FORCE_COLOR",
    "RUST_BACKTRACE",
    "RUST_LOG",
    "COLUMNS",
];

/// One run of the program, in the making. It runs in [`TestDatabase::root`], in UTC, with none of the caller's settings.
#[derive(Debug)]
pub struct BridgeMigrate {
    command: Command,
    database: Option<PathBuf>,
    time_zone: Option<String>,
    arguments: Vec<std::ffi::OsString>,
    stdin: Vec<u8>,
    literals: Vec<(String, String)>,
}

impl BridgeMigrate {
    /// The program with `--db` for this database and `--timezone UTC`.
    pub fn new(database: &TestDatabase) -> Self {
        let mut run = Self::bare(database);
        run.database = Some(database.path());
        run.time_zone = Some("UTC".to_owned());
        run
    }

    /// The program without any option, in the database's root folder.
    pub fn bare(database: &TestDatabase) -> Self {
        let mut command = Command::new(binary());
        command.current_dir(database.root()).env("TZ", "UTC");
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if CLEARED.contains(&text.as_ref()) || text.starts_with("BRIDGE_") {
                command.env_remove(&name);
            }
        }
        let root = database.root().display().to_string();
        // In JSON a path's backslashes and quotes are escaped.
        let quoted = serde_json::Value::from(root.clone()).to_string();
        let escaped = quoted.trim_matches('"').to_owned();
        let literals = vec![(root, "[ROOT]".to_owned()), (escaped, "[ROOT]".to_owned())];
        Self {
            command,
            database: None,
            time_zone: None,
            arguments: Vec::new(),
            stdin: Vec::new(),
            literals,
        }
    }

    /// Another database, or the same by another path.
    pub fn database(mut self, path: impl Into<PathBuf>) -> Self {
        self.database = Some(path.into());
        self
    }

    /// Another `--timezone`.
    pub fn timezone(mut self, name: &str) -> Self {
        self.time_zone = Some(name.to_owned());
        self
    }

    /// One more argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// More arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments
            .extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// A variable of the environment.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Another working directory than the database's root folder.
    pub fn current_dir(mut self, folder: impl AsRef<Path>) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// What stands on standard input; nothing unless told.
    pub fn stdin(mut self, text: &str) -> Self {
        self.stdin = text.as_bytes().to_vec();
        self
    }

    /// Text that snapshots show as `stands_for`, beside the root folder's path.
    pub fn redact(mut self, text: &str, stands_for: &str) -> Self {
        self.literals.insert(0, (text.to_owned(), stands_for.to_owned()));
        self
    }

    /// Runs the program to its end.
    ///
    /// # Panics
    /// When it cannot be started or hangs.
    pub fn run(self) -> CommandOutput {
        self.spawn().wait()
    }

    /// Starts the program.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn spawn(mut self) -> Running {
        // Options stand before the subcommand: behind it they could be taken for its own trailing arguments.
        if let Some(path) = &self.database {
            self.command.arg("--db").arg(path);
        }
        if let Some(name) = &self.time_zone {
            self.command.args(["--timezone", name]);
        }
        self.command.args(&self.arguments);
        self.command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = self.command.spawn().unwrap();
        if let Some(mut input) = child.stdin.take() {
            // A program that does not read its input closes the pipe.
            let _ = input.write_all(&self.stdin);
        }
        Running {
            stdout: child.stdout.take().map(drain),
            stderr: child.stderr.take().map(drain),
            child,
            literals: self.literals,
        }
    }
}

/// A program that runs. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
    literals: Vec<(String, String)>,
}

impl Running {
    /// The process's number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Ends it at once, as a power cut would (SIGKILL), and says what it had printed.
    pub fn kill(mut self) -> CommandOutput {
        // It may have ended by itself in the meantime.
        let _ = self.child.kill();
        self.wait()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end within five minutes.
    pub fn wait(mut self) -> CommandOutput {
        let deadline = Instant::now() + PATIENCE;
        let mut pause = Duration::from_micros(200);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                Instant::now() < deadline,
                "the program still runs after {PATIENCE:?}"
            );
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(10));
        };
        CommandOutput {
            code: status.code(),
            stdout: text_of(self.stdout.take()),
            stderr: text_of(self.stderr.take()),
            literals: std::mem::take(&mut self.literals),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Reads a stream on a thread of its own, so that a full pipe never stops the program.
fn drain(mut stream: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        bytes
    })
}

fn text_of(reader: Option<JoinHandle<Vec<u8>>>) -> String {
    let bytes = reader.map(|reader| reader.join().unwrap()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The program, built once by the first test of this process that needs it, so that it is never stale.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(build)
}

/// Cargo tells only the tests of the program's own package where it is, so it is built here, with the profile and
/// into the target folder of the test that runs: `target[/triple]/profile/deps/test-hash`.
fn build() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile_folder = test.ancestors().nth(2).unwrap();
    let above = profile_folder.parent().unwrap();
    let profile = match profile_folder.file_name().and_then(OsStr::to_str).unwrap() {
        "debug" => "dev",
        other => other,
    };
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .args([
            "build",
            "--quiet",
            "--locked",
            "--package",
            "bridge-migrate-cli",
            "--bin",
            "bridge-migrate",
        ])
        .args(["--profile", profile]);
    // Cargo leaves these in the target folder itself, the first only when it made that folder; a folder in between
    // is that of a triple.
    let is_target = ["CACHEDIR.TAG", ".rustc_info.json"]
        .iter()
        .any(|name| above.join(name).exists());
    if is_target {
        cargo.arg("--target-dir").arg(above);
    } else {
        cargo.arg("--target").arg(above.file_name().unwrap());
        cargo.arg("--target-dir").arg(above.parent().unwrap());
    }
    let output = cargo.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the program does not build:\n{errors}");
    profile_folder.join(format!("bridge-migrate{}", std::env::consts::EXE_SUFFIX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_built_and_runs() {
        let database = TestDatabase::nothing();
        assert!(binary().is_file(), "{}", binary().display());
        let output = BridgeMigrate::new(&database).arg("--help").run();
        assert!(output.code.is_some(), "{output}");
    }

    #[test]
    fn an_output_shows_code_and_both_streams_without_what_differs() {
        let output = CommandOutput {
            code: Some(3),
            stdout: "[\"/tmp/x/data\"]\n".to_owned(),
            stderr: "took 12 ms\n".to_owned(),
            literals: vec![("/tmp/x".to_owned(), "[ROOT]".to_owned())],
        };
        let expected = "exit code: 3\n----- stdout\n[\"[ROOT]/data\"]\n----- stderr\ntook [DURATION]\n";
        assert_eq!(output.to_string(), expected);
    }

    #[test]
    fn json_is_one_object_and_nothing_else() {
        let output = |stdout: &str| CommandOutput {
            code: Some(0),
            stdout: stdout.to_owned(),
            stderr: String::new(),
            literals: Vec::new(),
        };
        assert_eq!(output("{\"ok\": true}\n").json()["ok"], true);
        for wrong in ["", "[]", "{} {}", "log\n{}"] {
            let output = output(wrong);
            assert!(std::panic::catch_unwind(|| output.json()).is_err(), "{wrong:?}");
        }
    }
}
