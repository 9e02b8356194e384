//! Is there space on the disk: asked before anything starts.

use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::hint::Hint;

/// Bytes that this user can still write in `folder`.
///
/// # Errors
/// When the folder does not exist.
pub fn available(folder: &Path) -> Result<u64> {
    fs4::available_space(folder).on_file("ask for the free space of", folder)
}

/// Refuses when `folder` lacks the space for `bytes`; `what_for` names the thing: `the backup`.
///
/// # Errors
/// [`ErrorKind::DiskFull`], saying how much is needed, how much there is and how much to free.
pub fn require_space(folder: &Path, bytes: u64, what_for: &str) -> Result<()> {
    let free = available(folder)?;
    if free >= bytes {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::DiskFull,
        format!(
            "{} has no room for {what_for}: {} needed, {} free",
            folder.display(),
            size(bytes),
            size(free)
        ),
    )
    .with_truth(format!(
        "Nothing was changed. Free at least {} there first.",
        size(bytes - free)
    ))
    .with_hint(Hint::FreeSpace(Some(folder.into()))))
}

/// A folder with space for a copy of `bytes`: the first of `folders`, where the data lies anyway, that can be written
/// and has it; else the one for temporary files, which may be memory.
///
/// # Errors
/// As [`require_space`], when none has it.
pub fn place_for_copy(folders: &[&Path], bytes: u64, what_for: &str) -> Result<PathBuf> {
    let temporary = temporary_folder();
    let mut writable = folders.iter().copied().filter(|folder| is_writable(folder));
    let has_space = |folder: &&Path| available(folder).is_ok_and(|free| free >= bytes);
    let place = writable.clone().chain([&*temporary]).find(has_space);
    let place = place.or(writable.next()).unwrap_or(&temporary);
    require_space(place, bytes, what_for)?;
    Ok(place.to_owned())
}

/// Where SQLite makes its temporary files (<https://sqlite.org/tempfiles.html>, 5).
pub fn temporary_folder() -> PathBuf {
    if !cfg!(unix) {
        return std::env::temp_dir();
    }
    let named = ["SQLITE_TMPDIR", "TMPDIR"]
        .into_iter()
        .filter_map(std::env::var_os);
    let usual = ["/var/tmp", "/usr/tmp", "/tmp"].map(Into::into);
    let mut folders = named.chain(usual).map(PathBuf::from);
    folders
        .find(|folder| is_writable(folder))
        .unwrap_or_else(|| ".".into())
}

fn is_writable(folder: &Path) -> bool {
    tempfile::tempfile_in(folder).is_ok()
}

/// Whether both folders are on one file system, so that what they need adds up. Yes when in doubt.
pub fn same_file_system(one: &Path, other: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let device = |folder: &Path| folder.metadata().map(|metadata| metadata.dev()).ok();
        device(one) == device(other)
    }
    #[cfg(not(unix))]
    {
        let _ = (one, other);
        true
    }
}

/// A number of bytes for people: `512 B`, `1.5 GiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut unit = "EiB";
    let mut divisor = 1_u64 << 60;
    for (power, name) in (1..).zip(UNITS) {
        if bytes >> (10 * power) < 1024 {
            unit = name;
            divisor = 1 << (10 * power);
            break;
        }
    }
    // Tenths by integers: sizes beyond 2^53 would lose their last digits in a float.
    let tenths = u128::from(bytes) * 10 / u128::from(divisor);
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_refused_with_what_is_needed_and_what_is_free() {
        let folder = tempfile::tempdir().unwrap();
        require_space(folder.path(), 1, "the backup").unwrap();
        let error = require_space(folder.path(), u64::MAX, "the backup").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DiskFull);
        assert!(
            error
                .message()
                .contains("has no room for the backup: 15.9 EiB needed, ")
        );
        assert!(error.message().ends_with(" free"));
        assert!(
            error
                .truth()
                .unwrap()
                .starts_with("Nothing was changed. Free at least 15.9 EiB")
        );
        assert_eq!(error.hint(), &Hint::FreeSpace(Some(folder.path().into())));
    }

    #[test]
    fn sizes_are_short() {
        let sizes = [0, 1023, 1024, 1536, 1 << 20, (1 << 30) * 3 / 2, u64::MAX];
        assert_eq!(
            sizes.map(size),
            [
                "0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "1.5 GiB", "15.9 EiB"
            ]
        );
    }
}
