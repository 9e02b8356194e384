//! What the shell or the system does not allow is an error like others, and what is hidden in a name is shown.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output};

use support::{BridgeMigrate, Population, TestDatabase, command, proof};

use crate::common::{json, run, untouchable};

/// Somebody who is not the superuser, and whom no machine knows.
const OTHER: u32 = 61_235;

fn in_a_shell(database: &TestDatabase, limit: &str) -> Command {
    let mut shell = Command::new("bash");
    shell
        .args(["-c", &format!("{limit}; exec \"$0\" \"$@\"")])
        .arg(command::binary())
        .current_dir(database.root())
        .env("TZ", "UTC");
    shell
}

fn said(output: &Output) -> String {
    format!("{:?}: {}", output.status, String::from_utf8_lossy(&output.stderr))
}

/// `ulimit -f` ends a process that writes more with SIGXFSZ, without a word.
#[test]
fn a_file_that_may_not_become_larger_is_an_error_and_nothing_is_lost() {
    let mut refused = 0;
    for kibibytes in [1, 8, 64, 128, 200, 256, 320, 100_000] {
        let database = TestDatabase::with(&Population {
            seed: 331,
            ..Population::of_messages(600)
        });
        let before = untouchable(&database);
        for arguments in [
            &["migrate"][..],
            &["migrate", "--no-backup"],
            &["backup", "create"],
        ] {
            let output = in_a_shell(&database, &format!("ulimit -f {kibibytes}"))
                .args(arguments)
                .output()
                .unwrap();
            let code = output.status.code();
            assert!(
                matches!(code, Some(0 | 1 | 3)),
                "{kibibytes} KiB: {}",
                said(&output)
            );
            // What could not be taken back within the limit, the next server takes back.
            database.execute("SELECT count(*) FROM sqlite_schema");
            assert_eq!(untouchable(&database), before, "{kibibytes} KiB, {arguments:?}");
            refused += u32::from(code != Some(0));
        }
        run(&database, &["migrate"]);
        assert_eq!(untouchable(&database), before);
        json(&database, &["verify"]);
    }
    assert!(refused > 5, "{refused}");
}

#[test]
fn without_a_thread_to_be_had_everything_is_done_all_the_same() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        proof::count(
            0,
            "runs without threads",
            "left out: only the superuser can be another user, who has no threads",
        );
        return;
    }
    let database = TestDatabase::populated(332);
    let program = database.root().join("program");
    fs::copy(command::binary(), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    for path in [
        database.root().to_owned(),
        database.folder().to_owned(),
        database.path(),
        database.tokens(),
    ] {
        chown(path, Some(OTHER), Some(OTHER)).unwrap();
    }
    let before = untouchable(&database);
    for arguments in [
        &["migrate", "--to", "1.1.0"][..],
        &["rehearse"],
        &["migrate"],
        &["backup", "create"],
        &["backup", "verify", "latest"],
        &["rollback", "--to", "1.1.0", "--yes"],
        &["restore", "latest"],
        &["verify"],
    ] {
        let output = Command::new("bash")
            .args(["-c", "ulimit -u 1; exec \"$0\" \"$@\""])
            .arg(&program)
            .args(arguments)
            .current_dir(database.root())
            .env("TZ", "UTC")
            .uid(OTHER)
            .gid(OTHER)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", said(&output));
        assert_eq!(untouchable(&database), before, "{arguments:?}");
    }
    proof::count(8, "commands without a thread", "all did what they should");
}

/// A right-to-left override, an isolate, a zero-width space, a control sequence in one character, a tag.
const HIDDEN: &str = "a\u{202e}b\u{2066}c\u{200b}d\u{9b}2Je\u{e0041}f";

#[track_caller]
fn assert_nothing_is_hidden(text: &str) {
    let hidden = |c: char| {
        (c.is_control() && c != '\n') || ['\u{202e}', '\u{2066}', '\u{200b}', '\u{e0041}'].contains(&c)
    };
    assert!(!text.contains(hidden), "{text:?}");
}

#[test]
fn what_is_hidden_in_a_name_is_shown_and_reaches_no_terminal() {
    let database = TestDatabase::populated(333);
    database.execute(&format!(
        "CREATE TABLE \"{HIDDEN}\" (\"{HIDDEN}\" TEXT DEFAULT '{HIDDEN}'); UPDATE rooms SET topic = '{HIDDEN}'"
    ));
    let missing = format!("{HIDDEN}.db");
    let there = database.root().join(&missing);
    let mut shown = 0;
    for arguments in [
        &["status"][..],
        &["plan"],
        &["migrate"],
        &["schema", "show", "--all"],
        &["schema", "diff"],
        &["schema", "diagram"],
        &["verify"],
        &["history"],
        &["log"],
        &["doctor"],
        &["log", HIDDEN],
        &["schema", "diff", HIDDEN],
        &["undo", "V005", "--key", HIDDEN],
        &["undo", "V005", "--where", HIDDEN],
        &["restore", HIDDEN],
        &["migrate", "--to", HIDDEN],
        &[HIDDEN],
        &["--config", HIDDEN, "status"],
        &["--timezone", HIDDEN, "status"],
        &["--db", &missing, "status"],
        &["--db", &missing, "history"],
        &["--db", &missing, "migrate"],
        &["--db", &missing, "status"],
    ] {
        for json in [false, true] {
            let mut program = BridgeMigrate::bare(&database);
            if arguments[0] != "--db" {
                program = program.database(database.path());
            }
            if json {
                program = program.arg("--json");
            }
            let output = program.args(arguments).run();
            assert!(output.code.is_some(), "{output}");
            assert_nothing_is_hidden(&output.stdout);
            assert_nothing_is_hidden(&output.stderr);
            let both = format!("{}{}", output.stdout, output.stderr);
            shown += u32::from(both.contains("202e"));
        }
    }
    assert!(there.exists(), "the file itself has the name that it was given");
    assert!(shown > 20, "{shown}");
}
