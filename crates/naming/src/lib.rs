//! The grammar of what people and files call migrations: file names, releases, phases and targets.
//!
//! It depends on nothing, so that the build script and the scaffolding can use it while a migration does
//! not compile. It reads no file and opens no database: callers hand in names and get values or errors.

mod limits;
mod migration_name;
mod name_error;
mod phase;
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

/// A text as an error message shows it: between backticks, with line breaks and control characters escaped,
/// since names come from anywhere and an error is one line on a terminal.
fn quoted(text: &str) -> String {
    format!(
        "`{}`",
        text.escape_debug()
            .to_string()
            .replace("\\'", "'")
            .replace("\\\"", "\"")
    )
}
