//! The names of a backup's files, and what a name says about when the backup was made.

use std::ffi::{OsStr, OsString};
use std::{fmt, path::Path};

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::{Serialize, Serializer};

use bridge_migrate_core::{Error, ErrorKind, Result, Settings};

/// What stands between a file's name and the stamp.
const INFIX: &str = ".backup.";
/// What follows the name of the database's copy in the manifest's name.
pub(super) const MANIFEST_SUFFIX: &str = ".json";

/// When a backup was made, in UTC, and which of several in that second it is. Later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    time: NaiveDateTime,
    number: u32,
}

impl Stamp {
    const FORMAT: &'static str = "%Y%m%d_%H%M%S";

    /// The first stamp of the second that `time` is in.
    pub(crate) fn at(time: DateTime<Utc>) -> Self {
        Self {
            time: time.naive_utc(),
            number: 1,
        }
    }

    /// The next stamp of the same second.
    pub(crate) fn next(self) -> Self {
        Self {
            number: self.number.saturating_add(1),
            ..self
        }
    }

    /// When.
    pub(crate) fn time(&self) -> DateTime<Utc> {
        self.time.and_utc()
    }

    /// Reads `YYYYMMDD_HHMMSS` or `YYYYMMDD_HHMMSS_n` with n from 2 on.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (time, number) = match text.split_at_checked("YYYYMMDD_HHMMSS".len())? {
            (time, "") => (time, 1),
            (time, rest) => (time, rest.strip_prefix('_')?.parse().ok()?),
        };
        let time = NaiveDateTime::parse_from_str(time, Self::FORMAT).ok()?;
        let stamp = Self { time, number };
        // Keeps one name for one stamp: no `_1`, no `_02`, no blanks.
        (stamp.to_string() == text).then_some(stamp)
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.time.format(Self::FORMAT))?;
        match self.number {
            1 => Ok(()),
            number => write!(f, "_{number}"),
        }
    }
}

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The names of one backup's files.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) database: OsString,
    pub(super) companion: OsString,
    pub(super) manifest: OsString,
}

impl Names {
    pub(super) fn new(settings: &Settings, stamp: Stamp) -> Result<Self> {
        let database = stamped(file_name(&settings.database)?, stamp);
        let mut manifest = database.clone();
        manifest.push(MANIFEST_SUFFIX);
        Ok(Self {
            database,
            companion: stamped(file_name(&settings.companion)?, stamp),
            manifest,
        })
    }
}

/// What a file name in the backup folder stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Database(Stamp),
    Manifest(Stamp),
    /// Named like a backup of this database, but not by this tool.
    Foreign,
}

/// What `name` stands for among the backups of `database`; `None` when it is none of them.
pub(super) fn meaning(database: &OsStr, name: &OsStr) -> Option<Meaning> {
    let rest = name
        .as_encoded_bytes()
        .strip_prefix(database.as_encoded_bytes())?
        .strip_prefix(INFIX.as_bytes())?;
    let Ok(rest) = std::str::from_utf8(rest) else {
        return Some(Meaning::Foreign);
    };
    let sidecar = crate::files::database_file::SIDECARS
        .iter()
        .any(|suffix| rest.ends_with(suffix));
    if sidecar {
        return None;
    }
    let manifest = || Stamp::parse(rest.strip_suffix(MANIFEST_SUFFIX)?).map(Meaning::Manifest);
    let database = || Stamp::parse(rest).map(Meaning::Database);
    Some(database().or_else(manifest).unwrap_or(Meaning::Foreign))
}

/// The stamp at the end of a copy's name, whatever the database's name is.
pub(super) fn stamp_of(name: &OsStr) -> Option<Stamp> {
    // Bytes, because what precedes the stamp need not be text.
    let name = name.as_encoded_bytes();
    let at = name
        .windows(INFIX.len())
        .rposition(|window| window == INFIX.as_bytes())?;
    Stamp::parse(std::str::from_utf8(name.get(at + INFIX.len()..)?).ok()?)
}

/// `collab.db` → `collab.db.backup.YYYYMMDD_HHMMSS`.
fn stamped(name: &OsStr, stamp: Stamp) -> OsString {
    let mut stamped = name.to_owned();
    stamped.push(format!("{INFIX}{stamp}"));
    stamped
}

/// The last part of a path.
pub(crate) fn file_name(path: &Path) -> Result<&OsStr> {
    path.file_name()
        .ok_or_else(|| Error::new(ErrorKind::Usage, format!("{} names no file", path.display())))
}

/// A file's name as text, for manifests and progress bars.
pub(crate) fn lossy_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_names_that_the_tool_gives_count_as_its_own() {
        let meaning = |name: &str| meaning("collab.db".as_ref(), name.as_ref());
        let stamp = Stamp::parse("20260102_030405").unwrap();
        assert_eq!(
            meaning("collab.db.backup.20260102_030405"),
            Some(Meaning::Database(stamp))
        );
        assert_eq!(
            meaning("collab.db.backup.20260102_030405_2"),
            Some(Meaning::Database(stamp.next()))
        );
        assert_eq!(
            meaning("collab.db.backup.20260102_030405.json"),
            Some(Meaning::Manifest(stamp))
        );
        for foreign in [
            "old",
            "20260102_030405_1",
            "20260102_030405_02",
            "20261302_030405",
            "20260102_030405.gz",
        ] {
            assert_eq!(
                meaning(&format!("collab.db.backup.{foreign}")),
                Some(Meaning::Foreign)
            );
        }
        for other in [
            "collab.db",
            "other.db.backup.20260102_030405",
            "collab.db.backup.20260102_030405-wal",
        ] {
            assert_eq!(meaning(other), None);
        }
    }

    #[test]
    fn later_backups_of_one_second_are_newer() {
        let first = Stamp::parse("20260102_030405").unwrap();
        let tenth = Stamp::parse("20260102_030405_10").unwrap();
        let second = Stamp::parse("20260102_030405_2").unwrap();
        let next = Stamp::parse("20260102_030406").unwrap();
        assert!(first < second && second < tenth && tenth < next);
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_to_what_prints_the_same_or_refused(text in "[0-9_ +-]{0,20}") {
            if let Some(stamp) = Stamp::parse(&text) {
                prop_assert_eq!(stamp.to_string(), text);
            }
        }
    }
}
