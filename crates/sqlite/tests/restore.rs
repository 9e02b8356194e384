//! Restoring, while others have the database open, and when things go wrong.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends so"
)]

mod other_process;
mod support;

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{os::unix::fs::PermissionsExt, path::Path};

use bridge_migrate_core::{ErrorKind, Event, Keep, Observer, Result, Silent};
use bridge_migrate_sqlite::backup::{Backup, Completeness, find, list, verify};
use bridge_migrate_sqlite::connection::{create_writer, open_immutable, open_writer, with_reader};
use bridge_migrate_sqlite::restore::{
    CompanionChange, Placement, RestoreOptions, RestoreOutcome, Secured, TableRows, restore,
};
use bridge_migrate_sqlite::with_suffix;
use other_process::other_process;
use rusqlite::Connection;
use support::{SERVER_TIMEOUT, Server, Site, StopOnDrop, counts, counts_of};

fn put_back(site: &Site, backup: &Backup) -> Result<RestoreOutcome> {
    restore(&site.settings, backup, &RestoreOptions::default(), &Silent)
}

/// Every row of both tables with its row id, as one text.
fn content(connection: &Connection) -> Vec<(i64, String, String)> {
    connection
        .prepare(
            "SELECT rowid, id, text FROM notes UNION ALL SELECT rowid, id, text FROM twins ORDER BY 1, 2, 3",
        )
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

fn grow(site: &Site) {
    site.open()
        .execute_batch(
            "BEGIN; DELETE FROM notes WHERE rowid % 3 = 0; DELETE FROM twins WHERE rowid % 3 = 0;
             CREATE TABLE later (x); INSERT INTO later SELECT text FROM notes;
             PRAGMA user_version = 9; COMMIT;",
        )
        .unwrap();
    std::fs::write(&site.settings.companion, "later").unwrap();
}

fn no_log(database: &Path) -> bool {
    with_suffix(database, "-wal")
        .metadata()
        .map_or(true, |log| log.len() == 0)
}

#[test]
fn a_restore_brings_back_every_row_and_the_companion_and_secures_what_was_there() {
    for setup in [
        "PRAGMA user_version = 3;",
        "PRAGMA journal_mode = wal; PRAGMA user_version = 3;",
        "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA page_size = 1024; PRAGMA user_version = 3;",
    ] {
        let site = Site::new(2000, setup);
        std::fs::set_permissions(&site.settings.companion, PermissionsExt::from_mode(0o640)).unwrap();
        let backup = site.backup();
        let before = content(&site.open());
        grow(&site);

        let outcome = put_back(&site, &backup).unwrap();
        assert_eq!(outcome.placement, Placement::InPlace);
        assert_eq!(outcome.companion, CompanionChange::Replaced);
        assert!(!outcome.written_since);
        let row = |table: &str, now, backup| TableRows {
            table: table.to_owned(),
            now,
            backup,
        };
        assert_eq!(
            outcome.tables,
            [
                row("later", Some(1334), None),
                row("notes", Some(1334), Some(2000)),
                row("twins", Some(1334), Some(2000)),
            ]
        );
        let live = site.open();
        assert!(content(&live) == before, "{setup}");
        let version: i64 = live
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap();
        assert_eq!(version, 3);
        drop(live);
        assert!(no_log(&site.settings.database));
        let bytes = |path: &Path| std::fs::read(path).unwrap();
        assert_eq!(
            bytes(&site.settings.database)[18..20],
            bytes(&backup.database)[18..20],
            "the journal mode is the backup's"
        );
        assert_eq!(bytes(&site.settings.companion), br#"{"tokens": {}}"#);
        let mode = site.settings.companion.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);

        let Secured::Backup { backup: secured } = outcome.secured else {
            panic!("the state before is not in a backup");
        };
        assert_eq!(secured.manifest.as_ref().unwrap().reason, "before restore");
        assert_eq!(verify(&site.settings, &secured, true, &Silent).unwrap(), []);
        assert_eq!(
            std::fs::read_to_string(secured.companion.as_ref().unwrap()).unwrap(),
            "later"
        );

        // And the way forth again.
        put_back(&site, &secured).unwrap();
        assert_eq!(counts(&site.open()), (1334, 1334));
        let again = put_back(&site, &secured).unwrap();
        assert_eq!(again.companion, CompanionChange::Same);
    }
}

#[test]
fn processes_that_have_the_database_open_see_the_old_or_the_new_state_whole() {
    for mode in ["delete", "wal"] {
        let site = Site::new(20_000, &format!("PRAGMA journal_mode = {mode};"));
        let full = site.backup();
        site.open()
            .execute_batch(
                "BEGIN; DELETE FROM notes WHERE rowid > 100; DELETE FROM twins WHERE rowid > 100; COMMIT",
            )
            .unwrap();
        let small = site.backup();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let readers: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        // One connection all the while: it must notice the change beneath it.
                        let connection = open_writer(&site.settings.database, SERVER_TIMEOUT).unwrap();
                        let mut seen = [0_u32; 2];
                        while !stop.load(Ordering::Relaxed) {
                            match counts(&connection) {
                                (100, 100) => seen[0] += 1,
                                (20_000, 20_000) => seen[1] += 1,
                                other => panic!("a reader saw {other:?} in {mode} mode"),
                            }
                        }
                        seen
                    })
                })
                .collect();
            let stop_readers = StopOnDrop(&stop);
            for backup in [&full, &small, &full, &small, &full] {
                let outcome = put_back(&site, backup).unwrap();
                assert_eq!(outcome.placement, Placement::InPlace);
                assert!(!outcome.written_since, "nobody writes");
            }
            drop(stop_readers);
            for reader in readers {
                let [old, new] = reader.join().unwrap();
                assert!(
                    old > 0 && new > 0,
                    "a reader saw both states in {mode} mode: {old} {new}"
                );
            }
        });
        assert_eq!(counts(&site.open()), (20_000, 20_000));
    }
}

#[test]
fn a_server_that_writes_all_the_while_sees_no_error() {
    for mode in ["delete", "wal"] {
        let site = Site::new(20_000, &format!("PRAGMA journal_mode = {mode};"));
        let backup = site.backup();
        let server = Server::start(&site.settings.database);
        for _ in 0..4 {
            put_back(&site, &backup).unwrap();
        }
        assert!(server.stop() > 0);
        let (notes, twins) = counts(&site.open());
        assert_eq!(notes, twins);
        assert!(notes >= 20_000);
        let whole: String = site
            .open()
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(whole, "ok");
    }
}

/// A server that writes a note at every event, until it is told that the state is secured.
struct Writes<'a> {
    database: &'a Path,
    written: RefCell<Vec<String>>,
    refused: Cell<usize>,
    is_over: Cell<bool>,
}

impl<'a> Writes<'a> {
    fn to(database: &'a Path) -> Self {
        Self {
            database,
            written: RefCell::default(),
            refused: Cell::default(),
            is_over: Cell::default(),
        }
    }
}

impl Observer for Writes<'_> {
    fn observe(&self, event: &Event) {
        if self.is_over.get() {
            return;
        }
        self.is_over.set(matches!(event, Event::BackedUp { .. }));
        let note = format!("written {}", self.written.borrow().len());
        let write = || {
            open_writer(self.database, Duration::ZERO)
                .ok()?
                .execute("INSERT INTO notes VALUES (?1, 'by a server')", [&note])
                .ok()
        };
        match write() {
            Some(_) => self.written.borrow_mut().push(note),
            None => self.refused.set(self.refused.get() + 1),
        }
    }
}

fn notes_by_server(connection: &Connection) -> Vec<String> {
    connection
        .prepare("SELECT id FROM notes WHERE text = 'by a server' ORDER BY rowid")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

#[test]
fn whatever_is_committed_until_the_lock_is_taken_is_in_the_backup_that_secures_it() {
    for (setup, of_backup, is_read) in [
        ("PRAGMA journal_mode = delete;", "", false),
        ("PRAGMA journal_mode = wal;", "", false),
        // The log cannot be taken into the file.
        ("PRAGMA journal_mode = wal;", "", true),
        ("PRAGMA journal_mode = wal;", "PRAGMA page_size = 1024;", false),
        ("PRAGMA journal_mode = delete;", "PRAGMA page_size = 1024;", false),
    ] {
        let case = format!("{setup} {of_backup} read: {is_read}");
        let site = Site::new(3000, setup);
        let other = Site::new(100, of_backup);
        let backup = other.backup();
        let reader = site.open();
        if is_read {
            reader.execute_batch("BEGIN; SELECT count(*) FROM notes").unwrap();
        }
        let server = Writes::to(&site.settings.database);
        let outcome = restore(&site.settings, &backup, &RestoreOptions::default(), &server)
            .unwrap_or_else(|error| panic!("{case}: {error:?}"));
        let written = server.written.into_inner();
        assert!(written.len() > 1 && server.refused.get() > 0, "{case}");
        let Secured::Backup { backup: secured } = outcome.secured else {
            panic!("{case}: {:?}", outcome.secured);
        };
        assert_eq!(
            verify(&site.settings, &secured, true, &Silent).unwrap(),
            [],
            "{case}"
        );
        let copy = open_immutable(&secured.database).unwrap();
        assert_eq!(notes_by_server(&copy), written, "{case}");
        let rows = outcome.tables.iter().find(|rows| rows.table == "notes").unwrap();
        assert_eq!(rows.now, Some(3000 + written.len() as u64), "{case}");
        assert!(!outcome.written_since, "nobody wrote after the lock: {case}");
        drop(reader);
        assert_eq!(counts(&site.open()), (100, 100), "{case}");
    }
}

/// A server that writes to the companion when the state before is secured.
struct WritesCompanion<'a>(&'a Path);

impl Observer for WritesCompanion<'_> {
    fn observe(&self, event: &Event) {
        if matches!(event, Event::BackedUp { .. }) {
            std::fs::write(self.0, "issued meanwhile").unwrap();
        }
    }
}

#[test]
fn what_goes_into_the_companion_after_it_was_secured_is_kept() {
    let site = Site::new(300, "");
    let backup = site.backup();
    let then = std::fs::read(&site.settings.companion).unwrap();
    grow(&site);
    let options = RestoreOptions {
        companion: Keep::Backup,
        ..RestoreOptions::default()
    };
    let server = WritesCompanion(&site.settings.companion);
    restore(&site.settings, &backup, &options, &server).unwrap();
    assert_eq!(std::fs::read(&site.settings.companion).unwrap(), then);
    let files = std::fs::read_dir(&site.settings.backup_dir).unwrap();
    let kept: Vec<String> = files
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains(".replaced."))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    assert_eq!(kept, ["issued meanwhile"]);
}

/// A server that takes the lock as soon as the content is back, and keeps it for a while.
struct Keeps<'a> {
    database: &'a Path,
    is_secured: Cell<bool>,
    kept: RefCell<Option<std::thread::JoinHandle<()>>>,
}

impl Observer for Keeps<'_> {
    fn observe(&self, event: &Event) {
        match event {
            Event::BackedUp { .. } => self.is_secured.set(true),
            Event::ProgressFinished { .. } if self.is_secured.take() => {
                let server = open_writer(self.database, SERVER_TIMEOUT).unwrap();
                server.execute_batch("BEGIN EXCLUSIVE").unwrap();
                *self.kept.borrow_mut() = Some(std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(700));
                    server
                        .execute_batch("INSERT INTO notes VALUES ('after', 'by a server'); COMMIT")
                        .unwrap();
                }));
            }
            _ => {}
        }
    }
}

#[test]
fn a_server_that_writes_right_after_a_restore_is_waited_for() {
    let site = Site::new(300, "");
    let backup = site.backup();
    grow(&site);
    let keeps = Keeps {
        database: &site.settings.database,
        is_secured: Cell::default(),
        kept: RefCell::default(),
    };
    let outcome = restore(&site.settings, &backup, &RestoreOptions::default(), &keeps);
    keeps.kept.take().unwrap().join().unwrap();
    let outcome = outcome.unwrap_or_else(|error| panic!("{error:?}"));
    assert!(outcome.written_since);
    assert_eq!(outcome.companion, CompanionChange::Replaced);
    assert_eq!(counts(&site.open()), (301, 300));
}

/// Puts another file in the database's place, or removes it, when the state before is secured.
struct Moves<'a> {
    database: &'a Path,
    newcomer: Option<&'a Path>,
}

impl Observer for Moves<'_> {
    fn observe(&self, event: &Event) {
        if matches!(event, Event::BackedUp { .. }) {
            match self.newcomer {
                Some(newcomer) => std::fs::rename(newcomer, self.database).unwrap(),
                None => std::fs::remove_file(self.database).unwrap(),
            }
        }
    }
}

#[test]
fn a_database_that_was_replaced_or_removed_meanwhile_is_not_called_restored() {
    for setup in ["PRAGMA journal_mode = delete;", "PRAGMA journal_mode = wal;"] {
        for is_replaced in [true, false] {
            let case = format!("{setup} replaced: {is_replaced}");
            let (site, other) = (Site::new(300, setup), Site::new(100, setup));
            let backup = site.backup();
            grow(&site);
            let companion = std::fs::read(&site.settings.companion).unwrap();
            let newcomer = other.settings.database.as_path();
            let bytes = std::fs::read(newcomer).unwrap();
            let moves = Moves {
                database: &site.settings.database,
                newcomer: is_replaced.then_some(newcomer),
            };
            let error = restore(&site.settings, &backup, &RestoreOptions::default(), &moves).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ForeignFile, "{case}: {error:?}");
            assert_eq!(error.reached(), None, "{case}");
            match is_replaced {
                true => assert!(std::fs::read(&site.settings.database).unwrap() == bytes, "{case}"),
                false => assert!(!site.settings.database.exists(), "{case}"),
            }
            assert_eq!(
                std::fs::read(&site.settings.companion).unwrap(),
                companion,
                "{case}"
            );
        }
    }
}

#[test]
fn what_servers_write_to_a_damaged_database_is_in_its_copy() {
    for mode in ["delete", "wal"] {
        let site = Site::new(3000, &format!("PRAGMA journal_mode = {mode};"));
        let backup = site.backup();
        let root: u64 = site
            .open()
            .query_row(
                "SELECT rootpage FROM sqlite_schema WHERE name = 'twins'",
                [],
                |row| row.get(0),
            )
            .unwrap();
        let database = &site.settings.database;
        let mut bytes = std::fs::read(database).unwrap();
        let at = usize::try_from(root - 1).unwrap() * 4096;
        bytes[at..at + 4096].fill(0x77);
        std::fs::write(database, bytes).unwrap();
        let server = Writes::to(database);
        let outcome = restore(&site.settings, &backup, &RestoreOptions::default(), &server).unwrap();
        let Secured::Damaged { files } = outcome.secured else {
            panic!("{mode}: {:?}", outcome.secured);
        };
        assert_eq!(outcome.placement, Placement::InPlace);
        let last = files
            .iter()
            .filter(|file| file.to_str().unwrap().contains("collab.db.damaged"))
            .min_by_key(|file| file.as_os_str().len())
            .unwrap();
        let written = server.written.into_inner();
        let mut found = notes_by_server(&open_writer(last, SERVER_TIMEOUT).unwrap());
        assert!(!found.is_empty(), "{mode}");
        // What came after the restore.
        found.extend(notes_by_server(&site.open()));
        assert_eq!(found, written, "{mode}");
        assert_eq!(counts(&site.open()).1, 3000, "{mode}");
    }
}

/// A server that makes the database anew while it is missing.
struct Makes<'a>(&'a Site);

impl Observer for Makes<'_> {
    fn observe(&self, _: &Event) {
        let database = &self.0.settings.database;
        // The file that is to become the database is there, and not yet in its place.
        let is_ready = self.0.names_but(&[]).iter().any(|name| name.ends_with(".tmp"));
        if is_ready && !database.exists() {
            create_writer(database, SERVER_TIMEOUT)
                .unwrap()
                .execute_batch("CREATE TABLE notes (id TEXT, text TEXT); INSERT INTO notes VALUES ('new', 'by a server')")
                .unwrap();
        }
    }
}

#[test]
fn a_database_that_a_server_makes_meanwhile_is_secured_and_not_passed_over() {
    // Large enough for a word on how far the copy is.
    let site = Site::new(40_000, "");
    let backup = site.backup();
    std::fs::remove_file(&site.settings.database).unwrap();
    let outcome = restore(&site.settings, &backup, &RestoreOptions::default(), &Makes(&site)).unwrap();
    assert_eq!(outcome.placement, Placement::InPlace);
    let Secured::Backup { backup: secured } = outcome.secured else {
        panic!("{:?}", outcome.secured);
    };
    assert_eq!(
        notes_by_server(&open_immutable(&secured.database).unwrap()),
        ["new"]
    );
    assert_eq!(counts(&site.open()), (40_000, 40_000));
}

#[test]
fn another_page_size_or_journal_mode_does_not_hinder() {
    let modes = ["delete", "wal"];
    for (old_mode, new_mode, hold) in [
        (modes[0], modes[0], true),
        (modes[0], modes[1], true),
        (modes[0], modes[1], false),
        (modes[1], modes[0], true),
        (modes[1], modes[0], false),
        (modes[1], modes[1], true),
    ] {
        for page_sizes in [(4096, 1024), (1024, 8192), (4096, 4096)] {
            let case = format!("{old_mode} → {new_mode}, {page_sizes:?}, held open: {hold}");
            let (old_size, new_size) = page_sizes;
            let site = Site::new(
                500,
                &format!("PRAGMA page_size = {old_size}; PRAGMA journal_mode = {old_mode};"),
            );
            site.open()
                .execute_batch("CREATE TABLE gaps (x); INSERT INTO gaps VALUES (1), (2), (3); DELETE FROM gaps WHERE x < 3;")
                .unwrap();
            let backup = site.backup();
            let before = content(&site.open());
            for suffix in ["", "-wal", "-shm"] {
                let _ = std::fs::remove_file(with_suffix(&site.settings.database, suffix));
            }
            let live = create_writer(&site.settings.database, SERVER_TIMEOUT).unwrap();
            live.execute_batch(&format!(
                "PRAGMA page_size = {new_size}; PRAGMA journal_mode = {new_mode};
                 CREATE TABLE other (x); INSERT INTO other VALUES (randomblob(100000));"
            ))
            .unwrap();
            let held = hold.then_some(live);
            let outcome = put_back(&site, &backup).unwrap_or_else(|error| panic!("{case}: {error:?}"));
            assert_eq!(outcome.placement, Placement::InPlace, "{case}");
            if let Some(held) = held {
                assert!(content(&held) == before, "{case}");
            }
            let live = site.open();
            assert!(content(&live) == before, "{case}");
            let kept: i64 = live
                .query_row("SELECT rowid FROM gaps", [], |row| row.get(0))
                .unwrap();
            assert_eq!(kept, 3, "row ids stay: {case}");
            let whole: String = live
                .query_row("PRAGMA integrity_check", [], |row| row.get(0))
                .unwrap();
            assert_eq!(whole, "ok", "{case}");
        }
    }
}

#[test]
fn a_log_that_lies_beside_the_database_is_not_replayed_into_the_restored_content() {
    let site = Site::new(500, "PRAGMA journal_mode = wal;");
    let backup = site.backup();
    // A server that was killed: its log stays.
    let open = site.open();
    open.execute_batch(
        "PRAGMA wal_autocheckpoint = 0; DELETE FROM notes; INSERT INTO notes VALUES ('log', '');",
    )
    .unwrap();
    let log = std::fs::read(with_suffix(&site.settings.database, "-wal")).unwrap();
    drop(open);
    for before in ["", "missing", "damaged"] {
        let database = &site.settings.database;
        match before {
            "missing" => std::fs::remove_file(database).unwrap(),
            "damaged" => std::fs::write(database, "x".repeat(8192)).unwrap(),
            _ => std::fs::copy(&backup.database, database).map(|_| ()).unwrap(),
        }
        let _ = std::fs::remove_file(with_suffix(database, "-shm"));
        std::fs::write(with_suffix(database, "-wal"), &log).unwrap();
        let outcome = put_back(&site, &backup).unwrap();
        assert_eq!(counts(&site.open()), (500, 500), "{before}");
        match (before, outcome.secured) {
            // The log's rows are part of the state before.
            ("", Secured::Backup { backup }) => assert_eq!(counts_of(&backup.database), (1, 500)),
            (_, Secured::Damaged { files }) => {
                assert!(files.iter().any(|file| std::fs::read(file).unwrap() == log))
            }
            (_, secured) => panic!("{before}: {secured:?}"),
        }
    }
}

#[test]
fn a_missing_or_damaged_database_is_replaced_and_its_bytes_are_kept() {
    let site = Site::new(3000, "");
    let backup = site.backup();
    let database = &site.settings.database;
    let whole = std::fs::read(database).unwrap();
    let mut torn = whole.clone();
    torn[8192..20_480].fill(0x77);
    let mut headless = whole.clone();
    headless[..100].fill(0);
    let mut schemaless = whole.clone();
    schemaless[100..4096].fill(0xee);
    for (what, bytes, placement) in [
        ("torn pages", Some(torn), Placement::InPlace),
        ("no header", Some(headless), Placement::InPlace),
        ("no schema", Some(schemaless), Placement::InPlace),
        ("text", Some(b"once upon a time".to_vec()), Placement::InPlace),
        (
            "half",
            Some(whole[..whole.len() / 2 + 17].to_vec()),
            Placement::InPlace,
        ),
        ("nothing", None, Placement::NewFile),
    ] {
        match &bytes {
            Some(bytes) => {
                std::fs::write(database, bytes).unwrap();
                std::fs::set_permissions(database, PermissionsExt::from_mode(0o644)).unwrap();
            }
            None => std::fs::remove_file(database).unwrap(),
        }
        let outcome = put_back(&site, &backup).unwrap_or_else(|error| panic!("{what}: {error:?}"));
        assert_eq!(outcome.placement, placement, "{what}");
        assert_eq!(counts(&site.open()), (3000, 3000), "{what}");
        let Secured::Damaged { files } = outcome.secured else {
            panic!("{what}: {:?}", outcome.secured);
        };
        let mode = database.metadata().unwrap().permissions().mode() & 0o777;
        match bytes {
            Some(bytes) => {
                assert!(
                    files.iter().any(|file| std::fs::read(file).unwrap() == bytes),
                    "{what}"
                );
                assert_eq!(mode, 0o644);
            }
            None => assert_eq!(mode, 0o600),
        }
        for file in files {
            assert!(file.to_str().unwrap().contains(".damaged.2026"));
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}

#[test]
fn an_empty_file_is_filled_in_place() {
    let site = Site::new(10, "");
    let backup = site.backup();
    std::fs::write(&site.settings.database, "").unwrap();
    std::fs::remove_file(&site.settings.companion).unwrap();
    let outcome = put_back(&site, &backup).unwrap();
    assert_eq!(outcome.placement, Placement::InPlace);
    assert_eq!(outcome.companion, CompanionChange::Created);
    assert_eq!(counts(&site.open()), (10, 10));
    let mode = site.settings.companion.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_dry_run_says_what_would_change_and_changes_nothing() {
    let site = Site::new(100, "");
    let backup = site.backup();
    grow(&site);
    let bytes = std::fs::read(&site.settings.database).unwrap();
    let names = site.names_but(&[]);
    let options = RestoreOptions {
        dry_run: true,
        ..RestoreOptions::default()
    };
    let outcome = restore(&site.settings, &backup, &options, &Silent).unwrap();
    assert!(outcome.dry_run);
    assert_eq!(outcome.secured, Secured::Nothing);
    assert_eq!(outcome.companion, CompanionChange::Replaced);
    let rows: Vec<_> = outcome
        .tables
        .iter()
        .map(|rows| (rows.table.as_str(), rows.now, rows.backup))
        .collect();
    assert_eq!(
        rows,
        [
            ("later", Some(67), None),
            ("notes", Some(67), Some(100)),
            ("twins", Some(67), Some(100))
        ]
    );
    assert_eq!(std::fs::read(&site.settings.database).unwrap(), bytes);
    assert_eq!(site.names_but(&[]), names);
    assert_eq!(
        std::fs::read_to_string(&site.settings.companion).unwrap(),
        "later"
    );
}

#[test]
fn a_backup_that_is_not_as_it_was_is_refused_before_anything_changes() {
    let site = Site::new(3000, "");
    let backup = site.backup();
    let good = std::fs::read(&backup.database).unwrap();
    let manifest = std::fs::read(&backup.manifest_path).unwrap();
    grow(&site);
    let live = std::fs::read(&site.settings.database).unwrap();
    // Each refusal has its log.
    let names = site.names_but(&["logs"]);
    let refused = |says: &str| {
        let found = find(&site.settings, backup.database.as_os_str()).unwrap();
        let error = put_back(&site, &found).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BackupInvalid);
        assert!(error.message().contains(says), "{}", error.message());
        assert_eq!(std::fs::read(&site.settings.database).unwrap(), live);
    };
    let mut altered = good.clone();
    let end = altered.len() - 20;
    altered[end] ^= 1;
    std::fs::write(&backup.database, &altered).unwrap();
    refused("has the digest ");
    std::fs::write(&backup.database, &good[..good.len() / 2]).unwrap();
    refused(" bytes instead of ");
    std::fs::write(&backup.database, &good).unwrap();
    std::fs::write(backup.companion.as_ref().unwrap(), r#"{"tokenz": {}}"#).unwrap();
    refused("tokens.json.backup.20260102_030405 has the digest ");
    std::fs::remove_file(&backup.manifest_path).unwrap();
    refused(".json does not exist");
    std::fs::write(&backup.manifest_path, &manifest[..manifest.len() / 2]).unwrap();
    refused("is malformed");
    assert_eq!(site.names_but(&["logs"]), names);

    let itself = find(&site.settings, site.settings.database.as_os_str()).unwrap();
    assert_eq!(put_back(&site, &itself).unwrap_err().kind(), ErrorKind::Usage);
}

#[test]
fn a_plain_copy_is_accepted_only_when_asked_for_and_sound() {
    let site = Site::new(3000, "");
    let copy = site.path("copy.db");
    std::fs::copy(&site.settings.database, &copy).unwrap();
    grow(&site);
    let options = RestoreOptions {
        accept_without_manifest: true,
        ..RestoreOptions::default()
    };
    let plain = find(&site.settings, copy.as_os_str()).unwrap();
    assert_eq!(plain.state, Completeness::Incomplete);
    assert_eq!(
        put_back(&site, &plain).unwrap_err().kind(),
        ErrorKind::BackupInvalid
    );
    let outcome = restore(&site.settings, &plain, &options, &Silent).unwrap();
    assert_eq!(outcome.companion, CompanionChange::NotInBackup);
    assert_eq!(counts(&site.open()), (3000, 3000));
    assert_eq!(
        std::fs::read_to_string(&site.settings.companion).unwrap(),
        "later"
    );

    // An index that disagrees with its table is found only by the full check.
    site.open()
        .execute_batch("CREATE INDEX by_text ON notes (text)")
        .unwrap();
    std::fs::copy(&site.settings.database, &copy).unwrap();
    let broken = open_writer(&copy, SERVER_TIMEOUT).unwrap();
    broken
        .execute_batch(
            "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, '(text)', '(id)') WHERE name = 'by_text';",
        )
        .unwrap();
    drop(broken);
    let error = restore(&site.settings, &plain, &options, &Silent).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BackupInvalid);
}

#[test]
fn a_lock_that_others_keep_ends_the_restore_with_the_old_state() {
    let mut site = Site::new(100, "");
    let backup = site.backup();
    grow(&site);
    site.settings.busy_timeout = Duration::from_millis(200);
    let reader = site.open();
    reader.execute_batch("BEGIN; SELECT count(*) FROM notes").unwrap();
    let error = put_back(&site, &backup).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert_eq!(counts(&reader), (67, 67));
    reader.execute_batch("COMMIT").unwrap();
    put_back(&site, &backup).unwrap();
    assert_eq!(counts(&reader), (100, 100));
}

#[test]
fn a_read_only_folder_is_refused_before_anything_changes() {
    let site = Site::new(100, "");
    let backup = site.backup();
    let folder = site.folder.path();
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o500)).unwrap();
    // The superuser may write anyway.
    let writable = std::fs::write(site.path("probe"), "").is_ok();
    let error = put_back(&site, &backup).err();
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o700)).unwrap();
    match error {
        Some(error) => assert_eq!(error.kind(), ErrorKind::Permission),
        None => assert!(writable),
    }
}

#[test]
fn a_restore_that_is_killed_leaves_the_old_or_the_new_state_and_can_be_done_again() {
    for mode in ["delete", "wal"] {
        let site = Site::new(40_000, &format!("PRAGMA journal_mode = {mode};"));
        let backup = site.backup();
        site.open()
            .execute_batch(
                "BEGIN; DELETE FROM notes WHERE rowid > 30000; DELETE FROM twins WHERE rowid > 30000; COMMIT",
            )
            .unwrap();
        let old = (30_000, 30_000);
        let new = (40_000, 40_000);
        let started = Instant::now();
        assert!(
            other_process("restore", &backup.database)
                .wait()
                .unwrap()
                .success()
        );
        let whole_run = started.elapsed();
        assert_eq!(counts(&site.open()), new);

        let mut in_the_middle = 0;
        for part in 1..=24 {
            site.open()
                .execute_batch("BEGIN; DELETE FROM notes WHERE rowid > 30000; DELETE FROM twins WHERE rowid > 30000; COMMIT")
                .unwrap();
            std::fs::write(&site.settings.companion, "later").unwrap();
            let mut restoring = other_process("restore", &backup.database);
            std::thread::sleep(whole_run * part / 24);
            restoring.kill().unwrap();
            restoring.wait().unwrap();
            let journal = with_suffix(&site.settings.database, "-journal");
            in_the_middle += usize::from(journal.exists() || !no_log(&site.settings.database));

            // Looking must not be what repairs it.
            let seen = with_reader(&site.settings.database, SERVER_TIMEOUT, |reader| {
                Ok(counts(reader))
            })
            .unwrap();
            assert!(
                seen == old || seen == new,
                "{mode}, killed at {part}/24: {seen:?}"
            );
            let companion = std::fs::read_to_string(&site.settings.companion).unwrap();
            assert!(companion == "later" || seen == new, "the database comes first");
            let whole: String = site
                .open()
                .query_row("PRAGMA integrity_check", [], |row| row.get(0))
                .unwrap();
            assert_eq!(whole, "ok");
            if part % 6 == 0 {
                put_back(&site, &backup).unwrap();
                assert_eq!(counts(&site.open()), new);
                assert_ne!(
                    std::fs::read_to_string(&site.settings.companion).unwrap(),
                    "later"
                );
            }
            for other in list(&site.settings).unwrap() {
                if other.database != backup.database && other.state == Completeness::Complete {
                    assert_eq!(counts(&open_immutable(&other.database).unwrap()).0 % 10_000, 0);
                    std::fs::remove_file(other.database).unwrap();
                }
            }
        }
        assert!(
            in_the_middle > 0,
            "no kill met the restore in the middle ({mode})"
        );
    }
}
