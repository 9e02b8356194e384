//! Secures files that no backup can be made of, because the database is damaged or missing: as they are.

use std::path::{Path, PathBuf};
use std::{ffi::OsString, fs::File, io::Write as _};

use super::{Secured, same_pages::same_bytes};
use crate::backup::{Stamp, file_name};
use crate::files::{database_file::with_suffix, raw_file::RawFile};
use bridge_migrate_core::whole_file::{Publication, PublishedFile, WholeFile};
use bridge_migrate_core::{Error, ErrorKind, IoContext, Result, Settings};

/// A file that was copied as it was.
#[derive(Debug)]
pub(super) struct Copied {
    pub(super) from: PathBuf,
    pub(super) to: PathBuf,
}

/// What copies of this kind are to whoever restored.
pub(super) fn as_secured(files: &[Copied]) -> Secured {
    if files.is_empty() {
        Secured::Nothing
    } else {
        Secured::Damaged {
            files: files.iter().map(|copied| copied.to.clone()).collect(),
        }
    }
}

/// Whether the database and its log are as they were copied.
pub(super) fn is_still(settings: &Settings, files: &[Copied]) -> Result<bool> {
    let log = with_suffix(&settings.database, "-wal");
    for path in [&settings.database, &log] {
        let is_copied = match files.iter().find(|copied| copied.from == *path) {
            Some(copied) => path.is_file() && same_bytes(path, &copied.to)?,
            None => path.metadata().map_or(true, |file| file.len() == 0),
        };
        if !is_copied {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Copies the database, its `sidecars` and the companion as they are to `collab.db.damaged.<stamp>` and so on.
pub(super) fn copy_raw(settings: &Settings, sidecars: &[&str]) -> Result<Vec<Copied>> {
    let database = file_name(&settings.database)?;
    let companion = file_name(&settings.companion)?;
    let files = |stamp: Stamp| {
        let name = |name: &std::ffi::OsStr| {
            let mut name = name.to_owned();
            name.push(format!(".damaged.{stamp}"));
            name
        };
        let sidecars = sidecars.iter().map(|suffix| {
            let mut copy = name(database);
            copy.push(suffix);
            (with_suffix(&settings.database, suffix), copy)
        });
        let mut files = vec![
            (settings.database.clone(), name(database)),
            (settings.companion.clone(), name(companion)),
        ];
        files.extend(sidecars);
        files.retain(|(path, _)| path.is_file());
        files
    };
    let taken = |(_, name): &(PathBuf, OsString)| settings.backup_dir.join(name).symlink_metadata().is_ok();
    let mut stamp = Stamp::at(settings.clock.now());
    while files(stamp).iter().any(taken) {
        stamp = stamp.next();
    }
    let published: Vec<(PathBuf, PublishedFile)> = files(stamp)
        .into_iter()
        .map(|(path, name)| copy_one(&path, &settings.backup_dir, &name).map(|copy| (path, copy)))
        .collect::<Result<_>>()?;
    let kept = published.into_iter().map(|(from, copy)| Copied {
        from,
        to: copy.keep(),
    });
    Ok(kept.collect())
}

/// Puts what was in the companion when it was replaced to `tokens.json.replaced.<stamp>`.
pub(super) fn keep_replaced(settings: &Settings, bytes: &[u8]) -> Result<PathBuf> {
    let whole = WholeFile::create_in(&settings.backup_dir)?;
    whole.file().write_all(bytes).on_file("write", whole.path())?;
    let (mut file, ()) = whole.verified(|_| Ok(()))?;
    let mut stamp = Stamp::at(settings.clock.now());
    loop {
        let mut name = file_name(&settings.companion)?.to_owned();
        name.push(format!(".replaced.{stamp}"));
        match file.publish_new(&name)? {
            Publication::Done(published) => return Ok(published.keep()),
            Publication::Taken(again) => file = again,
        }
        stamp = stamp.next();
    }
}

fn copy_one(from: &Path, folder: &Path, name: &OsString) -> Result<PublishedFile> {
    let whole = WholeFile::create_in(folder)?;
    let copied = copy_bytes(from, whole.file()).on_file("copy", from)?;
    let (verified, ()) = whole.verified(|whole| {
        let length = whole.file().metadata().on_file("look at", whole.path())?.len();
        if length == copied {
            Ok(())
        } else {
            Err(Error::new(
                ErrorKind::Io,
                format!("the copy of {} is too short", from.display()),
            ))
        }
    })?;
    match verified.publish_new(name)? {
        Publication::Done(published) => Ok(published),
        Publication::Taken(_) => Err(Error::io(
            "create",
            &folder.join(name),
            std::io::ErrorKind::AlreadyExists.into(),
        )),
    }
}

fn copy_bytes(from: &Path, to: &File) -> std::io::Result<u64> {
    RawFile::open(from)?.copy_all(to)
}
