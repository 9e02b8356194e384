//! What scripts rely on: one JSON object, the contract's keys and exit codes, and no colour in a pipe.

use std::fs;

use bridge_migrate::SCHEMA_VERSION;
use serde_json::Value;
use support::catalog::position_of;
use support::{BridgeMigrate, CommandOutput, TestDatabase};

use crate::common::{json, run};

/// Each object has these; a failure has these in `error`.
const COMMON: [&str; 3] = ["ok", "command", "database"];
const ERROR: [&str; 4] = ["kind", "message", "hint", "exit_code"];

#[track_caller]
fn assert_keys(value: &Value, keys: &[&str]) {
    for key in keys {
        assert!(value.get(key).is_some(), "no {key} in {value}");
    }
}

fn with_json(database: &TestDatabase, arguments: &[&str]) -> CommandOutput {
    BridgeMigrate::new(database).args(arguments).arg("--json").run()
}

#[test]
fn every_answer_has_the_contracts_keys() {
    let database = TestDatabase::populated(161);
    let pending = ["version", "name", "release", "phase"];
    let status = [
        "release",
        "version",
        "managed",
        "pending",
        "drift",
        "lock",
        "last_backup",
    ];
    let plan = ["from", "to", "steps", "timezone", "disk_needed_bytes"];
    let migrate = ["from", "to", "adopted", "applied", "backup", "waited_ms", "run"];
    let created = ["database", "tokens", "manifest", "bytes", "sha256"];
    let restore = ["tables", "placement", "secured", "lock_ms"];
    let calls: [(&str, &[&str], &[&str]); 26] = [
        ("status", &["status"], &status),
        ("plan", &["plan"], &plan),
        ("adopt", &["adopt"], &["adopted"]),
        ("migrate", &["migrate", "--to", "V003"], &migrate),
        ("status", &["status"], &status),
        ("plan", &["plan", "--sql"], &plan),
        ("migrate", &["migrate"], &migrate),
        ("migrate", &["migrate"], &migrate),
        ("backup create", &["backup", "create"], &created),
        ("backup list", &["backup", "list"], &["backups"]),
        ("backup verify", &["backup", "verify"], &["problems"]),
        (
            "backup prune",
            &["backup", "prune", "--keep-last", "5"],
            &["removed"],
        ),
        ("repair", &["repair"], &["repairs", "elsewhere", "secured", "run"]),
        ("kept list", &["kept", "list"], &["kept", "others"]),
        (
            "kept reclaim",
            &["kept", "reclaim"],
            &["run", "back", "already", "stays", "stay_count"],
        ),
        ("kept prune", &["kept", "prune"], &["removed", "loses", "stay"]),
        ("restore", &["restore", "latest", "--dry-run"], &restore),
        ("restore", &["restore", "latest"], &restore),
        ("history", &["history"], &["applied", "runs"]),
        ("log", &["log"], &["events"]),
        ("wait", &["wait", "--for", "latest"], &["version", "release"]),
        ("tokens import", &["tokens", "import"], &["added"]),
        ("tokens verify", &["tokens", "verify"], &["equal"]),
        ("schema show", &["schema", "show"], &["objects"]),
        ("completions", &["completions", "bash"], &["text"]),
        ("man", &["man"], &["text"]),
    ];
    for (name, arguments, keys) in calls {
        let output = with_json(&database, arguments);
        output.assert_code(0);
        let answer = output.json();
        assert_keys(&answer, &COMMON);
        assert_keys(&answer, keys);
        assert_eq!((&answer["ok"], &answer["command"]), (&true.into(), &name.into()));
        for one in answer["pending"].as_array().into_iter().flatten() {
            assert_keys(one, &pending);
        }
        for step in answer["steps"].as_array().into_iter().flatten() {
            assert_keys(step, &pending);
            assert_keys(step, &["sql", "data", "rebuilds", "rows"]);
        }
        if name == "migrate" {
            for step in answer["applied"].as_array().unwrap() {
                assert_keys(
                    step,
                    &["version", "name", "duration_ms", "rows_changed", "max_lock_ms"],
                );
            }
            for end in ["from", "to"] {
                assert_keys(&answer[end], &["version", "release"]);
            }
        }
    }
}

/// 1 would say that nothing is changed.
#[cfg(target_os = "linux")]
#[test]
fn whoever_cannot_be_answered_is_told_what_was_done() {
    let database = TestDatabase::populated(164);
    for (arguments, place) in [
        (&["migrate", "--to", "1.2.0"][..], position_of("1.2.0")),
        (&["undo", "5"], position_of("1.2.0")),
        (&["log", "prune"], position_of("1.2.0")),
        (&["rollback", "--to", "1.1.0", "--yes"], position_of("1.1.0")),
        (&["restore", "latest"], "V000".to_owned()),
    ] {
        let output = std::process::Command::new(support::command::binary())
            .args(arguments)
            .arg("--db")
            .arg(database.path())
            .args(["--timezone", "UTC", "--log-dir"])
            .arg(database.root().join("logs"))
            .stdout(fs::File::create("/dev/full").unwrap())
            .output()
            .unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {told}");
        assert!(
            told.contains(&format!("succeeded: the database is at {place}.")),
            "{told}"
        );
    }
}

#[test]
fn every_failure_is_one_object_with_a_command_to_type() {
    let missing = TestDatabase::nothing();
    let adoptable = TestDatabase::populated(162);
    let migrated = TestDatabase::populated(163);
    run(&migrated, &["migrate"]);
    let foreign = TestDatabase::nothing();
    foreign.execute("CREATE TABLE of_somebody_else (x)");
    let garbage = TestDatabase::nothing();
    fs::write(garbage.path(), "garbage".repeat(100)).unwrap();
    let calls: [(&TestDatabase, &[&str], i32); 29] = [
        (&migrated, &[], 2),
        (&migrated, &["nonsense"], 2),
        (&migrated, &["status", "--nonsense"], 2),
        (&migrated, &["migrate", "--to"], 2),
        (&migrated, &["migrate", "--to", "newest"], 2),
        (&migrated, &["migrate", "--to", "V099"], 2),
        (&migrated, &["migrate", "--to", "1.0.0"], 2),
        (&migrated, &["migrate", "--phase", "some"], 2),
        (&migrated, &["plan", "--to", "4.5.6"], 2),
        (&migrated, &["wait"], 2),
        (&migrated, &["wait", "--for", "+1"], 2),
        (&migrated, &["restore"], 2),
        (&migrated, &["restore", "20200101_000000"], 2),
        (&migrated, &["backup"], 2),
        (&migrated, &["backup", "verify", "nothing"], 2),
        (&migrated, &["status", "--timezone", "Mars"], 2),
        (&migrated, &["status", "--config", "nowhere.toml"], 2),
        (&migrated, &["status", "--quiet", "--verbose"], 2),
        (&migrated, &["log", "ffffffff"], 1),
        (&adoptable, &["tokens", "verify"], 1),
        (&adoptable, &["adopt", "--release", "1.2.0"], 1),
        (&adoptable, &["wait", "--for", "latest", "--timeout", "0"], 4),
        (&missing, &["adopt"], 1),
        (&missing, &["backup", "create"], 1),
        (&foreign, &["migrate"], 1),
        (&foreign, &["adopt"], 1),
        (&garbage, &["status"], 1),
        (&garbage, &["migrate"], 1),
        (&garbage, &["history"], 1),
    ];
    for (database, arguments, code) in calls {
        let output = with_json(database, arguments);
        output.assert_code(code);
        let answer = output.json();
        assert_keys(&answer, &COMMON);
        assert_keys(&answer["error"], &ERROR);
        assert_eq!(answer["ok"], false);
        assert_eq!(answer["error"]["exit_code"], code);
        for key in ["kind", "message", "hint"] {
            assert!(!answer["error"][key].as_str().unwrap().is_empty(), "{output}");
        }
        if let Some(command) = arguments.first().filter(|name| **name != "nonsense") {
            assert!(
                answer["command"].as_str().unwrap().starts_with(command),
                "{output}"
            );
        }
        // People see the same error.
        let told = BridgeMigrate::new(database).args(arguments).run();
        told.assert_code(code);
        assert!(told.stdout.is_empty() && !told.stderr.is_empty(), "{told}");
    }
}

#[test]
fn a_hint_can_be_typed_as_it_is() {
    let database = TestDatabase::nothing_in("it's a \"folder\" $HOME");
    database.create_schema();
    database.execute("ALTER TABLE rooms ADD COLUMN colour TEXT");
    let output = BridgeMigrate::new(&database).args(["migrate", "--json"]).run();
    output.assert_code(1);
    let hint = output.json()["error"]["hint"].as_str().unwrap().to_owned();
    assert!(hint.contains("adopt --accept-additions"), "{hint}");
    let folder = support::command::binary().parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let status = std::process::Command::new("sh")
        .arg("-c")
        .arg(&hint)
        .current_dir(database.root())
        .env("PATH", path)
        .output()
        .unwrap();
    assert!(
        status.status.success(),
        "{hint}: {}",
        String::from_utf8_lossy(&status.stderr)
    );
    assert_eq!(json(&database, &["status"])["version"], 1);
}

#[test]
fn no_colour_goes_into_a_pipe_unless_asked_for() {
    let database = TestDatabase::populated(164);
    for arguments in [
        &["status"][..],
        &["plan"],
        &["migrate"],
        &["migrate", "--to", "V001"],
        &["history"],
    ] {
        for run in [
            BridgeMigrate::new(&database).args(arguments),
            BridgeMigrate::new(&database).args(arguments).env("NO_COLOR", "1"),
            BridgeMigrate::new(&database)
                .args(arguments)
                .args(["--color", "never"])
                .env("CLICOLOR_FORCE", "1"),
            BridgeMigrate::new(&database)
                .args(arguments)
                .args(["--json", "--color", "always"]),
        ] {
            let output = run.run();
            assert!(!output.stdout.contains('\u{1b}'), "{arguments:?}: {output}");
        }
    }
    let output = BridgeMigrate::new(&database)
        .args(["status", "--color", "always"])
        .run();
    assert!(output.stdout.contains('\u{1b}'), "{output}");
}

#[test]
fn a_dry_run_is_answered_also_when_people_want_quiet() {
    let database = TestDatabase::populated(165);
    run(&database, &["migrate"]);
    run(&database, &["backup", "create"]);
    for arguments in [
        &["restore", "latest", "--dry-run"][..],
        &["backup", "prune", "--keep-last", "1", "--dry-run"],
        &["undo", "5", "--dry-run"],
        &["rollback", "--to", "1.1.0", "--dry-run"],
    ] {
        let output = BridgeMigrate::new(&database).args(arguments).arg("--quiet").run();
        output.assert_code(0);
        assert!(!output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn an_empty_variable_names_no_database() {
    let database = TestDatabase::nothing();
    for arguments in [&["status", "--timezone", "Mars"][..], &["status", "--nonsense"]] {
        let output = BridgeMigrate::bare(&database)
            .env("DATABASE_PATH", "")
            .args(arguments)
            .arg("--json")
            .run();
        output.assert_code(2);
        assert_eq!(output.json()["database"], "data/collab.db", "{output}");
    }
}

#[test]
fn names_in_the_data_cannot_draw_on_a_terminal() {
    let database = TestDatabase::fresh_1_0_0();
    database.execute(
        "CREATE TABLE \"evil \u{1b}[31m\u{7}\" (x);
        INSERT INTO messages (id, room_id, from_client, text, timestamp)
            VALUES ('\u{1b}]0;title\u{7}', 'r', 'c', 't', 'no time')",
    );
    for arguments in [
        &["status"][..],
        &["plan"],
        &["migrate"],
        &["log"],
        &["history"],
        &["schema", "show"],
    ] {
        let output = run(&database, arguments);
        for stream in [&output.stdout, &output.stderr] {
            assert!(!stream.contains(['\u{1b}', '\u{7}']), "{arguments:?}: {stream:?}");
        }
    }
}

#[test]
fn quiet_leaves_answers_and_errors() {
    let database = TestDatabase::populated(165);
    let quiet = |arguments: &[&str]| BridgeMigrate::new(&database).args(arguments).arg("--quiet").run();
    let output = quiet(&["migrate"]);
    output.assert_code(0);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""));
    assert!(!quiet(&["status"]).stdout.is_empty());
    let output = quiet(&["migrate", "--to", "V099"]);
    output.assert_code(2);
    assert!(!output.stderr.is_empty());
    let output = quiet(&["migrate", "--json"]);
    assert_eq!(
        (output.json()["ok"].clone(), output.stderr.as_str()),
        (Value::Bool(true), "")
    );
}

#[test]
fn a_reader_that_went_away_is_no_failure_of_the_migration() {
    let database = TestDatabase::populated(166);
    let binary = support::command::binary();
    let script = format!(
        "'{}' --db data/collab.db --timezone UTC migrate | true; exit ${{PIPESTATUS[0]}}",
        binary.display()
    );
    let status = std::process::Command::new("bash")
        .args(["-c", &script])
        .current_dir(database.root())
        .output()
        .unwrap();
    assert!(
        !String::from_utf8_lossy(&status.stderr).contains("panicked"),
        "{status:?}"
    );
    assert_eq!(json(&database, &["status"])["release"], SCHEMA_VERSION);
}
