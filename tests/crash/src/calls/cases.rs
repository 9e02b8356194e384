//! The commands that are tried: all that write.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use support::catalog::last;
use support::engine::in_memory;
use support::tokens::tokens_json;
use support::{Nasty, Population, TestDatabase, dump};

use super::case::{Case, DATABASE, TOKENS};
use crate::prover::open;
use crate::truth::Truth;

/// How many there are.
pub const NAMES: [&str; 22] = [
    "fresh",
    "migrate",
    "migrate-wal",
    "adopt",
    "backup-create",
    "backup-create-wal",
    "backup-prune",
    "restore",
    "restore-wal",
    "restore-missing",
    "rollback-down",
    "rollback-restore",
    "undo",
    "log-prune",
    "rehearse",
    "restore-note",
    "restore-merge",
    "restore-merge-wal",
    "kept-reclaim",
    "kept-reclaim-wal",
    "kept-prune",
    "repair",
];

/// What the token file holds when a restore has to replace it.
const OTHER_TOKENS: u64 = 77;

/// Databases that the cases begin with.
struct Bases {
    folder: TestDatabase,
    original: Vec<u8>,
    migrated: PathBuf,
}

impl Bases {
    fn new(wal: bool, seed: u64, is_nasty: bool) -> Self {
        in_memory();
        let folder = if is_nasty {
            TestDatabase::with_nasty(&Nasty {
                seed,
                messages: 60,
                chain: 30,
                huge_text: 20_000,
                ..Nasty::default()
            })
        } else {
            TestDatabase::with(&Population {
                seed,
                odd_timestamps: 50,
                ..Population::of_messages(300)
            })
        };
        folder.set_wal(wal);
        let original = fs::read(folder.path()).unwrap();
        let migrated = folder.folder().join("migrated.db");
        fs::write(&migrated, &original).unwrap();
        let run = support::BridgeMigrate::new(&folder)
            .database(&migrated)
            .args(["migrate", "--no-backup"])
            .run();
        assert_eq!(run.code, Some(0), "{run}");
        Self {
            folder,
            original,
            migrated,
        }
    }

    fn truth(&self, is_undone: bool) -> Truth {
        let catalog = bridge_migrate::catalog().unwrap();
        Truth::new(&catalog, Some(&self.folder.path()), &self.migrated, is_undone)
    }

    fn tokens(&self) -> Vec<u8> {
        fs::read(self.folder.tokens()).unwrap()
    }

    /// A command on the database of 1.0.0.
    fn at_first(&self, name: &'static str, arguments: &[&str]) -> Case {
        let case = Case::new(name, arguments, self.truth(false));
        case.put(TOKENS, &self.tokens());
        case.put(DATABASE, &self.original);
        case
    }

    /// A command on the migrated database.
    fn at_last(&self, name: &'static str, arguments: &[&str]) -> Case {
        let case = self.at_first(name, arguments);
        case.put(DATABASE, &fs::read(&self.migrated).unwrap());
        case
    }
}

/// Prepares a case by its name. Same seed, same rows.
///
/// # Panics
/// When there is none of that name, or a preparation fails.
pub fn case(name: &str, seed: u64) -> Case {
    let name = NAMES.into_iter().find(|known| *known == name).unwrap();
    let wal = name.ends_with("-wal");
    match name {
        "fresh" => fresh(),
        "migrate" => Bases::new(wal, seed, true)
            .at_first(name, &["migrate"])
            .from_here(),
        // Into a folder that is not there yet.
        "migrate-wal" | "backup-create-wal" => {
            let arguments: &[&str] = if name == "migrate-wal" {
                &["migrate"]
            } else {
                &["backup", "create"]
            };
            let mut case = Bases::new(wal, seed, true).at_first(name, arguments).from_here();
            case.backups = "kept/backups";
            case
        }
        "adopt" => Bases::new(wal, seed, true).at_first(name, &["adopt"]).from_here(),
        "backup-create" => {
            let bases = Bases::new(wal, seed, true);
            bases.at_first(name, &["backup", "create"]).from_here()
        }
        "backup-prune" => backup_prune(&Bases::new(wal, seed, true)),
        "restore" | "restore-wal" | "restore-missing" | "restore-note" => {
            restore(name, &Bases::new(wal, seed, true))
        }
        "restore-merge" | "restore-merge-wal" => restore_merge(name, &Bases::new(wal, seed, true)),
        "kept-reclaim" | "kept-reclaim-wal" => {
            let case = Bases::new(wal, seed, true).at_last(name, &["kept", "reclaim"]);
            drop_and_keep(&case);
            case.from_here()
        }
        "kept-prune" => {
            let mut case = Bases::new(wal, seed, true).at_last(name, &["kept", "prune"]);
            drop_and_keep(&case);
            case.prepare(&["kept", "reclaim"]);
            case.at_once = true;
            case.from_here()
        }
        "repair" => repair(&Bases::new(wal, seed, true)),
        "rollback-down" => {
            let down = ["rollback", "--to", "1.0.0", "--strategy", "down", "--yes"];
            Bases::new(wal, seed, true).at_last(name, &down).from_here()
        }
        "rollback-restore" => {
            let restore = ["rollback", "--to", "1.0.0", "--strategy", "restore", "--yes"];
            let case = Bases::new(wal, seed, true).at_first(name, &restore);
            case.prepare(&["migrate"]);
            // A server wrote it since.
            case.put(TOKENS, tokens_json(OTHER_TOKENS, 12).as_bytes());
            case.from_here()
        }
        "undo" => {
            let bases = Bases::new(wal, seed, true);
            let mut case = bases.at_last(name, &["undo", "5"]).from_here();
            case.truth = bases.truth(true);
            case
        }
        "log-prune" => {
            let bases = Bases::new(wal, seed, true);
            let mut case = bases.at_last(name, &["log", "prune"]).from_here();
            case.truth = bases.truth(false).with_pruned_journal();
            case
        }
        // The nasty rows are not all kept by 1.0.0's own statements, which a rehearsal finds.
        _ => Bases::new(wal, seed, false)
            .at_first(name, &["rehearse"])
            .from_here(),
    }
}

/// Nothing at all → the last release, in a folder that the program makes.
fn fresh() -> Case {
    in_memory();
    let done = TestDatabase::nothing();
    let run = support::BridgeMigrate::new(&done)
        .args(["migrate", "--no-backup"])
        .run();
    assert_eq!(run.code, Some(0), "{run}");
    let catalog = bridge_migrate::catalog().unwrap();
    let truth = Truth::new(&catalog, None, &done.path(), false);
    let mut case = Case::new("fresh", &["migrate"], truth);
    // It makes only the default folder, and only where it was not asked for another.
    case.database = None;
    case
}

fn backup_prune(bases: &Bases) -> Case {
    let case = bases.at_first("backup-prune", &["backup", "prune", "--keep-last", "1"]);
    for _ in 0..3 {
        case.prepare(&["backup", "create"]);
    }
    case.from_here()
}

/// 1.2.0 with other tokens → a backup of 1.0.0; or the same where the database is missing, or where a rollback was
/// interrupted and left its note.
fn restore(name: &'static str, bases: &Bases) -> Case {
    let mut case = bases.at_first(name, &["restore"]);
    case.prepare(&["backup", "create"]);
    let backup = fs::read_dir(case.root().join("data"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .find(|file| file.starts_with("collab.db.backup.") && !file.ends_with(".json"))
        .unwrap();
    let stamp = backup.trim_start_matches("collab.db.backup.");
    case.arguments.push(stamp.to_owned());
    case.put(TOKENS, tokens_json(OTHER_TOKENS, 12).as_bytes());
    if name == "restore-note" {
        let copy = case.root().join("data").join(&backup);
        let note = format!(
            r#"{{"backup": {:?}, "from": {}, "to": 1}}"#,
            copy.display().to_string(),
            last()
        );
        case.put("data/collab.db.rollback.json", note.as_bytes());
    }
    if name == "restore-missing" {
        fs::remove_file(case.root().join(DATABASE)).unwrap();
    } else {
        case.put(DATABASE, &fs::read(&bases.migrated).unwrap());
    }
    case.from_here()
}

/// Rows and values that a rollback drops and keeps, and the migration again.
fn drop_and_keep(case: &Case) {
    change(
        case,
        "UPDATE messages SET edited_at = timestamp WHERE edited_at IS NULL AND rowid % 2;
         INSERT OR IGNORE INTO reactions SELECT id, 'somebody', ':)', timestamp FROM messages WHERE rowid % 3;
         INSERT OR IGNORE INTO message_revisions SELECT id, 1, 'before', NULL, timestamp, 'edit' FROM messages;",
    );
    case.prepare(&["rollback", "--to", "V007", "--strategy", "down", "--yes"]);
    case.prepare(&["migrate", "--no-backup"]);
}

fn change(case: &Case, sql: &str) {
    let connection = open(&case.root().join(DATABASE)).unwrap();
    connection.execute_batch(sql).unwrap();
}

/// A database whose tokens were revoked and issued since its backup, in the file and in the tables, each in another
/// order.
fn restore_merge(name: &'static str, bases: &Bases) -> Case {
    let mut case = bases.at_last(name, &["restore", "latest", "--tokens", "merge"]);
    case.prepare(&["backup", "create"]);
    let mut file: Value = serde_json::from_slice(&bases.tokens()).unwrap();
    let revoked: Vec<String> = file["revoked"]
        .as_array()
        .unwrap()
        .iter()
        .map(|token| token.as_str().unwrap().to_owned())
        .collect();
    let tokens = file["tokens"].as_object().unwrap().keys().cloned();
    let valid: Vec<String> = tokens.filter(|token| !revoked.contains(token)).take(3).collect();
    let [in_both, in_file, in_tables] = valid.try_into().unwrap();
    let hash = |token: &str| dump::hex(&Sha256::digest(token));
    let revoke = |token: &str| {
        format!(
            "INSERT INTO revoked_tokens VALUES ('{}', '2026-03-02');",
            hash(token)
        )
    };
    let forget = |token: &str| format!("DELETE FROM auth_tokens WHERE token_hash = '{}';", hash(token));
    for token in [&in_both, &in_file] {
        file["revoked"]
            .as_array_mut()
            .unwrap()
            .push(token.as_str().into());
    }
    file["tokens"].as_object_mut().unwrap().remove(&in_tables);
    file["tokens"]["tk_new"] = json!({
        "client_id": "new", "created_at": "2026-03-01T00:00:00", "expires_at": "2027-03-01T00:00:00"
    });
    case.put(TOKENS, serde_json::to_string_pretty(&file).unwrap().as_bytes());
    change(
        &case,
        &(revoke(&in_both) + &forget(&in_file) + &revoke(&in_tables)),
    );
    case.revoked = [in_both, in_file, in_tables]
        .map(|token| (hash(&token), token))
        .into();
    case.truth = case.truth.with_changed_tokens();
    case.at_once = true;
    case.from_here()
}

/// What only the tool wrote is gone or wrong.
fn repair(bases: &Bases) -> Case {
    let mut case = bases.at_last("repair", &["repair", "--yes"]);
    change(
        &case,
        "DELETE FROM schema_version;
         INSERT INTO migration_progress VALUES (2, 'long_ago', '1.1.0', '{}', 'up', '', 7, 0, 0, 0, '2026-03-01')",
    );
    let note = format!(r#"{{"backup": "data/none", "from": {}, "to": 1}}"#, last());
    case.put("data/collab.db.rollback.json", note.as_bytes());
    case.truth = case.truth.with_broken_records();
    case.at_once = true;
    case.from_here()
}
