//! What no engine knows: the catalog as declarations, settings, errors, events, findings, time.
//!
//! It must never know a database: no connection, no SQL of an engine. Its modules stand in this order, each on those
//! before it:
//!
//! 1. `visible`: text that a terminal shows as it is
//! 2. `serial`: values that JSON has no form for
//! 3. `going_back`: what the operator chooses on the way back
//! 4. `hint`: what to do next
//! 5. `error`: kinds, what was reached, what is true now
//! 6. `cause`: why a run failed, as its records tell it
//! 7. `loss`: what is lost, or put aside
//! 8. `finding`: what a check saw
//! 9. `event`: what an engine says while it works
//! 10. `files`: whole and regular files, digests, disk space
//! 11. `clock`: the time, and its forms in text
//! 12. `time_zone`: what a timestamp without an offset means
//! 13. `catalog`: migrations, data steps, imports and the companion file as declarations
//! 14. `position`: where a database stands in a catalog
//! 15. `settings`: what a caller decides before anything runs

mod catalog;
mod cause;
pub mod clock;
mod error;
mod event;
mod files;
mod finding;
mod going_back;
mod hint;
mod loss;
mod position;
pub mod serial;
mod settings;
mod time_zone;
mod visible;

pub use catalog::{
    Catalog, ChainRoots, Companion, CompanionTable, ContractText, DataStep, EntryCounts, Flaw, Import,
    Inputs, Merged, Migration, Rewrite, Rewritten, RowChange, RowChangeKind, Side, TableRows, Value,
};
pub use cause::Cause;
pub use error::{Error, ErrorKind, IoContext, Place, Reached, Result};
pub use event::{Activity, Event, Holder, Observer, Silent, SkippedRow, Stage};
pub use files::{beside, digest, disk, folder_of, regular_file, whole_file};
pub use finding::{Finding, Severity};
pub use going_back::{Keep, Strategy};
pub use hint::Hint;
pub use loss::Loss;
pub use naming::{Phase, Release, Target};
pub use position::Position;
pub use settings::Settings;
pub use time_zone::{MachineZone, TimeZone, UnknownTimeZone, Zone};
pub use visible::{is_hidden, visible};
