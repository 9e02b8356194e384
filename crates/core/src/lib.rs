//! What no engine knows: the catalog as declarations, settings, errors, events, findings, time.
//!
//! It must never know a database: no connection, no SQL of an engine. Its modules stand in this order, each on those
//! before it:
//!
//! 1. `visible`: text that a terminal shows as it is
//! 2. `error`: kinds, hints, what was reached
//! 3. `cause`: why a run failed, as its records tell it
//! 4. `loss`: what is lost, or put aside
//! 5. `finding`: what a check saw
//! 6. `event`: what an engine says while it works
//! 7. `files`: whole and regular files, digests, room on disk
//! 8. `clock`: the time, and its forms in text
//! 9. `time_zone`: what a timestamp without an offset means
//! 10. `catalog`: migrations, data steps, imports and the companion file as declarations
//! 11. `position`: where a database stands in a catalog
//! 12. `settings`: what a caller decides before anything runs

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

pub use catalog::{
    Catalog, ChainRoots, Companion, CompanionTable, ContractText, DataStep, EntryCounts, Flaw, Import,
    Inputs, Keep, Merged, Migration, Rewrite, Rewritten, RowChange, RowChangeKind, Side, TableRows, Value,
};
pub use cause::Cause;
pub use error::{Error, ErrorKind, Hint, IoContext, Place, Reached, Result, shell_quote};
pub use event::{Activity, Event, Holder, Observer, Silent, SkippedRow, Stage};
pub use files::{beside, digest, disk, folder_of, regular_file, whole_file};
pub use finding::{Finding, Severity};
pub use loss::Loss;
pub use naming::{Phase, Release, Target};
pub use position::Position;
pub use settings::Settings;
pub use time_zone::{MachineZone, TimeZone, UnknownTimeZone, Zone};
pub use visible::{is_hidden, visible};
