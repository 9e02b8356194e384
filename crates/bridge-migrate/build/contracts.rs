//! Reads the names of the folder of contract statements and writes their list.

use std::{fmt::Write, path::Path};

use naming::Release;

/// The releases that have contract statements, oldest first.
///
/// # Errors
/// All names that are not those of a release, each in one line.
pub(crate) fn read(folder: &Path) -> Result<Vec<Release>, Vec<String>> {
    let cannot_read = |source: std::io::Error| vec![format!("cannot read {}: {source}", folder.display())];
    let mut releases = Vec::new();
    let mut mistakes = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(cannot_read)? {
        let name = entry.map_err(cannot_read)?.file_name();
        let name = name.to_string_lossy();
        match name.strip_suffix(".sql").map(Release::parse) {
            Some(Ok(release)) => releases.push(release),
            _ => mistakes.push(format!(
                "contracts/{name}: it must be named after a release, as in 1.1.0.sql"
            )),
        }
    }
    releases.sort_unstable();
    if mistakes.is_empty() {
        Ok(releases)
    } else {
        mistakes.sort_unstable();
        Err(mistakes)
    }
}

/// The Rust text of the list: each release with the text of its file.
///
/// # Errors
/// When the folder's path is not UTF-8, which Rust cannot name in `include_str!`.
pub(crate) fn list(folder: &Path, releases: &[Release]) -> Result<String, String> {
    let mut entries = String::new();
    for Release { major, minor, patch } in releases {
        let path = folder.join(format!("{major}.{minor}.{patch}.sql"));
        let path = path
            .to_str()
            .ok_or_else(|| format!("{} is not UTF-8", path.display()))?;
        // Writing to a String cannot fail.
        let _ = writeln!(
            entries,
            "    (Release::new({major}, {minor}, {patch}), include_str!({path:?})),"
        );
    }
    Ok(format!("const CONTRACTS: &[(Release, &str)] = &[\n{entries}];\n"))
}
