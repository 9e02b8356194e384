//! Reads the companion file as a whole while its owner may be rewriting it in place.

use bridge_migrate_core::regular_file::if_there;
use std::io::{BufRead, BufReader, ErrorKind as Io, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use bridge_migrate_core::digest::{FileDigest, digest_file};
use bridge_migrate_core::whole_file::{VerifiedFile, WholeFile};
use bridge_migrate_core::{
    Companion, Error, ErrorKind, Flaw, Hint, IoContext, Result, Settings, Silent, regular_file,
};

/// The largest companion that is read, in bytes: over 70,000 tokens of the Bridge.
pub const COMPANION_LIMIT: u64 = 16 << 20;

/// How long a rewrite may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// The companion's length in bytes; `None` when there is no companion.
///
/// # Errors
/// [`ErrorKind::CompanionInvalid`] when it is not a regular file, [`ErrorKind::Permission`] when it cannot
/// be looked at.
pub(super) fn companion_bytes(companion: &Path) -> Result<Option<u64>> {
    match companion.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(Some(metadata.len())),
        Ok(_) => Err(Error::unchanged(
            ErrorKind::CompanionInvalid,
            format!("{} is not a regular file", companion.display()),
        )
        .with_hint(Hint::LookAtEntry(companion.into()))),
        Err(error) if error.kind() == Io::NotFound => Ok(None),
        Err(error) => Err(error).on_file("look at", companion),
    }
}

/// Reads the companion file; `None` when there is none.
///
/// A file that is not whole, or that changes while it is read, is read again for a second: its owner rewrites it in
/// place.
///
/// # Errors
/// [`ErrorKind::CompanionInvalid`] when it stays so, is larger than [`COMPANION_LIMIT`], no regular file, or of
/// another structure; else what the operating system refused.
pub fn read_companion(format: &dyn Companion, path: &Path) -> Result<Option<Vec<u8>>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let flaw = match attempt(format, path)? {
            Attempt::Missing => return Ok(None),
            Attempt::Read(bytes) => return Ok(Some(bytes)),
            Attempt::Flawed(flaw) => flaw,
        };
        if matches!(flaw, Flaw::Structure(_)) || Instant::now() >= deadline {
            return Err(invalid(format, path, &flaw.to_string()).with_hint(match flaw {
                Flaw::Unfinished(_) => Hint::CompanionText(path.into()),
                Flaw::Structure(_) => Hint::CompanionVerify,
            }));
        }
        std::thread::sleep(PAUSE);
    }
}

enum Attempt {
    Missing,
    Read(Vec<u8>),
    Flawed(Flaw),
}

fn attempt(format: &dyn Companion, path: &Path) -> Result<Attempt> {
    let Some(metadata) = if_there(path.symlink_metadata()).on_file("look at", path)? else {
        return Ok(Attempt::Missing);
    };
    let wrong_file = |why: &str| invalid(format, path, why).with_hint(Hint::LookAtEntry(path.into()));
    if metadata.is_symlink() {
        return Err(wrong_file(
            "it is a symbolic link: name the file that it leads to",
        ));
    }
    if !metadata.is_file() {
        return Err(wrong_file("it is not a file"));
    }
    let mut bytes = Vec::new();
    let file = regular_file::open(path).on_file("open", path)?;
    file.take(COMPANION_LIMIT + 1)
        .read_to_end(&mut bytes)
        .on_file("read", path)?;
    if bytes.len() as u64 > COMPANION_LIMIT {
        let (limit, name) = (COMPANION_LIMIT >> 20, format.name());
        return Err(wrong_file(&format!(
            "it is larger than {limit} MiB, which no {name} is"
        )));
    }
    let checked = format.check(&bytes);
    // Half of an old and half of a new file can be well-formed together: only a second look tells.
    if !has_content(path, &bytes)? {
        let why = "it changes while it is read".to_owned();
        return Ok(Attempt::Flawed(Flaw::Unfinished(why)));
    }
    Ok(match checked {
        Ok(()) => Attempt::Read(bytes),
        Err(flaw) => Attempt::Flawed(flaw),
    })
}

/// Whether a file has this content now, without holding it in memory a second time.
fn has_content(path: &Path, expected: &[u8]) -> Result<bool> {
    let Some(file) = if_there(regular_file::open(path)).on_file("open", path)? else {
        return Ok(false);
    };
    let mut reader = BufReader::new(file);
    let mut rest = expected;
    loop {
        let found = reader.fill_buf().on_file("read", path)?;
        if found.is_empty() {
            return Ok(rest.is_empty());
        }
        match rest.strip_prefix(found) {
            Some(left) => rest = left,
            None => return Ok(false),
        }
        let length = found.len();
        reader.consume(length);
    }
}

fn invalid(format: &dyn Companion, path: &Path, why: &str) -> Error {
    Error::new(
        ErrorKind::CompanionInvalid,
        format!("cannot read the {} {}: {why}", format.name(), path.display()),
    )
    .with_truth(format!("The {} is as it was.", format.name()))
}

/// Copies the companion into the backup folder, without a name yet; `None` when there is no companion. `as_it_is`
/// copies one that is not whole, too: to keep it is better than to lose it.
///
/// # Errors
/// As [`read_companion`].
pub(crate) fn copy_companion(
    settings: &Settings,
    as_it_is: bool,
) -> Result<Option<(VerifiedFile, FileDigest)>> {
    let companion = &settings.companion;
    if companion_bytes(companion)?.is_none() {
        return Ok(None);
    }
    let whole = WholeFile::create_in(&settings.backup_dir)?;
    let mut target = whole.file();
    match read_companion(settings.companion_format, companion) {
        Ok(None) => return Ok(None),
        Ok(Some(bytes)) => target.write_all(&bytes).on_file("copy", companion)?,
        Err(error) if as_it_is && error.kind() == ErrorKind::CompanionInvalid => {
            let mut source = regular_file::open(companion).on_file("open", companion)?;
            std::io::copy(&mut source, &mut target).on_file("copy", companion)?;
        }
        Err(error) => return Err(error),
    }
    let (verified, digest) = whole.verified(|whole| digest_file(whole.path(), "", &Silent))?;
    Ok(Some((verified, digest)))
}

/// What is wrong with the companion's copy in a backup; `None` when it is whole.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn flaw_of(format: &dyn Companion, copy: &Path) -> Result<Option<String>> {
    let mut bytes = Vec::new();
    regular_file::open(copy)
        .and_then(|file| file.take(COMPANION_LIMIT + 1).read_to_end(&mut bytes))
        .on_file("read", copy)?;
    let flaw = format.check(&bytes).err();
    Ok(flaw.map(|flaw| {
        format!(
            "{} is no whole {}: {flaw}",
            super::lossy_name(copy),
            format.name()
        )
    }))
}
