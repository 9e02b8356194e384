//! Secures the state before a restore: as a backup, or as raw copies when the database is damaged.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::{Present, Secured};
use crate::backup::{BEFORE_RESTORE, BackupFacts, Contents, Stamp, create, file_name, is_damage};
use crate::connection::{SIDECARS, with_suffix};
use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::event::Observer;
use crate::raw_file::RawFile;
use crate::settings::Settings;
use crate::whole_file::{Publication, PublishedFile, WholeFile};

/// Secures the present state and says what it held, if that can be read.
pub(super) fn secure(
    settings: &Settings,
    present: Present,
    facts: &BackupFacts,
    observer: &dyn Observer,
) -> Result<(Secured, Option<Contents>)> {
    if present == Present::Database {
        let mut facts = facts.clone();
        if facts.reason.is_empty() {
            BEFORE_RESTORE.clone_into(&mut facts.reason);
        }
        match create(settings, &facts, observer) {
            Ok(created) => {
                let secured = Secured::Backup {
                    backup: Box::new(created.backup),
                };
                return Ok((secured, Some(created.manifest.database.contents)));
            }
            Err(error) if is_damage(&error) => {}
            Err(error) => return Err(error),
        }
    }
    let files = copy_raw(settings)?;
    if files.is_empty() {
        Ok((Secured::Nothing, None))
    } else {
        Ok((Secured::Damaged { files }, None))
    }
}

/// Copies the database, its sidecars and the companion as they are to `collab.db.damaged.<stamp>` and so on.
fn copy_raw(settings: &Settings) -> Result<Vec<PathBuf>> {
    let database = file_name(&settings.database)?;
    let companion = file_name(&settings.companion)?;
    let files = |stamp: Stamp| {
        let name = |name: &std::ffi::OsStr| {
            let mut name = name.to_owned();
            name.push(format!(".damaged.{stamp}"));
            name
        };
        let sidecars = SIDECARS.map(|suffix| {
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
    let published: Vec<PublishedFile> = files(stamp)
        .into_iter()
        .map(|(path, name)| copy_one(&path, &settings.backup_dir, &name))
        .collect::<Result<_>>()?;
    Ok(published.into_iter().map(PublishedFile::keep).collect())
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
