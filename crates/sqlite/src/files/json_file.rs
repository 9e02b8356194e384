//! A record in a JSON file: written whole, read as input.

use std::io::{Read as _, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use bridge_migrate_core::whole_file::{VerifiedFile, WholeFile};
use bridge_migrate_core::{Error, ErrorKind, IoContext, Result, regular_file};

/// Writes `value` into `folder`, without a name yet; `read` must find it there again.
///
/// # Errors
/// When the file cannot be written, or does not read as it was written.
pub(crate) fn write<T: Serialize + PartialEq>(
    folder: &Path,
    value: &T,
    read: impl FnOnce(&Path) -> Result<Option<T>>,
) -> Result<VerifiedFile> {
    let whole = WholeFile::create_in(folder)?;
    let mut text = serde_json::to_vec_pretty(value)
        .map_err(|error| Error::io("write", whole.path(), std::io::Error::from(error)))?;
    text.push(b'\n');
    whole.file().write_all(&text).on_file("write", whole.path())?;
    let (verified, ()) = whole.verified(|whole| match read(whole.path())? {
        Some(found) if found == *value => Ok(()),
        _ => Err(Error::new(
            ErrorKind::Io,
            format!("{} does not read as it was written", whole.path().display()),
        )),
    })?;
    Ok(verified)
}

/// Reads what a program of this form wrote; `None` when there is no file. `invalid` makes the error of what is wrong
/// with its content.
///
/// # Errors
/// When the file cannot be read, or is malformed or of another form.
pub(crate) fn read<T: DeserializeOwned>(
    path: &Path,
    limit: u64,
    format: u32,
    invalid: impl Fn(String) -> Error,
) -> Result<Option<T>> {
    #[derive(Deserialize)]
    struct Form {
        format: u32,
    }
    let Some(file) = regular_file::if_there(regular_file::open(path)).on_file("open", path)? else {
        return Ok(None);
    };
    let mut text = Vec::new();
    file.take(limit).read_to_end(&mut text).on_file("read", path)?;
    let malformed = |error: serde_json::Error| invalid(format!("is malformed: {error}"));
    let form: Form = serde_json::from_slice(&text).map_err(malformed)?;
    if form.format != format {
        let other = form.format;
        return Err(invalid(format!(
            "has form {other}, and this program reads form {format}"
        )));
    }
    serde_json::from_slice(&text).map(Some).map_err(malformed)
}
