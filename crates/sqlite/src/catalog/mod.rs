//! How a catalog's declarations run here.

pub mod companion_rows;
pub mod contracts;
pub(crate) mod data;
pub(crate) mod journal;
