//! Kill -9 at random moments of a rollback, an undo and a restore: the database is at a named version, whole, and the
//! same command again completes it.

use std::time::{Duration, Instant};

use support::catalog::last;
use support::proof;
use support::random::Random;
use support::{BridgeMigrate, Population, TestDatabase, dump};

use crate::engine::{assert_whole, copy_of, rows};

/// Kills in all; a run that ends before it is killed does not count.
const KILLS: u32 = 210;
/// How often one command on one database is killed before it may complete.
const IN_A_ROW: u32 = 3;

/// A command, and what must be true when it is complete.
struct Case {
    name: &'static str,
    arguments: &'static [&'static str],
    start: TestDatabase,
    rows: String,
    tokens: Vec<u8>,
    version: u32,
}

/// A database whose migration takes several batches each way.
fn population(seed: u64) -> TestDatabase {
    let database = TestDatabase::with(&Population {
        seed,
        odd_timestamps: 60,
        ..Population::of_messages(3000)
    });
    database.execute("CREATE INDEX mine ON messages (from_client)");
    database
}

fn run(database: &TestDatabase, arguments: &[&str]) -> support::CommandOutput {
    let output = BridgeMigrate::new(database).args(arguments).run();
    output.assert_code(0);
    output
}

fn cases(seed: u64) -> Vec<Case> {
    let old = population(seed);
    let original = rows(&old, &[]);
    let tokens = std::fs::read(old.tokens()).unwrap();
    run(&old, &["migrate"]);
    let later = copy_of(&old);
    later.execute(
        "INSERT INTO messages (id, room_id, from_client, text, timestamp) VALUES ('later', 'r', 'c', 't', 'now'); \
         UPDATE rooms SET preferences = '{\"a\": 1}'; DELETE FROM votes",
    );
    std::fs::write(later.tokens(), "{\"tokens\": {}, \"revoked\": []}\n").unwrap();
    let backup = std::fs::read_dir(old.folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .find(|name| name.starts_with("collab.db.backup.") && !name.ends_with(".json"));
    assert!(backup.is_some());

    let at_five = population(seed);
    run(&at_five, &["migrate", "--to", "5"]);
    let undone = {
        let copy = copy_of(&at_five);
        run(&copy, &["undo", "5"]);
        rows(&copy, &[])
    };
    let edited = copy_of(&old);
    edited.execute(
        "UPDATE messages SET text = text || '!'; \
         INSERT INTO reactions SELECT id, 'c', '+1', timestamp FROM messages WHERE id IS NOT NULL",
    );
    let with_edits = rows(&edited, &[]);
    run(
        &edited,
        &["rollback", "--to", "1.1.0", "--strategy", "down", "--yes"],
    );
    run(&edited, &["migrate"]);
    vec![
        Case {
            name: "kept reclaim",
            arguments: &["kept", "reclaim"],
            start: edited,
            rows: with_edits,
            tokens: tokens.clone(),
            version: last(),
        },
        Case {
            name: "rollback by statements and journal",
            arguments: &["rollback", "--to", "1.0.0", "--strategy", "down", "--yes"],
            start: copy_of(&old),
            rows: original.clone(),
            tokens: tokens.clone(),
            version: 1,
        },
        Case {
            name: "rollback by the restore point",
            arguments: &["rollback", "--to", "1.0.0", "--strategy", "restore", "--yes"],
            start: copy_of(&later),
            rows: original.clone(),
            tokens: tokens.clone(),
            version: 1,
        },
        Case {
            name: "undo",
            arguments: &["undo", "5"],
            start: at_five,
            rows: undone,
            tokens: tokens.clone(),
            version: 5,
        },
        Case {
            name: "restore",
            arguments: &["restore", "latest"],
            start: later,
            rows: original,
            tokens,
            version: 1,
        },
    ]
}

impl Case {
    /// Kills the command a few times, then lets it complete. Returns how many kills met a running program.
    fn try_once(&self, random: &mut Random, lasts: Duration, half_done: &mut u32) -> u32 {
        let database = copy_of(&self.start);
        // Each restore secures the state before, which would then be the latest backup.
        let arguments: Vec<String> = match self.arguments {
            ["restore", ..] => vec!["restore".to_owned(), first_backup(&database)],
            other => other.iter().map(|word| (*word).to_owned()).collect(),
        };
        let mut kills = 0;
        for _ in 0..IN_A_ROW {
            let mut running = BridgeMigrate::new(&database).args(&arguments).spawn();
            std::thread::sleep(lasts.mul_f64(random.below(1000) as f64 / 1000.0));
            let met = running.is_running();
            let output = running.kill();
            if !met || output.code.is_some() {
                output.assert_code(0);
                break;
            }
            kills += 1;
            *half_done += u32::from(is_half_done(&database, self.version));
            let version = assert_whole(&database);
            assert!(
                (self.version..=last()).contains(&version),
                "{}: V{version:03}",
                self.name
            );
        }
        let output = BridgeMigrate::new(&database).args(&arguments).run();
        output.assert_code(0);
        assert_eq!(assert_whole(&database), self.version, "{}", self.name);
        dump::assert_same(&self.rows, &rows(&database, &[]));
        assert_eq!(
            std::fs::read(database.tokens()).unwrap(),
            self.tokens,
            "{}",
            self.name
        );
        let left: Vec<_> = std::fs::read_dir(database.folder())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".rollback.json") || name.ends_with("-journal"))
            .collect();
        assert!(left.is_empty(), "{}: {left:?}", self.name);
        kills
    }

    fn duration(&self) -> Duration {
        let database = copy_of(&self.start);
        let started = Instant::now();
        BridgeMigrate::new(&database)
            .args(self.arguments)
            .run()
            .assert_code(0);
        started.elapsed()
    }
}

/// Whether a kill left something to complete: a step in part, a version on the way, a restore without its token file.
fn is_half_done(database: &TestDatabase, to: u32) -> bool {
    let connection = database.connect();
    let has_history = "SELECT count(*) FROM sqlite_schema WHERE name = 'migration_progress'";
    let managed: u32 = connection.query_row(has_history, [], |row| row.get(0)).unwrap();
    if managed == 0 {
        return true;
    }
    let sql = "SELECT (SELECT count(*) FROM migration_progress), (SELECT max(version) FROM refinery_schema_history),
        (SELECT count(*) FROM migration_affected_records WHERE undone_by IS NOT NULL),
        (SELECT count(*) FROM migration_affected_records WHERE undone_by IS NULL)";
    let (progress, version, undone, left): (u32, u32, u32, u32) = connection
        .query_row(sql, [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .unwrap();
    progress > 0
        || (version > to && version < last())
        || (undone > 0 && left > 0)
        || database.folder().join("collab.db.rollback.json").exists()
}

fn first_backup(database: &TestDatabase) -> String {
    let mut names: Vec<_> = std::fs::read_dir(database.folder())
        .unwrap()
        .map(|entry| entry.unwrap().path().display().to_string())
        .filter(|name| name.contains("collab.db.backup.") && !name.ends_with(".json"))
        .collect();
    names.sort();
    names.remove(0)
}

#[test]
fn killed_at_any_moment_it_is_whole_and_a_re_run_completes() {
    let seed = crate::seed();
    let mut random = Random::new(seed);
    let cases = cases(seed);
    let durations: Vec<Duration> = cases.iter().map(Case::duration).collect();
    let mut kills = vec![0; cases.len()];
    let (mut tries, mut half_done) = (0, 0);
    while kills.iter().sum::<u32>() < KILLS {
        let index = tries % cases.len();
        kills[index] += cases[index].try_once(&mut random, durations[index], &mut half_done);
        tries += 1;
        assert!(tries < 1000, "the program ends before it can be killed");
    }
    for (case, kills) in cases.iter().zip(&kills) {
        assert!(*kills > 0, "{}", case.name);
    }
    let all: u32 = kills.iter().sum();
    proof::count(
        all.into(),
        "kills on the way back",
        format_args!("{half_done} left something to complete; SEED={seed}"),
    );
    assert!(half_done > 0, "no kill came at a moment that matters");
}
