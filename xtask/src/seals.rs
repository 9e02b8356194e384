//! The seals: a digest of each migration's text, kept in `migrations/migrations.lock`.

use std::fmt::Write;

use naming::{MigrationName, Release};
use sha2::{Digest, Sha256};

use xtask::error::Error;
use xtask::project::{self, Project};

const HEADER: &str = "\
# The seals of the migrations. A sealed migration never changes: databases that have applied it remember it.
# `cargo xtask seal` writes this file, `cargo xtask check` compares it. Digests are of the text with LF line ends.
";

/// A migration and the digest of its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seal {
    pub(crate) name: MigrationName,
    digest: String,
}

impl Seal {
    /// Line ends do not count: a checkout may turn LF into CRLF.
    pub(crate) fn of(name: MigrationName, text: &str) -> Self {
        Self {
            name,
            digest: digest(&text.replace("\r\n", "\n")),
        }
    }

    fn line(&self) -> String {
        format!("{} sha256:{}\n", self.name, self.digest)
    }
}

/// The seals that the migrations would get now.
pub(crate) fn present(project: &Project, names: &[MigrationName]) -> Result<Vec<Seal>, Error> {
    names
        .iter()
        .map(|name| Ok(Seal::of(name.clone(), &project::read(&project.migration(name))?)))
        .collect()
}

/// What the lock file holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lock {
    pub(crate) seals: Vec<Seal>,
    /// The release that gets more migrations although some of it are sealed. Every other that has a sealed one is
    /// closed: a migration that is added to it would leave older programs and databases with another opinion of when
    /// it is complete.
    pub(crate) open: Option<Release>,
}

impl Lock {
    fn lines(&self) -> String {
        let seals = self.seals.iter().map(Seal::line);
        seals
            .chain(self.open.map(|release| format!("{OPEN}{release}\n")))
            .collect()
    }

    /// The last sealed migration of a closed release; none of one that is open or has none sealed. `release_of` tells
    /// the release of a migration.
    pub(crate) fn closed_by(
        &self,
        release: Release,
        release_of: impl Fn(&MigrationName) -> Option<Release>,
    ) -> Option<&MigrationName> {
        if self.open == Some(release) {
            return None;
        }
        let names = self.seals.iter().rev().map(|seal| &seal.name);
        names.into_iter().find(|name| release_of(name) == Some(release))
    }
}

/// How the line of the open release begins.
const OPEN: &str = "open ";

/// The text of the lock file.
pub(crate) fn render(lock: &Lock) -> String {
    let lines = lock.lines();
    format!("{HEADER}{lines}total sha256:{}\n", digest(&lines))
}

/// Reads the text of the lock file.
///
/// # Errors
/// A sentence on what is wrong, when a line cannot be read, the lines are out of order, or the total does not
/// fit them: a merge or an edit by hand has changed what was sealed.
pub(crate) fn parse(text: &str) -> Result<Lock, String> {
    let mut lock = Lock::default();
    let seals = &mut lock.seals;
    let mut total = None;
    for (index, line) in text.lines().enumerate() {
        let unreadable = || format!("line {} cannot be read", index + 1);
        if line.starts_with('#') || line.trim().is_empty() {
            continue;
        }
        if total.is_some() {
            return Err(format!("line {} comes after the total", index + 1));
        }
        if let Some(release) = line.trim_end().strip_prefix(OPEN) {
            lock.open = Some(Release::parse(release).map_err(|_| unreadable())?);
            continue;
        }
        let (subject, digest) = line.trim_end().split_once(" sha256:").ok_or_else(unreadable)?;
        if digest.len() != 64 || !digest.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(unreadable());
        }
        if subject == "total" {
            total = Some(digest);
            continue;
        }
        let name = MigrationName::parse(subject).map_err(|_| unreadable())?;
        if let Some(before) = seals.last()
            && before.name.version() >= name.version()
        {
            return Err(format!(
                "line {} is out of order: {name} comes after {}",
                index + 1,
                before.name
            ));
        }
        seals.push(Seal {
            name,
            digest: digest.to_owned(),
        });
    }
    let lines = lock.lines();
    match total {
        None => Err("its last line, the total, is missing".to_owned()),
        Some(total) if total != digest(&lines) => Err("its total does not fit its lines".to_owned()),
        Some(_) => Ok(lock),
    }
}

/// How the migrations differ from what was sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Difference {
    /// The file has no seal.
    Added(MigrationName),
    /// The text is not what was sealed.
    Edited(MigrationName),
    /// The file is gone.
    Removed(MigrationName),
    /// The file has another number or name than it was sealed under.
    Moved {
        sealed: MigrationName,
        now: MigrationName,
    },
}

impl Difference {
    /// The number of the sealed migration that would be broken; none for an addition.
    pub(crate) fn breaks(&self) -> Option<u32> {
        match self {
            Self::Added(_) => None,
            Self::Edited(name) | Self::Removed(name) | Self::Moved { sealed: name, .. } => {
                Some(name.version())
            }
        }
    }

    /// The sealed file, or the added one.
    pub(crate) fn subject(&self) -> &MigrationName {
        match self {
            Self::Added(name)
            | Self::Edited(name)
            | Self::Removed(name)
            | Self::Moved { sealed: name, .. } => name,
        }
    }

    /// What happened to the subject, as the end of a sentence.
    pub(crate) fn what(&self) -> String {
        match self {
            Self::Added(_) => "was added and is not sealed".to_owned(),
            Self::Edited(_) => "was edited after it was sealed".to_owned(),
            Self::Removed(_) => "was sealed and is gone".to_owned(),
            Self::Moved { sealed, now } if sealed.version() == now.version() => {
                format!("was renamed to {now} after it was sealed")
            }
            Self::Moved { now, .. } => format!("was reordered after it was sealed: it is now {now}"),
        }
    }
}

/// What differs, in the order of the sealed migrations, additions last.
pub(crate) fn differences(sealed: &[Seal], present: &[Seal]) -> Vec<Difference> {
    let mut unsealed: Vec<&Seal> = present
        .iter()
        .filter(|now| !sealed.iter().any(|seal| seal.name == now.name))
        .collect();
    let mut found = Vec::new();
    for seal in sealed {
        if let Some(now) = present.iter().find(|now| now.name == seal.name) {
            if now.digest != seal.digest {
                found.push(Difference::Edited(seal.name.clone()));
            }
            continue;
        }
        let same = |now: &&Seal| now.name.name() == seal.name.name() || now.digest == seal.digest;
        match unsealed.iter().position(same) {
            Some(at) => {
                let now = unsealed.remove(at).name.clone();
                found.push(Difference::Moved {
                    sealed: seal.name.clone(),
                    now,
                });
            }
            None => found.push(Difference::Removed(seal.name.clone())),
        }
    }
    found.extend(
        unsealed
            .into_iter()
            .map(|now| Difference::Added(now.name.clone())),
    );
    found
}

fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(file_name: &str, text: &str) -> Seal {
        Seal::of(MigrationName::parse(file_name).unwrap(), text)
    }

    fn said(sealed: &[Seal], present: &[Seal]) -> Vec<String> {
        differences(sealed, present)
            .iter()
            .map(|found| format!("{} {}", found.subject(), found.what()))
            .collect()
    }

    #[test]
    fn what_is_rendered_is_read_back() {
        let seals = [seal("V001__a.rs", "one"), seal("V002__b.rs", "two")];
        for open in [None, Some(Release::new(1, 3, 0))] {
            let lock = Lock {
                seals: seals.to_vec(),
                open,
            };
            assert_eq!(parse(&render(&lock)).unwrap(), lock);
            assert_eq!(parse(&render(&lock).replace('\n', "\r\n")).unwrap(), lock);
        }
        assert_eq!(parse(&render(&Lock::default())).unwrap(), Lock::default());
    }

    #[test]
    fn a_digest_is_that_of_sha256sum_and_line_ends_do_not_count() {
        assert_eq!(
            digest("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(seal("V001__a.rs", "a\nb\n"), seal("V001__a.rs", "a\r\nb\r\n"));
        assert_ne!(seal("V001__a.rs", "a\nb\n"), seal("V001__a.rs", "a\n b\n"));
    }

    #[test]
    fn a_lock_file_that_was_changed_by_hand_is_refused() {
        let text = render(&Lock {
            seals: vec![seal("V001__a.rs", "one"), seal("V002__b.rs", "two")],
            open: None,
        });
        let lines: Vec<&str> = text.lines().collect();
        let without_first = [lines[0], lines[1], lines[3], lines[4]].join("\n");
        let swapped = [lines[0], lines[1], lines[3], lines[2], lines[4]].join("\n");
        for (changed, message) in [
            (without_first, "its total does not fit its lines"),
            (
                swapped,
                "line 4 is out of order: V001__a.rs comes after V002__b.rs",
            ),
            (lines[..4].join("\n"), "its last line, the total, is missing"),
            (format!("{text}{}\n", lines[3]), "line 6 comes after the total"),
            (text.replace("V001__a", "<<<<<<< HEAD"), "line 3 cannot be read"),
            (text.replace("sha256:", "md5:"), "line 3 cannot be read"),
            (
                text.replace("total", "open 1.0.0\ntotal"),
                "its total does not fit its lines",
            ),
            (text.replace("total", "open soon\ntotal"), "line 5 cannot be read"),
        ] {
            assert_eq!(parse(&changed).unwrap_err(), message, "{changed}");
        }
    }

    #[test]
    fn each_kind_of_difference_is_said() {
        let sealed = [
            seal("V001__a.rs", "one"),
            seal("V002__b.rs", "two"),
            seal("V003__c.rs", "three"),
        ];
        assert_eq!(said(&sealed, &sealed), Vec::<String>::new());
        let edited = [
            sealed[0].clone(),
            seal("V002__b.rs", "2"),
            sealed[2].clone(),
            seal("V004__d.rs", "four"),
        ];
        assert_eq!(
            said(&sealed, &edited),
            [
                "V002__b.rs was edited after it was sealed",
                "V004__d.rs was added and is not sealed"
            ]
        );
        assert_eq!(said(&sealed, &sealed[..2]), ["V003__c.rs was sealed and is gone"]);
    }

    #[test]
    fn migrations_that_changed_places_are_told_from_removed_ones() {
        let sealed = [
            seal("V001__a.rs", "one"),
            seal("V002__b.rs", "two"),
            seal("V003__c.rs", "three"),
        ];
        let swapped = [
            sealed[0].clone(),
            seal("V002__c.rs", "three"),
            seal("V003__b.rs", "two"),
        ];
        assert_eq!(
            said(&sealed, &swapped),
            [
                "V002__b.rs was reordered after it was sealed: it is now V003__b.rs",
                "V003__c.rs was reordered after it was sealed: it is now V002__c.rs",
            ]
        );
        let renamed = [
            sealed[0].clone(),
            sealed[1].clone(),
            seal("V003__see.rs", "three"),
        ];
        assert_eq!(
            said(&sealed, &renamed),
            ["V003__c.rs was renamed to V003__see.rs after it was sealed"]
        );
    }
}
