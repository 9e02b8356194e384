//! `backup`: complete, verified, private copies, made while the server writes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json as value};
use sha2::{Digest as _, Sha256};
use support::{BridgeMigrate, Server, TestDatabase, dump, tokens};

use crate::common::{assert_output, json, refused, run, tree};

fn path(answer: &Value, key: &str) -> PathBuf {
    answer[key].as_str().unwrap().into()
}

/// Another database that is a copy of a backup.
fn opened(answer: &Value) -> TestDatabase {
    let copy = TestDatabase::nothing();
    fs::copy(path(answer, "database"), copy.path()).unwrap();
    copy
}

#[test]
fn a_backup_is_the_database_private_and_with_its_digest() {
    let database = TestDatabase::nasty(101);
    let before = tree(database.root());
    let answer = json(&database, &["backup", "create"]);
    for (file, digest) in &before {
        assert_eq!(
            tree(database.root()).get(file),
            Some(digest),
            "{}",
            file.display()
        );
    }
    for key in ["database", "tokens", "manifest"] {
        let mode = path(&answer, key).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
    let bytes = fs::read(path(&answer, "database")).unwrap();
    assert_eq!(answer["bytes"], bytes.len());
    assert_eq!(answer["sha256"], dump::hex(&Sha256::digest(&bytes)));
    assert_eq!(
        fs::read(path(&answer, "tokens")).unwrap(),
        fs::read(database.tokens()).unwrap()
    );
    dump::assert_same(&database.dump(), &opened(&answer).dump());
    run(&database, &["backup", "verify"]);
    run(&database, &["backup", "verify", "latest", "--full"]);
}

#[test]
fn a_backup_of_a_write_ahead_database_has_what_is_in_the_log_only() {
    let database = TestDatabase::populated(102);
    database.set_wal(true);
    let server = database.connect();
    server
        .execute_batch("PRAGMA wal_autocheckpoint = 0; UPDATE rooms SET topic = 'in the log'")
        .unwrap();
    let answer = json(&database, &["backup", "create"]);
    let copy = opened(&answer);
    assert_eq!(
        copy.query_strings("SELECT DISTINCT topic FROM rooms"),
        ["in the log"]
    );
    assert_eq!(copy.query_string("PRAGMA integrity_check"), "ok");
}

#[test]
fn backups_made_under_a_writing_server_are_whole() {
    let database = TestDatabase::populated(103);
    let server = Server::start(&database.path(), 2);
    server.wait_for_calls(20);
    let mut backups = Vec::new();
    for _ in 0..3 {
        backups.push(json(&database, &["backup", "create"]));
        server.wait_for_calls(10);
    }
    let report = server.stop();
    report.assert_no_errors();
    report.assert_nothing_lost(&database);
    let mut last = 0;
    for answer in &backups {
        let copy = opened(answer);
        assert_eq!(copy.query_string("PRAGMA integrity_check"), "ok");
        // Each is a moment of one history: messages only come.
        let messages = copy.count("messages");
        assert!(messages > last && messages <= database.count("messages"));
        last = messages;
    }
}

#[test]
fn people_see_the_list_newest_first() {
    let database = TestDatabase::populated(104);
    assert_output("backup_list_empty", &run(&database, &["backup", "list"]));
    run(&database, &["backup", "create"]);
    run(&database, &["migrate", "--to", "V002"]);
    assert_output("backup_create", &run(&database, &["backup", "create"]));
    let before = tree(database.root());
    assert_output("backup_list", &run(&database, &["backup", "list"]));
    let list = json(&database, &["backup", "list"]);
    assert_eq!(tree(database.root()), before);
    let reasons: Vec<&Value> = list["backups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|b| &b["reason"])
        .collect();
    assert_eq!(reasons, ["backup create", "before migrate", "backup create"]);
    assert_eq!(list["backups"][0]["version"], 2);
}

#[test]
fn an_altered_backup_is_found_out() {
    for file in ["database", "tokens", "manifest"] {
        let database = TestDatabase::populated(105);
        let answer = json(&database, &["backup", "create"]);
        let file_path = path(&answer, file);
        let mut bytes = fs::read(&file_path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&file_path, bytes).unwrap();
        let output = BridgeMigrate::new(&database)
            .args(["backup", "verify", "--json"])
            .run();
        assert_ne!(output.code, Some(0), "{file}: {output}");
        if file != "manifest" {
            output.assert_code(6);
            assert!(
                !output.json()["problems"].as_array().unwrap().is_empty(),
                "{file}"
            );
        }
        // What cannot be trusted is not put back.
        let before = fs::read(database.path()).unwrap();
        let output = BridgeMigrate::new(&database).args(["restore", "latest"]).run();
        assert_ne!(output.code, Some(0), "{file}: {output}");
        assert!(fs::read(database.path()).unwrap() == before, "{file}");
    }
}

#[test]
fn a_manifest_that_tells_another_version_than_its_copy_is_found_out() {
    let database = TestDatabase::populated(112);
    run(&database, &["migrate", "--to", "V002"]);
    let manifest = path(&json(&database, &["backup", "create"]), "manifest");
    let mut says: Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    assert_eq!(says["version"], 2);
    says["version"] = value!(1);
    fs::write(&manifest, says.to_string()).unwrap();
    let output = BridgeMigrate::new(&database)
        .args(["backup", "verify", "--json"])
        .run();
    output.assert_code(6);
    let message = output.json()["problems"][0]["message"].to_string();
    assert!(
        message.contains("is at V002, and its manifest says V001"),
        "{message}"
    );
    let before = database.dump();
    refused(&database, &["restore", "latest"], 1);
    dump::assert_same(&before, &database.dump());
}

#[test]
fn a_missing_part_of_a_backup_is_found_out() {
    for file in ["database", "tokens"] {
        let database = TestDatabase::populated(106);
        let answer = json(&database, &["backup", "create"]);
        fs::remove_file(path(&answer, file)).unwrap();
        let output = BridgeMigrate::new(&database)
            .args(["backup", "verify", "--json"])
            .arg(path(&answer, "manifest"))
            .run();
        output.assert_code(6);
        assert_eq!(output.json()["ok"], false);
        run(&database, &["backup", "list"]);
    }
}

#[test]
fn pruning_keeps_the_newest_and_what_runs_go_back_to() {
    let database = TestDatabase::populated(107);
    for _ in 0..3 {
        run(&database, &["backup", "create"]);
    }
    run(&database, &["migrate"]);
    run(&database, &["backup", "create"]);
    let before = tree(database.root());
    let dry = json(&database, &["backup", "prune", "--keep-last", "1", "--dry-run"]);
    assert_eq!(tree(database.root()), before);
    let answer = json(&database, &["backup", "prune", "--keep-last", "1"]);
    assert_eq!(dry["removed"], answer["removed"]);
    assert_eq!(answer["removed"].as_array().unwrap().len(), 3);
    let left = json(&database, &["backup", "list"]);
    let reasons: Vec<&Value> = left["backups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|b| &b["reason"])
        .collect();
    assert_eq!(reasons, ["backup create", "before migrate"]);
    json(
        &database,
        &["backup", "prune", "--keep-last", "1", "--include-restore-points"],
    );
    assert_eq!(
        json(&database, &["backup", "list"])["backups"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    // Files that only look like backups are nobody's to remove.
    assert!(database.tokens().exists() && database.path().exists());
    let error = refused(&database, &["backup", "prune", "--older-than", "soon"], 2);
    assert_eq!(error["kind"], "usage");
}

#[test]
fn pruning_keeps_what_runs_go_back_to_when_the_folder_has_another_path() {
    let database = TestDatabase::populated(109);
    run(&database, &["migrate"]);
    run(&database, &["backup", "create"]);
    let moved = database.root().join("elsewhere");
    fs::rename(database.folder(), &moved).unwrap();
    let path = moved.join("collab.db");
    let output = BridgeMigrate::new(&database)
        .database(&path)
        .args(["backup", "prune", "--keep-last", "1", "--json"])
        .run();
    output.assert_code(0);
    assert_eq!(output.json()["removed"], value!([]), "{output}");
    let output = BridgeMigrate::new(&database)
        .database(&path)
        .args(["rollback", "--to", "1.0.0", "--strategy", "restore", "--yes"])
        .run();
    output.assert_code(0);
}

#[test]
fn a_pruning_that_stops_says_what_is_gone() {
    let database = TestDatabase::populated(110);
    for _ in 0..3 {
        run(&database, &["backup", "create"]);
    }
    let list = json(&database, &["backup", "list"]);
    let tokens = list["backups"][2]["tokens"].as_str().unwrap();
    fs::remove_file(tokens).unwrap();
    fs::create_dir(tokens).unwrap();
    let error = refused(&database, &["backup", "prune", "--keep-last", "1"], 1);
    let truth = error["truth"].as_str().unwrap();
    assert!(truth.starts_with("Backups removed before it: 1."), "{error}");
    assert!(error["message"].as_str().unwrap().contains(tokens), "{error}");
    fs::remove_dir(tokens).unwrap();
    run(&database, &["backup", "prune", "--keep-last", "1"]);
    assert_eq!(
        json(&database, &["backup", "list"])["backups"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

/// As when root made it, or on a disk that fails: the manifest is there and cannot be read.
#[test]
fn a_backup_that_cannot_be_read_hides_no_other() {
    let database = TestDatabase::populated(111);
    for _ in 0..3 {
        run(&database, &["backup", "create"]);
    }
    let newest = path(&json(&database, &["backup", "list"])["backups"][0], "manifest");
    let aside = database.root().join("aside");
    fs::rename(&newest, &aside).unwrap();
    fs::create_dir(&newest).unwrap();
    let states = || {
        let list = json(&database, &["backup", "list"]);
        let backups = list["backups"].as_array().unwrap();
        let state = |backup: &Value| backup["state"].as_str().unwrap().to_owned();
        backups.iter().map(state).collect::<Vec<_>>()
    };
    assert_eq!(states(), ["unreadable", "complete", "complete"]);

    let status = json(&database, &["status"]);
    assert_ne!(path(&status["last_backup"], "manifest"), newest);
    let verified = BridgeMigrate::new(&database)
        .args(["verify", "--json"])
        .run()
        .json();
    let findings = verified["findings"].as_array().unwrap();
    let found = findings
        .iter()
        .find(|finding| finding["code"] == "BV148")
        .unwrap();
    assert!(
        found["message"].as_str().unwrap().contains("it is a folder"),
        "{found}"
    );

    // What came since the older ones would be lost.
    let before = fs::read(database.path()).unwrap();
    let error = refused(&database, &["restore", "latest"], 1);
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains(newest.to_str().unwrap()),
        "{error}"
    );
    assert!(
        error["truth"].as_str().unwrap().contains("an older one"),
        "{error}"
    );
    assert!(fs::read(database.path()).unwrap() == before);

    // It is not counted among those that are kept.
    run(&database, &["backup", "prune", "--keep-last", "1"]);
    assert_eq!(states(), ["unreadable", "complete"]);
    fs::remove_dir(&newest).unwrap();
    fs::rename(&aside, &newest).unwrap();
    assert_eq!(states(), ["complete", "complete"]);
    run(&database, &["backup", "verify", "latest"]);
}

#[test]
fn a_backup_that_is_not_there_is_named() {
    let database = TestDatabase::populated(108);
    for arguments in [
        &["backup", "verify"][..],
        &["backup", "verify", "20200101_000000"],
        &["restore", "latest"],
    ] {
        let before = tree(database.root());
        let error = refused(&database, arguments, 2);
        assert_eq!(error["kind"], "usage", "{arguments:?}");
        assert_eq!(tree(database.root()), before);
    }
    let missing = TestDatabase::nothing();
    refused(&missing, &["backup", "create"], 1);
    assert_eq!(tree(missing.root()).len(), 1);
    assert_eq!(json(&missing, &["backup", "list"])["backups"], value!([]));
}

/// As the server does it: cut to nothing, then written in pieces, all the time.
fn rewrite(path: &Path, texts: [&str; 2], stop: &AtomicBool) {
    for turn in 0.. {
        let mut file = fs::File::create(path).unwrap();
        for piece in texts[turn % 2].as_bytes().chunks(1024) {
            std::io::Write::write_all(&mut file, piece).unwrap();
            std::thread::sleep(Duration::from_micros(300));
        }
        if stop.load(Ordering::Relaxed) && turn % 2 == 1 {
            return;
        }
        std::thread::sleep(Duration::from_millis(15));
    }
}

#[test]
fn a_token_file_that_is_rewritten_all_the_time_is_backed_up_whole() {
    let database = TestDatabase::populated(123);
    let texts = [tokens::tokens_json(1, 40), tokens::tokens_json(2, 90)];
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| rewrite(&database.tokens(), [&texts[0], &texts[1]], &stop));
        for _ in 0..8 {
            let output = BridgeMigrate::new(&database)
                .args(["backup", "create", "--json"])
                .run();
            // A second in which no whole file could be read is possible on a machine that does other things.
            if output.code != Some(0) {
                assert_eq!(output.json()["error"]["kind"], "companion_invalid", "{output}");
                continue;
            }
            let copy = fs::read_to_string(path(&output.json(), "tokens")).unwrap();
            assert!(texts.contains(&copy), "torn: {} bytes", copy.len());
        }
        stop.store(true, Ordering::Relaxed);
    });
    let made = json(&database, &["backup", "create"]);
    assert_eq!(fs::read_to_string(path(&made, "tokens")).unwrap(), texts[1]);
}

#[test]
fn a_token_file_that_stays_torn_or_empty_is_no_sound_backup() {
    let whole = TestDatabase::populated(124);
    let text = fs::read(whole.tokens()).unwrap();
    for torn in [&b""[..], &text[..text.len() / 2]] {
        let database = TestDatabase::populated(124);
        fs::write(database.tokens(), torn).unwrap();
        let before = tree(database.root());
        for command in [&["backup", "create"][..], &["migrate"]] {
            let error = refused(&database, command, 1);
            assert_eq!(error["kind"], "companion_invalid", "{error}");
        }
        let mut after = tree(database.root());
        after.retain(|path, _| {
            !path.ends_with("collab.db.migrate.lock") && !path.starts_with(database.root().join("logs"))
        });
        assert_eq!(after, before, "no file is left");
    }
}

/// As an older program made them: the digest is that of the torn bytes.
#[test]
fn a_backup_with_a_torn_or_empty_token_file_is_listed_as_bad() {
    let database = TestDatabase::populated(125);
    let text = fs::read(database.tokens()).unwrap();
    run(&database, &["backup", "create"]);
    for torn in [&b""[..], &text[..text.len() / 2]] {
        let made = json(&database, &["backup", "create"]);
        fs::write(path(&made, "tokens"), torn).unwrap();
        let manifest = path(&made, "manifest");
        let mut says: Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
        says["companion"]["bytes"] = torn.len().into();
        says["companion"]["sha256"] = dump::hex(&Sha256::digest(torn)).into();
        fs::write(&manifest, says.to_string()).unwrap();

        let name = made["database"].as_str().unwrap();
        let output = BridgeMigrate::new(&database)
            .args(["backup", "verify", name, "--json"])
            .run();
        output.assert_code(6);
        assert_eq!(
            output.json()["problems"][0]["kind"],
            "companion_invalid",
            "{output}"
        );
        let listed = json(&database, &["backup", "list"])["backups"][0].clone();
        assert_eq!(listed["state"], "incomplete");
        let problem = listed["problem"].as_str().unwrap();
        assert!(problem.contains("is no whole token file"), "{problem}");
        // It is neither put back nor the latest.
        let before = tree(database.folder());
        let error = refused(&database, &["restore", name], 1);
        assert_eq!(error["kind"], "backup_invalid", "{error}");
        assert_eq!(
            tree(database.folder()).get(&database.tokens()),
            before.get(&database.tokens())
        );
        let latest = json(&database, &["restore", "latest", "--dry-run"]);
        assert_ne!(latest["backup"]["database"], made["database"]);
        // The database alone is put back when that is asked for.
        assert!(
            error["hint"].as_str().unwrap().ends_with("--tokens present"),
            "{error}"
        );
        database.execute("DELETE FROM messages WHERE rowid = 1");
        let answer = json(&database, &["restore", name, "--tokens", "present"]);
        assert_eq!(answer["tokens"], "kept");
        assert_eq!(database.count("messages"), 2000);
        assert_eq!(fs::read(database.tokens()).unwrap(), text);
    }
}
