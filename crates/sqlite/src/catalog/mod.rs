//! How a catalog's declarations run here.

pub(crate) mod companion_rows;
pub mod contracts;
pub(crate) mod data;
pub(crate) mod journal;
