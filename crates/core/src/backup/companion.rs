//! A copy of the companion file at a moment when nobody is rewriting it.
//!
//! Its owner rewrites it in place, and its format is not known here: what was at rest before the copy and still is
//! after it, or reads the same twice in a row, is taken for a whole file. An empty one is doubted for longer,
//! because a rewrite begins with it.

use std::io::{Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use crate::digest::{FileDigest, digest_file};
use crate::error::{Error, ErrorKind, Hint, IoContext, Result, shell_quote};
use crate::event::Silent;
use crate::regular_file;
use crate::whole_file::{VerifiedFile, WholeFile};

/// Between two reads.
const PAUSE: Duration = Duration::from_millis(50);
/// A file that was not changed for this long is at rest.
const REST: Duration = Duration::from_secs(1);
/// A rewrite that takes longer than this is no rewrite.
const PATIENCE: Duration = Duration::from_secs(1);

/// The companion's length in bytes; `None` when there is no companion.
///
/// # Errors
/// [`ErrorKind::CompanionInvalid`] when it is not a regular file, [`ErrorKind::Permission`] when it cannot
/// be looked at.
pub(crate) fn companion_bytes(companion: &Path) -> Result<Option<u64>> {
    match companion.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(Some(metadata.len())),
        Ok(_) => Err(invalid(companion, "is not a regular file")
            .with_hint(Hint::shell(format!("ls -ld {}", shell_quote(companion))))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).on_file("look at", companion),
    }
}

/// Copies the companion into `folder`, without a name yet; `None` when there is no companion.
///
/// # Errors
/// As [`companion_bytes`], or when the file is being rewritten all the time.
pub(crate) fn copy_companion(companion: &Path, folder: &Path) -> Result<Option<(VerifiedFile, FileDigest)>> {
    if companion_bytes(companion)?.is_none() {
        return Ok(None);
    }
    let whole = WholeFile::create_in(folder)?;
    let started = Instant::now();
    loop {
        let began = SystemTime::now();
        copy(companion, &whole)?;
        let copied = digest_file(whole.path(), "", &Silent)?;
        let last_try = started.elapsed() >= PATIENCE;
        let is_whole = was_at_rest(companion, began)? || {
            std::thread::sleep(PAUSE);
            digest_file(companion, "", &Silent)? == copied && (copied.bytes > 0 || last_try)
        };
        if is_whole {
            let (verified, ()) = whole.verified(|_| Ok(()))?;
            return Ok(Some((verified, copied)));
        }
        if last_try {
            return Err(invalid(companion, "is being rewritten all the time"));
        }
    }
}

/// Whether nobody changed the file from some time before `moment` until now.
fn was_at_rest(path: &Path, moment: SystemTime) -> Result<bool> {
    let changed = path
        .metadata()
        .and_then(|metadata| metadata.modified())
        .on_file("look at", path)?;
    // A time in the future, of a clock that was put back, says nothing.
    Ok(moment.duration_since(changed).is_ok_and(|rest| rest >= REST))
}

fn copy(from: &Path, to: &WholeFile) -> Result<()> {
    let mut source = regular_file::open(from).on_file("open", from)?;
    let mut target = to.file();
    target
        .set_len(0)
        .and_then(|()| target.rewind())
        .and_then(|()| std::io::copy(&mut source, &mut target))
        .and_then(|_| target.flush())
        .on_file("copy", from)
}

fn invalid(companion: &Path, why: &str) -> Error {
    Error::new(
        ErrorKind::CompanionInvalid,
        format!("{} {why}", companion.display()),
    )
    .with_truth("No backup was made; nothing was changed.")
}
