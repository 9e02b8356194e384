//! What the suites ask of every database and every answer, in the words of the command-line contract.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::catalog::as_at_1_2_0;
use support::{BridgeMigrate, CommandOutput, TestDatabase, dump};

/// The strategy's own query for the current version.
pub(crate) const STRATEGYS_QUERY: &str =
    "SELECT version FROM schema_version ORDER BY applied_at DESC LIMIT 1";

/// Runs a command that must succeed.
#[track_caller]
pub(crate) fn run(database: &TestDatabase, arguments: &[&str]) -> CommandOutput {
    let output = BridgeMigrate::new(database).args(arguments).run();
    output.assert_code(0);
    output
}

/// Runs a command that must succeed, and reads its JSON.
#[track_caller]
pub(crate) fn json(database: &TestDatabase, arguments: &[&str]) -> Value {
    let output = BridgeMigrate::new(database).args(arguments).arg("--json").run();
    output.assert_code(0);
    let answer = output.json();
    assert_eq!(answer["ok"], true, "{output}");
    answer
}

/// Runs a command that must be refused with this exit code, and reads the error of its JSON.
#[track_caller]
pub(crate) fn refused(database: &TestDatabase, arguments: &[&str], code: i32) -> Value {
    let output = BridgeMigrate::new(database).args(arguments).arg("--json").run();
    output.assert_code(code);
    let answer = output.json();
    assert_eq!(answer["ok"], false, "{output}");
    assert_eq!(answer["error"]["exit_code"], code, "{output}");
    answer["error"].clone()
}

/// Path → digest of every file below a folder, however deep.
pub(crate) fn tree(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for (name, digest) in support::database::bytes_of(&folder) {
            let path = folder.join(name);
            if digest == "folder" {
                folders.push(path.clone());
            }
            found.insert(path, digest);
        }
    }
    found
}

/// Every file below a folder with its content, but for those whose name begins with one of `without`.
pub(crate) fn contents(folder: &Path, without: &[&str]) -> Vec<(PathBuf, Vec<u8>)> {
    let files = tree(folder).into_iter().filter(|(_, digest)| digest != "folder");
    files
        .map(|(path, _)| path)
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            !without.iter().any(|start| name.starts_with(start))
        })
        .map(|path| {
            let content = fs::read(&path).unwrap();
            (path, content)
        })
        .collect()
}

/// What no migration may change: every row and column of 1.0.0 but the timestamps of messages.
pub(crate) fn untouchable(database: &TestDatabase) -> String {
    database.dump_1_0_0(&[("messages", "timestamp")])
}

/// The operators' own tables with their rows.
pub(crate) fn of_operators(database: &TestDatabase) -> String {
    let connection = database.connect_read_only();
    ["operator's \"log\"", "bookmarks", "counters", "sqlite_sequence"]
        .iter()
        .map(|table| {
            let columns = dump::columns(&connection, table);
            let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
            dump::one_table(&connection, table, &columns)
        })
        .collect()
}

/// Foreign-key violations, sorted: NULL where there is no rowid.
pub(crate) fn violations(database: &TestDatabase) -> Vec<String> {
    let sql = "SELECT \"table\", rowid, parent, fkid FROM pragma_foreign_key_check";
    let mut found = database.query_strings(sql);
    found.sort();
    found
}

/// Compares what a run said with the snapshot of this name, without what came after 1.2.0. Widths of tables follow the
/// durations in them, so runs of spaces count as two.
#[track_caller]
pub(crate) fn assert_output(name: &str, output: &CommandOutput) {
    let mut settings = insta::Settings::clone_current();
    settings.set_omit_expression(true);
    settings.set_prepend_module_to_snapshot(false);
    for (shape, stands_for) in [
        (r"\b[0-9a-f]{8}\b", "[RUN]"),
        (r"(?m)^\d\d:\d\d:\d\d\b", "[CLOCK]"),
        // Whether two stamps are of the same second is chance.
        (r"\[STAMP\]_\d+", "[STAMP]"),
        (r"≈ (\d+ ms|\[DURATION\])", "[DURATION]"),
        (r"\b(lock_us|duration_ms|max_lock_ms)=\d+", "$1=[DURATION]"),
        (r"([Pp])rocess \d+ on \S+", "${1}rocess [PID] on [HOST]"),
        (r"\bhost=\S+", "host=[HOST]"),
        (r"ps -fp \d+", "ps -fp [PID]"),
        (r"bridge-migrate \d+\.\d+\.\d+", "bridge-migrate [VERSION]"),
        (r" {3,}", "  "),
        (r" +\[DURATION\]", " [DURATION]"),
        (r"(?m) +$", ""),
    ] {
        settings.add_filter(shape, stands_for);
    }
    settings.bind(|| insta::assert_snapshot!(name, as_at_1_2_0(&output.to_string())));
}
