//! Each hint leads on: from a state that is not as it should be, the commands that the program itself advises, typed
//! one after the other, end with everything in order.

use std::fs;
use std::path::PathBuf;

use support::catalog::last;
use support::{BridgeMigrate, TestDatabase, command};

use crate::common::{STRATEGYS_QUERY, json, refused, run};

/// More hints in a row are a circle.
const AT_MOST: usize = 4;

/// The exit code and the answer of a command.
fn try_to(database: &TestDatabase, arguments: &[&str]) -> (Option<i32>, String) {
    let output = BridgeMigrate::new(database).args(arguments).arg("--json").run();
    (output.code, output.stdout)
}

/// Types what `arguments` fails with as its hint, and so on, until a command succeeds; then `arguments` once more.
/// Gives the hints in their order, without the program's name and options.
#[track_caller]
fn follow(database: &TestDatabase, arguments: &[&str]) -> Vec<String> {
    let mut path = command::binary().parent().unwrap().as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let (mut code, mut answer) = try_to(database, arguments);
    let mut hints = Vec::new();
    while code != Some(0) {
        assert!(
            hints.len() < AT_MOST,
            "{arguments:?} leads in a circle: {hints:?} {answer}"
        );
        let said: serde_json::Value = serde_json::from_str(&answer).unwrap();
        let hint = said["error"]["hint"].as_str().unwrap().to_owned();
        let is_ours = hint.starts_with("bridge-migrate ");
        let typed = std::process::Command::new("sh")
            .args([
                "-c",
                &if is_ours {
                    format!("{hint} --json")
                } else {
                    hint.clone()
                },
            ])
            .current_dir(database.root())
            .env("PATH", &path)
            .env("DATABASE_PATH", database.path())
            .env("BRIDGE_TOKENS", database.tokens())
            .output()
            .unwrap();
        let failed = typed.status.code() != Some(0);
        assert!(
            is_ours || !failed,
            "{hint}: {}",
            String::from_utf8_lossy(&typed.stderr)
        );
        (code, answer) = match failed {
            true => (typed.status.code(), String::from_utf8(typed.stdout).unwrap()),
            // It has done what it could; what was wanted at first tells.
            false => try_to(database, arguments),
        };
        hints.push(hint);
    }
    let commands = ["adopt", "backup", "kept", "repair", "rollback", "tokens"];
    hints
        .iter()
        .map(|hint| {
            let words: Vec<&str> = hint.split(' ').collect();
            let start = words.iter().position(|word| commands.contains(word));
            words[start.unwrap_or(0)..].join(" ")
        })
        .collect()
}

fn current() -> TestDatabase {
    let database = TestDatabase::populated(171);
    run(&database, &["migrate"]);
    database
}

#[test]
fn a_schema_version_that_contradicts_the_history_is_written_again_from_it() {
    let rows = "SELECT version || ' ' || migration_file FROM schema_version ORDER BY applied_at";
    for damage in [
        "DELETE FROM schema_version",
        "DELETE FROM schema_version WHERE version = '1.1.0'",
        "DROP TABLE schema_version",
        "UPDATE schema_version SET applied_at = '1999-01-01 00:00:00' WHERE version = '1.2.0'",
        "UPDATE schema_version SET version = '1.2.1' WHERE version = '1.2.0'",
    ] {
        let database = current();
        let before = database.query_strings(rows);
        database.execute(damage);
        let content = database.dump_columns("messages", &["id", "text", "timestamp"]);
        assert_eq!(
            follow(&database, &["verify"]),
            ["repair", "repair --yes"],
            "{damage}"
        );
        for release in &before {
            assert!(
                database.query_strings(rows).contains(release),
                "{damage}: {release}"
            );
        }
        assert_eq!(database.query_string(STRATEGYS_QUERY), "1.2.0", "{damage}");
        assert_eq!(
            database.dump_columns("messages", &["id", "text", "timestamp"]),
            content
        );
        let again = json(&database, &["repair", "--yes"]);
        assert_eq!(
            (&again["run"], &again["repairs"]),
            (&serde_json::Value::Null, &serde_json::json!([]))
        );
        assert_eq!(
            database.query_strings("SELECT command FROM migration_runs ORDER BY rowid"),
            ["migrate", "repair"]
        );
    }
}

#[test]
fn a_repair_only_says_what_it_would_do_until_it_is_told_to() {
    let database = current();
    database.execute("DELETE FROM schema_version");
    let before = database.bytes_of_folder();
    let error = refused(&database, &["repair"], 6);
    assert!(
        error["hint"].as_str().unwrap().ends_with(" repair --yes"),
        "{error}"
    );
    assert_eq!(database.bytes_of_folder(), before);
    let done = json(&database, &["repair", "--yes"]);
    let secured = PathBuf::from(done["secured"].as_str().unwrap());
    assert!(secured.exists() && done["run"].is_string(), "{done}");
    assert_eq!(done["repairs"][0]["subject"], "schema_version");
}

#[test]
fn what_killed_runs_left_is_removed_and_work_to_go_on_with_is_named() {
    let database = current();
    database.execute(
        "INSERT INTO migration_progress VALUES (5, 'normalize_timestamps', '1.1.0', 'journal', 'up', '7', 7, 1, 0, 0, 'now')",
    );
    let half = database.folder().join(".bridge-migrate-0a1b2c.tmp");
    fs::write(&half, "half").unwrap();
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    fs::File::options()
        .write(true)
        .open(&half)
        .unwrap()
        .set_modified(old)
        .unwrap();
    // A copy that was read from, or rehearsed on.
    let copies = database.folder().join(".bridge-migrate-3d4e5f");
    fs::create_dir(&copies).unwrap();
    fs::write(copies.join("owner.lock"), "").unwrap();
    fs::write(copies.join("copy.db"), "secrets").unwrap();
    fs::File::open(&copies).unwrap().set_modified(old).unwrap();
    let note = database.folder().join("collab.db.rollback.json");
    fs::write(
        &note,
        format!(
            r#"{{"backup": "collab.db.backup.20200101_000000", "from": {}, "to": 1}}"#,
            last()
        ),
    )
    .unwrap();
    assert_eq!(
        follow(&database, &["migrate"]),
        ["rollback --to 1", "repair", "repair --yes"]
    );
    assert!(!note.exists() && !half.exists() && !copies.exists());
    assert_eq!(database.count("migration_progress"), 0);
    assert_eq!(json(&database, &["repair"])["repairs"], serde_json::json!([]));

    // A note that the tool did not write is set aside, not removed.
    fs::write(&note, "mine").unwrap();
    let hints = follow(&database, &["migrate"]);
    assert_eq!(hints.len(), 2, "{hints:?}");
    assert_eq!(
        fs::read_to_string(note.with_extension("json.aside")).unwrap(),
        "mine"
    );
}

#[test]
fn an_unadopted_database_that_is_not_quite_one_gets_there() {
    let has_shell = support::shell::sqlite3_shell().is_some();
    for (change, hints) in [
        (
            "ALTER TABLE rooms ADD COLUMN archived_at TEXT",
            ["adopt --accept-additions"].as_slice(),
        ),
        (
            "CREATE TABLE schema_version (version TEXT PRIMARY KEY, applied_at, migration_file); \
             INSERT INTO schema_version VALUES ('1.2.0', '2026-01-01 00:00:00', 'by hand')",
            &["adopt --release 1.0.0"],
        ),
        ("DROP INDEX idx_active", &["*"]),
        (
            "DROP INDEX idx_active; ALTER TABLE rooms ADD COLUMN archived_at TEXT",
            &["*", "adopt --accept-additions"],
        ),
    ] {
        if hints[0] == "*" && !has_shell {
            continue;
        }
        let database = TestDatabase::populated(172);
        database.execute(change);
        let status = json(&database, &["status"]);
        if status["presence"] == "unrecognized" {
            let said = status["hint"].as_str().unwrap();
            assert!(hints[0] == "*" || said.ends_with(hints[0]), "{change}: {said}");
        }
        let found = follow(&database, &["migrate"]);
        assert_eq!(found.len(), hints.len(), "{change}: {found:?}");
        for (found, expected) in found.iter().zip(hints) {
            assert!(*expected == "*" || found == expected, "{change}: {found}");
        }
        assert_eq!(json(&database, &["status"])["release"], "1.2.0");
    }
}

#[test]
fn tables_of_somebody_else_that_have_names_of_ours_get_another_one() {
    if support::shell::sqlite3_shell().is_none() {
        return;
    }
    for (table, columns) in [
        ("MIGRATION_RUNS", "x"),
        ("Migration_kept", "x"),
        ("migration_progress", "version, name"),
        ("Migration_Steps", "version, name"),
        ("Schema_Version", "x"),
        ("Refinery_Schema_History", "x"),
        // One that a migration makes.
        ("Auth_Tokens", "x"),
    ] {
        let database = TestDatabase::populated(173);
        database.execute(&format!(
            "CREATE TABLE {table} ({columns}); INSERT INTO {table} DEFAULT VALUES"
        ));
        let before = fs::read(database.path()).unwrap();
        assert!(
            matches!(try_to(&database, &["migrate"]).0, Some(1 | 6)),
            "{table}"
        );
        assert_eq!(
            fs::read(database.path()).unwrap(),
            before,
            "{table}: something was written"
        );
        // Adopting it would only put the refusal off.
        assert!(matches!(try_to(&database, &["adopt"]).0, Some(1 | 6)), "{table}");
        assert_eq!(fs::read(database.path()).unwrap(), before, "{table}: adopted");
        assert_eq!(follow(&database, &["migrate"]).len(), 1, "{table}");
        let theirs =
            database
                .connect()
                .query_row(&format!("SELECT count(*) FROM {table}_before"), [], |row| {
                    row.get::<_, u64>(0)
                });
        assert_eq!(theirs, Ok(1), "{table}");
    }
}

/// What was in it is in a backup alone: neither a new column nor a list of backups brings it back.
#[test]
fn a_column_that_our_own_tables_lack_is_brought_back_by_a_backup() {
    let database = TestDatabase::populated(176);
    assert_eq!(try_to(&database, &["migrate"]).0, Some(0));
    assert_eq!(try_to(&database, &["backup", "create"]).0, Some(0));
    database.execute("ALTER TABLE migration_steps DROP COLUMN fingerprint");
    let (code, answer) = try_to(&database, &["verify"]);
    assert_eq!(code, Some(6));
    let said: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert!(!answer.contains("ADD COLUMN"), "{answer}");
    let hint = said["error"]["hint"].as_str().unwrap();
    assert!(hint.ends_with(" restore latest --dry-run"), "{hint}");
    for command in [
        &["restore", "latest", "--dry-run"][..],
        &["restore", "latest"],
        &["verify"],
    ] {
        assert_eq!(try_to(&database, command).0, Some(0), "{command:?}");
    }
}

#[test]
fn kept_rows_whose_file_is_gone_are_given_up() {
    let database = current();
    database.execute("INSERT INTO reactions VALUES ('m', 'c', '+1', 'now')");
    let done = json(
        &database,
        &["rollback", "--to", "1.1.0", "--strategy", "down", "--yes"],
    );
    fs::remove_file(done["kept"][0].as_str().unwrap()).unwrap();
    let kept = &json(&database, &["status"])["kept"]["of"];
    assert!(
        kept[0]["problem"]
            .as_str()
            .unwrap()
            .contains("its file is not in"),
        "{kept}"
    );
    assert_eq!(follow(&database, &["repair"]), ["kept prune"]);
    assert_eq!(json(&database, &["status"])["kept"], serde_json::Value::Null);
}

#[test]
fn tokens_that_a_server_cleaned_up_are_no_difference_and_new_ones_are_imported() {
    let database = current();
    run(&database, &["tokens", "verify"]);
    // Gone from the file, as the server's `cleanup_expired` leaves it.
    database.execute(
        "INSERT INTO auth_tokens VALUES ('0123', 'c', '2020-01-01T00:00:00+00:00', '2020-02-01T00:00:00+00:00'), \
         ('4567', 'c', '2020-01-01T00:00:00+00:00', '2020-02-01T00:00:00.5+00:00'); \
         INSERT INTO revoked_tokens VALUES ('4567', '2020-01-02T00:00:00+00:00')",
    );
    let said = json(&database, &["tokens", "verify"]);
    assert_eq!(
        (&said["tokens"]["ended"], &said["revoked"]["ended"]),
        (&2.into(), &1.into())
    );

    let text = fs::read_to_string(database.tokens()).unwrap();
    let mut tokens: serde_json::Value = serde_json::from_str(&text).unwrap();
    tokens["revoked"]
        .as_array_mut()
        .unwrap()
        .push("f".repeat(43).into());
    fs::write(database.tokens(), tokens.to_string()).unwrap();
    assert_eq!(follow(&database, &["tokens", "verify"]), ["tokens import"]);

    // What a server of 1.1.0 issued, and its clients need no file for.
    database.execute("INSERT INTO auth_tokens VALUES ('89ab', 'c', '2020-01-01T00:00:00+00:00', NULL)");
    let output = run(&database, &["tokens", "verify"]);
    assert!(output.stdout.contains("do not know 1 token: "), "{output}");
    let said = json(&database, &["tokens", "verify"]);
    assert_eq!(
        (&said["equal"], &said["tokens"]["only_in_database"]),
        (&false.into(), &1.into())
    );
}

#[test]
fn what_file_and_database_say_of_a_token_comes_to_agree() {
    let database = current();
    let file = || serde_json::from_slice::<serde_json::Value>(&fs::read(database.tokens()).unwrap()).unwrap();
    let mut before = file();
    before["tokens"]["tk_lives"] =
        serde_json::json!({"client_id": "lives", "created_at": null, "expires_at": null});
    fs::write(database.tokens(), before.to_string()).unwrap();
    assert_eq!(follow(&database, &["tokens", "verify"]), ["tokens import"]);
    assert_eq!(file(), before);
    // A server of 1.1.0 revokes a token that the file has: one of 1.0.0 would still let it in.
    database.execute(
        "INSERT INTO revoked_tokens SELECT token_hash, '2026-03-01T00:00:00+00:00' FROM auth_tokens \
         WHERE client_id = 'lives'; \
         INSERT INTO revoked_tokens VALUES ('of a token that the file never had', '2026-03-01T00:00:00+00:00')",
    );
    assert_eq!(follow(&database, &["tokens", "verify"]), ["tokens import"]);
    let after = file();
    let revoked = |file: &serde_json::Value| file["revoked"].as_array().unwrap().clone();
    assert_eq!(after["tokens"], before["tokens"]);
    assert_eq!(revoked(&after)[..revoked(&before).len()], revoked(&before)[..]);
    assert_eq!(revoked(&after)[revoked(&before).len()..], ["tk_lives"]);
    let command = "SELECT command FROM migration_runs ORDER BY rowid DESC LIMIT 1";
    assert_eq!(database.query_string(command), "tokens import");
    assert_eq!(json(&database, &["tokens", "import"])["file_written"], false);

    // Two clients for one token: somebody has to say which of them is right.
    database.execute("UPDATE auth_tokens SET client_id = 'another' WHERE rowid = 1");
    let rows = database.count("auth_tokens");
    assert_eq!(
        follow(&database, &["tokens", "verify"]),
        ["tokens import --overwrite"]
    );
    assert_eq!(file(), after);
    assert_eq!(database.count("auth_tokens"), rows);
    let others = "SELECT count(*) FROM auth_tokens WHERE client_id = 'another'";
    assert_eq!(database.query_string(others), "0");
}
