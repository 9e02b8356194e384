//! The run: steps, batches, checks.

pub(crate) mod adopt;
pub mod apply;
pub(crate) mod first_start;
pub mod ledger;
pub(crate) mod preconditions;
pub(crate) mod refinery_step;
pub mod step;
