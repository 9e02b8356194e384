//! Roots of reply chains, against a plain implementation that holds everything in memory.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails where its ground gives way"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use bridge_migrate_core::{Event, Silent, Target};
use bridge_migrate_sqlite::PlanOptions;
use bridge_migrate_sqlite::{MigrateOptions, migrate};
use common::{Place, Recorder, catalog};
use proptest::prelude::*;

fn place_with(rows: &[(Option<String>, Option<String>)]) -> Place {
    let place = Place::new();
    let options = MigrateOptions {
        plan: PlanOptions {
            target: Target::Version(2),
            ..PlanOptions::default()
        },
        ..MigrateOptions::default()
    };
    migrate(&catalog(), &place.settings, options, &Silent).unwrap();
    let mut connection = place.open();
    let transaction = connection.transaction().unwrap();
    {
        let mut insert = transaction
            .prepare("INSERT INTO notes (id, body, reply_to) VALUES (?1, 'X', ?2)")
            .unwrap();
        for (id, reply_to) in rows {
            insert.execute(rusqlite::params![id, reply_to]).unwrap();
        }
    }
    transaction.commit().unwrap();
    place
}

/// The rule: the root is the row without a parent or with one that does not exist; a cycle's is its smallest id.
fn root_of(id: &str, parents: &BTreeMap<String, Option<String>>) -> String {
    let mut seen = BTreeSet::new();
    let mut current = id.to_owned();
    while seen.insert(current.clone()) {
        match parents
            .get(&current)
            .cloned()
            .flatten()
            .filter(|parent| parents.contains_key(parent))
        {
            Some(parent) => current = parent,
            None => return current,
        }
    }
    let mut cycle = BTreeSet::new();
    while cycle.insert(current.clone()) {
        current = parents[&current].clone().unwrap();
    }
    cycle.into_iter().next().unwrap()
}

fn threads(place: &Place) -> Vec<(Option<String>, Option<String>)> {
    let connection = place.open();
    let mut select = connection
        .prepare("SELECT id, thread FROM notes ORDER BY rowid")
        .unwrap();
    let rows = select
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    rows.map(Result::unwrap).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_row_gets_the_root_of_its_chain(
        parents in prop::collection::vec(prop::option::weighted(0.8, 0_usize..40), 1..40),
        order in any::<prop::sample::Index>(),
    ) {
        let mut rows: Vec<(Option<String>, Option<String>)> = parents
            .iter()
            .enumerate()
            .map(|(id, parent)| (Some(format!("m{id:02}")), parent.map(|parent| format!("m{parent:02}"))))
            .collect();
        let turn = order.index(rows.len());
        rows.rotate_left(turn);
        rows.push((None, Some("m00".to_owned())));
        let place = place_with(&rows);
        migrate(&catalog(), &place.settings, MigrateOptions::default(), &Silent).unwrap();

        let parents: BTreeMap<String, Option<String>> =
            rows.iter().filter_map(|(id, parent)| Some((id.clone()?, parent.clone()))).collect();
        for (id, thread) in threads(&place) {
            let expected = match &id {
                Some(id) => root_of(id, &parents),
                None => root_of("m00", &parents),
            };
            prop_assert_eq!(thread.as_deref(), Some(expected.as_str()), "row {:?}", id);
        }
    }
}

/// The batches of the last data step: rows visited, and how many batches it took.
fn batches(length: usize, reversed: bool, is_cycle: bool) -> usize {
    let mut rows: Vec<(Option<String>, Option<String>)> = (0..length)
        .map(|number| {
            let parent = match number {
                0 if is_cycle => Some(length - 1),
                0 => None,
                _ => Some(number - 1),
            };
            (
                Some(format!("{number:07}")),
                parent.map(|parent| format!("{parent:07}")),
            )
        })
        .collect();
    if reversed {
        rows.reverse();
    }
    let place = place_with(&rows);
    let recorder = Recorder::default();
    migrate(&catalog(), &place.settings, MigrateOptions::default(), &recorder).unwrap();
    for (id, thread) in threads(&place) {
        assert_eq!(thread.as_deref(), Some("0000000"), "{id:?}");
    }
    let events = recorder.0.into_inner().unwrap();
    let visited = |event: &Event| match event {
        Event::BatchCommitted {
            version: 4, visited, ..
        } => Some(*visited),
        _ => None,
    };
    let visited: Vec<u64> = events.iter().filter_map(visited).collect();
    assert_eq!(
        visited.iter().sum::<u64>(),
        length as u64,
        "each row is told of once"
    );
    visited.len()
}

#[test]
fn a_long_chain_takes_many_batches_and_ends_at_its_root_however_it_lies() {
    for (reversed, is_cycle) in [(false, false), (true, false), (false, true), (true, true)] {
        let count = batches(20_000, reversed, is_cycle);
        assert!(
            count > 2,
            "a chain longer than a batch must go on in the next: {count}"
        );
    }
}
