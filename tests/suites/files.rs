//! What stands under a name that the program uses: links, pipes, devices and files of others. None of them is emptied,
//! followed or waited for; and what is made belongs to whoever runs the servers.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, lchown, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{BridgeMigrate, Population, TestDatabase, command, dump, proof};

use crate::common::{assert_output, json, refused, run};

/// Somebody who is not the superuser, and whom no machine knows.
const OTHER: u32 = 61_234;

fn make_pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Everything below a folder by its path, as what it is: nothing is followed, and nothing but a regular file is read.
fn look(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = path.symlink_metadata().unwrap();
        let mut what = format!(
            "{:?} {:o} {}",
            metadata.file_type(),
            metadata.mode(),
            metadata.ino()
        );
        if metadata.is_file() {
            what.push_str(&dump::hex(&fs::read(&path).unwrap()));
        } else if metadata.is_dir() {
            found.extend(look(&path));
        }
        found.insert(path, what);
    }
    found
}

fn small(seed: u64) -> TestDatabase {
    TestDatabase::with(&Population {
        seed,
        ..Population::of_messages(30)
    })
}

fn is_superuser() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Puts something in the place of a file, by name and path.
type Put = fn(&Path, &TestDatabase);

const IN_THE_WAY: [(&str, Put); 10] = [
    ("a link to the token file", |path, database| {
        symlink(database.tokens(), path).unwrap();
    }),
    ("a link to the database", |path, database| {
        symlink(database.path(), path).unwrap();
    }),
    ("a link to nothing", |path, database| {
        symlink(database.folder().join("made"), path).unwrap();
    }),
    ("a hard link of the token file", |path, database| {
        fs::hard_link(database.tokens(), path).unwrap();
    }),
    ("a hard link of a lock file elsewhere", |path, database| {
        fs::write(database.root().join("other"), "").unwrap();
        fs::hard_link(database.root().join("other"), path).unwrap();
    }),
    ("a file of somebody else", |path, _| {
        fs::write(path, "my notes\n").unwrap()
    }),
    ("a large file of somebody else", |path, _| {
        fs::write(path, [0; 8192]).unwrap();
    }),
    ("a pipe", |path, _| make_pipe(path)),
    ("a device", |path, _| symlink("/dev/zero", path).unwrap()),
    ("a folder", |path, _| fs::create_dir(path).unwrap()),
];

#[test]
fn what_is_not_a_lock_file_is_neither_emptied_nor_followed_nor_waited_for() {
    for (what, put) in IN_THE_WAY {
        let database = small(301);
        run(&database, &["migrate", "--to", "1.1.0"]);
        let lock = database.folder().join("collab.db.migrate.lock");
        fs::remove_file(&lock).unwrap();
        put(&lock, &database);
        let before = look(database.root());
        for arguments in [
            &["migrate"][..],
            &["rollback", "--to", "1.0.0", "--yes"],
            &["undo", "V005"],
            &["adopt"],
            &["tokens", "import"],
            &["log", "prune"],
            &["restore", "latest"],
        ] {
            let error = refused(&database, arguments, 1);
            assert_eq!(error["kind"], "foreign_file", "{what}: {arguments:?}: {error}");
            assert!(
                look(database.root()) == before,
                "{what}: {arguments:?} changed a file"
            );
        }
        assert_eq!(json(&database, &["status"])["version"], 5, "{what}");
        if what == "a link to the token file" {
            let output = BridgeMigrate::new(&database).arg("migrate").run();
            assert_output("files_foreign_lock", &output);
        }
        // The hint leads on, and whatever it was is still there.
        let hint = refused(&database, &["migrate"], 1)["hint"].clone();
        let moved = Command::new("sh").args(["-c", hint.as_str().unwrap()]).status();
        assert!(moved.unwrap().success(), "{hint}");
        run(&database, &["migrate"]);
        let aside = database.folder().join("collab.db.migrate.lock.foreign");
        assert!(aside.symlink_metadata().is_ok(), "{what} is gone");
    }
}

#[test]
fn a_lock_file_as_a_killed_or_an_older_program_left_it_is_taken() {
    let database = small(302);
    let lock = database.folder().join("collab.db.migrate.lock");
    for (left, target) in [
        (&b""[..], "1"),
        (b"\0\0\0\0\0\0\0\0", "2"),
        (b"{\"pi", "3"),
        (b"{\"pid\":4711,\"host\":\"x\0\0\0\0", "4"),
        (
            b"{\"pid\":1,\"host\":\"x\",\"since\":\"y\",\"command\":\"migrate\",\"tool\":\"z\"}\n",
            "5",
        ),
    ] {
        fs::write(&lock, left).unwrap();
        run(&database, &["migrate", "--no-backup", "--to", target]);
        assert_eq!(fs::read(&lock).unwrap(), b"");
    }
}

/// Pipes that nobody writes to and a device that never ends, wherever a file is read.
#[test]
fn what_is_no_regular_file_is_refused_wherever_a_file_is_read() {
    let database = small(303);
    run(&database, &["migrate", "--to", "1.1.0"]);
    run(&database, &["rehearse"]);
    let folder = database.folder().to_owned();
    let config = database.root().join("config.toml");
    let log = database
        .root()
        .join("logs/migration_29990101_000000_00000000.log");
    let manifest = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let manifest = manifest
        .filter(|path| path.to_string_lossy().contains(".backup."))
        .find(|path| path.extension().is_some_and(|end| end == "json"))
        .unwrap();
    let copy = manifest.with_extension("");
    let config_text = config.to_str().unwrap();
    let copy_text = copy.to_str().unwrap();
    let cases: [(&Path, &[&str]); 8] = [
        (&database.tokens(), &["tokens", "verify"]),
        (&database.tokens(), &["backup", "create"]),
        (&config, &["--config", config_text, "status"]),
        (
            &folder.join("collab.db.receipt.json"),
            &["migrate", "--require-receipt"],
        ),
        (&folder.join("collab.db.rollback.json"), &["migrate"]),
        (&log, &["log"]),
        (&manifest, &["restore", copy_text]),
        (&copy, &["restore", copy_text]),
    ];
    for (path, arguments) in cases {
        for put in [
            (|path| make_pipe(path)) as fn(&Path),
            |path| symlink("/dev/zero", path).unwrap(),
            |path| drop(UnixListener::bind(path).unwrap()),
            |path| fs::create_dir(path).unwrap(),
        ] {
            let aside = database.root().join("aside");
            let was_there = fs::rename(path, &aside).is_ok();
            put(path);
            let output = BridgeMigrate::new(&database).args(arguments).arg("--json").run();
            assert!(
                matches!(output.code, Some(1 | 2 | 6)),
                "{}: {output}",
                path.display()
            );
            assert_eq!(output.json()["ok"], false);
            if fs::remove_file(path).is_err() {
                fs::remove_dir(path).unwrap();
            }
            if was_there {
                fs::rename(&aside, path).unwrap();
            }
        }
    }
    run(&database, &["migrate", "--require-receipt"]);
}

#[test]
fn a_report_takes_the_place_of_no_link_and_no_device() {
    let database = small(304);
    let page = database.root().join("page.html");
    let page_text = page.to_str().unwrap();
    for put in [
        (|path| make_pipe(path)) as fn(&Path),
        |path| symlink("/dev/null", path).unwrap(),
        |path| symlink("missing", path).unwrap(),
    ] {
        put(&page);
        let kind = page.symlink_metadata().unwrap().file_type();
        let error = refused(&database, &["rehearse", "--report", page_text], 1);
        assert_eq!(error["kind"], "foreign_file");
        // Before the work, not after it.
        assert!(!database.folder().join("collab.db.receipt.json").exists());
        assert_eq!(page.symlink_metadata().unwrap().file_type(), kind);
        fs::remove_file(&page).unwrap();
    }
    run(&database, &["rehearse", "--report", page_text]);
    assert!(page.is_file());
}

/// The program, run by a shell that sets the umask first.
fn with_umask(database: &TestDatabase, umask: &str, arguments: &[&str]) {
    let output = Command::new("sh")
        .args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\"")])
        .arg(command::binary())
        .args(arguments)
        .current_dir(database.root())
        .env("TZ", "UTC")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Path → mode of everything that was made under a folder since.
fn made(folder: &Path, before: &[PathBuf]) -> Vec<(PathBuf, fs::Metadata)> {
    let found = look(folder).into_keys().filter(|path| !before.contains(path));
    found
        .map(|path| {
            let metadata = path.symlink_metadata().unwrap();
            (path, metadata)
        })
        .collect()
}

#[test]
fn whatever_the_umask_nothing_that_is_made_can_be_written_by_everybody() {
    for fresh in [true, false] {
        let database = if fresh {
            TestDatabase::nothing()
        } else {
            small(305)
        };
        let before: Vec<PathBuf> = look(database.root()).into_keys().collect();
        if fresh {
            fs::remove_dir(database.folder()).unwrap();
        }
        with_umask(&database, "000", &["migrate"]);
        with_umask(&database, "000", &["backup", "create"]);
        with_umask(&database, "000", &["rehearse"]);
        with_umask(&database, "000", &["rollback", "--to", "1.1.0", "--yes"]);
        let made = made(database.root(), &before);
        assert!(made.len() > 5, "{made:?}");
        for (path, metadata) in &made {
            assert_eq!(metadata.mode() & 0o022, 0, "{}", path.display());
        }
    }
}

#[test]
fn a_lock_file_can_be_opened_by_those_who_can_open_the_database() {
    for (database_mode, lock_mode) in [
        (0o600, 0o600),
        (0o640, 0o640),
        (0o660, 0o660),
        (0o644, 0o644),
        (0o666, 0o664),
    ] {
        let database = small(306);
        fs::set_permissions(database.path(), fs::Permissions::from_mode(database_mode)).unwrap();
        let lock = database.folder().join("collab.db.migrate.lock");
        // As an older program made it with another umask.
        fs::write(&lock, "").unwrap();
        fs::set_permissions(&lock, fs::Permissions::from_mode(0o666)).unwrap();
        run(&database, &["migrate", "--to", "1.1.0", "--no-backup"]);
        assert_eq!(lock.metadata().unwrap().mode() & 0o777, lock_mode);
        fs::remove_file(&lock).unwrap();
        run(&database, &["migrate", "--no-backup"]);
        assert_eq!(lock.metadata().unwrap().mode() & 0o777, lock_mode);
    }
}

/// `sudo bridge-migrate …` in the folder of the user who runs the servers.
#[test]
fn what_the_superuser_makes_belongs_to_the_owner_of_the_folder() {
    if !is_superuser() {
        proof::left_out("commands of the superuser", "the superuser");
        return;
    }
    for (fresh, wal) in [(true, false), (false, false), (false, true)] {
        let database = if fresh {
            TestDatabase::nothing()
        } else {
            let database = small(307);
            database.set_wal(wal);
            database
        };
        if fresh {
            fs::remove_dir(database.folder()).unwrap();
        }
        chown(database.root(), Some(OTHER), Some(OTHER)).unwrap();
        for path in look(database.root()).keys() {
            chown(path, Some(OTHER), Some(OTHER)).unwrap();
        }
        let program = database.root().join("program");
        fs::copy(command::binary(), &program).unwrap();
        let as_user = |user: u32, arguments: &[&str]| {
            let output = Command::new(&program)
                .args(arguments)
                .current_dir(database.root())
                .env("TZ", "UTC")
                .env("BRIDGE_BACKUP_DIR", "backups")
                .uid(user)
                .gid(user)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.success(),
                "fresh {fresh}, wal {wal}, {user}: {arguments:?}: {said}"
            );
        };
        let all_of_the_owner = |after: &str| {
            for path in look(database.root()).keys().filter(|path| **path != program) {
                let metadata = path.symlink_metadata().unwrap();
                let owner = (metadata.uid(), metadata.gid());
                assert_eq!(owner, (OTHER, OTHER), "{} after {after}", path.display());
            }
        };
        // In turns: what one leaves, the other works with.
        for (user, arguments) in [
            (0, &["migrate", "--to", "1.1.0"][..]),
            (OTHER, &["migrate"]),
            (0, &["rehearse", "--report", "page.html"]),
            (0, &["rollback", "--to", "1.1.0", "--yes"]),
            (OTHER, &["migrate"]),
            (0, &["backup", "create"]),
            (OTHER, &["restore", "latest"]),
            (0, &["restore", "latest"]),
            (0, &["doctor", "--bundle", "bundle.json"]),
            (OTHER, &["rollback", "--to", "1.0.0", "--yes"]),
            (0, &["migrate"]),
            (OTHER, &["status"]),
        ] {
            as_user(user, arguments);
            all_of_the_owner(&arguments.join(" "));
        }
        // A server that has the database open while the superuser migrates finds sidecars that it may use.
        if wal {
            let server = database.connect();
            server.execute_batch("SELECT count(*) FROM rooms").unwrap();
            all_of_the_owner("a read of the superuser in write-ahead mode");
        }
    }
    proof::count(
        36,
        "commands in turns of the superuser and the owner",
        "every file is the owner's",
    );
}

#[test]
fn logs_go_where_a_link_leads_only_if_whoever_made_it_may_write_there() {
    if !is_superuser() {
        proof::left_out("links of others", "the superuser");
        return;
    }
    for (owner_of_link, owner_of_folder, goes_there) in [
        (0, 0, true),
        (0, OTHER, true),
        (OTHER, OTHER, true),
        (OTHER, 0, false),
        (OTHER, OTHER + 1, false),
    ] {
        let database = small(308);
        let elsewhere = database.root().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        chown(&elsewhere, Some(owner_of_folder), None).unwrap();
        let logs = database.root().join("logs");
        symlink(&elsewhere, &logs).unwrap();
        lchown(&logs, Some(owner_of_link), None).unwrap();
        let output = run(&database, &["migrate", "--no-backup"]);
        let count = fs::read_dir(&elsewhere).unwrap().count();
        assert_eq!(count, usize::from(goes_there), "{output}");
        let told = output.stderr.contains("this run has no log");
        assert_eq!(told, !goes_there, "{output}");
    }
}
