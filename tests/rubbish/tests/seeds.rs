//! Every seed, those of defects that once were among them, and that `fuzz/` is complete.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says so by panicking"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rubbish::{TARGETS, corpus};
use support::proof;

/// Much longer than any seed takes.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a person can still look through.
const MOST_SEEDS: usize = 60;
const MOST_BYTES: usize = 16 * 1024;

#[test]
fn every_seed_is_read_as_it_should_be() {
    let mut read = 0;
    let mut failed = Vec::new();
    for target in TARGETS {
        for (name, data) in corpus::seeds(target.name) {
            let started = Instant::now();
            let outcome = std::panic::catch_unwind(|| (target.run)(&data));
            if outcome.is_err() {
                failed.push(format!("{}/{name}", target.name));
            }
            assert!(
                started.elapsed() < PATIENCE,
                "fuzz/corpus/{}/{name} takes long",
                target.name
            );
            read += 1;
        }
    }
    assert!(failed.is_empty(), "these of fuzz/corpus fail: {failed:?}");
    proof::count(
        read,
        "seeds",
        format_args!("{} things that are read", TARGETS.len()),
    );
}

fn names(folder: &Path, suffix: &str) -> BTreeSet<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(suffix).map(str::to_owned))
        .collect()
}

#[test]
fn every_target_has_a_fuzz_target_and_seeds_and_the_other_way_round() {
    let expected: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    let fuzz = corpus::folder().parent().unwrap().to_owned();
    assert_eq!(names(&corpus::folder(), ""), expected);
    assert_eq!(names(&fuzz.join("fuzz_targets"), ".rs"), expected);
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    for name in &expected {
        let source = fs::read_to_string(fuzz.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(
            source.contains(&format!("rubbish::targets::{name}(data)")),
            "{name} calls another"
        );
        assert!(
            manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")),
            "{name} is not built"
        );
    }
}

#[test]
fn seeds_are_few_and_small() {
    for target in TARGETS {
        let seeds = corpus::seeds(target.name);
        assert!(
            (10..=MOST_SEEDS).contains(&seeds.len()),
            "{} has {} seeds",
            target.name,
            seeds.len()
        );
        let contents: BTreeSet<&[u8]> = seeds.iter().map(|(_, data)| data.as_slice()).collect();
        assert_eq!(contents.len(), seeds.len(), "{} has a seed twice", target.name);
        for (name, data) in &seeds {
            assert!(
                data.len() <= MOST_BYTES,
                "{}/{name} has {} bytes",
                target.name,
                data.len()
            );
        }
    }
}
