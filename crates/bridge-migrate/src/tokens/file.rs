//! Reading the token file while a server may be rewriting it in place.

use std::io::{BufRead, BufReader, ErrorKind as Io, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use bridge_migrate_core::error::{Error, ErrorKind, Hint, IoContext, Result, shell_quote};
use bridge_migrate_core::regular_file;

use super::document::{Document, Flaw, parse};

/// The largest token file that is read, in bytes: over 70,000 tokens.
pub(super) const LIMIT: u64 = 16 << 20;

/// How long a server may take to rewrite the file.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long to wait before looking again.
const PAUSE: Duration = Duration::from_millis(50);

/// Reads the token file; `None` when there is none.
///
/// A file that is no JSON, or that changes while it is read, is read again for a second: the server rewrites
/// it in place.
///
/// # Errors
/// [`ErrorKind::CompanionInvalid`] when it stays so, is too large, no regular file, or of another structure;
/// else what the operating system refused.
pub(super) fn read(path: &Path) -> Result<Option<Document>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let why = match attempt(path)? {
            Attempt::Missing => return Ok(None),
            Attempt::Read(document) => return Ok(Some(document)),
            Attempt::Unsettled(why) => why,
        };
        if Instant::now() >= deadline {
            let check = format!("python3 -m json.tool {} /dev/null", shell_quote(path));
            return Err(invalid(path, &why).with_hint(Hint::shell(check)));
        }
        std::thread::sleep(PAUSE);
    }
}

enum Attempt {
    Missing,
    Read(Document),
    Unsettled(String),
}

fn attempt(path: &Path) -> Result<Attempt> {
    let metadata = match path.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == Io::NotFound => return Ok(Attempt::Missing),
        Err(error) => return Err(Error::io("look at", path, error)),
    };
    if metadata.is_symlink() {
        return Err(wrong_file(
            path,
            "it is a symbolic link: name the file that it leads to",
        ));
    }
    if !metadata.is_file() {
        return Err(wrong_file(path, "it is not a file"));
    }
    let mut bytes = Vec::new();
    let file = regular_file::open(path).on_file("open", path)?;
    file.take(LIMIT + 1)
        .read_to_end(&mut bytes)
        .on_file("read", path)?;
    if bytes.len() as u64 > LIMIT {
        let why = format!("it is larger than {} MiB, which no token file is", LIMIT >> 20);
        return Err(wrong_file(path, &why));
    }
    let parsed = parse(&bytes);
    // Half of an old and half of a new file can be well-formed together: only a second look tells.
    if !has_content(path, &bytes)? {
        return Ok(Attempt::Unsettled("it changes while it is read".to_owned()));
    }
    match parsed {
        Ok(document) => Ok(Attempt::Read(document)),
        Err(Flaw::NotJson(why)) => Ok(Attempt::Unsettled(why)),
        Err(Flaw::Structure(why)) => Err(invalid(path, &why).with_hint(Hint::tool(["tokens", "verify"]))),
    }
}

/// Whether a file has this content now, without holding it in memory a second time.
fn has_content(path: &Path, expected: &[u8]) -> Result<bool> {
    let file = match regular_file::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == Io::NotFound => return Ok(false),
        Err(error) => return Err(Error::io("open", path, error)),
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

fn wrong_file(path: &Path, why: &str) -> Error {
    invalid(path, why).with_hint(Hint::shell(format!("ls -ld {}", shell_quote(path))))
}

fn invalid(path: &Path, why: &str) -> Error {
    Error::new(
        ErrorKind::CompanionInvalid,
        format!("cannot read the token file {}: {why}", path.display()),
    )
    .with_truth("No token was imported.")
}
