//! Tokens are in the database as digests, and nowhere else.

use std::fs;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use support::tokens::REVOKED_AND_FORGOTTEN;
use support::{BridgeMigrate, TestDatabase, dump};

use crate::common::{contents, json};

fn sha256(token: &str) -> String {
    dump::hex(&Sha256::digest(token))
}

fn file(database: &TestDatabase) -> Value {
    serde_json::from_slice(&fs::read(database.tokens()).unwrap()).unwrap()
}

#[test]
fn every_token_is_imported_as_its_sha_256() {
    let database = TestDatabase::populated(21);
    json(&database, &["migrate"]);
    let file = file(&database);
    let mut expected: Vec<String> = file["tokens"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(token, entry)| {
            let text = |key: &str| entry[key].as_str().unwrap().to_owned();
            // The populated file has microseconds everywhere; in UTC a naive time keeps its digits.
            let [created, expires] = ["created_at", "expires_at"].map(|key| format!("{}+00:00", text(key)));
            format!("{}|{}|{created}|{expires}", sha256(token), text("client_id"))
        })
        .collect();
    expected.sort();
    let select = "SELECT token_hash, client_id, created_at, expires_at FROM auth_tokens ORDER BY token_hash";
    assert_eq!(database.query_strings(select), expected);
    let mut revoked: Vec<String> = file["revoked"]
        .as_array()
        .unwrap()
        .iter()
        .map(|token| sha256(token.as_str().unwrap()))
        .collect();
    revoked.sort();
    assert!(revoked.contains(&sha256(REVOKED_AND_FORGOTTEN)));
    assert_eq!(
        database.query_strings("SELECT token_hash FROM revoked_tokens ORDER BY token_hash"),
        revoked
    );
}

#[test]
fn naive_local_times_of_tokens_become_utc() {
    let database = TestDatabase::fresh_1_0_0();
    let tokens = r#"{"tokens": {"tk_one": {"client_id": "c", "created_at": "2026-02-01T12:00:00",
        "expires_at": "2026-07-01T12:00:00.5"}}, "revoked": []}"#;
    fs::write(database.tokens(), tokens).unwrap();
    BridgeMigrate::new(&database)
        .timezone("Europe/Berlin")
        .arg("migrate")
        .run()
        .assert_code(0);
    assert_eq!(
        database.query_strings("SELECT created_at, expires_at FROM auth_tokens"),
        ["2026-02-01T11:00:00+00:00|2026-07-01T10:00:00.500000+00:00"]
    );
}

#[test]
fn no_plain_token_is_in_any_file_or_stream() {
    let database = TestDatabase::populated(22);
    let file = file(&database);
    let mut tokens: Vec<String> = file["tokens"].as_object().unwrap().keys().cloned().collect();
    tokens.push(REVOKED_AND_FORGOTTEN.to_owned());
    let mut said = String::new();
    for arguments in [
        &["migrate", "--verbose"][..],
        &["status", "--verbose"],
        &["backup", "create", "--verbose"],
        &["backup", "verify"],
        &["tokens", "import", "--verbose"],
        &["tokens", "verify", "--verbose"],
        &["log", "--json"],
        &["history", "--json"],
        &["restore", "latest", "--verbose"],
    ] {
        let output = BridgeMigrate::new(&database).args(arguments).run();
        output.assert_code(0);
        said.push_str(&output.stdout);
        said.push_str(&output.stderr);
    }
    let mut places: Vec<(String, String)> = contents(database.root(), &["tokens.json"])
        .into_iter()
        .map(|(path, content)| {
            (
                path.display().to_string(),
                String::from_utf8_lossy(&content).into_owned(),
            )
        })
        .collect();
    let kinds = [
        "collab.db",
        ".log",
        ".json",
        "collab.db.backup.",
        "collab.db.migrate.lock",
    ];
    for kind in kinds {
        assert!(places.iter().any(|(path, _)| path.contains(kind)), "{kind}");
    }
    places.push(("what the program said".to_owned(), said));
    for token in tokens {
        for (place, text) in &places {
            assert!(!text.contains(&token), "{place}");
        }
    }
}

#[test]
fn a_database_without_a_token_file_has_no_tokens() {
    let database = TestDatabase::fresh_1_0_0();
    let answer = json(&database, &["migrate"]);
    assert_eq!(answer["backup"]["tokens"], Value::Null);
    assert_eq!(
        (database.count("auth_tokens"), database.count("revoked_tokens")),
        (0, 0)
    );
    assert!(!database.tokens().exists());
}
