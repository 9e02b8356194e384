//! Puts a backup's file in the place of another by a rename.

use std::path::Path;

use super::secure::{self, Copied};
use crate::backup::lossy_name;
use crate::files::database_file::{SIDECARS, with_suffix};
use bridge_migrate_core::regular_file::{self, if_there};
use bridge_migrate_core::whole_file::{VerifiedFile, WholeFile, sync_folder_of};
use bridge_migrate_core::{
    Error, ErrorKind, IoContext, Observer, Result, Settings, digest::digest_file, folder_of,
};

/// The copy at `from` as a file beside the database, ready to become it.
pub(super) fn ready(settings: &Settings, from: &Path, observer: &dyn Observer) -> Result<VerifiedFile> {
    let database = &settings.database;
    let folder = folder_of(database);
    let file = copy_verified(from, &folder, observer)?;
    // Otherwise the folder's owner has it already.
    if let Ok(old) = database.metadata() {
        file.take_owner(&old);
        file.take_mode(&old)?;
    }
    Ok(file)
}

/// Puts the file where there is no database; false when another process made one in the meantime, which is left alone.
///
/// The sidecars of the one that was there, which are secured, go before: a log that outlived its database would be
/// replayed into the new one.
pub(super) fn put_where_none_is(settings: &Settings, file: VerifiedFile) -> Result<bool> {
    let database = &settings.database;
    for suffix in SIDECARS {
        if database.symlink_metadata().is_ok() {
            // Then they are not what was secured.
            return Ok(false);
        }
        remove(&with_suffix(database, suffix))?;
    }
    sync_folder_of(database)?;
    file.publish_where_nothing_is(database)
}

/// Puts the file in the place of a database that SQLite cannot even lock. `secured` are copies of all its files.
///
/// # Errors
/// [`ErrorKind::Busy`] when its files are not as they were secured any more.
pub(super) fn put_over_damaged(settings: &Settings, file: VerifiedFile, secured: &[Copied]) -> Result<()> {
    if !secure::is_still(settings, secured)? {
        return Err(Error::unchanged(
            ErrorKind::Busy,
            format!(
                "another process wrote to {} meanwhile",
                settings.database.display()
            ),
        ));
    }
    for suffix in SIDECARS {
        remove(&with_suffix(&settings.database, suffix))?;
    }
    sync_folder_of(&settings.database)?;
    file.publish_over(&settings.database)
}

fn remove(path: &Path) -> Result<()> {
    if_there(std::fs::remove_file(path))
        .on_file("remove", path)
        .map(drop)
}

fn copy_verified(from: &Path, folder: &Path, observer: &dyn Observer) -> Result<VerifiedFile> {
    let whole = WholeFile::create_in(folder)?;
    let mut target = whole.file();
    regular_file::open(from)
        .and_then(|mut source| std::io::copy(&mut source, &mut target))
        .on_file("copy", from)?;
    let (verified, ()) = whole.verified(|whole| {
        let subject = lossy_name(from);
        if digest_file(whole.path(), &subject, observer)? == digest_file(from, &subject, observer)? {
            Ok(())
        } else {
            Err(Error::new(
                ErrorKind::Io,
                format!("the copy of {} differs from it", from.display()),
            ))
        }
    })?;
    Ok(verified)
}
