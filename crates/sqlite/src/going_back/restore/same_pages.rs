//! Compares the bytes of a live database with those of its backup.

use std::{ops::Range, path::Path};

use crate::files::database_file::with_suffix;
use crate::files::raw_file::{RawFile, read_at};
use bridge_migrate_core::{IoContext, Result, regular_file};

const BLOCK_BYTES: usize = 1024 * 1024;

/// What SQLite rewrites in the header when it puts pages back: the journal mode, the change counter, the
/// schema cookie, and for which change by which library the header is valid
/// (<https://sqlite.org/fileformat2.html#the_database_header>).
const VOLATILE: [Range<usize>; 4] = [18..20, 24..28, 40..44, 92..100];

/// The change counter.
const CHANGE: Range<usize> = 24..28;
/// For which change the page count in the header is valid.
const COUNT_VALID_FOR: Range<usize> = 92..96;

/// Whether a file is, byte for byte, as its copy.
pub(super) fn same_bytes(live: &Path, copy: &Path) -> Result<bool> {
    let live_file = RawFile::open(live).on_file("open", live)?;
    let copy_file = regular_file::open(copy).on_file("open", copy)?;
    let mut one = vec![0; BLOCK_BYTES];
    let mut other = vec![0; BLOCK_BYTES];
    let mut at = 0;
    loop {
        let read = live_file.read_at(at, &mut one).on_file("read", live)?;
        let there = read_at(&copy_file, at, &mut other).on_file("read", copy)?;
        if one.get(..read) != other.get(..there) {
            return Ok(false);
        }
        if read == 0 {
            return Ok(true);
        }
        at += read as u64;
    }
}

/// Whether both files hold the same pages, and the live one has none in a log. It must stand still.
pub(super) fn same_pages(live: &Path, backup: &Path) -> Result<bool> {
    let log = with_suffix(live, "-wal");
    if log.metadata().is_ok_and(|log| log.len() > 0) {
        return Ok(false);
    }
    let live_file = RawFile::open(live).on_file("open", live)?;
    let backup_file = regular_file::open(backup).on_file("open", backup)?;
    let length = backup_file.metadata().on_file("look at", backup)?.len();
    let live_length = live_file.len().on_file("look at", live)?;
    if length == 0 || live_length < length {
        return Ok(live_length == length);
    }
    let mut one = vec![0; BLOCK_BYTES];
    let mut other = vec![0; BLOCK_BYTES];
    let mut at = 0;
    while at < length {
        let read = live_file.read_at(at, &mut one).on_file("read", live)?;
        let there = read_at(&backup_file, at, &mut other).on_file("read", backup)?;
        if at == 0 {
            // What lies behind the pages that the header counts is none: SQLite could not shorten the file.
            if live_length > length && one.get(CHANGE) != one.get(COUNT_VALID_FOR) {
                return Ok(false);
            }
            for block in [&mut one, &mut other] {
                for range in VOLATILE {
                    if let Some(bytes) = block.get_mut(range) {
                        bytes.fill(0);
                    }
                }
            }
        }
        if there == 0 || read < there || one.get(..there) != other.get(..there) {
            return Ok(false);
        }
        at += there as u64;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::sqlite::connection::create_writer;

    fn database() -> (tempfile::TempDir, std::path::PathBuf, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let (live, copy) = (folder.path().join("live"), folder.path().join("copy"));
        let connection = create_writer(&live, std::time::Duration::ZERO).unwrap();
        connection.execute_batch("CREATE TABLE t (x)").unwrap();
        std::fs::copy(&live, &copy).unwrap();
        (folder, live, copy)
    }

    #[test]
    fn a_change_of_any_page_is_seen() {
        let (_folder, live, copy) = database();
        assert!(same_pages(&live, &copy).unwrap());
        let connection = create_writer(&live, std::time::Duration::ZERO).unwrap();
        connection.execute_batch("INSERT INTO t VALUES (1)").unwrap();
        assert!(!same_pages(&live, &copy).unwrap());
    }

    #[test]
    fn what_sqlite_could_not_cut_off_is_no_difference() {
        let (_folder, live, copy) = database();
        let longer = File::options().append(true).open(&live).unwrap();
        std::io::Write::write_all(&mut &longer, &[7; 4096]).unwrap();
        assert!(same_pages(&live, &copy).unwrap());
        assert!(
            !same_pages(&copy, &live).unwrap(),
            "a page of the backup is missing"
        );
        // Without a valid count in the header, the file's length counts.
        let mut bytes = std::fs::read(&live).unwrap();
        bytes[27] ^= 1;
        std::fs::write(&live, bytes).unwrap();
        assert!(!same_pages(&live, &copy).unwrap());
    }

    #[test]
    fn nothing_is_the_same_as_nothing_only() {
        let (folder, live, _) = database();
        let empty = folder.path().join("empty");
        std::fs::write(&empty, "").unwrap();
        assert!(!same_pages(&live, &empty).unwrap());
        assert!(same_pages(&empty, &empty).unwrap());
    }
}
