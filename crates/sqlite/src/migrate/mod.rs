//! The run: steps, batches, checks.

pub(crate) mod adopt;
pub(crate) mod first_start;
pub(crate) mod ledger;
pub(crate) mod preconditions;
pub(crate) mod refinery_step;
pub(crate) mod step;
pub(crate) mod way_up;
