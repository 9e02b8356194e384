//! What no engine knows: the catalog as declarations, settings, errors, events, findings, time.
//!
//! It must never know a database: no connection, no SQL of an engine.

mod catalog;
mod cause;
pub mod clock;
mod error;
mod event;
mod files;
mod finding;
mod loss;
mod position;
mod settings;
mod time_zone;
mod visible;

pub use catalog::*;
pub use cause::*;
pub use error::*;
pub use event::*;
pub use files::{beside, digest, disk, regular_file, whole_file};
pub use finding::*;
pub use loss::*;
pub use naming::{Phase, Release, Target};
pub use position::*;
pub use settings::*;
pub use time_zone::*;
pub use visible::*;
