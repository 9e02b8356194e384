//! The grammar of what people and files call migrations: file names, releases, phases and targets.
//!
//! It depends on nothing, so that the build script and the scaffolding can use it while a migration does
//! not compile. It reads no file and opens no database: callers hand in names and get values or errors.
//! Its rooms stand in this order, each on those before it:
//!
//! 1. `limits`: how long a name and how high a number may be
//! 2. `quoted`: a text as an error shows it
//! 3. `name_error`: what is wrong with a name
//! 4. `migration_name`: `V005__normalize_timestamps`
//! 5. `words`: from what somebody types to a name
//! 6. `phase`: what servers a migration can live with
//! 7. `release`: `1.1.0`
//! 8. `sequence`: the next number
//! 9. `target`: where to go

mod limits;
mod migration_name;
mod name_error;
mod phase;
mod quoted;
mod release;
mod sequence;
mod target;
mod words;

pub use limits::{MAX_NAME_LENGTH, MAX_VERSION};
pub use migration_name::MigrationName;
pub use name_error::{NameError, NameProblem};
pub use phase::{Phase, PhaseError};
pub use release::{Release, ReleaseError};
pub use sequence::{SequenceError, next_version, scan};
pub use target::{Target, TargetError};
pub use words::to_migration_name;
