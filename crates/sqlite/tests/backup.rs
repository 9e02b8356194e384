//! Backups, as operators and servers meet them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends so"
)]

mod other_process;
mod support;

use std::{collections::BTreeSet, os::unix::fs::PermissionsExt, time::Duration};

use bridge_migrate_core::{ErrorKind, Settings, Silent};
use bridge_migrate_sqlite::backup::{
    Backup, BackupFacts, Completeness, ProblemKind, PruneOptions, create, find, list, prune, verify,
};
use bridge_migrate_sqlite::connection::{create_writer, open_immutable, open_writer};
use other_process::other_process;
use support::{SERVER_TIMEOUT, Server, Site, StopOnDrop, counts, counts_of};

fn problems(backup: &Backup) -> Vec<ProblemKind> {
    let problems = verify(&Settings::new("collab.db"), backup, false, &Silent).unwrap();
    problems.into_iter().map(|problem| problem.kind).collect()
}

#[test]
fn a_backup_has_every_byte_of_the_database_and_its_companion() {
    let setup = "PRAGMA page_size = 8192; PRAGMA auto_vacuum = FULL; PRAGMA user_version = 42; \
                 PRAGMA application_id = 4711;";
    let site = Site::new(1000, setup);
    let before = std::fs::read(&site.settings.database).unwrap();
    let facts = BackupFacts {
        version: Some(1),
        release: Some("1.0.0".to_owned()),
        run: Some("run".to_owned()),
        reason: "before migrate".to_owned(),
    };
    let created = create(&site.settings, &facts, &Silent).unwrap();

    let stamp = "backup.20260102_030405";
    assert_eq!(
        site.names_but(&[]),
        [
            "collab.db",
            &format!("collab.db.{stamp}"),
            &format!("collab.db.{stamp}.json"),
            "tokens.json",
            &format!("tokens.json.{stamp}"),
        ]
    );
    assert_eq!(std::fs::read(&created.backup.database).unwrap(), before);
    assert_eq!(std::fs::read(&site.settings.database).unwrap(), before);
    let companion = created.backup.companion.as_ref().unwrap();
    assert_eq!(
        std::fs::read(companion).unwrap(),
        std::fs::read(&site.settings.companion).unwrap()
    );
    for file in [&created.backup.database, companion, &created.backup.manifest_path] {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    let manifest = std::fs::read_to_string(&created.backup.manifest_path).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["format"], 1);
    assert_eq!(manifest["created_at"], "2026-01-02T03:04:05.000000Z");
    assert_eq!(manifest["release"], "1.0.0");
    assert_eq!(manifest["database"]["user_version"], 42);
    assert_eq!(manifest["database"]["application_id"], 4711);
    assert_eq!(manifest["database"]["page_size"], 8192);
    assert_eq!(manifest["database"]["tables"]["notes"], 1000);
    assert_eq!(manifest["database"]["bytes"], before.len());
    assert_eq!(manifest["companion"]["bytes"], 14);
    assert_eq!(
        list(&site.settings).unwrap(),
        std::slice::from_ref(&created.backup)
    );
    assert_eq!(
        verify(&site.settings, &created.backup, true, &Silent).unwrap(),
        []
    );
}

#[test]
fn a_server_that_writes_all_the_while_sees_no_error_and_every_backup_is_of_one_moment() {
    for mode in ["delete", "wal"] {
        let site = Site::new(20_000, &format!("PRAGMA journal_mode = {mode};"));
        let server = Server::start(&site.settings.database);
        let mut rows = BTreeSet::new();
        for _ in 0..6 {
            let backup = site.backup();
            let (notes, twins) = counts_of(&backup.database);
            assert_eq!(notes, twins, "in {mode} mode");
            assert!(notes >= 20_000);
            assert_eq!(problems(&backup), []);
            rows.insert(notes);
        }
        assert!(server.stop() > 0, "the server wrote during the backups");
        assert!(rows.len() > 1, "the backups are of different moments");
        let strays = site
            .names_but(&["collab.db", "collab.db-wal", "collab.db-shm", "tokens.json"])
            .into_iter()
            .filter(|name| !name.contains(".backup.") || name.ends_with("-wal") || name.ends_with("-shm"));
        assert_eq!(strays.collect::<Vec<_>>(), [""; 0]);
    }
}

#[test]
fn a_copy_of_a_write_ahead_database_has_what_only_the_log_had_and_stays_write_ahead() {
    let site = Site::new(10, "PRAGMA journal_mode = wal; PRAGMA user_version = 3;");
    let open = site.open();
    open.execute_batch("PRAGMA wal_autocheckpoint = 0; INSERT INTO notes VALUES ('in the log', '')")
        .unwrap();
    let backup = site.backup();
    assert_eq!(counts_of(&backup.database), (11, 10));
    let header = std::fs::read(&backup.database).unwrap();
    assert_eq!(header[18..20], [2, 2]);
    assert_eq!(backup.manifest.unwrap().database.contents.user_version, 3);
    assert_eq!(counts(&open), (11, 10));
}

#[test]
fn a_backup_leaves_the_locks_of_its_own_process_alone() {
    let site = Site::new(10, "");
    let mut server = site.open();
    let transaction = server
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .unwrap();
    transaction.execute("DELETE FROM notes", []).unwrap();
    site.backup();
    let path = &site.settings.database;
    let status = other_process("write", path).wait().unwrap();
    assert!(
        !status.success(),
        "another process got the lock that is held here"
    );
    transaction.commit().unwrap();
    let status = other_process("write", path).wait().unwrap();
    assert!(status.success());
}

#[test]
fn no_name_is_given_twice() {
    let site = Site::new(10, "");
    std::fs::write(site.path("tokens.json.backup.20260102_030405_2"), "theirs").unwrap();
    let stamps = [(); 2].map(|()| site.backup().stamp.unwrap().to_string());
    assert_eq!(stamps, ["20260102_030405", "20260102_030405_3"]);

    let all: BTreeSet<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| site.backup().stamp.unwrap()))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(all.len(), 8);
    let listed = list(&site.settings).unwrap();
    assert_eq!(listed.len(), 10);
    assert!(listed.iter().all(|backup| backup.state == Completeness::Complete));
    assert!(listed.windows(2).all(|pair| pair[0].stamp > pair[1].stamp));
    assert_eq!(
        std::fs::read_to_string(site.path("tokens.json.backup.20260102_030405_2")).unwrap(),
        "theirs"
    );
}

#[test]
fn a_damaged_database_is_refused_and_nothing_is_left_behind() {
    let site = Site::new(5000, "");
    let mut bytes = std::fs::read(&site.settings.database).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8192].fill(0x5a);
    std::fs::write(&site.settings.database, &bytes).unwrap();
    let error = create(&site.settings, &BackupFacts::default(), &Silent).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.message().contains("is damaged: "), "{}", error.message());
    assert_eq!(site.names_but(&[]), ["collab.db", "tokens.json"]);
    assert_eq!(std::fs::read(&site.settings.database).unwrap(), bytes);
}

#[test]
fn what_is_no_database_is_refused() {
    let mut site = Site::new(1, "");
    std::fs::write(
        site.path("text"),
        "no database at all, but long enough to hold a header ".repeat(4),
    )
    .unwrap();
    for (name, kind) in [
        ("text", ErrorKind::NotADatabase),
        ("", ErrorKind::NotADatabase),
        ("nothing", ErrorKind::Missing),
    ] {
        site.settings.database = site.path(name);
        let error = create(&site.settings, &BackupFacts::default(), &Silent).unwrap_err();
        assert_eq!(error.kind(), kind, "{name}");
    }
    assert_eq!(site.names_but(&[]), ["collab.db", "text", "tokens.json"]);
}

#[test]
fn a_database_without_a_companion_is_backed_up_alone() {
    let site = Site::new(1, "");
    std::fs::remove_file(&site.settings.companion).unwrap();
    let backup = site.backup();
    assert_eq!(backup.companion, None);
    assert_eq!(problems(&backup), []);

    std::fs::create_dir(&site.settings.companion).unwrap();
    let error = create(&site.settings, &BackupFacts::default(), &Silent).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CompanionInvalid);
}

#[test]
fn a_companion_that_is_being_rewritten_is_never_copied_half() {
    let site = Site::new(1, "");
    let path = site.settings.companion.clone();
    let whole = "y".repeat(1000);
    std::fs::write(&path, &whole).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                std::fs::write(&path, "").unwrap();
                std::thread::sleep(Duration::from_millis(20));
                std::fs::write(&path, &whole).unwrap();
                std::thread::sleep(Duration::from_millis(120));
            }
        });
        let _stop = StopOnDrop(&stop);
        for _ in 0..5 {
            let backup = site.backup();
            assert_eq!(std::fs::read_to_string(backup.companion.unwrap()).unwrap(), whole);
        }
    });
}

#[test]
fn a_companion_is_copied_as_it_is_whenever_it_was_last_changed() {
    let site = Site::new(1, "");
    let hour = Duration::from_secs(3600);
    let now = std::time::SystemTime::now();
    for (content, changed) in [("whole", now - hour), ("whole", now), ("whole", now + hour)] {
        std::fs::write(&site.settings.companion, content).unwrap();
        let file = std::fs::File::options()
            .write(true)
            .open(&site.settings.companion);
        file.unwrap().set_modified(changed).unwrap();
        let backup = site.backup();
        assert_eq!(
            std::fs::read_to_string(backup.companion.unwrap()).unwrap(),
            content
        );
    }
    // How a rewrite begins that nobody finished.
    std::fs::write(&site.settings.companion, "").unwrap();
    let error = create(&site.settings, &BackupFacts::default(), &Silent).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CompanionInvalid);
}

#[test]
fn altered_backups_are_found_out() {
    let site = Site::new(5000, "");
    let alter = |what: &dyn Fn(&Backup)| {
        let backup = site.backup();
        what(&backup);
        let backup = find(&site.settings, backup.database.as_os_str()).unwrap();
        let found = (backup.state, problems(&backup));
        for file in [
            Some(backup.database),
            backup.companion,
            Some(backup.manifest_path),
        ] {
            file.map(std::fs::remove_file);
        }
        found
    };
    use ProblemKind::*;
    assert_eq!(alter(&|_| ()), (Completeness::Complete, vec![]));
    // The value of one row: no damage that SQLite could see.
    let flip = |backup: &Backup| {
        let mut bytes = std::fs::read(&backup.database).unwrap();
        let at = bytes.len() - 20;
        bytes[at] ^= 1;
        std::fs::write(&backup.database, bytes).unwrap();
    };
    assert_eq!(alter(&flip), (Completeness::Complete, vec![DigestDiffers]));
    let truncate = |backup: &Backup| {
        let file = std::fs::File::options()
            .write(true)
            .open(&backup.database)
            .unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    };
    let (state, found) = alter(&truncate);
    assert_eq!(state, Completeness::Incomplete);
    assert!(
        found.contains(&LengthDiffers) && found.contains(&Damaged),
        "{found:?}"
    );
    let row = |backup: &Backup| {
        let copy = open_writer(&backup.database, SERVER_TIMEOUT).unwrap();
        copy.execute("DELETE FROM notes WHERE id = '7'", []).unwrap();
    };
    assert_eq!(
        alter(&row),
        (Completeness::Complete, vec![DigestDiffers, ContentsDiffer])
    );
    let gone = |backup: &Backup| std::fs::remove_file(&backup.database).unwrap();
    let (state, found) = alter(&gone);
    assert_eq!((state, found), (Completeness::Incomplete, vec![FileMissing]));
    let tokens = |backup: &Backup| std::fs::write(backup.companion.as_ref().unwrap(), "{}").unwrap();
    assert_eq!(alter(&tokens), (Completeness::Incomplete, vec![LengthDiffers]));
    let manifest = |backup: &Backup| std::fs::write(&backup.manifest_path, "{\"format\": 1}").unwrap();
    assert_eq!(
        alter(&manifest),
        (Completeness::Incomplete, vec![ManifestInvalid])
    );
    let later = |backup: &Backup| std::fs::write(&backup.manifest_path, "{\"format\": 2}").unwrap();
    assert_eq!(alter(&later), (Completeness::Incomplete, vec![ManifestInvalid]));
    let no_manifest = |backup: &Backup| std::fs::remove_file(&backup.manifest_path).unwrap();
    assert_eq!(
        alter(&no_manifest),
        (Completeness::Incomplete, vec![ManifestMissing])
    );
    let outside = |backup: &Backup| {
        let text = std::fs::read_to_string(&backup.manifest_path).unwrap();
        let text = text.replace("\"tokens.json.backup", "\"../tokens.json.backup");
        std::fs::write(&backup.manifest_path, text).unwrap();
    };
    assert_eq!(alter(&outside), (Completeness::Incomplete, vec![ManifestInvalid]));
}

#[test]
fn a_backup_is_found_by_path_name_stamp_or_as_the_latest() {
    let site = Site::new(1, "");
    let error = find(&site.settings, "latest".as_ref()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    let old = site.backup();
    site.clock.set("2026-01-02T03:04:06Z");
    let new = site.backup();
    std::fs::write(site.path("collab.db.backup.before-the-party"), "").unwrap();
    for name in [
        old.database.as_os_str(),
        old.manifest_path.as_os_str(),
        "20260102_030405".as_ref(),
        "collab.db.backup.20260102_030405".as_ref(),
        "collab.db.backup.20260102_030405.json".as_ref(),
    ] {
        assert_eq!(find(&site.settings, name).unwrap(), old);
    }
    assert_eq!(find(&site.settings, "latest".as_ref()).unwrap(), new);
    std::fs::remove_file(&new.database).unwrap();
    assert_eq!(find(&site.settings, "latest".as_ref()).unwrap(), old);
    let error = find(&site.settings, "20200101_000000".as_ref()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    let states: Vec<_> = list(&site.settings)
        .unwrap()
        .iter()
        .map(|backup| backup.state)
        .collect();
    assert_eq!(
        states,
        [
            Completeness::Incomplete,
            Completeness::Complete,
            Completeness::Foreign
        ]
    );
}

#[test]
fn pruning_keeps_what_could_still_help() {
    let site = Site::new(1, "");
    let mut backups: Vec<_> = (1..=6)
        .map(|day| {
            site.clock.set(&format!("2026-01-0{day}T00:00:00Z"));
            site.backup()
        })
        .collect();
    backups.reverse();
    // An operator's own copy, and a complete backup that lost its database.
    std::fs::copy(
        &site.settings.database,
        site.path("collab.db.backup.20250101_000000"),
    )
    .unwrap();
    std::fs::remove_file(&backups[5].database).unwrap();
    site.clock.set("2026-01-10T00:00:00Z");
    let options = PruneOptions {
        keep_last: Some(2),
        pinned: vec![backups[3].manifest_path.clone()],
        dry_run: true,
        ..PruneOptions::default()
    };
    let before = site.names_but(&[]);
    let pruned = prune(&site.settings, &options, &Silent).unwrap();
    assert_eq!(site.names_but(&[]), before);
    let stamps =
        |backups: &[Backup]| -> Vec<_> { backups.iter().filter_map(|backup| backup.stamp).collect() };
    let expected = [backups[2].stamp, backups[4].stamp, backups[5].stamp].map(Option::unwrap);
    assert_eq!(stamps(&pruned.removed), expected);
    assert_eq!(stamps(&pruned.pinned), [backups[3].stamp.unwrap()]);

    let older = PruneOptions {
        older_than: Some(chrono::Duration::days(7)),
        dry_run: false,
        ..options.clone()
    };
    let pruned = prune(&site.settings, &older, &Silent).unwrap();
    assert_eq!(stamps(&pruned.removed), expected[1..], "both limits count");
    assert!(pruned.bytes > 8192);
    let left = list(&site.settings).unwrap();
    assert_eq!(left.len(), 5);

    let all = PruneOptions {
        keep_last: Some(0),
        ..PruneOptions::default()
    };
    prune(&site.settings, &all, &Silent).unwrap();
    let left: Vec<_> = list(&site.settings).unwrap();
    assert_eq!(stamps(&left), stamps(&[backups[0].clone(), left[1].clone()]));
    assert_eq!(left[0].state, Completeness::Complete);
    assert_eq!(left[1].manifest, None, "an operator's own copy stays");

    let error = prune(&site.settings, &PruneOptions::default(), &Silent).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
}

#[cfg(target_os = "linux")]
#[test]
fn names_need_not_be_text() {
    use std::os::unix::ffi::OsStrExt;
    let mut site = Site::new(1, "");
    for name in [&b"it's \"quoted\" #1?.db"[..], b"\xff\xfe.db"] {
        site.settings.database = site.folder.path().join(std::ffi::OsStr::from_bytes(name));
        site.settings.companion = site.settings.database.with_extension("json");
        let connection = create_writer(&site.settings.database, SERVER_TIMEOUT).unwrap();
        connection.execute_batch("CREATE TABLE t (x)").unwrap();
        std::fs::write(&site.settings.companion, "{}").unwrap();
        let backup = site.backup();
        assert_eq!(list(&site.settings).unwrap(), std::slice::from_ref(&backup));
        assert_eq!(problems(&backup), []);
        assert!(backup.companion.unwrap().exists());
    }
}

#[test]
fn an_empty_database_has_a_backup_too() {
    let mut site = Site::new(1, "");
    site.settings.database = site.path("empty.db");
    std::fs::write(&site.settings.database, "").unwrap();
    let backup = site.backup();
    assert_eq!(problems(&backup), []);
    let copy = open_immutable(&backup.database).unwrap();
    let objects: i64 = copy
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .unwrap();
    assert_eq!(objects, 0);
}
