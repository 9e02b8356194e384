//! Looks at a copy that nobody writes: digest, contents and damage, all at the same time.

use std::fs::File;
use std::path::Path;

use super::contents::{Contents, read_contents};
use super::names::lossy_name;
use crate::connection::open_still;
use crate::digest::{FileDigest, digest_file};
use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::event::{Activity, Event, Observer};

/// Lines that a damaged database may say about its damage.
const MAX_DAMAGE_LINES: usize = 10;

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
    observer.observe(&Event::Progress {
        activity: Activity::Check,
        subject: subject.clone(),
        done: 0,
        total: None,
    });
    // The observer belongs to this thread, so the part with the finest progress runs here.
    let (digest, looked, counted, synced) = std::thread::scope(|scope| {
        let damage = scope.spawn(|| look_for_damage(path, depth));
        let contents = scope.spawn(|| open_still(path).and_then(|copy| read_contents(&copy)));
        let sync = sync.map(|file| scope.spawn(|| file.sync_all()));
        let digest = digest_file(path, &subject, observer);
        (
            digest,
            damage.join(),
            contents.join(),
            sync.map(|thread| thread.join()),
        )
    });
    let died = |_| {
        Error::new(
            ErrorKind::Io,
            format!("the check of {} ended early", path.display()),
        )
    };
    let mut damage = looked.map_err(died)??;
    if let Some(synced) = synced {
        synced.map_err(died)?.on_file("put on disk", path)?;
    }
    let contents = match counted.map_err(died)? {
        Ok(contents) => Some(contents),
        Err(error) if is_damage(&error) => {
            if damage.is_empty() {
                damage.push(describe(&error));
            }
            None
        }
        Err(error) => return Err(error),
    };
    observer.observe(&Event::ProgressFinished {
        activity: Activity::Check,
        subject,
    });
    Ok(Checked {
        digest: digest?,
        contents,
        damage,
    })
}

fn look_for_damage(path: &Path, depth: Depth) -> Result<Vec<String>> {
    let pragma = match depth {
        Depth::Quick => "quick_check",
        Depth::Full => "integrity_check",
    };
    let look = || -> Result<Vec<String>> {
        let copy = open_still(path)?;
        let lines: rusqlite::Result<Vec<String>> = copy
            .prepare(&format!("PRAGMA {pragma}({MAX_DAMAGE_LINES})"))
            .and_then(|mut check| check.query_map([], |row| row.get(0))?.collect());
        lines.map_err(|source| Error::sqlite(format_args!("check {}", path.display()), source))
    };
    match look() {
        Ok(lines) if lines == ["ok"] => Ok(Vec::new()),
        Ok(lines) => Ok(lines),
        Err(error) if is_damage(&error) => Ok(vec![describe(&error)]),
        Err(error) => Err(error),
    }
}

pub(crate) fn is_damage(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotADatabase)
}

fn describe(error: &Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.message().to_owned(), ToString::to_string)
}
