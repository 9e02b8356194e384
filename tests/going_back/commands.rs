//! The commands of going back as people and scripts meet them.

use std::os::unix::fs::PermissionsExt;

use support::catalog::last_of;
use support::{BridgeMigrate, CommandOutput, TestDatabase, dump};

use crate::engine::rows;

fn run(database: &TestDatabase, line: &str) -> CommandOutput {
    BridgeMigrate::new(database).args(line.split(' ')).run()
}

/// At 1.2.0, with a preference, a token and a message that 1.0.0 does not know.
fn used() -> TestDatabase {
    let database = TestDatabase::populated(11);
    run(&database, "migrate --to 1.2.0").assert_code(0);
    database.execute(
        "UPDATE rooms SET preferences = '{}x' WHERE rowid = 1; \
         INSERT INTO auth_tokens VALUES ('deadbeef00', 'mallory', '2026-03-01T10:00:00+00:00', NULL); \
         INSERT INTO revoked_tokens VALUES ('deadbeef00', '2026-03-02T10:00:00+00:00'); \
         UPDATE messages SET text = 'a secret message' WHERE rowid = 1",
    );
    database
}

#[test]
fn nobody_to_ask_is_a_no_and_changes_nothing() {
    let database = used();
    let before = database.bytes_of_folder();
    let output = run(&database, "rollback --to 1.0.0");
    output.assert_code(1);
    assert_eq!(before, database.bytes_of_folder());
    assert!(
        output
            .stderr
            .contains("going back would lose: message_revisions: 1 row, kept in a file"),
        "{output}"
    );
    assert!(output.stderr.contains("rollback --to 1 --yes"), "{output}");
    assert!(output.stdout.contains("down         loses (chosen):"), "{output}");
    let json = run(&database, "--json rollback --to 1.0.0");
    assert_eq!(json.json()["error"]["kind"], "confirmation_needed");
    assert_eq!(json.code, Some(1));
}

#[test]
fn a_plan_names_the_clients_of_tokens_that_only_the_database_has_and_no_token() {
    let database = used();
    let before = database.bytes_of_folder();
    let output = run(&database, "rollback --to 1.0.0 --dry-run");
    output.assert_code(0);
    assert_eq!(before, database.bytes_of_folder(), "a dry run changes nothing");
    for text in [
        "auth_tokens, revoked_tokens: 2 entries not in tokens.json, kept in a file",
        "mallory, issued 2026-03-01 10:00:00 UTC",
        "mallory, revoked 2026-03-02 10:00:00 UTC",
    ] {
        assert!(output.stdout.contains(text), "{text}\n{output}");
    }
    let tokens = std::fs::read(database.tokens()).unwrap();
    let done = run(&database, "rollback --to 1.0.0 --yes");
    done.assert_code(0);
    assert_eq!(
        std::fs::read(database.tokens()).unwrap(),
        tokens,
        "the token file is as it was"
    );
    let logs: String = std::fs::read_dir(database.root().join("logs"))
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    for secret in ["deadbeef00", "a secret message"] {
        for said in [&output.stdout, &output.stderr, &done.stdout, &done.stderr, &logs] {
            assert!(!said.contains(secret), "{secret}");
        }
    }
}

#[test]
fn scripts_get_the_keys_of_the_contract() {
    let database = used();
    let plan = run(&database, "--json rollback --to 1.0.0 --dry-run").json();
    assert_eq!(plan["strategy"], "down");
    assert_eq!(plan["from"]["release"], "1.2.0");
    let last = last_of("1.2.0");
    assert_eq!(plan["reverted"].as_array().unwrap().len(), last as usize - 1);
    assert_eq!(plan["alternatives"][1]["strategy"], "undo");
    assert!(plan["alternatives"][1]["closed"].is_string());
    let done = run(&database, "--json rollback --to 1.0.0 --yes").json();
    assert_eq!(
        (&done["to"]["release"], &done["ok"]),
        (&"1.0.0".into(), &true.into())
    );
    assert_eq!(done["reverted"][0]["version"], last);
    assert!(done["loses"].as_array().unwrap().len() >= 3);
    assert_eq!(
        run(&database, "--json rollback --to 1.0.0").json()["run"],
        serde_json::Value::Null
    );
}

#[test]
fn what_was_dropped_is_kept_for_its_owner_only_and_comes_back() {
    let database = used();
    let before = rows(&database, &[]);
    let done = run(&database, "--json rollback --to 1.0.0 --strategy down --yes").json();
    let kept: Vec<&str> = done["kept"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file.as_str().unwrap())
        .collect();
    assert_eq!(kept.len(), 3, "V009, V004 and V002: {kept:?}");
    for file in &kept {
        let mode = std::fs::metadata(file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{file}");
    }
    assert_eq!(
        database.query_string("SELECT version FROM schema_version ORDER BY applied_at DESC LIMIT 1"),
        "1.0.0"
    );
    run(&database, "migrate --to 1.2.0 --reclaim").assert_code(0);
    dump::assert_same(&before, &rows(&database, &[]));
}

#[test]
fn what_is_kept_is_named_and_taken_back_at_any_later_time() {
    let database = used();
    let before = rows(&database, &[]);
    run(&database, "rollback --to 1.1.0 --strategy down --yes").assert_code(0);
    for command in ["status", "plan", "migrate", "migrate"] {
        let people = run(&database, command);
        people.assert_code(0);
        for part in [
            "message_revisions: ",
            "kept by rollback ",
            "take back with ",
            " kept reclaim",
        ] {
            assert!(people.stdout.contains(part), "{command}: {part}\n{people}");
        }
    }
    for command in ["status", "plan", "migrate"] {
        let kept = &run(&database, &format!("--json {command}")).json()["kept"];
        assert!(kept["rows"].as_u64().unwrap() > 0, "{command}: {kept}");
        assert!(
            kept["command"].as_str().unwrap().ends_with("kept reclaim"),
            "{kept}"
        );
        for key in [
            "file", "run", "version", "name", "table", "column", "rows", "left", "problem",
        ] {
            assert!(kept["of"][0].get(key).is_some(), "{command}: {key} in {kept}");
        }
    }
    let list = run(&database, "--json kept list").json();
    assert_eq!(list["others"], serde_json::json!([]));
    let refused = run(&database, "kept prune");
    refused.assert_code(1);
    assert!(refused.stderr.contains("pruning would lose: "), "{refused}");
    assert!(refused.stderr.contains(" kept prune --yes"), "{refused}");

    let done = run(&database, "--json kept reclaim");
    done.assert_code(0);
    let json = done.json();
    assert_eq!(json["stays"], serde_json::json!([]), "{json}");
    dump::assert_same(&before, &rows(&database, &[]));
    let again = run(&database, "kept reclaim");
    assert_eq!(again.stdout, "nothing is kept that has not come back\n");
    let status = run(&database, "--json status").json();
    assert_eq!(status["kept"], serde_json::Value::Null);
    // Somebody pruned it by name and was killed after the file was gone.
    let file = list["kept"][0]["file"].as_str().unwrap();
    std::fs::remove_file(database.folder().join(file)).unwrap();
    run(&database, &format!("kept prune {file}")).assert_code(0);
    run(&database, &format!("kept prune {file}")).assert_code(2);
    run(&database, "kept prune").assert_code(0);
    assert_eq!(
        run(&database, "--json kept list").json()["kept"],
        serde_json::json!([])
    );
    let logs = std::fs::read_dir(database.root().join("logs")).unwrap();
    for log in logs {
        let text = std::fs::read_to_string(log.unwrap().path()).unwrap();
        assert!(!text.contains("secret"), "{text}");
    }
}

#[test]
fn what_was_revoked_stays_so_without_asking_and_nothing_else_stays_kept_for_ever() {
    let database = used();
    let revoked = |database: &TestDatabase| {
        database.query_strings("SELECT token_hash || revoked_at FROM revoked_tokens ORDER BY 1")
    };
    // What the file does not tell: since when.
    database.execute("UPDATE revoked_tokens SET revoked_at = '2026-02-01T00:00:00+00:00' WHERE rowid <= 2");
    let (before, all) = (revoked(&database), rows(&database, &[]));
    let mut files = Vec::new();
    for to in ["1.0.0", "3", "1.0.0"] {
        run(&database, &format!("rollback --to {to} --strategy down --yes")).assert_code(0);
        run(&database, "migrate --to 1.2.0").assert_code(0);
        assert_eq!(revoked(&database), before, "after {to}");
        let done = run(&database, "--json kept reclaim").json();
        assert_eq!(done["stays"], serde_json::json!([]), "{to}: {done}");
        dump::assert_same(&all, &rows(&database, &[]));
        files = database.query_strings("SELECT file FROM migration_kept ORDER BY rowid");
    }

    // A file that was away while the token file was imported: what is there says the same, or is another's.
    let file = files
        .iter()
        .rfind(|file| file.ends_with(".V004"))
        .unwrap()
        .clone();
    database.execute(&format!(
        "DELETE FROM migration_kept_back WHERE file = '{file}'; \
         UPDATE revoked_tokens SET revoked_at = 'later'; UPDATE auth_tokens SET client_id = 'x' WHERE rowid = 1"
    ));
    let done = run(&database, "kept reclaim");
    done.assert_code(0);
    assert!(
        done.stdout
            .contains(": another row has its key, with another client_id"),
        "{done}"
    );
    let list = run(&database, "kept list");
    for page in [&done, &list] {
        assert!(page.stdout.contains(" kept reclaim --give-up\n"), "{page}");
    }
    let done = run(&database, "kept reclaim --give-up");
    done.assert_code(0);
    assert!(done.stdout.contains("given up: "), "{done}");
    assert!(done.stdout.contains(" kept prune\n"), "{done}");
    assert!(!run(&database, "kept list").stdout.contains("reclaim"));
    run(&database, "kept prune").assert_code(0);
    assert_eq!(
        run(&database, "--json status").json()["kept"],
        serde_json::Value::Null
    );
}

#[test]
fn single_records_go_back_and_a_conflict_is_left() {
    let database = TestDatabase::populated(12);
    let old = database.dump_columns("messages", &["id", "timestamp"]);
    run(&database, "migrate").assert_code(0);
    let key = database.query_string("SELECT id FROM migration_affected_records ORDER BY seq LIMIT 1");
    let edited = database.query_string("SELECT id FROM migration_affected_records ORDER BY seq DESC LIMIT 1");
    database.execute(&format!(
        "UPDATE messages SET timestamp = 'edited' WHERE id = '{edited}'"
    ));
    let before = database.bytes_of_folder();
    let dry = run(&database, "undo V005 --dry-run");
    dry.assert_code(0);
    assert_eq!(before, database.bytes_of_folder());
    assert!(dry.stdout.contains(&key) || dry.stdout.contains("more"), "{dry}");
    assert!(
        dry.stdout.contains(&format!(
            "messages {edited}: the value was changed after the migration"
        )),
        "{dry}"
    );
    let one = run(&database, &format!("--json undo 5 --key {key}")).json();
    assert_eq!(one["reverted_count"], 1);
    assert_eq!(one["reverted"][0]["key"], key.as_str());
    assert_eq!(one["conflicts"], serde_json::json!([]));
    let all = run(&database, "--json undo 5").json();
    assert_eq!(all["conflict_count"], 1);
    assert_eq!(all["remaining"], 1);
    assert_eq!(run(&database, "--json undo 5 --force").json()["remaining"], 0);
    assert_eq!(database.dump_columns("messages", &["id", "timestamp"]), old);
    assert_eq!(
        database.query_strings("SELECT DISTINCT command FROM migration_runs ORDER BY command"),
        ["migrate", "undo"]
    );
    for wrong in ["undo 5 --key nobody", "undo 1.1.0", "undo 17"] {
        run(&database, wrong).assert_code(2);
    }
    run(&database, "undo 2").assert_code(1);
}

#[test]
fn pruning_says_what_can_no_longer_be_undone_and_then_it_cannot() {
    let database = TestDatabase::populated(13);
    run(&database, "migrate").assert_code(0);
    let before = database.bytes_of_folder();
    let dry = run(&database, "log prune --dry-run");
    dry.assert_code(0);
    assert_eq!(before, database.bytes_of_folder());
    assert!(
        dry.stdout.contains("could no longer be put back one by one"),
        "{dry}"
    );
    let done = run(&database, "--json log prune --migration V005").json();
    assert_eq!(done["pruned"][0]["version"], 5);
    assert_eq!(done["command"], "log prune");
    let refused = run(&database, "undo 5");
    refused.assert_code(1);
    assert!(refused.stderr.contains("was pruned"), "{refused}");
    let refused = run(&database, "rollback --to 4 --strategy down --yes");
    refused.assert_code(1);
    assert!(refused.stderr.contains("was pruned"), "{refused}");
    assert_eq!(run(&database, "log prune").stdout, "nothing to prune\n");
    run(&database, "log").assert_code(0);
}

#[test]
fn history_shows_how_each_migration_goes_back() {
    let database = TestDatabase::populated(14);
    run(&database, "migrate").assert_code(0);
    let text = run(&database, "history --rollback");
    for part in [
        "V005 normalize_timestamps\n  goes back by: journal messages.timestamp\n",
        "Nothing is lost.",
        "goes back by: it was adopted, and stays",
        "goes back by: clear messages.thread_id",
    ] {
        assert!(text.stdout.contains(part), "{part}\n{text}");
    }
    let json = run(&database, "--json history").json();
    assert_eq!(json["applied"][4]["way_back"], "journal messages.timestamp");
    assert!(
        json["applied"][4]["rollback"]
            .as_str()
            .unwrap()
            .contains("Nothing is lost")
    );
}

#[test]
fn a_backup_of_another_application_is_refused_unless_forced() {
    let database = TestDatabase::populated(15);
    run(&database, "migrate").assert_code(0);
    let other = TestDatabase::nothing();
    other.execute("CREATE TABLE songs (title TEXT); INSERT INTO songs VALUES ('one')");
    run(&other, "backup create").assert_code(0);
    let backup = std::fs::read_dir(other.folder())
        .unwrap()
        .map(|entry| entry.unwrap().path().display().to_string())
        .find(|name| name.contains(".backup.") && !name.ends_with(".json"))
        .unwrap();
    let before = database.bytes_of_folder();
    for dry_run in ["", " --dry-run"] {
        let refused = run(&database, &format!("restore {backup}{dry_run}"));
        refused.assert_code(1);
        assert!(
            refused
                .stderr
                .contains("is not a backup of a database of the Claude Multi-Agent Bridge"),
            "{refused}"
        );
    }
    assert_eq!(before, database.bytes_of_folder());
    // A backup of the same application from elsewhere is welcome.
    let elsewhere = TestDatabase::populated(16);
    run(&elsewhere, "backup create --backup-dir moved").assert_code(0);
    let backup = std::fs::read_dir(elsewhere.root().join("moved"))
        .unwrap()
        .map(|entry| entry.unwrap().path().display().to_string())
        .find(|name| name.contains("collab.db.backup.") && !name.ends_with(".json"))
        .unwrap();
    run(&database, &format!("restore {backup}")).assert_code(0);
    assert_eq!(database.dump(), elsewhere.dump());
}
