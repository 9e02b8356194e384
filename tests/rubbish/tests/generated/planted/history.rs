//! Looks that pass over another history, tell of it what is nobody's business, or write.
#![allow(
    clippy::disallowed_methods,
    reason = "a look that writes opens the database in its own way"
)]

use bridge_migrate_core::{Finding, Settings};
use bridge_migrate_sqlite::connection::with_reader;
use rubbish::ground::LATEST;
use rubbish::targets::history::{Looks, OURS, check};
use rusqlite::Connection;

use super::assert_noticed;
use crate::records;

/// What the query finds, as texts.
fn column(settings: &Settings, sql: &str) -> Vec<String> {
    with_reader(&settings.database, settings.busy_timeout, |reader| {
        let mut select = reader.prepare(sql).unwrap();
        let rows = select
            .query_map([], |row| row.get::<_, Option<String>>(0))
            .unwrap();
        Ok(rows
            .map(|row| row.unwrap_or_default().unwrap_or_default())
            .collect())
    })
    .unwrap()
}

/// A look that counts the rows of the history and asks no further: as many are right, whatever they say.
fn counting<T>(settings: &Settings, look: fn(&Settings) -> T) -> T {
    match column(settings, "SELECT '' FROM refinery_schema_history").len() {
        9 => look(&LATEST.place().settings),
        _ => look(settings),
    }
}

#[test]
fn a_look_that_passes_over_another_history_is_noticed() {
    let counts = "only rows are counted";
    let mistakes = [
        (
            counts,
            Looks {
                verify: |settings| counting(settings, OURS.verify),
                ..OURS
            },
            "verify finds nothing wrong",
        ),
        (
            counts,
            Looks {
                status: |settings| counting(settings, OURS.status),
                ..OURS
            },
            "status finds nothing wrong",
        ),
        (
            counts,
            Looks {
                plan: |settings| counting(settings, OURS.plan),
                ..OURS
            },
            "nothing to do",
        ),
        (
            counts,
            Looks {
                wait: |settings| counting(settings, OURS.wait),
                ..OURS
            },
            "the database is there",
        ),
        (
            "names in the bundle",
            Looks {
                bundle: |settings| Ok(column(settings, "SELECT name FROM refinery_schema_history").join("\n")),
                ..OURS
            },
            "a text of a row is told",
        ),
        (
            "a look that leaves a mark",
            Looks {
                bundle: |settings| {
                    let connection = Connection::open(&settings.database).unwrap();
                    connection.pragma_update(None, "user_version", 1).unwrap();
                    (OURS.bundle)(settings)
                },
                ..OURS
            },
            "a look changed the file",
        ),
        (
            "never well",
            Looks {
                verify: |_| Ok(vec![Finding::error("BM000", "", "", "")]),
                ..OURS
            },
            "verify finds something wrong",
        ),
    ];
    for (mistake, looks, why) in mistakes {
        assert_noticed(&records::history(), mistake, |data| check(&looks, data), why);
    }
}
