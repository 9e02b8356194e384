//! Compares the bytes of a live database with those of its backup.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use crate::connection::with_suffix;
use crate::error::{IoContext, Result};
use crate::raw_file::{RawFile, read_at};

const BLOCK_BYTES: usize = 1024 * 1024;

/// What SQLite rewrites in the header when it puts pages back: the journal mode, the change counter, the
/// schema cookie, and for which change by which library the header is valid
/// (<https://sqlite.org/fileformat2.html#the_database_header>).
const VOLATILE: [Range<usize>; 4] = [18..20, 24..28, 40..44, 92..100];

/// Whether both files hold the same pages, and the live one has none in a log. It must stand still.
pub(super) fn same_pages(live: &Path, backup: &Path) -> Result<bool> {
    let log = with_suffix(live, "-wal");
    if log.metadata().is_ok_and(|log| log.len() > 0) {
        return Ok(false);
    }
    let live_file = RawFile::open(live).on_file("open", live)?;
    let backup_file = File::open(backup).on_file("open", backup)?;
    let length = backup_file.metadata().on_file("look at", backup)?.len();
    if live_file.len().on_file("look at", live)? != length {
        return Ok(false);
    }
    let mut one = vec![0; BLOCK_BYTES];
    let mut other = vec![0; BLOCK_BYTES];
    let mut at = 0;
    loop {
        let read = live_file.read_at(at, &mut one).on_file("read", live)?;
        let there = read_at(&backup_file, at, &mut other).on_file("read", backup)?;
        if at == 0 {
            for block in [&mut one, &mut other] {
                for range in VOLATILE {
                    if let Some(bytes) = block.get_mut(range) {
                        bytes.fill(0);
                    }
                }
            }
        }
        if one.get(..read) != other.get(..there) {
            return Ok(false);
        }
        if read == 0 {
            return Ok(true);
        }
        at += read as u64;
    }
}
