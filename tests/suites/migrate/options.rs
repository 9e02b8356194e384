//! What `--to`, `--phase`, `--no-backup` and the places of files do.

use bridge_migrate::SCHEMA_VERSION;
use serde_json::Value;
use support::catalog::{last, last_of};
use support::{BridgeMigrate, TestDatabase, database};

use crate::common::{STRATEGYS_QUERY, json, refused, run, tree, untouchable};

fn version(database: &TestDatabase) -> u64 {
    json(database, &["status"])["version"].as_u64().unwrap()
}

#[test]
fn a_target_may_be_given_in_every_form() {
    for (target, expected) in [
        ("5", 5),
        ("V005", 5),
        ("V5", 5),
        ("1.1.0", 5),
        ("1.0.0", 1),
        ("+1", 2),
        ("+3", 4),
        ("latest", last().into()),
        ("1.2.0", last_of("1.2.0").into()),
    ] {
        let database = TestDatabase::fresh_1_0_0();
        let answer = json(&database, &["migrate", "--to", target]);
        assert_eq!(answer["to"]["version"], expected, "{target}");
        assert_eq!(version(&database), expected, "{target}");
        assert_eq!(answer["pending"], u64::from(last()) - expected, "{target}");
    }
}

#[test]
fn each_plus_one_is_one_step() {
    let database = TestDatabase::fresh_1_0_0();
    for expected in 2..=last().into() {
        let answer = json(&database, &["migrate", "--to", "+1", "--no-backup"]);
        assert_eq!(answer["applied"].as_array().unwrap().len(), 1);
        assert_eq!(version(&database), expected);
    }
    let before = database.bytes_of_folder();
    BridgeMigrate::new(&database)
        .args(["migrate", "--to", "+1"])
        .run()
        .assert_code(2);
    assert_eq!(database.bytes_of_folder(), before);
}

#[test]
fn a_target_behind_is_refused_with_the_way_back() {
    let database = TestDatabase::fresh_1_0_0();
    run(&database, &["migrate"]);
    let before = database.bytes_of_folder();
    for target in ["1.0.0", "V004", "-1", "3"] {
        let error = refused(&database, &["migrate", "--to", target], 2);
        assert!(
            error["hint"].as_str().unwrap().contains("rollback --to"),
            "{target}: {error}"
        );
    }
    assert_eq!(database.bytes_of_folder(), before);
}

#[test]
fn a_phase_goes_as_far_as_it_lasts() {
    let database = TestDatabase::populated(51);
    for (phase, expected) in [
        ("backfill", 1),
        ("expand", 4),
        ("contract", 4),
        ("expand", 4),
        ("backfill", 5),
        ("expand", 6),
        ("backfill", 7),
        ("all", last().into()),
    ] {
        json(&database, &["migrate", "--phase", phase, "--no-backup"]);
        let status = json(&database, &["status"]);
        // Where nothing of the phase is next, not even an adoption is needed.
        let at = match status["version"].as_u64().unwrap() {
            0 => status["adoptable"]["version"].as_u64().unwrap(),
            version => version,
        };
        assert_eq!(at, expected, "after {phase}");
    }
}

#[test]
fn a_backup_is_made_unless_told_otherwise() {
    let database = TestDatabase::populated(52);
    let before = untouchable(&database);
    let answer = json(&database, &["migrate", "--no-backup", "--to", "2"]);
    assert_eq!(answer["backup"], Value::Null);
    assert_eq!(
        json(&database, &["backup", "list"])["backups"],
        serde_json::json!([])
    );
    let answer = json(&database, &["migrate"]);
    for key in ["database", "tokens", "manifest"] {
        let path = std::path::PathBuf::from(answer["backup"][key].as_str().unwrap());
        assert!(path.is_file(), "{key}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(
                path.metadata().unwrap().permissions().mode() & 0o777,
                0o600,
                "{key}"
            );
        }
    }
    // The backup is the database as it was: it opens, and has every row and the old version.
    let copy = TestDatabase::nothing();
    std::fs::copy(answer["backup"]["database"].as_str().unwrap(), copy.path()).unwrap();
    assert_eq!(untouchable(&copy), before);
    assert_eq!(copy.query_string(STRATEGYS_QUERY), "1.0.0");
    assert_eq!(version(&copy), 2);
}

#[test]
fn backups_and_logs_go_where_they_are_sent() {
    let database = TestDatabase::populated(53);
    let [backups, logs] = ["backups of mine", "logs of mine"].map(|name| database.root().join(name));
    let output = BridgeMigrate::new(&database)
        .env("BRIDGE_BACKUP_DIR", &backups)
        .env("BRIDGE_LOG_DIR", "ignored, since a flag is given")
        .arg("--log-dir")
        .arg(&logs)
        .args(["migrate", "--json"])
        .run();
    output.assert_code(0);
    assert_eq!(database::bytes_of(&backups).len(), 3);
    assert_eq!(database::bytes_of(&logs).len(), 1);
    let names: Vec<_> = database.bytes_of_folder().into_keys().collect();
    assert_eq!(names, ["collab.db", "collab.db.migrate.lock", "tokens.json"]);
}

#[test]
fn a_configuration_file_says_the_same_as_flags() {
    let database = TestDatabase::populated(54);
    let config = database.root().join("bridge-migrate.toml");
    std::fs::write(
        &config,
        "db = 'data/collab.db'\nbackup-dir = 'b'\nlog-dir = 'l'\ntimezone = 'UTC'\njson = true\n",
    )
    .unwrap();
    let output = BridgeMigrate::bare(&database)
        .current_dir("/")
        .arg("--config")
        .arg(&config)
        .arg("migrate")
        .run();
    output.assert_code(0);
    assert_eq!(output.json()["to"]["release"], SCHEMA_VERSION);
    for folder in ["b", "l"] {
        assert!(database.root().join(folder).is_dir(), "{folder}");
    }
}

#[test]
fn a_log_that_cannot_be_written_does_not_stop_a_migration() {
    let database = TestDatabase::populated(55);
    std::fs::write(database.root().join("logs"), "a file").unwrap();
    let output = run(&database, &["migrate", "--json"]);
    assert_eq!(output.json()["log"], Value::Null);
    assert!(output.stderr.contains("this run has no log"), "{output}");
    assert_eq!(version(&database), u64::from(last()));
}

#[test]
fn nothing_is_made_beside_what_the_contract_names() {
    let database = TestDatabase::populated(56);
    run(&database, &["migrate"]);
    let root = database.root().display().to_string();
    let names: Vec<String> = tree(database.root())
        .into_keys()
        .map(|path| path.display().to_string().replace(&format!("{root}/"), ""))
        .map(|name| support::redaction::redact(&name, &[]))
        .collect();
    assert_eq!(
        names,
        [
            "data",
            "data/collab.db",
            "data/collab.db.backup.[STAMP]",
            "data/collab.db.backup.[STAMP].json",
            "data/collab.db.migrate.lock",
            "data/tokens.json",
            "data/tokens.json.backup.[STAMP]",
            "logs",
            "logs/migration_[RUN].log",
        ]
    );
}
