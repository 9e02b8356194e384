//! What is known of schemas: examples, and properties of any.

mod diff;
mod normalise;
mod normalise_properties;
mod samples;
mod script;
mod snapshot;
