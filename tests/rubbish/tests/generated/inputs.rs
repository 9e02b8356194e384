//! What CI gives to a target besides its seeds: inputs made by a grammar, and seeds that were changed a little.

use proptest::prelude::*;

use crate::mutation::mutated;
use crate::runner;

/// The inputs of one target.
pub(crate) struct Inputs {
    /// The name of the target.
    pub(crate) name: &'static str,
    /// How many there are of each kind.
    pub(crate) cases: u32,
    /// The kinds, each with how its inputs are made.
    pub(crate) kinds: [(&'static str, BoxedStrategy<Vec<u8>>); 2],
}

impl Inputs {
    /// Inputs of the grammar and as many that are made from seeds by small changes, some of which insert one of `words`.
    pub(crate) fn new(
        name: &'static str,
        cases: u32,
        grammar: impl Strategy<Value = Vec<u8>> + 'static,
        words: &'static [&'static str],
    ) -> Self {
        Self {
            name,
            cases,
            kinds: [
                ("made by its grammar", grammar.boxed()),
                ("made from seeds", mutated(name, words).boxed()),
            ],
        }
    }

    /// Runs the target on all of them.
    pub(crate) fn try_all(&self) {
        for (how, kind) in &self.kinds {
            runner::run(self.name, self.cases, how, kind);
        }
    }
}
