//! Values that JSON has no form for, written by their text; of a path, what is no text is replaced.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use serde::Serializer;

/// The value's text.
///
/// # Errors
/// Those of the serializer, as for all of these.
pub fn text<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// As [`text`], for a value that may not be there.
///
/// # Errors
/// As [`text`].
pub fn optional_text<S: Serializer>(value: &Option<impl Display>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

/// A path.
///
/// # Errors
/// As [`text`].
pub fn path<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// As [`path`], for several.
///
/// # Errors
/// As [`text`].
pub fn paths<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().map(|path| path.to_string_lossy()))
}

/// As [`path`], for one that may not be there.
///
/// # Errors
/// As [`text`].
pub fn optional_path<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    optional_text(&path.as_ref().map(|path| path.display()), serializer)
}
