//! Gives a target many inputs, and says how many.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};
use rubbish::{TARGETS, Target};
use support::proof;

use crate::quiet::quietly;

/// The target of that name.
pub(crate) fn target(name: &str) -> &'static Target {
    TARGETS.iter().find(|target| target.name == name).unwrap()
}

/// Runs a target on `cases` inputs of the strategy; the smallest that fails is shown.
pub(crate) fn run(name: &str, cases: u32, how: &str, strategy: &impl Strategy<Value = Vec<u8>>) {
    let target = target(name);
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 2000,
        ..Config::default()
    };
    // While a failing input is made smaller, it fails hundreds of times; the last failure is shown.
    let outcome = quietly(|| {
        TestRunner::new(config).run(strategy, |data| {
            (target.run)(&data);
            Ok(())
        })
    });
    match outcome {
        Ok(()) => proof::count(cases.into(), "inputs", format_args!("{name}, {how}")),
        Err(TestError::Fail(why, data)) => panic!(
            "{name}: {why}\nwith these bytes, which belong into fuzz/corpus/{name}:\n{}",
            data.escape_ascii()
        ),
        Err(TestError::Abort(why)) => panic!("{name}: {why}"),
    }
}
