//! Each target can fail: readers with a mistake that is easily made, each of which must be noticed with what CI gives to
//! the target.

mod config;
mod contract;
mod history;
mod lock;
mod manifest;
mod migration_name;
mod normalise;
mod quoting;
mod receipt;
mod rollback_note;
mod run_log;
mod script;
mod target;
mod timestamp;
mod tokens;

use std::collections::BTreeSet;
use std::fs;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rubbish::{TARGETS, corpus};
use support::proof;

use crate::inputs::Inputs;
use crate::quiet::panic_of;
use crate::runner::target;

/// The target's seeds and as many inputs as CI tries, the same ones each time.
fn all(inputs: &Inputs) -> impl Iterator<Item = Vec<u8>> {
    let seeds = corpus::seeds(inputs.name).into_iter().map(|(_, data)| data);
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    let generated = inputs
        .kinds
        .iter()
        .flat_map(|(_, kind)| std::iter::repeat_n(kind, inputs.cases.try_into().unwrap()));
    seeds.chain(generated.map(move |kind| kind.new_tree(&mut runner).unwrap().current()))
}

/// The target's check fails when what it tries has the mistake, and the first failure says `why`; with the product in
/// its place the same input passes.
#[track_caller]
fn assert_noticed(inputs: &Inputs, mistake: &str, check: impl Fn(&[u8]), why: &str) {
    let name = inputs.name;
    let noticed = all(inputs)
        .zip(1..)
        .find_map(|(data, number)| panic_of(|| check(&data)).map(|said| (data, number, said)));
    let Some((data, number, said)) = noticed else {
        panic!("{name}, {mistake}: nobody notices");
    };
    assert!(
        said.contains(why),
        "{name}, {mistake}: it is said that {said}, for {}",
        data.escape_ascii()
    );
    (target(name).run)(&data);
    proof::count(
        number,
        "inputs until a planted bug is found",
        format_args!("{name}, {mistake}"),
    );
}

#[test]
fn every_target_has_planted_bugs() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/generated/planted");
    let compiled = include_str!("mod.rs");
    let planted: BTreeSet<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| {
            fs::read_to_string(entry.path())
                .unwrap()
                .contains("assert_noticed(")
        })
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".rs").map(str::to_owned))
        .filter(|name| compiled.contains(&format!("\nmod {name};\n")))
        .collect();
    let targets: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(planted, targets);
}
