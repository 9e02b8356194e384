//! What bad input gets: a clear error, the right exit code, and a database that is the same to the byte.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use bridge_migrate::SCHEMA_VERSION;
use support::catalog::last;
use support::database::odd_folder_names;
use support::statements::run_statements_once;
use support::{BridgeMigrate, CommandOutput, TestDatabase, dump, proof};

use crate::common::{assert_output, contents, json, refused, run};

/// All files of a database with their content, but for the lock, the logs and what backups added.
fn files(database: &TestDatabase) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    contents(
        database.root(),
        &[
            "collab.db.migrate.lock",
            "migration_",
            "collab.db.backup.",
            "tokens.json.backup.",
        ],
    )
}

/// Runs `migrate`, which must be refused with this code and leave everything as it is.
#[track_caller]
fn assert_refused(name: &str, database: &TestDatabase, arguments: &[&str], code: i32) -> CommandOutput {
    let before = files(database);
    let output = BridgeMigrate::new(database).args(arguments).run();
    output.assert_code(code);
    assert_output(&format!("bad_{name}"), &output);
    assert!(files(database) == before, "{name}: a file is another");
    let again = BridgeMigrate::new(database).args(arguments).arg("--json").run();
    assert_eq!(again.json()["error"]["exit_code"], code, "{again}");
    output
}

#[test]
fn what_is_no_database_is_refused() {
    let cases: [(&str, &[u8]); 5] = [
        ("text", b"hello\n"),
        ("one_byte", b"S"),
        ("only_magic", b"SQLite format 3\0"),
        ("zeros", &[0; 8192]),
        ("json", b"{\"tokens\": {}}"),
    ];
    for (name, content) in cases {
        let database = TestDatabase::nothing();
        fs::write(database.path(), content).unwrap();
        assert_refused(&format!("no_database_{name}"), &database, &["migrate"], 1);
        for command in ["status", "plan", "adopt", "history"] {
            refused(&database, &[command], 1);
        }
        assert_eq!(fs::read(database.path()).unwrap(), content);
    }
}

#[test]
fn a_damaged_database_is_refused() {
    // The page of the schema, one in the middle of the data, and a file that was cut off.
    let schema = TestDatabase::populated(171);
    schema.damage(100, &[0xff; 200]);
    assert_refused("corrupt_schema", &schema, &["migrate"], 6);

    let data = TestDatabase::populated(171);
    let root: usize = data
        .query_string("SELECT rootpage FROM sqlite_schema WHERE name = 'messages'")
        .parse()
        .unwrap();
    data.damage((root - 1) * 4096, &[0xff; 64]);
    assert_refused("corrupt_page", &data, &["migrate"], 6);

    let short = TestDatabase::populated(171);
    let bytes = fs::read(short.path()).unwrap();
    fs::write(short.path(), &bytes[..bytes.len() / 2 / 4096 * 4096]).unwrap();
    assert_refused("cut_off", &short, &["migrate"], 6);
}

#[test]
fn a_target_that_does_not_exist_is_refused() {
    let database = TestDatabase::populated(172);
    assert_refused("unknown_migration", &database, &["migrate", "--to", "V042"], 2);
    assert_refused("unknown_release", &database, &["migrate", "--to", "1.0.5"], 2);
    assert_refused("no_target", &database, &["migrate", "--to", "newest"], 2);
    // Nothing is made for it where nothing is.
    let nothing = TestDatabase::nothing();
    refused(&nothing, &["migrate", "--to", "V042"], 2);
    assert!(!nothing.path().exists());
}

/// A migrated database on which a statement was run by hand.
fn edited(sql: &str) -> TestDatabase {
    edited_at("latest", sql)
}

fn edited_at(target: &str, sql: &str) -> TestDatabase {
    let database = TestDatabase::populated(173);
    run(&database, &["migrate", "--no-backup", "--to", target]);
    database.execute(sql);
    database
}

#[test]
fn a_newer_database_is_refused() {
    let database = edited(&format!(
        "INSERT INTO refinery_schema_history VALUES ({}, 'of_the_future', '2027-01-01T00:00:00Z', '1')",
        last() + 1
    ));
    assert_refused("newer", &database, &["migrate"], 5);
    for arguments in [
        &["plan"][..],
        &["wait", "--for", "1.2.0", "--timeout", "0"],
        &["adopt"],
    ] {
        assert_eq!(refused(&database, arguments, 5)["kind"], "newer", "{arguments:?}");
    }
}

#[test]
fn an_edited_history_is_refused_without_a_panic() {
    for (name, sql) in [
        ("time", "SET applied_on = 'yesterday' WHERE version = 3"),
        ("time_null", "SET applied_on = NULL WHERE version = 3"),
        ("checksum", "SET checksum = 'sum' WHERE version = 3"),
        (
            "checksum_huge",
            "SET checksum = '99999999999999999999999' WHERE version = 3",
        ),
        ("checksum_blob", "SET checksum = X'ff' WHERE version = 3"),
        ("name_null", "SET name = NULL WHERE version = 3"),
        ("name_no_utf8", "SET name = CAST(X'ff' AS TEXT) WHERE version = 3"),
        ("version_negative", "SET version = -3 WHERE version = 3"),
        (
            "version_huge",
            "SET version = 9223372036854775807 WHERE version = 9",
        ),
    ] {
        let database = edited_at("1.2.0", &format!("UPDATE refinery_schema_history {sql}"));
        let output = assert_refused(&format!("history_{name}"), &database, &["migrate"], 6);
        assert!(!output.stderr.contains("panicked"), "{output}");
        for command in ["status", "plan", "history", "adopt"] {
            let output = BridgeMigrate::new(&database).args([command, "--json"]).run();
            assert!(matches!(output.code, Some(0 | 6)), "{command}: {output}");
            assert!(!output.stderr.contains("panicked"), "{output}");
            output.json();
        }
    }
    let database = edited("DROP TABLE refinery_schema_history; CREATE TABLE refinery_schema_history (x)");
    assert_refused("history_columns", &database, &["migrate"], 6);
}

#[test]
fn an_applied_migration_that_diverges_is_refused() {
    for (name, sql) in [
        (
            "checksum",
            "UPDATE refinery_schema_history SET checksum = '17' WHERE version = 8",
        ),
        (
            "name",
            "UPDATE refinery_schema_history SET name = 'renamed' WHERE version = 8",
        ),
        ("gap", "DELETE FROM refinery_schema_history WHERE version = 4"),
    ] {
        assert_refused(&format!("divergent_{name}"), &edited(sql), &["migrate"], 6);
    }
}

#[test]
fn a_link_is_followed_and_the_lock_lies_beside_the_real_file() {
    let database = TestDatabase::populated(174);
    let elsewhere = database.root().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let link = elsewhere.join("link.db");
    symlink(database.path(), &link).unwrap();
    fs::copy(database.tokens(), elsewhere.join("tokens.json")).unwrap();
    BridgeMigrate::new(&database)
        .database(&link)
        .arg("migrate")
        .run()
        .assert_code(0);
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert!(database.folder().join("collab.db.migrate.lock").exists());
    let beside: Vec<_> = support::database::bytes_of(&elsewhere).into_keys().collect();
    assert!(
        !beside.iter().any(|name| name.to_string_lossy().contains("lock")),
        "{beside:?}"
    );
    assert_eq!(json(&database, &["status"])["release"], SCHEMA_VERSION);
    run_statements_once(&link).unwrap();
}

#[test]
fn what_is_no_file_is_refused() {
    let dangling = TestDatabase::nothing();
    symlink(dangling.root().join("nowhere.db"), dangling.path()).unwrap();
    let output = BridgeMigrate::new(&dangling).arg("migrate").run();
    output.assert_code(1);
    assert_output("bad_dangling_link", &output);
    assert!(!dangling.root().join("nowhere.db").exists());

    let folder = TestDatabase::nothing();
    fs::create_dir(folder.path()).unwrap();
    assert_refused("folder", &folder, &["migrate"], 1);

    let looped = TestDatabase::nothing();
    symlink(looped.path(), looped.path()).unwrap();
    BridgeMigrate::new(&looped).arg("migrate").run().assert_code(1);

    let pipe = TestDatabase::nothing();
    if Command::new("mkfifo")
        .arg(pipe.path())
        .status()
        .is_ok_and(|status| status.success())
    {
        // Whoever opened it would hang for good.
        for command in ["migrate", "status", "plan", "adopt"] {
            let output = BridgeMigrate::new(&pipe).arg(command).run();
            output.assert_code(1);
            if command == "migrate" {
                assert_output("bad_pipe", &output);
            }
        }
    }

    let nowhere = TestDatabase::nothing();
    let path = nowhere.root().join("no such folder/collab.db");
    let output = BridgeMigrate::new(&nowhere).database(&path).arg("migrate").run();
    output.assert_code(1);
    assert_output("bad_no_folder", &output);
    assert!(!path.parent().unwrap().exists());
}

#[test]
fn odd_paths_are_only_paths() {
    for name in odd_folder_names() {
        let database = TestDatabase::nothing_in(&name);
        database.create_schema();
        database.write_tokens(175, 3);
        for arguments in [
            &["status"][..],
            &["plan"],
            &["migrate"],
            &["backup", "create"],
            &["backup", "verify"],
            &["restore", "latest"],
            &["history"],
            &["log"],
        ] {
            json(&database, arguments);
        }
        assert_eq!(database.count("auth_tokens"), 3, "{name:?}");
        let names = database.bytes_of_folder().into_keys();
        let odd: Vec<_> = names
            .filter(|name| {
                !name.to_string_lossy().starts_with("collab.db")
                    && !name.to_string_lossy().starts_with("tokens.json")
            })
            .collect();
        assert!(odd.is_empty(), "{odd:?}");
    }
    let mut inside: Vec<_> = odd_folder_names()
        .into_iter()
        .filter(|name| name.to_str().is_some())
        .collect();
    inside.truncate(3);
    for name in inside {
        let database = TestDatabase::nothing();
        let path = database.folder().join(&name);
        for arguments in [&["migrate"][..], &["status"], &["backup", "create"]] {
            BridgeMigrate::new(&database)
                .database(&path)
                .args(arguments)
                .run()
                .assert_code(0);
        }
    }
}

/// Whether this test may write anywhere: then permissions stop nobody.
fn is_root() -> bool {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o500)).unwrap();
    fs::write(folder.path().join("file"), "").is_ok()
}

/// Runs the program as somebody who owns nothing, when this test may do that.
fn as_nobody(database: &TestDatabase, arguments: &[&str]) -> Option<(Option<i32>, String)> {
    let binary = support::command::binary();
    let reachable = binary.ancestors().skip(1).all(|folder| {
        folder
            .metadata()
            .is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0)
    });
    if !reachable {
        return None;
    }
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(binary);
        command
    } else {
        Command::new(binary)
    };
    let output = command
        .current_dir("/")
        .arg("--db")
        .arg(database.path())
        .args(["--log-dir", "/nonexistent/logs"])
        .args(arguments)
        .output()
        .ok()?;
    Some((
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    ))
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_read_only_file_or_folder_is_refused_and_can_still_be_looked_at() {
    for (file, folder) in [(0o444, 0o777), (0o666, 0o555), (0o444, 0o555)] {
        let database = TestDatabase::populated(176);
        set_mode(database.root(), 0o755);
        set_mode(database.folder(), folder);
        set_mode(&database.path(), file);
        let before = fs::read(database.path()).unwrap();
        let Some((code, said)) = as_nobody(&database, &["migrate"]) else {
            proof::left_out(
                "files and folders without permission",
                "setpriv, and a program that others can run",
            );
            return;
        };
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("try: ls -l"), "{said}");
        assert!(fs::read(database.path()).unwrap() == before);
        let (code, said) = as_nobody(&database, &["status"]).unwrap();
        assert_eq!(code, Some(0), "{said}");
        set_mode(database.folder(), 0o755);
    }
    // What cannot even be read.
    let database = TestDatabase::populated(176);
    set_mode(database.root(), 0o755);
    set_mode(&database.path(), 0);
    for command in ["migrate", "status", "plan"] {
        let (code, said) = as_nobody(&database, &[command]).unwrap();
        assert_eq!(code, Some(1), "{command}: {said}");
    }
    proof::count(
        4,
        "files and folders without permission",
        "the program ran as a user who owns nothing",
    );
}

/// A small file system of its own; unmounted when dropped.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(at: &Path, bytes: u64) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"])
            .arg(at)
            .output()
            .is_ok_and(|output| output.status.success());
        mounted.then(|| Self(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).output();
    }
}

/// A copy of the database on a file system of so many bytes; that none can be mounted is counted as `what`.
fn on_small_disk(source: &TestDatabase, bytes: u64, what: &str) -> Option<(TestDatabase, SmallDisk)> {
    let place = TestDatabase::nothing();
    let Some(disk) = SmallDisk::mount(place.folder(), bytes) else {
        proof::left_out(what, "mount");
        return None;
    };
    fs::copy(source.path(), place.path()).unwrap();
    fs::copy(source.tokens(), place.tokens()).unwrap();
    Some((place, disk))
}

#[test]
fn a_disk_that_is_too_small_is_refused_before_anything_starts() {
    let source = TestDatabase::populated(177);
    let what = "runs on a disk that is too small";
    let Some((place, _disk)) = on_small_disk(&source, 1600 << 10, what) else {
        return;
    };
    let output = assert_refused("disk_too_small", &place, &["migrate"], 1);
    assert!(output.stderr.contains("no room"), "{output}");
    let error = refused(&place, &["migrate"], 1);
    assert_eq!(error["kind"], "disk_full");
    assert!(!place.root().join("logs").exists(), "a run began");
    assert_eq!(
        json(&place, &["backup", "list"])["backups"],
        serde_json::json!([])
    );
    assert_eq!(json(&place, &["status"])["managed"], false);
    proof::count(1, what, "a file system of 1600 KiB was mounted");
}

/// As docs/runbooks/disk-full.md says: the migration has room, but not its backup.
#[test]
fn a_backup_that_goes_to_another_disk_needs_no_room_beside_the_database() {
    let source = TestDatabase::populated(179);
    let size = fs::metadata(source.path()).unwrap().len() + (13 << 18);
    let what = "runs on a disk that is too small for the backup";
    let Some((place, _disk)) = on_small_disk(&source, size, what) else {
        return;
    };
    let error = refused(&place, &["migrate"], 1);
    assert_eq!(error["kind"], "disk_full");
    let other = tempfile::tempdir().unwrap();
    let elsewhere = ["--backup-dir", other.path().to_str().unwrap()];
    let checklist = BridgeMigrate::new(&place)
        .args(elsewhere)
        .args(["checklist", "--json"])
        .run();
    let findings = checklist.json()["findings"].to_string();
    assert!(!findings.contains("BC107"), "{findings}");
    let migrate = [&elsewhere[..], &["migrate", "--to", "V008"]].concat();
    let answer = json(&place, &migrate);
    assert!(
        answer["backup"]["database"]
            .as_str()
            .unwrap()
            .starts_with(elsewhere[1]),
        "{answer}"
    );
    json(&place, &["migrate", "--no-backup"]);
    assert_eq!(json(&place, &["status"])["version"], last());

    // Taking columns back writes their tables anew, and the old pages into the journal.
    let before = place.dump();
    let error = refused(
        &place,
        &["rollback", "--to", "1.0.0", "--strategy", "down", "--yes"],
        1,
    );
    assert_eq!(error["kind"], "disk_full");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("no room for the rollback"),
        "{error}"
    );
    assert_eq!(json(&place, &["status"])["version"], last());
    dump::assert_same(&before, &place.dump());
    proof::count(5, what, format_args!("a file system of {size} bytes was mounted"));
}

#[test]
fn a_server_that_never_lets_go_is_an_error_and_not_a_half_migration() {
    let database = TestDatabase::populated(178);
    let server = database.connect();
    server.execute_batch("BEGIN IMMEDIATE").unwrap();
    // SQLite's own lock is waited for; the migration lock's timeout is another matter.
    let process = BridgeMigrate::new(&database)
        .args(["migrate", "--to", "V002"])
        .spawn();
    std::thread::sleep(std::time::Duration::from_millis(500));
    server.execute_batch("COMMIT").unwrap();
    process.wait().assert_code(0);
    assert_eq!(json(&database, &["status"])["version"], 2);
}

/// Runs the program with this much address space, in KiB.
#[cfg(target_os = "linux")]
fn with_memory(database: &TestDatabase, kibibytes: u32, arguments: &[&str]) -> (Option<i32>, String) {
    let output = std::process::Command::new("sh")
        .args(["-c", "ulimit -v \"$0\"; exec \"$@\"", &kibibytes.to_string()])
        .arg(support::command::binary())
        .args(arguments)
        .arg("--db")
        .arg(database.path())
        .args(["--timezone", "UTC", "--json", "--log-dir"])
        .arg(database.root().join("logs"))
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn too_little_memory_is_no_damage() {
    let database = TestDatabase::populated(91);
    // Who reads the second column needs 150 MB.
    database.execute(
        "CREATE TABLE heavy (x, y AS (hex(zeroblob(x))) NOT NULL); INSERT INTO heavy (x) VALUES (75000000)",
    );
    run(&database, &["migrate"]);
    run(&database, &["verify"]);
    let before = files(&database);
    for arguments in [
        &["verify"][..],
        &["backup", "verify", "latest"],
        &["backup", "create"],
    ] {
        let (code, answer) = with_memory(&database, 160_000, arguments);
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(
            answer["error"]["kind"], "out_of_memory",
            "{arguments:?}: {answer}"
        );
        assert_eq!(code, Some(1), "{arguments:?}: {answer}");
    }
    assert!(files(&database) == before);
    let (code, answer) = with_memory(&database, 2_000_000, &["verify"]);
    assert_eq!(code, Some(0), "{answer}");
}
