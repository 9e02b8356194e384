//! `tokens`: the file into the database again and again, and what a broken file does: nothing.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use support::{BridgeMigrate, TestDatabase, tokens};

use crate::common::{assert_output, json, refused, run, tree};

fn migrated(seed: u64) -> TestDatabase {
    let database = TestDatabase::populated(seed);
    run(&database, &["migrate", "--no-backup"]);
    database
}

fn rows(database: &TestDatabase) -> Vec<String> {
    let mut rows = database.query_strings("SELECT * FROM auth_tokens ORDER BY token_hash");
    rows.extend(database.query_strings("SELECT * FROM revoked_tokens ORDER BY token_hash"));
    rows
}

fn edit(database: &TestDatabase, change: impl FnOnce(&mut Value)) {
    let mut file: Value = serde_json::from_slice(&fs::read(database.tokens()).unwrap()).unwrap();
    change(&mut file);
    fs::write(database.tokens(), serde_json::to_string_pretty(&file).unwrap()).unwrap();
}

#[test]
fn importing_again_changes_nothing() {
    let database = migrated(141);
    let (before, bytes) = (rows(&database), fs::read(database.path()).unwrap());
    for _ in 0..2 {
        assert_eq!(json(&database, &["tokens", "import"])["added"], 0);
    }
    assert_eq!(rows(&database), before);
    assert!(fs::read(database.path()).unwrap() == bytes);
    assert_output("tokens_verify", &run(&database, &["tokens", "verify"]));
}

#[test]
fn importing_adds_what_came_since_and_changes_nothing_else() {
    let database = migrated(142);
    let before = rows(&database);
    edit(&database, |file| {
        let first = file["tokens"].as_object().unwrap().keys().next().unwrap().clone();
        // The file forgets a token, issues one and revokes one that it never had.
        file["tokens"].as_object_mut().unwrap().remove(&first);
        file["tokens"]["tk_new"] =
            serde_json::json!({"client_id": "new", "created_at": "2026-03-01T00:00:00", "expires_at": null});
        file["revoked"]
            .as_array_mut()
            .unwrap()
            .push("tk_unheard_of".into());
    });
    let output = BridgeMigrate::new(&database).args(["tokens", "verify"]).run();
    output.assert_code(6);
    assert_output("tokens_differ", &output);
    assert_eq!(json(&database, &["tokens", "import"])["added"], 2);
    let after = rows(&database);
    assert_eq!(after.len(), before.len() + 2);
    assert!(before.iter().all(|row| after.contains(row)));
    assert!(
        after
            .iter()
            .any(|row| row.ends_with("|new|2026-03-01T00:00:00+00:00|NULL"))
    );
}

#[test]
fn importing_keeps_what_the_database_knows_better() {
    let database = migrated(143);
    database.execute("UPDATE auth_tokens SET client_id = 'renamed' WHERE rowid = 1");
    json(&database, &["tokens", "import"]);
    assert_eq!(
        database.query_string("SELECT count(*) FROM auth_tokens WHERE client_id = 'renamed'"),
        "1"
    );
    let output = BridgeMigrate::new(&database)
        .args(["tokens", "verify", "--json"])
        .run();
    output.assert_code(6);
    assert_eq!(output.json()["tokens"]["differing"], 1);
}

#[test]
fn before_its_migration_there_is_nothing_to_import_into() {
    let database = TestDatabase::populated(144);
    let before = fs::read(database.path()).unwrap();
    for command in ["import", "verify"] {
        let output = BridgeMigrate::new(&database)
            .args(["tokens", command, "--json"])
            .run();
        assert!(matches!(output.code, Some(1 | 2)), "{output}");
        assert_eq!(output.json()["ok"], false);
    }
    assert!(fs::read(database.path()).unwrap() == before);
}

#[test]
fn a_file_that_is_rewritten_in_place_meanwhile_is_read_whole() {
    let database = migrated(145);
    let (short, long) = (tokens::tokens_json(145, 40), tokens::tokens_json(145, 90));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut turn = 0_u32;
            while !stop.load(Ordering::Relaxed) {
                let text = if turn.is_multiple_of(2) { &long } else { &short };
                // As the server does it: cut to nothing, then written in pieces.
                let mut file = fs::File::create(database.tokens()).unwrap();
                for piece in text.as_bytes().chunks(4096) {
                    std::io::Write::write_all(&mut file, piece).unwrap();
                    std::thread::sleep(Duration::from_millis(1));
                }
                drop(file);
                std::thread::sleep(Duration::from_millis(60));
                turn += 1;
            }
            fs::write(database.tokens(), &long).unwrap();
        });
        for _ in 0..8 {
            run(&database, &["tokens", "import"]);
            let known = database.count("auth_tokens");
            assert!(known == 40 || known == 90, "{known}");
        }
        stop.store(true, Ordering::Relaxed);
    });
    run(&database, &["tokens", "import"]);
    assert_eq!(database.count("auth_tokens"), 90);
    assert_eq!(json(&database, &["tokens", "verify"])["equal"], true);
}

#[test]
fn a_file_that_is_completed_within_a_second_is_waited_for() {
    let database = TestDatabase::populated(146);
    let whole = fs::read(database.tokens()).unwrap();
    fs::write(database.tokens(), &whole[..whole.len() / 2]).unwrap();
    let running = BridgeMigrate::new(&database)
        .args(["migrate", "--no-backup"])
        .spawn();
    std::thread::sleep(Duration::from_millis(300));
    fs::write(database.tokens(), &whole).unwrap();
    running.wait().assert_code(0);
    assert_eq!(database.count("auth_tokens"), 40);
}

#[test]
fn a_broken_file_stops_a_migration_before_anything_is_written() {
    let secret = "tk_secret_secret_secret_secret_secret_secre";
    let huge = format!(
        "{{\"tokens\": {{}}, \"revoked\": [], \"padding\": \"{}\"}}",
        "x".repeat(17 << 20)
    );
    let cases: [(&str, Vec<u8>); 11] = [
        ("empty", Vec::new()),
        (
            "half",
            format!("{{\"tokens\": {{\"{secret}\": {{\"client_id\": \"c\"").into_bytes(),
        ),
        ("not_json", format!("{secret} was here").into_bytes()),
        ("list", format!("[\"{secret}\"]").into_bytes()),
        ("no_tokens", b"{\"revoked\": []}".to_vec()),
        (
            "tokens_list",
            format!("{{\"tokens\": [\"{secret}\"]}}").into_bytes(),
        ),
        (
            "entry_text",
            format!("{{\"tokens\": {{\"{secret}\": \"{secret}\"}}}}").into_bytes(),
        ),
        (
            "no_client",
            format!("{{\"tokens\": {{\"{secret}\": {{}}}}}}").into_bytes(),
        ),
        ("revoked_numbers", b"{\"tokens\": {}, \"revoked\": [1]}".to_vec()),
        ("two_objects", b"{\"tokens\": {}}{\"tokens\": {}}".to_vec()),
        ("huge", huge.into_bytes()),
    ];
    for (name, content) in cases {
        let database = TestDatabase::populated(147);
        fs::write(database.tokens(), &content).unwrap();
        let before = tree(database.root());
        let output = BridgeMigrate::new(&database).arg("migrate").run();
        output.assert_code(1);
        assert!(!output.to_string().contains(secret), "{name}");
        assert_output(&format!("tokens_{name}"), &output);
        assert_eq!(tree(database.root()), before, "{name}");
    }
}

/// As secrets are mounted into containers.
#[cfg(unix)]
#[test]
fn a_link_to_the_token_file_is_followed_by_every_command() {
    let database = TestDatabase::populated(149);
    let real = database.root().join("secret.json");
    fs::rename(database.tokens(), &real).unwrap();
    std::os::unix::fs::symlink(&real, database.tokens()).unwrap();
    for arguments in [
        &["migrate"][..],
        &["tokens", "verify"],
        &["tokens", "import"],
        &["backup", "verify"],
        &["restore", "latest"],
        &["migrate"],
        &["tokens", "verify"],
    ] {
        BridgeMigrate::new(&database).args(arguments).run().assert_code(0);
    }
    assert!(database.tokens().is_symlink() && real.is_file());
}

#[test]
fn a_broken_file_does_not_harm_what_was_imported() {
    let database = migrated(148);
    let before = fs::read(database.path()).unwrap();
    fs::write(database.tokens(), "{").unwrap();
    for command in ["import", "verify"] {
        assert_eq!(
            refused(&database, &["tokens", command], 1)["kind"],
            "companion_invalid"
        );
    }
    fs::remove_file(database.tokens()).unwrap();
    fs::create_dir(database.tokens()).unwrap();
    refused(&database, &["tokens", "import"], 1);
    assert!(fs::read(database.path()).unwrap() == before);
}
