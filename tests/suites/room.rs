//! Room: on a small disk of any size, a command is refused before it changes anything, or it ends well.

#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;
use std::process::Command;

use support::{Population, TestDatabase, dump, proof};

use crate::common::run;

/// In a namespace of its own: a disk of `$1` KiB with what is in `$2`, on which the rest runs; then what became of it.
const ON_A_SMALL_DISK: &str = r#"
mount -t tmpfs -o size="$1k" tmpfs "$3" && cp -r "$2/." "$3" && mkdir "$3/tmp" || exit 99
disk=$3 left=$4
shift 4
TMPDIR=$disk/tmp TZ=UTC "$@"
code=$?
rm -rf "$left" && cp -r "$disk" "$left" || exit 98
exit $code
"#;

/// Whether this machine lets a test mount a disk.
fn can_mount() -> bool {
    let folder = tempfile::tempdir().unwrap();
    Command::new("unshare")
        .args(["-m", "mount", "-t", "tmpfs", "tmpfs"])
        .arg(folder.path())
        .output()
        .is_ok_and(|output| output.status.success())
}

/// A command on disks of each size; `before` has the database. Tells the room with which it went well, and how many
/// disks were too small.
fn on_every_disk(before: &TestDatabase, arguments: &[&str]) -> (u64, u64) {
    let place = tempfile::tempdir().unwrap();
    let (disk, left) = (place.path().join("disk"), place.path().join("left"));
    fs::create_dir(&disk).unwrap();
    let used: u64 = fs::read_dir(before.folder())
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len().div_ceil(4096) * 4 + 4)
        .sum();
    let file = before.path().metadata().unwrap().len() / 1024;
    let dumped = before.dump();
    let tokens = fs::read(before.tokens()).unwrap();
    let mut too_small = 0_u64;
    let mut extra = file / 16;
    loop {
        let output = Command::new("unshare")
            .args([
                "-m",
                "sh",
                "-c",
                ON_A_SMALL_DISK,
                "sh",
                &(used + extra).to_string(),
            ])
            .args([before.folder(), &disk, &left])
            .arg(support::command::binary())
            .arg("--db")
            .arg(disk.join("collab.db"))
            .args(["--timezone", "UTC", "--log-dir"])
            .arg(disk.join("logs"))
            .args(arguments)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let told = format!("{arguments:?} with {extra} KiB beside {file} KiB: {told}");
        match output.status.code() {
            Some(0) => break,
            Some(1) => {
                too_small += 1;
                assert_eq!(dump_of(&left.join("collab.db")), dumped, "{told}");
                assert_eq!(fs::read(left.join("tokens.json")).unwrap(), tokens, "{told}");
            }
            code => panic!("{code:?}: {told}"),
        }
        extra += file / 4;
        assert!(extra < 8 * file + 4096, "absurdly much is asked for: {told}");
    }
    let connection = support::database::connect(&left.join("collab.db")).unwrap();
    let sound: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(sound, "ok");
    (extra, too_small)
}

fn dump_of(database: &Path) -> String {
    dump::all(&support::database::connect(database).unwrap())
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
    if !can_mount() {
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
        for (before, arguments) in [
            (&fresh, &["migrate"][..]),
            (&fresh, &["migrate", "--no-backup"]),
            (
                &migrated,
                &["rollback", "--to", "1.0.0", "--strategy", "down", "--yes"],
            ),
            (
                &migrated,
                &["rollback", "--to", "1.0.0", "--strategy", "restore", "--yes"],
            ),
            (&migrated, &["restore", "latest"]),
            (&migrated, &["undo", "V005"]),
            (&back, &["migrate", "--reclaim"]),
        ] {
            let (enough, too_small) = on_every_disk(before, arguments);
            let mode = if wal { "log" } else { "journal" };
            let tried = format!("{}, {mode}, done with {enough} KiB", arguments.join(" "));
            proof::count(too_small, "disks too small", tried);
        }
    }
}
