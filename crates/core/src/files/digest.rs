//! SHA-256 of files, read as a stream.

use std::{io::Read, path::Path};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{IoContext, Result};
use crate::event::{Activity, Observer};
use crate::files::regular_file;

/// Read at a time: a cache's worth.
const BUFFER_BYTES: usize = 256 * 1024;
/// Digested between two progress events.
const PROGRESS_BYTES: u64 = 16 * 1024 * 1024;

/// A file's length and digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileDigest {
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256, 64 lower-case hexadecimal digits.
    pub sha256: String,
}

/// The digest of the file at `path`, which `subject` names in the progress events.
///
/// # Errors
/// When the file cannot be read.
pub fn digest_file(path: &Path, subject: &str, observer: &dyn Observer) -> Result<FileDigest> {
    let mut file = regular_file::open(path).on_file("open", path)?;
    let total = file.metadata().on_file("look at", path)?.len();
    let mut sha = Sha256::new();
    // SQLite, at work beside this, may have all the memory that there is: no reason to abort.
    let mut buffer = Vec::new();
    buffer
        .try_reserve_exact(BUFFER_BYTES)
        .map_err(|_| std::io::ErrorKind::OutOfMemory.into())
        .on_file("read", path)?;
    buffer.resize(BUFFER_BYTES, 0);
    let mut bytes = 0_u64;
    let mut announced = 0;
    loop {
        let read = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).on_file("read", path),
        };
        sha.update(buffer.get(..read).unwrap_or_default());
        bytes += read as u64;
        if bytes - announced >= PROGRESS_BYTES {
            announced = bytes;
            observer.progress(Activity::Digest, subject, bytes, Some(total));
        }
    }
    if announced > 0 {
        observer.finished(Activity::Digest, subject);
    }
    Ok(FileDigest {
        bytes,
        sha256: hex(&sha.finalize()),
    })
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use std::fs::File;

    use super::*;
    use crate::event::Event;
    use crate::event::Silent;

    #[derive(Default)]
    struct Record(RefCell<Vec<Event>>);

    impl Observer for Record {
        fn observe(&self, event: &Event) {
            self.0.borrow_mut().push(event.clone());
        }
    }

    #[test]
    fn the_digest_is_that_of_the_standard() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        // FIPS 180-2, appendix B.1.
        let digest = digest_file(&path, "abc", &Silent).unwrap();
        assert_eq!(digest.bytes, 3);
        assert_eq!(
            digest.sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn a_large_file_reports_how_far_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        let file = File::create(&path).unwrap();
        file.set_len(3 * PROGRESS_BYTES).unwrap();
        let record = Record::default();
        digest_file(&path, "large", &record).unwrap();
        let events = record.0.into_inner();
        let done: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                Event::Progress { done, total, .. } => Some((*done, *total)),
                _ => None,
            })
            .collect();
        let total = Some(3 * PROGRESS_BYTES);
        assert_eq!(done, [1, 2, 3].map(|n| (n * PROGRESS_BYTES, total)));
        assert!(matches!(events.last(), Some(Event::ProgressFinished { .. })));
    }
}
