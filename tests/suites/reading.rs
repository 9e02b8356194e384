//! Reads never write, whatever a crash or a power cut left: not a byte of the database or its folder changes, and the
//! answer is that of the database as SQLite recovers it.

use std::fs;
use std::path::PathBuf;

use support::catalog::last;
use support::{BridgeMigrate, TestDatabase};

use crate::common::{json, run, tree};

/// Every command that reads a database, with where it writes what it makes.
const READS: [&[&str]; 14] = [
    &["status"],
    &["plan"],
    &["verify", "--full"],
    &["history"],
    &["checklist"],
    &["doctor"],
    &["wait", "--for", "1.0.0", "--timeout", "0"],
    &["backup", "create"],
    &["rehearse"],
    &["schema", "show"],
    &["schema", "diff"],
    &["schema", "diagram"],
    &["tokens", "verify"],
    &["rollback", "--to", "1.0.0", "--dry-run"],
];

/// What says that the database cannot be read, or is damaged.
const ALARMS: [&str; 4] = ["not an SQLite database", "malformed", "BV101", "cannot open"];

/// What a cut leaves of a file's bytes.
type Cut = fn(&mut Vec<u8>);

/// A crashed copy of a database, made while `server` works: the files beside it come along.
struct Crash {
    database: TestDatabase,
    /// The folder for backups and receipts.
    elsewhere: PathBuf,
}

impl Crash {
    fn of(original: &TestDatabase, suffixes: &[&str]) -> Self {
        let database = TestDatabase::nothing();
        fs::copy(original.tokens(), database.tokens()).unwrap_or_default();
        for suffix in suffixes {
            let file = |database: &TestDatabase| format!("{}{suffix}", database.path().display());
            fs::copy(file(original), file(&database)).unwrap();
        }
        let elsewhere = database.root().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        Self { database, elsewhere }
    }

    fn edit(&self, edit: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(self.database.path()).unwrap();
        edit(&mut bytes);
        fs::write(self.database.path(), bytes).unwrap();
    }

    /// Runs every reading command; none changes the folder, none sees damage, and `status` finds what it should.
    #[track_caller]
    fn assert_only_read(&self, presence: &str, version: u64) {
        let before = tree(self.database.folder());
        for arguments in READS {
            let output = BridgeMigrate::new(&self.database)
                .arg("--backup-dir")
                .arg(&self.elsewhere)
                .args(arguments)
                .run();
            let said = output.to_string();
            assert!(
                !ALARMS.iter().any(|alarm| said.contains(alarm)),
                "{arguments:?}: {said}"
            );
            // A checklist misses other things: a backup, a rehearsal.
            assert!(
                output.code != Some(6) || arguments == ["checklist"],
                "{arguments:?}: {said}"
            );
            assert_eq!(tree(self.database.folder()), before, "{arguments:?} wrote");
        }
        let status = json(&self.database, &["status"]);
        assert_eq!(status["presence"], presence, "{status}");
        let at = match presence {
            "adoptable" => &status["adoptable"]["version"],
            _ => &status["version"],
        };
        assert_eq!(*at, version, "{status}");
        assert_eq!(tree(self.database.folder()), before);
    }

    /// `migrate` recovers it, and `verify` finds a sound database at the end with these messages.
    #[track_caller]
    fn assert_recovered_by_migrate(&self, messages: u64) {
        run(&self.database, &["migrate"]);
        run(&self.database, &["verify", "--full"]);
        assert_eq!(self.database.count("messages"), messages);
        assert_eq!(self.database.query_string("PRAGMA integrity_check"), "ok");
    }
}

/// A transaction that spills into the file, so that its journal is hot, and changes the first page.
const HALF_DONE: &str = "PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN IMMEDIATE; CREATE TABLE half (x); \
    WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT 4000) \
    INSERT INTO half SELECT hex(zeroblob(200)) FROM n";

/// A database with messages in the middle of a transaction, and how many messages it has.
fn half_done(seed: u64) -> (Crash, u64) {
    let database = TestDatabase::populated(seed);
    let messages = database.count("messages");
    let server = database.connect();
    server
        .execute_batch(&format!("{HALF_DONE}; UPDATE messages SET text = 'lost'"))
        .unwrap();
    (Crash::of(&database, &["", "-journal"]), messages)
}

#[test]
fn beside_a_journal_the_first_page_may_be_anything() {
    // The power was cut while a first `migrate` filled the file: its pages did not arrive in order.
    let fresh = TestDatabase::nothing();
    fs::write(fresh.path(), "").unwrap();
    let server = fresh.connect();
    server.execute_batch(HALF_DONE).unwrap();
    let crash = || Crash::of(&fresh, &["", "-journal"]);
    let cuts: [(&str, Cut); 3] = [
        ("a zeroed first page", |bytes| bytes[..4096].fill(0)),
        ("rubbish", |bytes| bytes[..4096].fill(0xa5)),
        ("shorter than a header", |bytes| bytes.truncate(50)),
    ];
    for (what, cut) in cuts {
        println!("{what}");
        let crash = crash();
        crash.edit(cut);
        crash.assert_only_read("empty", 0);
        crash.assert_recovered_by_migrate(0);
    }
    // SQLite takes a journal beside no byte for one of another file, and removes it when it writes.
    let crash = crash();
    crash.edit(Vec::clear);
    crash.assert_only_read("empty", 0);
    crash.assert_recovered_by_migrate(0);
}

#[test]
fn beside_a_journal_the_header_may_be_of_another_database() {
    // A restore that was killed has put the backup's first page over the file's: with another journal mode, or in part.
    let heads: [(&str, Cut); 3] = [
        ("write-ahead log", |bytes| bytes[18..20].fill(2)),
        ("torn", |bytes| bytes[..512].fill(0)),
        ("as written", |_| {}),
    ];
    for (what, head) in heads {
        println!("{what}");
        let (crash, messages) = half_done(81);
        crash.edit(head);
        crash.assert_only_read("adoptable", 1);
        crash.assert_recovered_by_migrate(messages);
        let lost = "SELECT count(*) FROM messages WHERE text = 'lost'";
        assert_eq!(crash.database.query_string(lost), "0");
    }
}

#[test]
fn a_journal_of_several_databases_is_rolled_back_only_where_its_super_journal_is() {
    let first = TestDatabase::populated(82);
    let messages = first.count("messages");
    let second = first.folder().join("second.db");
    let server = first.connect();
    server
        .execute_batch(&format!(
            "ATTACH '{}' AS other; {HALF_DONE}; UPDATE messages SET text = 'lost'; CREATE TABLE other.t (x)",
            second.display()
        ))
        .unwrap();
    let crash = Crash::of(&first, &["", "-journal"]);
    // As SQLite ends a journal of one of several databases: page number of the lock, name, length, sum, magic.
    let name = first.folder().join("collab.db-mj0123456789");
    let name = name.to_str().unwrap();
    let journal = format!("{}-journal", crash.database.path().display());
    let mut bytes = fs::read(&journal).unwrap();
    bytes.extend(262_145_u32.to_be_bytes());
    bytes.extend(name.bytes());
    bytes.extend(u32::try_from(name.len()).unwrap().to_be_bytes());
    bytes.extend(name.bytes().map(u32::from).sum::<u32>().to_be_bytes());
    bytes.extend([0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7]);
    fs::write(&journal, bytes).unwrap();
    // While it is there, the transaction is not committed; reading leaves it where it is.
    fs::write(name, format!("{journal}\0")).unwrap();
    crash.assert_only_read("adoptable", 1);
    assert!(fs::exists(name).unwrap());
    crash.assert_recovered_by_migrate(messages);
    let lost = "SELECT count(*) FROM messages WHERE text = 'lost'";
    assert_eq!(crash.database.query_string(lost), "0");
}

/// The system's folder for temporary files is often a small one in memory, which the whole database would fill.
#[test]
fn a_private_copy_is_made_beside_the_database() {
    let (crash, _) = half_done(85);
    let before = tree(crash.database.folder());
    let nowhere = crash.database.root().join("nowhere");
    for arguments in [["status"], ["verify"], ["plan"]] {
        BridgeMigrate::new(&crash.database)
            .env("TMPDIR", &nowhere)
            .args(arguments)
            .run()
            .assert_code(0);
        assert_eq!(tree(crash.database.folder()), before);
    }
}

#[test]
fn a_log_without_its_index_is_read_with_all_that_it_holds() {
    let database = TestDatabase::populated(83);
    run(&database, &["migrate"]);
    database.set_wal(true);
    let server = database.connect();
    server
        .execute_batch("PRAGMA wal_autocheckpoint = 0; UPDATE rooms SET preferences = 'in the log'; PRAGMA user_version = 7")
        .unwrap();
    let messages = database.count("messages");
    for (suffixes, zeroed) in [
        (["", "-wal"].as_slice(), 0),
        (&["", "-wal", "-shm"], 0),
        // A checkpoint was cut: the log still has what the file's first page should be.
        (&["", "-wal"], 4096),
        (&["", "-wal", "-shm"], 512),
    ] {
        println!("{suffixes:?}, {zeroed} bytes zeroed");
        let crash = Crash::of(&database, suffixes);
        crash.edit(|bytes| bytes[..zeroed].fill(0));
        crash.assert_only_read("managed", last().into());
        crash.assert_recovered_by_migrate(messages);
        let kept = "SELECT count(*) FROM rooms WHERE preferences <> 'in the log'";
        assert_eq!(crash.database.query_string(kept), "0");
    }
}

#[test]
fn in_write_ahead_mode_nothing_is_made_beside_a_database_that_nobody_has_open() {
    let database = TestDatabase::populated(84);
    run(&database, &["migrate"]);
    database.set_wal(true);
    let crash = Crash::of(&database, &[""]);
    crash.assert_only_read("managed", last().into());
    let before = tree(crash.database.folder());
    run(&crash.database, &["migrate"]);
    assert_eq!(tree(crash.database.folder()), before, "there was nothing to do");
}
