//! Files: whole, regular, digested, and the space that is left for them.

use std::path::{Path, PathBuf};

pub mod beside;
pub mod digest;
pub mod disk;
pub mod regular_file;
pub mod whole_file;

/// The folder that holds `path`; `.` when the path names none.
pub fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}
