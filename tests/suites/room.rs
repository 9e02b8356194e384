//! Room: on a small disk of any size, a command is refused before it changes anything, or it ends well.

#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use rusqlite::Connection;
use support::{Population, TestDatabase, dump, proof};

use crate::common::run;

/// Runs `work` on a thread that alone sees what it mounts; `None` where a test may not mount anything.
fn where_one_can_mount<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    let on_thread = || {
        unshare(CloneFlags::CLONE_NEWNS).ok()?;
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).ok()?;
        Some(work())
    };
    std::thread::scope(|scope| scope.spawn(on_thread).join().unwrap())
}

fn mount_disk(kib: u64, at: &Path) {
    fs::create_dir(at).unwrap();
    let size = format!("size={kib}k");
    mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::empty(), Some(&*size)).unwrap();
}

/// KiB on the disk at `at`, as `df` tells them: `used` or `avail`.
fn kib(column: &str, at: &Path) -> u64 {
    let output = Command::new("df")
        .args(["-k", &format!("--output={column}")])
        .arg(at)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().last().unwrap().trim().parse().unwrap()
}

/// Which disk is too small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Small {
    /// The only one.
    All,
    /// The only one, while a reader keeps the log from beginning anew.
    AllBesideAReader,
    /// The one of the backups.
    Backups,
    /// The one of SQLite's temporary files.
    Temporary,
}

/// How it went on disks of each size.
#[derive(Debug)]
struct Tried {
    /// The room with which it went well, in KiB.
    enough: u64,
    /// What was on the disks then and was not there before, in KiB.
    taken: u64,
    /// How many disks were too small.
    too_small: u64,
    /// The database's own size, in KiB.
    file: u64,
}

impl Tried {
    /// Not much more is asked for than it takes: a reader leaves all of the log there, and a rollback journal has each
    /// page of the database once at most.
    fn assert_modest(&self, arguments: &[&str], small: Small, wal: bool) {
        let needed = match (small, wal) {
            (Small::AllBesideAReader, _) => self.taken,
            (Small::All, false) => self.taken + self.file,
            _ => return,
        };
        // What stands on top for all that is small, and the step between two disks.
        let asked = self.enough - self.file / 4 - 1024;
        assert!(
            asked <= needed * 7 / 4,
            "{arguments:?}, {small:?}: {self:?} asks for more than 1.75 times what it takes"
        );
    }
}

/// The files beside the database and it, and the KiB that they take.
fn files_of(database: &TestDatabase) -> (Vec<PathBuf>, u64) {
    let files: Vec<_> = fs::read_dir(database.folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let blocks = |path: &PathBuf| path.metadata().unwrap().len().div_ceil(4096) * 4 + 4;
    let held = files.iter().map(blocks).sum();
    (files, held)
}

/// A command on disks of each size; `before` has the database.
fn on_every_disk(before: &TestDatabase, arguments: &[&str], small: Small) -> Tried {
    let (files, held) = files_of(before);
    let file = before.path().metadata().unwrap().len() / 1024;
    let dumped = before.dump();
    let tokens = fs::read(before.tokens()).unwrap();
    let ample = 16 * file + 16_384;
    let mut too_small = 0_u64;
    let mut extra = file / 16;
    loop {
        let run_on_disks = || {
            let place = tempfile::tempdir().unwrap();
            let [disk, backups, temporary] = ["disk", "backups", "tmp"].map(|name| place.path().join(name));
            let is_one = matches!(small, Small::All | Small::AllBesideAReader);
            mount_disk(held + if is_one { extra } else { ample }, &disk);
            for path in &files {
                fs::copy(path, disk.join(path.file_name().unwrap())).unwrap();
            }
            let taken_before = kib("used", &disk);
            let reader = (small == Small::AllBesideAReader).then(|| reader(&disk.join("collab.db")));
            let mut command = Command::new(support::command::binary());
            command
                .env("TZ", "UTC")
                .env("TMPDIR", &disk)
                .arg("--db")
                .arg(disk.join("collab.db"));
            command
                .args(["--timezone", "UTC", "--log-dir"])
                .arg(disk.join("logs"));
            if !is_one {
                let size = |is_small| if is_small { extra } else { ample };
                mount_disk(size(small == Small::Backups), &backups);
                mount_disk(size(small == Small::Temporary), &temporary);
                command
                    .arg("--backup-dir")
                    .arg(&backups)
                    .env("TMPDIR", &temporary);
            }
            let output = command.args(arguments).output().unwrap();
            let taken = kib("used", &disk).saturating_sub(taken_before);
            drop(reader);
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            let told = format!("{arguments:?}, {small:?}, with {extra} KiB beside {file} KiB: {told}");
            let connection = support::database::connect(&disk.join("collab.db")).unwrap();
            match output.status.code() {
                Some(0) => {
                    let sound: String = connection
                        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
                        .unwrap();
                    assert_eq!(sound, "ok", "{told}");
                }
                Some(1) => {
                    assert_eq!(dump::all(&connection), dumped, "{told}");
                    assert_eq!(fs::read(disk.join("tokens.json")).unwrap(), tokens, "{told}");
                }
                code => panic!("{code:?}: {told}"),
            }
            (output.status.success(), taken, told)
        };
        let (is_done, taken, told) = where_one_can_mount(run_on_disks).unwrap();
        if is_done {
            return Tried {
                enough: extra,
                taken,
                too_small,
                file,
            };
        }
        too_small += 1;
        extra += file / 4;
        assert!(extra < 8 * file + 4096, "absurdly much is asked for: {told}");
    }
}

/// Somebody who reads one state for as long as the connection is there.
fn reader(database: &Path) -> Connection {
    let reader = support::database::connect(database).unwrap();
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM messages")
        .unwrap();
    reader
}

/// Every message is rewritten, and has texts that a way back drops and keeps.
fn database(wal: bool) -> TestDatabase {
    let database = TestDatabase::with(&Population {
        seed: 171,
        ..Population::of_messages(4000)
    });
    database.execute("UPDATE messages SET timestamp = substr(timestamp, 1, 19) || 'Z'");
    database.set_wal(wal);
    database
}

#[test]
fn on_a_disk_of_any_size_a_command_is_refused_beforehand_or_ends_well() {
    if where_one_can_mount(|| ()).is_none() {
        proof::count(0, "small disks", "this machine lets no test mount one");
        return;
    }
    for wal in [false, true] {
        let fresh = database(wal);
        let migrated = database(wal);
        run(&migrated, &["migrate"]);
        migrated.execute("UPDATE messages SET edited_at = timestamp");
        let back = database(wal);
        run(&back, &["migrate"]);
        back.execute("UPDATE messages SET edited_at = timestamp");
        run(&back, &["rollback", "--to", "V008", "--yes"]);
        let down = ["rollback", "--to", "1.0.0", "--strategy", "down", "--yes"];
        let restore = ["rollback", "--to", "1.0.0", "--strategy", "restore", "--yes"];
        let mut tries = vec![
            (&fresh, &["migrate"][..], Small::All),
            (&fresh, &["migrate", "--no-backup"], Small::All),
            (&fresh, &["migrate"], Small::Backups),
            (&fresh, &["migrate"], Small::Temporary),
            (&migrated, &down, Small::All),
            (&migrated, &down, Small::Backups),
            (&migrated, &down, Small::Temporary),
            (&migrated, &restore, Small::All),
            (&migrated, &["restore", "latest"], Small::All),
            (&migrated, &["undo", "V005"], Small::All),
            (&back, &["migrate", "--reclaim"], Small::All),
        ];
        if wal {
            tries.extend([
                (&fresh, &["migrate"][..], Small::AllBesideAReader),
                (&migrated, &down, Small::AllBesideAReader),
                (&migrated, &["undo", "V005"], Small::AllBesideAReader),
                (&back, &["migrate", "--reclaim"], Small::AllBesideAReader),
            ]);
        }
        for (before, arguments, small) in tries {
            let tried = on_every_disk(before, arguments, small);
            tried.assert_modest(arguments, small, wal);
            let mode = if wal { "log" } else { "journal" };
            proof::count(
                tried.too_small,
                "disks too small",
                format!("{}, {mode}: {small:?}, {tried:?}", arguments.join(" ")),
            );
        }
    }
}

/// Each batch rewrites pages all over the indexes, so that the log outgrows what was asked for.
#[test]
fn a_reader_that_stays_makes_a_run_stop_while_there_is_room_to_run_again() {
    if where_one_can_mount(|| ()).is_none() {
        proof::count(0, "small disks", "this machine lets no test mount one");
        return;
    }
    let database = || {
        let database = TestDatabase::with(&Population {
            seed: 172,
            rooms: 200,
            ..Population::of_messages(20_000)
        });
        database.execute(
            "UPDATE messages SET timestamp = \
             strftime('%Y-%m-%dT%H:%M:%SZ', 1769763600 + rowid * 2654435761 % 10000000, 'unixepoch')",
        );
        database.set_wal(true);
        database
    };
    let (fresh, migrated) = (database(), database());
    run(&migrated, &["migrate"]);
    for (before, arguments) in [
        (&fresh, &["migrate", "--no-backup"][..]),
        (
            &migrated,
            &["rollback", "--to", "V004", "--strategy", "down", "--yes"],
        ),
        (&migrated, &["undo", "V005"]),
    ] {
        let stopped = where_one_can_mount(|| stopped_beside_a_reader(before, arguments)).unwrap();
        proof::count(
            u64::from(stopped),
            "runs stopped beside a reader",
            arguments.join(" "),
        );
    }
}

/// Runs a command beside a reader, on a disk with just as much room as it asks for. Whether it stopped.
fn stopped_beside_a_reader(before: &TestDatabase, arguments: &[&str]) -> bool {
    let (files, held) = files_of(before);
    let place = tempfile::tempdir().unwrap();
    let start = |extra, name: &str| {
        let disk = place.path().join(name);
        mount_disk(held + extra, &disk);
        for path in &files {
            fs::copy(path, disk.join(path.file_name().unwrap())).unwrap();
        }
        disk
    };
    let again = |disk: &Path| {
        let output = Command::new(support::command::binary())
            .env("TZ", "UTC")
            .env("TMPDIR", disk)
            .args(["--timezone", "UTC", "--lock-timeout", "1", "--log-dir"])
            .arg(disk.join("logs"))
            .arg("--db")
            .arg(disk.join("collab.db"))
            .args(arguments)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), format!("{arguments:?}: {told}"))
    };
    let file = before.path().metadata().unwrap().len() / 1024;
    // The smallest disk on which it is not refused, and what one run's log and records take: the next run asks for as much.
    let mut extra = file / 4;
    let run_on = |extra: u64, name: &str| {
        let disk = start(extra, name);
        let reader = reader(&disk.join("collab.db"));
        let (code, told) = again(&disk);
        (disk, reader, code, told)
    };
    while run_on(extra, &extra.to_string()).2 == Some(1) {
        extra += file / 4;
    }
    let (disk, reader, code, told) = run_on(extra + 1024, "enough");
    let is_stopped = code == Some(3);
    assert!(is_stopped || code == Some(0), "{code:?}: {told}");
    if is_stopped {
        let who = format!("process {} reads", std::process::id());
        assert!(
            told.contains(&who) && told.contains("The database is whole"),
            "{told}"
        );
        assert!(kib("avail", &disk) >= 256, "{}: {told}", kib("avail", &disk));
        let (code, told) = again(&disk);
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains("has no room for"), "{told}");
    }
    drop(reader);
    if is_stopped {
        let (code, told) = again(&disk);
        assert_eq!(code, Some(0), "{told}");
    }
    let connection = support::database::connect(&disk.join("collab.db")).unwrap();
    let found: (String, u64) = connection
        .query_row(
            "SELECT (SELECT * FROM pragma_integrity_check), (SELECT count(*) FROM messages)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert_eq!(found, ("ok".to_owned(), 20_000), "{told}");
    is_stopped
}
