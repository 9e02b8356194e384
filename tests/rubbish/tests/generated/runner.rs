//! Gives a target many inputs, and says how many.

use std::cell::Cell;
use std::sync::Once;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};
use rubbish::{TARGETS, Target};
use support::proof;

use crate::mutation::mutated;

thread_local! {
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// While a failing input is made smaller, it fails hundreds of times; the last failure is shown.
fn print_no_panic_of_this_thread() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !IS_QUIET.get() {
                print(panic);
            }
        }));
    });
    IS_QUIET.set(true);
}

/// The target of that name.
fn target(name: &str) -> &'static Target {
    TARGETS.iter().find(|target| target.name == name).unwrap()
}

/// Runs a target on `cases` inputs of the strategy and as many that are made from seeds by small changes.
pub(crate) fn try_many(
    name: &str,
    cases: u32,
    strategy: impl Strategy<Value = Vec<u8>>,
    words: &'static [&'static str],
) {
    run(name, cases, "made by its grammar", strategy);
    run(name, cases, "made from seeds", mutated(name, words));
}

fn run(name: &str, cases: u32, how: &str, strategy: impl Strategy<Value = Vec<u8>>) {
    let target = target(name);
    print_no_panic_of_this_thread();
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 2000,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&strategy, |data| {
        (target.run)(&data);
        Ok(())
    });
    IS_QUIET.set(false);
    match outcome {
        Ok(()) => proof::count(cases.into(), "inputs", format_args!("{name}, {how}")),
        Err(TestError::Fail(why, data)) => panic!(
            "{name}: {why}\nwith these bytes, which belong into fuzz/corpus/{name}:\n{}",
            data.escape_ascii()
        ),
        Err(TestError::Abort(why)) => panic!("{name}: {why}"),
    }
}
