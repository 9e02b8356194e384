//! `restore` puts a backup's content back, under a running server, and nothing is ever lost for good.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bridge_migrate::SCHEMA_VERSION;
use serde_json::{Value, json as value};
use sha2::{Digest as _, Sha256};
use support::statements::run_statements_once;
use support::{BridgeMigrate, Server, TestDatabase, dump};

use crate::common::{assert_output, json, refused, run, tree};

#[test]
fn the_database_and_its_tokens_are_as_before_the_migration() {
    for wal in [false, true] {
        let database = TestDatabase::nasty(111);
        database.set_wal(wal);
        let (before, schema, tokens) = (
            database.dump(),
            database.schema(),
            fs::read(database.tokens()).unwrap(),
        );
        run(&database, &["migrate"]);
        fs::write(database.tokens(), "{\"tokens\": {}, \"revoked\": []}").unwrap();
        let migrated = database.dump();
        let answer = json(&database, &["restore", "latest"]);
        dump::assert_same(&before, &database.dump());
        assert_eq!(schema, database.schema());
        assert_eq!(tokens, fs::read(database.tokens()).unwrap());
        assert_eq!(answer["tokens"], "replaced");
        run_statements_once(&database.path()).unwrap();
        // The state before is a backup too, and leads back.
        let secured = answer["secured"]["database"].as_str().unwrap();
        run(&database, &["restore", secured]);
        // All is as it was, and the restore is on record.
        database.execute("DELETE FROM migration_runs WHERE command = 'restore'");
        dump::assert_same(&migrated, &database.dump());
        assert_eq!(json(&database, &["status"])["release"], SCHEMA_VERSION);
    }
}

#[test]
fn whoever_restores_in_place_is_told_how_long_others_were_kept_out() {
    let database = TestDatabase::populated(118);
    run(&database, &["migrate"]);
    assert_eq!(
        json(&database, &["restore", "latest", "--dry-run"])["lock_ms"],
        Value::Null
    );
    for arguments in [
        &["rollback", "--to", "1.0.0", "--strategy", "restore", "--yes"][..],
        &["restore", "latest"],
    ] {
        let answer = json(&database, arguments);
        assert!(answer["lock_ms"].is_u64(), "{answer}");
    }
    // Whoever has the old file open must open the new one; nobody waits.
    fs::remove_file(database.path()).unwrap();
    assert_eq!(json(&database, &["restore", "latest"])["lock_ms"], Value::Null);
}

#[test]
fn a_restore_that_fails_after_the_database_is_back_says_where_it_stands() {
    let database = TestDatabase::populated(119);
    let before = database.dump();
    run(&database, &["migrate"]);
    // The note of an interrupted rollback, which a restore removes, is a folder.
    let note = database.folder().join("collab.db.rollback.json");
    fs::create_dir(&note).unwrap();
    let output = BridgeMigrate::new(&database)
        .args(["restore", "latest", "--json"])
        .run();
    output.assert_code(3);
    let error = &output.json()["error"];
    assert_eq!(error["reached"]["version"], 0, "{error}");
    let truth = error["truth"].as_str().unwrap();
    assert!(truth.starts_with("The database is restored, at V000."), "{truth}");
    assert!(error["hint"].as_str().unwrap().contains(" restore "), "{error}");
    dump::assert_same(&before, &database.dump());
    fs::remove_dir(&note).unwrap();
    run(&database, &["restore", "latest"]);
}

#[test]
fn a_rollback_that_fails_after_the_restore_point_is_back_says_where_it_stands() {
    let database = TestDatabase::populated(120);
    run(&database, &["migrate", "--to", "1.1.0"]);
    let before = database.dump();
    run(&database, &["migrate"]);
    // The restore point refuses the record of the rollback, as no backup of this program does.
    let point = json(&database, &["backup", "list"])["backups"][0].clone();
    let file = |key: &str| PathBuf::from(point[key].as_str().unwrap());
    let copy = support::database::connect(&file("database")).unwrap();
    copy.execute_batch(
        "CREATE TRIGGER refuses BEFORE INSERT ON migration_runs WHEN NEW.command = 'rollback' \
         BEGIN SELECT RAISE(ABORT, 'not now'); END",
    )
    .unwrap();
    let pages: u64 = copy.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    drop(copy);
    let bytes = fs::read(file("database")).unwrap();
    let mut says: Value = serde_json::from_slice(&fs::read(file("manifest")).unwrap()).unwrap();
    says["database"]["bytes"] = bytes.len().into();
    says["database"]["sha256"] = dump::hex(&Sha256::digest(&bytes)).into();
    says["database"]["page_count"] = pages.into();
    fs::write(file("manifest"), says.to_string()).unwrap();
    let back = ["rollback", "--to", "1.1.0", "--strategy", "restore", "--yes"];
    let output = BridgeMigrate::new(&database).args(back).arg("--json").run();
    output.assert_code(3);
    let error = &output.json()["error"];
    assert_eq!(
        error["reached"],
        value!({"version": 5, "release": "1.1.0"}),
        "{error}"
    );
    let hint = error["hint"].as_str().unwrap();
    assert!(hint.ends_with(" rollback --to 5"), "{hint}");
    dump::assert_same(&before, &database.dump());
    assert_eq!(json(&database, &["status"])["version"], 5);
}

#[test]
fn a_dry_run_says_what_would_change_and_changes_nothing() {
    let database = TestDatabase::populated(112);
    run(&database, &["migrate", "--to", "1.2.0"]);
    let before = tree(database.root());
    let answer = json(&database, &["restore", "latest", "--dry-run"]);
    assert_eq!(answer["dry_run"], true);
    assert!(
        answer["tables"]
            .as_array()
            .unwrap()
            .iter()
            .any(|t| t["table"] == "auth_tokens" && t["backup"] == Value::Null)
    );
    assert_output(
        "restore_dry_run",
        &run(&database, &["restore", "latest", "--dry-run"]),
    );
    assert_eq!(tree(database.root()), before);
    assert_output("restore", &run(&database, &["restore", "latest"]));
}

#[test]
fn a_backup_may_be_named_by_its_stamp_or_its_files() {
    let database = TestDatabase::populated(113);
    let answer = json(&database, &["backup", "create"]);
    let list = json(&database, &["backup", "list"]);
    let names = [
        list["backups"][0]["stamp"].as_str().unwrap().to_owned(),
        answer["database"].as_str().unwrap().to_owned(),
        answer["manifest"].as_str().unwrap().to_owned(),
    ];
    for name in names {
        database.execute("DELETE FROM tasks");
        run(&database, &["restore", &name]);
        assert!(database.count("tasks") > 0, "{name}");
    }
}

#[test]
fn a_server_that_writes_meanwhile_sees_the_old_or_the_new_whole() {
    let database = TestDatabase::populated(114);
    let backup = json(&database, &["backup", "create"]);
    let name = backup["database"].as_str().unwrap();
    let server = Server::start_paced(&database.path(), 2, Duration::from_millis(5));
    for _ in 0..3 {
        server.wait_for_calls(10);
        run(&database, &["restore", name]);
    }
    server.wait_for_calls(10);
    let report = server.stop();
    report.assert_no_errors();
    assert_eq!(database.query_string("PRAGMA integrity_check"), "ok");
    // What the server wrote before is in the backups that secured it.
    let secured = json(&database, &["backup", "list"])["backups"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|backup| backup["reason"] == "before restore")
        .count();
    assert_eq!(secured, 3);
}

#[test]
fn a_connection_that_stays_open_sees_the_restored_rows() {
    let database = TestDatabase::populated(115);
    run(&database, &["backup", "create"]);
    let open = database.connect();
    let count = || -> u64 {
        open.query_row("SELECT count(*) FROM messages", [], |row| row.get(0))
            .unwrap()
    };
    let before = count();
    database.execute("DELETE FROM messages");
    assert_eq!(count(), 0);
    let answer = json(&database, &["restore", "latest"]);
    assert_eq!(answer["placement"], "in_place");
    assert_eq!(count(), before);
}

#[test]
fn a_destroyed_or_missing_database_is_put_back() {
    for destroyed in [None, Some(&b"not a database at all"[..]), Some(b"")] {
        let database = TestDatabase::populated(116);
        let before = database.dump();
        run(&database, &["backup", "create"]);
        match destroyed {
            Some(bytes) => fs::write(database.path(), bytes).unwrap(),
            None => fs::remove_file(database.path()).unwrap(),
        }
        let answer = json(&database, &["restore", "latest"]);
        dump::assert_same(&before, &database.dump());
        if destroyed.is_some_and(|bytes| !bytes.is_empty()) {
            let copies = answer["damaged"].as_array().unwrap();
            let kept = |copy: &Value| fs::read(copy.as_str().unwrap()).unwrap() == destroyed.unwrap();
            assert!(copies.iter().any(kept), "{answer}");
        }
    }
}

#[test]
fn a_plain_copy_needs_a_word_and_a_check() {
    let database = TestDatabase::populated(117);
    let copy = database.folder().join("collab.db.backup.20200101_000000");
    fs::copy(database.path(), &copy).unwrap();
    database.execute("DELETE FROM messages");
    let bytes = fs::read(database.path()).unwrap();
    let output = BridgeMigrate::new(&database).arg("restore").arg(&copy).run();
    output.assert_code(1);
    assert!(fs::read(database.path()).unwrap() == bytes);
    let output = BridgeMigrate::new(&database)
        .arg("restore")
        .arg(&copy)
        .arg("--accept-without-manifest")
        .run();
    output.assert_code(0);
    assert_eq!(database.count("messages"), 2000);
    assert_eq!(json(&database, &["status"])["lock"], value!(null));
}

#[test]
fn the_latest_is_the_same_again_after_a_try_that_failed_and_one_that_went_well() {
    let database = TestDatabase::populated(121);
    let before = database.dump();
    run(&database, &["backup", "create"]);
    run(&database, &["migrate", "--to", "V002", "--no-backup"]);
    let latest = json(&database, &["restore", "latest", "--dry-run"])["backup"].clone();
    // Fails after the state was secured: a folder lies where the note of a rollback would.
    let note = database.folder().join("collab.db.rollback.json");
    fs::create_dir(&note).unwrap();
    refused(&database, &["restore", "latest"], 3);
    fs::remove_dir(&note).unwrap();
    for _ in 0..2 {
        database.execute("DELETE FROM messages WHERE rowid = 1");
        assert_eq!(json(&database, &["restore", "latest"])["backup"], latest);
        dump::assert_same(&before, &database.dump());
    }
    let list = json(&database, &["backup", "list"]);
    let backups = list["backups"].as_array().unwrap();
    let securing: Vec<bool> = backups
        .iter()
        .map(|backup| backup["securing"].as_bool().unwrap())
        .collect();
    assert_eq!(securing, [true, true, true, false]);
    let shown = run(&database, &["backup", "list"]);
    assert_eq!(
        shown.stdout.matches("secured before restore").count(),
        3,
        "{shown}"
    );
    assert_eq!(json(&database, &["backup", "verify"])["backup"], latest);
    // What restores made does not drive out what an operator made, and the state before the first one stays.
    run(&database, &["backup", "prune", "--keep-last", "1"]);
    run(&database, &["backup", "prune", "--older-than", "0m"]);
    let left = json(&database, &["backup", "list"])["backups"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(left.len(), 2, "the newest and the latest");
    assert_eq!(
        json(&database, &["restore", "latest", "--dry-run"])["backup"],
        latest
    );
    for file in ["database", "tokens", "manifest"] {
        fs::remove_file(left[1][file].as_str().unwrap()).unwrap();
    }
    let error = refused(&database, &["restore", "latest"], 2);
    assert!(
        error["message"].as_str().unwrap().contains("secure a state"),
        "{error}"
    );
    // By its name, it leads back.
    run(&database, &["restore", left[0]["stamp"].as_str().unwrap()]);
}

/// `cp -r data data2`: a run's record names the backup by the path of the original's folder.
#[test]
fn a_copied_folder_goes_back_from_its_own_backup() {
    let database = TestDatabase::populated(122);
    run(&database, &["migrate", "--to", "V001", "--no-backup"]);
    run(&database, &["migrate"]);
    let copy = database.root().join("data2");
    fs::create_dir(&copy).unwrap();
    for entry in fs::read_dir(database.folder()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    let go_back = |more: &[&str]| {
        let output = BridgeMigrate::new(&database)
            .database(copy.join("collab.db"))
            .args(["rollback", "--to", "1", "--strategy", "restore", "--json"])
            .args(more)
            .run();
        output.assert_code(0);
        output.json()
    };
    let point = |answer: &Value| Path::new(answer["restore_point"].as_str().unwrap()).to_owned();
    let own = point(&go_back(&["--dry-run"]));
    assert_eq!(own.parent(), Some(copy.as_path()));
    // Another of its name in the copy's folder is not taken for it; the original's is this run's, and it is named.
    let manifest = PathBuf::from(format!("{}.json", own.display()));
    let says = fs::read_to_string(&manifest).unwrap();
    let run_name = serde_json::from_str::<Value>(&says).unwrap()["run"]
        .as_str()
        .unwrap()
        .to_owned();
    fs::write(&manifest, says.replace(&run_name, "00000000")).unwrap();
    let other = point(&go_back(&["--dry-run"]));
    assert_eq!(other.parent(), Some(database.folder()));
    fs::write(&manifest, &says).unwrap();
    // Where the original's folder has another database's backup of the same name, it is not touched.
    let (theirs, theirs_manifest) = (other.clone(), PathBuf::from(format!("{}.json", other.display())));
    fs::write(&theirs_manifest, says.replace(&run_name, "00000000")).unwrap();
    let seen = tree(database.folder());
    go_back(&["--yes"]);
    assert_eq!(tree(database.folder()), seen);
    let connection = support::database::connect(&copy.join("collab.db")).unwrap();
    let tables: u64 = connection
        .query_row(
            "SELECT count(*) FROM sqlite_schema WHERE name = 'auth_tokens'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(tables, 0);
    // What is another's is not used in place of what is gone.
    let output = BridgeMigrate::new(&database)
        .args([
            "rollback",
            "--to",
            "0",
            "--strategy",
            "restore",
            "--dry-run",
            "--json",
        ])
        .run();
    output.assert_code(1);
    assert!(theirs.exists(), "{output}");
}
