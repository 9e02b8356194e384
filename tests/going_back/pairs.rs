//! For every two versions: what the earlier one knew is intact after the later one came and went.

use bridge_migrate_sqlite::rollback::Strategy;
use support::proof;
use support::random::{Random, mix};
use support::{Nasty, TestDatabase, dump};

use crate::engine::{assert_whole, catalog, down, fingerprint, rows, twin, up};
use crate::writes;

/// Not too large: every pair has its own.
fn database(seed: u64) -> TestDatabase {
    TestDatabase::with_nasty(&Nasty {
        seed,
        messages: 60,
        chain: 40,
        huge_text: 4096,
        extreme_rowids: seed.is_multiple_of(2),
        trigger_on_update: false,
    })
}

/// What two databases need not have in common: V007 takes every thread back, also those that the trigger of V006
/// found; the triggers of V009 write the time.
fn declared(from: u32, to: u32) -> &'static [(&'static str, &'static str)] {
    match (from, to) {
        (6, 7..) => &[("messages", "thread_id")],
        (9.., _) => &[("message_revisions", "changed_at"), ("messages", "edited_at")],
        _ => &[],
    }
}

fn check(seed: u64, from: u32, to: u32) {
    let mut random = Random::new(seed);
    let database = database(seed);
    let connection = database.connect_read_only();
    let violations: u64 = connection
        .query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert!(violations > 0, "a database without orphans proves little");
    drop(connection);
    up(&database, from);
    let twin = twin(&database);
    let before = fingerprint(&database);

    up(&database, to);
    let above = fingerprint(&database);
    let writes = writes::random(&mut random);
    writes::perform(&database, &writes, to);
    writes::perform(&twin, &writes, from);
    let strategy = match random.below(2) {
        _ if (from, to) == (4, 5) => Strategy::Undo,
        0 => Strategy::Down,
        _ => Strategy::Auto,
    };
    let outcome = down(&database, from, strategy);
    assert_ne!(
        outcome.strategy,
        Strategy::Restore,
        "nothing that was written may be lost"
    );

    assert_eq!(assert_whole(&database), from);
    assert_eq!(fingerprint(&database), before);
    let without = declared(from, to);
    dump::assert_same(&rows(&twin, without), &rows(&database, without));

    // And up again: the same schema, and what did not go through a declared change is the same.
    up(&database, to);
    assert_eq!(fingerprint(&database), above);
    assert_eq!(assert_whole(&database), to);
    up(&twin, to);
    let again = [
        // A trigger found the threads of some rows before their neighbours were there.
        ("messages", "thread_id"),
        ("revoked_tokens", "revoked_at"),
        ("message_revisions", "changed_at"),
        ("messages", "edited_at"),
    ];
    if from >= 4 || to < 4 || writes.is_empty() {
        dump::assert_same(&rows(&twin, &again), &rows(&database, &again));
    }
}

#[test]
fn what_a_version_knew_survives_every_later_version() {
    let seed = crate::seed();
    let last = catalog().last_version();
    let mut pairs = 0;
    for from in 1..=last {
        for to in from..=last {
            let of_pair = mix(seed ^ u64::from(from * 100 + to));
            let ended = std::panic::catch_unwind(|| check(of_pair, from, to));
            assert!(ended.is_ok(), "V{from:03} to V{to:03}, SEED={seed}");
            pairs += 1;
        }
    }
    proof::count(
        pairs.into(),
        "pairs of versions, there and back",
        format_args!("SEED={seed}"),
    );
    assert_eq!(pairs, last * (last + 1) / 2);
}
