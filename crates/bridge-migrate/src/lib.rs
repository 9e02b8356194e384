//! The migrations of the Bridge.

pub mod timestamps;
