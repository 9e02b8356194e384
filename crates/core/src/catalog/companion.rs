//! What the engine must know of the companion file, whose format only the application knows.

use std::fmt;
use std::path::Path;

use crate::error::{Hint, shell_quote};

/// The companion file's format.
pub trait Companion: fmt::Debug + Send + Sync {
    /// What people call the file, such as `token file`.
    fn name(&self) -> &'static str;

    /// Whether these are the bytes of a whole file.
    ///
    /// # Errors
    /// What is wrong with them, without a value of theirs.
    fn check(&self, bytes: &[u8]) -> Result<(), Flaw>;

    /// The command to type next when the file at `path` has a flaw.
    fn hint(&self, path: &Path, _flaw: &Flaw) -> Hint {
        Hint::shell(format!("ls -l {}", shell_quote(path)))
    }
}

/// Why bytes are no companion file. Tells positions, never values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flaw {
    /// Perhaps it is only half written yet.
    Unfinished(String),
    /// It is whole, but something else.
    Structure(String),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Unfinished(why) | Self::Structure(why)) = self;
        f.write_str(why)
    }
}

/// The format of a catalog that declares none: any bytes but none at all, which is how a rewrite begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnyBytes;

impl Companion for AnyBytes {
    fn name(&self) -> &'static str {
        "companion file"
    }

    fn check(&self, bytes: &[u8]) -> Result<(), Flaw> {
        match bytes {
            [] => Err(Flaw::Unfinished("it is empty".to_owned())),
            _ => Ok(()),
        }
    }
}
