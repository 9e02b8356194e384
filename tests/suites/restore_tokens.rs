//! `restore` and the tokens: what was revoked since stays revoked, what was issued since stays, in the file and in the
//! database, unless somebody asks for something else.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json as value};
use sha2::{Digest as _, Sha256};
use support::{BridgeMigrate, TestDatabase, dump};

use crate::common::{assert_output, json, refused, run};

/// At the newest version, with 40 tokens in the file and in the database, and a backup of that.
fn backed_up(seed: u64, wal: bool) -> TestDatabase {
    let database = TestDatabase::populated(seed);
    database.set_wal(wal);
    run(&database, &["migrate", "--no-backup"]);
    run(&database, &["backup", "create"]);
    database
}

fn file(database: &TestDatabase) -> Value {
    serde_json::from_slice(&fs::read(database.tokens()).unwrap()).unwrap()
}

fn tokens(file: &Value) -> BTreeSet<String> {
    file["tokens"].as_object().unwrap().keys().cloned().collect()
}

fn revoked(file: &Value) -> BTreeSet<String> {
    let texts = file["revoked"].as_array().unwrap().iter();
    texts.map(|token| token.as_str().unwrap().to_owned()).collect()
}

fn hash(token: &str) -> String {
    dump::hex(&Sha256::digest(token))
}

fn is_in(database: &TestDatabase, table: &str, token: &str) -> bool {
    let hash = hash(token);
    database.query_string(&format!(
        "SELECT count(*) FROM {table} WHERE token_hash = '{hash}'"
    )) == "1"
}

/// The first tokens of the file that are not revoked.
fn valid(database: &TestDatabase, count: usize) -> Vec<String> {
    let file = file(database);
    let valid = tokens(&file)
        .difference(&revoked(&file))
        .take(count)
        .cloned()
        .collect::<Vec<_>>();
    assert_eq!(valid.len(), count);
    valid
}

fn edit(database: &TestDatabase, change: impl FnOnce(&mut Value)) {
    let mut file = file(database);
    change(&mut file);
    fs::write(database.tokens(), serde_json::to_string_pretty(&file).unwrap()).unwrap();
}

fn issue(file: &mut Value, token: &str) {
    file["tokens"][token] = value!({"client_id": "new", "created_at": "2026-03-01T00:00:00", "expires_at": "2027-03-01T00:00:00"});
}

fn revoke(file: &mut Value, token: &str) {
    file["revoked"].as_array_mut().unwrap().push(token.into());
}

#[track_caller]
fn assert_agree(database: &TestDatabase) {
    assert_eq!(json(database, &["tokens", "verify"])["equal"], true);
}

#[test]
fn what_was_revoked_since_stays_revoked_and_what_was_issued_since_stays() {
    for wal in [false, true] {
        let database = backed_up(171, wal);
        let before = file(&database);
        let [gone, in_file, in_database] = valid(&database, 3).try_into().unwrap();
        edit(&database, |file| {
            issue(file, "tk_new");
            revoke(file, &in_file);
            file["tokens"].as_object_mut().unwrap().remove(&gone);
        });
        run(&database, &["tokens", "import"]);
        database.execute(&format!(
            "DELETE FROM auth_tokens WHERE token_hash = '{}'; INSERT INTO revoked_tokens VALUES ('{}', '2026-03-02')",
            hash(&gone),
            hash(&in_database)
        ));
        let counts = value!({"came_back": 1, "went": 0, "stay_revoked": 2, "kept": 1});
        let dry = json(&database, &["restore", "latest", "--dry-run"]);
        assert_eq!(dry["token_counts"], counts);
        if !wal {
            let output = run(&database, &["restore", "latest", "--dry-run"]);
            assert!(
                output
                    .stdout
                    .contains("1 would come back, 2 would stay revoked, 1 issued since would stay"),
                "{output}"
            );
            assert!(!output.to_string().contains(&in_file), "a token is a secret");
        }
        let present = fs::read(database.tokens()).unwrap();
        let answer = json(&database, &["restore", "latest"]);
        assert_eq!(answer["tokens"], "merged");
        assert_eq!(answer["token_counts"], counts);
        assert_eq!(
            fs::read(answer["secured"]["tokens"].as_str().unwrap()).unwrap(),
            present
        );

        let after = file(&database);
        let mut all = tokens(&before);
        all.insert("tk_new".to_owned());
        assert_eq!(tokens(&after), all);
        assert_eq!(after["tokens"][&gone], before["tokens"][&gone]);
        for token in [&in_file, &in_database] {
            assert!(revoked(&after).contains(token));
            assert!(is_in(&database, "revoked_tokens", token));
        }
        assert!(is_in(&database, "auth_tokens", "tk_new"));
        assert!(is_in(&database, "auth_tokens", &gone));
        assert_agree(&database);
        assert_eq!(
            database.query_string("PRAGMA journal_mode"),
            if wal { "wal" } else { "delete" }
        );
        // Again, it changes nothing any more.
        let bytes = fs::read(database.tokens()).unwrap();
        json(&database, &["restore", "latest"]);
        assert_eq!(fs::read(database.tokens()).unwrap(), bytes);
        assert_agree(&database);
    }
}

#[test]
fn the_backups_or_the_present_tokens_are_taken_when_they_are_asked_for() {
    let database = backed_up(172, false);
    let old = fs::read(database.tokens()).unwrap();
    let [token] = valid(&database, 1).try_into().unwrap();
    edit(&database, |file| {
        issue(file, "tk_new");
        revoke(file, &token);
    });
    run(&database, &["tokens", "import"]);
    let new = fs::read(database.tokens()).unwrap();
    run(&database, &["backup", "create"]);
    let list = json(&database, &["backup", "list"]);
    let stamp = |index: usize| list["backups"][index]["stamp"].as_str().unwrap().to_owned();
    let (newer, older) = (stamp(0), stamp(1));

    let answer = json(&database, &["restore", &older, "--tokens", "present"]);
    assert_eq!(answer["tokens"], "kept");
    assert_eq!(answer["token_counts"]["stay_revoked"], 1);
    assert_eq!(fs::read(database.tokens()).unwrap(), new);
    assert!(is_in(&database, "revoked_tokens", &token) && is_in(&database, "auth_tokens", "tk_new"));
    assert_agree(&database);

    let answer = json(&database, &["restore", &older, "--tokens=backup"]);
    assert_eq!(answer["tokens"], "replaced");
    assert_eq!(
        answer["token_counts"],
        value!({"came_back": 1, "went": 1, "stay_revoked": 0, "kept": 0})
    );
    assert_eq!(fs::read(database.tokens()).unwrap(), old);
    assert!(!is_in(&database, "revoked_tokens", &token) && !is_in(&database, "auth_tokens", "tk_new"));
    assert_agree(&database);

    // What the newer backup has and the present lacks is not there when the present ones are wanted.
    let answer = json(&database, &["restore", &newer, "--tokens", "present"]);
    assert_eq!(answer["token_counts"]["came_back"], 0);
    assert_eq!(fs::read(database.tokens()).unwrap(), old);
    assert!(!is_in(&database, "auth_tokens", "tk_new"));
    assert_agree(&database);
    let path = database.tokens();
    let output = BridgeMigrate::new(&database)
        .args(["restore", &newer, "--json", "--tokens", "merge", "--tokens"])
        .arg(&path)
        .run();
    output.assert_code(0);
    assert_eq!(fs::read(&path).unwrap(), new);
}

/// Before V004 the file is all there is: what only the database knew of revocations is written there.
#[test]
fn values_that_are_no_utf_8_come_through_a_merge_byte_for_byte() {
    let database = TestDatabase::populated(176);
    run(&database, &["migrate", "--no-backup"]);
    let odd = "SELECT group_concat(typeof(token_hash) || ' ' || hex(token_hash) || ' ' || hex(client_id), '\n') \
               FROM (SELECT * FROM auth_tokens WHERE client_id GLOB '*odd' ORDER BY token_hash)";
    database.execute(
        "INSERT INTO auth_tokens VALUES (X'00', CAST(X'FF' || 'odd' AS TEXT), NULL, NULL), \
         (CAST(X'FE' AS TEXT), 'odd', NULL, NULL)",
    );
    run(&database, &["backup", "create"]);
    // Only this one has a hash that a token may lead to, and can have been issued since.
    database.execute("INSERT INTO auth_tokens VALUES ('since', CAST(X'C3' || 'odd' AS TEXT), NULL, NULL)");
    let before = database.query_string(odd);
    assert_eq!(
        before,
        "text 73696E6365 C36F6464\ntext FE 6F6464\nblob 00 FF6F6464"
    );
    run(&database, &["restore", "latest"]);
    assert_eq!(database.query_string(odd), before);
}

#[test]
fn a_backup_without_token_tables_keeps_revocations_in_the_file() {
    let database = TestDatabase::populated(173);
    run(&database, &["migrate"]);
    let [token] = valid(&database, 1).try_into().unwrap();
    database.execute(&format!(
        "INSERT INTO revoked_tokens VALUES ('{}', '2026-03-02'); \
         INSERT INTO auth_tokens VALUES ('deadbeef', 'only here', '2026-03-02', NULL)",
        hash(&token)
    ));
    let answer = json(&database, &["restore", "latest"]);
    assert_eq!(
        answer["token_counts"],
        value!({"came_back": 0, "went": 1, "stay_revoked": 1, "kept": 0})
    );
    assert!(revoked(&file(&database)).contains(&token));
    run(&database, &["migrate"]);
    assert!(is_in(&database, "revoked_tokens", &token));
    assert_agree(&database);
}

#[test]
fn a_rollback_to_the_runs_backup_keeps_revocations_too() {
    let database = TestDatabase::populated(174);
    run(&database, &["migrate", "--to", "1.1.0", "--no-backup"]);
    run(&database, &["migrate"]);
    let [token] = valid(&database, 1).try_into().unwrap();
    edit(&database, |file| {
        issue(file, "tk_new");
        revoke(file, &token);
    });
    let back = ["rollback", "--to", "1.1.0", "--strategy", "restore"];
    let dry = json(&database, &[&back[..], &["--dry-run"]].concat());
    assert_eq!(dry["loses"], value!([]), "{dry}");
    assert_eq!(dry["token_counts"]["stay_revoked"], 1);
    assert_eq!(dry["token_counts"]["kept"], 1);
    // As they were in the backup, they would come back and go: that is a loss to be confirmed.
    let as_in_backup = [&back[..], &["--tokens", "backup"]].concat();
    let error = refused(&database, &as_in_backup, 1);
    assert_eq!(error["kind"], "confirmation_needed");
    assert!(
        error["hint"].as_str().unwrap().contains("--tokens backup"),
        "{error}"
    );
    let answer = json(&database, &back);
    assert_eq!(answer["token_counts"]["stay_revoked"], 1);
    assert!(revoked(&file(&database)).contains(&token) && tokens(&file(&database)).contains("tk_new"));
    assert_agree(&database);
}

#[test]
fn a_torn_present_file_is_never_merged_and_never_lost() {
    for torn in [&b""[..], b"{\"tokens\": {\"tk_secret"] {
        let database = backed_up(175, false);
        let whole = fs::read(database.tokens()).unwrap();
        fs::write(database.tokens(), torn).unwrap();
        let before = database.dump();
        for keep in ["merge", "present"] {
            let error = refused(&database, &["restore", "latest", "--tokens", keep], 1);
            assert_eq!(error["kind"], "companion_invalid", "{error}");
            assert!(
                error["hint"].as_str().unwrap().ends_with("--tokens backup"),
                "{error}"
            );
        }
        if torn.is_empty() {
            let output = BridgeMigrate::new(&database).args(["restore", "latest"]).run();
            assert_output("restore_torn_tokens", &output);
        }
        dump::assert_same(&before, &database.dump());
        assert_eq!(fs::read(database.tokens()).unwrap(), torn);
        let answer = json(&database, &["restore", "latest", "--tokens", "backup"]);
        assert_eq!(answer["tokens"], "replaced");
        assert_eq!(fs::read(database.tokens()).unwrap(), whole);
        assert_eq!(
            fs::read(answer["secured"]["tokens"].as_str().unwrap()).unwrap(),
            torn
        );
        assert_agree(&database);
    }
}

#[test]
fn where_the_file_is_gone_the_database_still_tells_what_was_revoked() {
    let database = backed_up(176, true);
    let [token] = valid(&database, 1).try_into().unwrap();
    database.execute(&format!(
        "INSERT INTO revoked_tokens VALUES ('{}', '2026-03-02')",
        hash(&token)
    ));
    fs::remove_file(database.tokens()).unwrap();
    assert_eq!(json(&database, &["restore", "latest"])["tokens"], "created");
    assert!(revoked(&file(&database)).contains(&token));
    assert_agree(&database);
}

#[test]
fn where_the_database_is_gone_the_file_still_tells_what_was_revoked() {
    for (damaged, wal) in [(None, false), (None, true), (Some("once upon a time"), false)] {
        let database = backed_up(177, wal);
        let [token] = valid(&database, 1).try_into().unwrap();
        edit(&database, |file| {
            issue(file, "tk_new");
            revoke(file, &token);
        });
        match damaged {
            None => fs::remove_file(database.path()).unwrap(),
            Some(text) => fs::write(database.path(), text).unwrap(),
        }
        json(&database, &["restore", "latest"]);
        assert!(is_in(&database, "revoked_tokens", &token) && is_in(&database, "auth_tokens", "tk_new"));
        assert_agree(&database);
        assert_eq!(database.query_string("PRAGMA integrity_check"), "ok");
        assert_eq!(
            database.query_string("PRAGMA journal_mode"),
            if wal { "wal" } else { "delete" }
        );
    }
}

/// A server of 1.0.0: it keeps its tokens in memory, and rewrites the whole file in place on each change.
struct Issuing {
    tokens: Mutex<Value>,
    issued: Mutex<BTreeSet<String>>,
    revoked: Mutex<BTreeSet<String>>,
    stop: AtomicBool,
}

impl Issuing {
    fn run(&self, database: &TestDatabase) {
        for turn in 0.. {
            let token = format!("tk_{turn:040}");
            let mut tokens = self.tokens.lock().unwrap();
            issue(&mut tokens, &token);
            if turn % 2 == 1 {
                revoke(&mut tokens, &token);
            }
            let text = serde_json::to_string_pretty(&*tokens).unwrap();
            let mut file = fs::File::create(database.tokens()).unwrap();
            for piece in text.as_bytes().chunks(4096) {
                std::io::Write::write_all(&mut file, piece).unwrap();
            }
            drop(file);
            // Only now is the client told.
            self.issued.lock().unwrap().insert(token.clone());
            if turn % 2 == 1 {
                self.revoked.lock().unwrap().insert(token);
            }
            drop(tokens);
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            std::thread::sleep(Duration::from_millis(7));
        }
    }
}

#[test]
fn nothing_that_a_server_acknowledged_meanwhile_is_lost_from_the_file() {
    for round in 0..3 {
        let database = backed_up(178 + round, round % 2 == 1);
        let server = Issuing {
            tokens: Mutex::new(file(&database)),
            issued: Mutex::default(),
            revoked: Mutex::default(),
            stop: AtomicBool::new(false),
        };
        std::thread::scope(|scope| {
            scope.spawn(|| server.run(&database));
            std::thread::sleep(Duration::from_millis(50));
            let restoring = BridgeMigrate::new(&database)
                .args(["restore", "latest", "--json"])
                .spawn();
            // The last change falls somewhere around the restore's last moments.
            std::thread::sleep(Duration::from_millis(150 + 100 * round));
            server.stop.store(true, Ordering::Relaxed);
            let output = restoring.wait();
            // On a machine that does other things, no whole file may be read for a second.
            assert!(
                output.code == Some(0) || output.json()["error"]["kind"] == "companion_invalid",
                "{output}"
            );
        });
        let left = file(&database);
        let (issued, revoked_since) = (server.issued.lock().unwrap(), server.revoked.lock().unwrap());
        assert!(tokens(&left).is_superset(&issued));
        assert!(revoked(&left).is_superset(&revoked_since));
        // Beside a server at rest, both agree.
        json(&database, &["restore", "latest"]);
        let left = file(&database);
        assert!(tokens(&left).is_superset(&issued) && revoked(&left).is_superset(&revoked_since));
        assert_agree(&database);
    }
}
