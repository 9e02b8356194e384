//! Looks at a copy that nobody writes: digest, contents and damage, all at the same time.

use std::{fs::File, path::Path};

use super::contents::{Contents, read_contents};
use super::names::lossy_name;
use crate::records::recorded_position::managed_position;
use crate::sqlite::connection::open_immutable;
use crate::sqlite::page_check::{check_pages, stand_in_for_collations};
use crate::sqlite::sqlite_error::{SqliteContext, is_damage};
use bridge_migrate_core::digest::{FileDigest, digest_file};
use bridge_migrate_core::{
    Activity, Error, ErrorKind, Hint, IoContext, Observer, Position, Result, beside::Beside,
};

/// Lines that a damaged database may say about its damage.
const MAX_DAMAGE_LINES: u32 = 10;

/// How thoroughly to look for damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Every page, but not whether indexes agree with their tables.
    Quick,
    /// Everything; about ten times as long.
    Full,
}

/// What a look at a copy showed.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) digest: FileDigest,
    /// `None` when the damage is so bad that they cannot be read.
    pub(crate) contents: Option<Contents>,
    /// Where the copy stands by its own records; `None` when it has none, or they cannot be read.
    pub(crate) position: Option<Position>,
    /// What SQLite says is wrong; nothing when the copy is sound.
    pub(crate) damage: Vec<String>,
}

/// Checks the copy at `path` and, when `sync` is given, puts it on disk meanwhile.
///
/// # Errors
/// When the copy cannot be read. Damage is no error here.
pub(crate) fn check_copy(
    path: &Path,
    depth: Depth,
    sync: Option<&File>,
    observer: &dyn Observer,
) -> Result<Checked> {
    let subject = lossy_name(path);
    observer.progress(Activity::Check, &subject, 0, None);
    // The observer belongs to this thread, so the part with the finest progress runs here.
    // A value in a row may take all the memory that there is, and threads need some to start: the last of them looks.
    let (begun, others) = std::sync::mpsc::channel::<()>();
    let counts = begun.clone();
    let look = move || {
        let _ = others.recv();
        look_for_damage(path, depth)
    };
    let count = || {
        drop(counts);
        let copy = open_immutable(path)?;
        stand_in_for_collations(&copy).while_doing(format_args!("read {}", path.display()))?;
        // Whether its history is sound is not asked here: a backup has what was there.
        let position = managed_position(&copy).ok().flatten();
        Ok((read_contents(&copy)?, position))
    };
    let put_on_disk = || {
        drop(begun);
        sync.map(File::sync_all).transpose()
    };
    let (digest, looked, counted, synced) = std::thread::scope(|scope| {
        let contents = Beside::begin(scope, count);
        let sync = Beside::begin(scope, put_on_disk);
        let damage = Beside::begin(scope, look);
        let digest = digest_file(path, &subject, observer);
        let (counted, synced) = (contents.join(), sync.join());
        (digest, damage.join(), counted, synced)
    });
    let died = |_| {
        Error::new(
            ErrorKind::Io,
            format!("the check of {} ended early", path.display()),
        )
    };
    // The system's own word on the file is the clearest, if it has one.
    let digest = digest?;
    let mut damage = looked.map_err(died)??;
    synced.map_err(died)?.on_file("put on disk", path)?;
    let (contents, position) = match counted.map_err(died)? {
        Ok((contents, position)) => (Some(contents), position),
        Err(error) if is_damage(&error) => {
            if damage.is_empty() {
                damage.push(describe(&error));
            }
            (None, None)
        }
        Err(error) => return Err(unread(path, error)),
    };
    observer.finished(Activity::Check, &subject);
    Ok(Checked {
        digest,
        contents,
        position,
        damage,
    })
}

fn look_for_damage(path: &Path, depth: Depth) -> Result<Vec<String>> {
    let look = || -> Result<Vec<String>> {
        let copy = open_immutable(path)?;
        let checked = check_pages(&copy, depth == Depth::Full, MAX_DAMAGE_LINES);
        Ok(checked
            .while_doing(format_args!("check {}", path.display()))?
            .lines)
    };
    match look() {
        Ok(lines) => match lines.iter().find_map(|line| Some((unread_page(line)?, line))) {
            Some((kind, line)) => Err(unread(path, Error::new(kind, line.as_str()))),
            None => Ok(lines),
        },
        Err(error) if is_damage(&error) => Ok(vec![describe(&error)]),
        Err(error) => Err(unread(path, error)),
    }
}

/// Why a page could not be looked at, if a line of SQLite's check is about one that the disk or the memory did not give:
/// it is reported like damage, but that the page is damaged is not known.
pub(crate) fn unread_page(line: &str) -> Option<ErrorKind> {
    use rusqlite::ffi::{SQLITE_IOERR, SQLITE_IOERR_NOMEM, SQLITE_NOMEM};
    let codes = line.split("error code=").skip(1).filter_map(|rest| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<i32>().ok()
    });
    let no_page = line.contains("failed to get page").then_some(SQLITE_IOERR);
    codes.chain(no_page).find_map(|code| match code {
        SQLITE_NOMEM | SQLITE_IOERR_NOMEM => Some(ErrorKind::OutOfMemory),
        code if code & 0xff == SQLITE_IOERR => Some(ErrorKind::Io),
        _ => None,
    })
}

/// A failure to read the copy, with the file's name, which SQLite does not tell.
fn unread(path: &Path, error: Error) -> Error {
    if error.kind() == ErrorKind::Missing {
        return error;
    }
    Error::new(error.kind(), format!("cannot read {}", path.display()))
        .with_hint(Hint::LookAtPlace(path.into()))
        .with_source(error)
}

fn describe(error: &Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.message().to_owned(), ToString::to_string)
}
