//! Puts a backup's file in the place of another by a rename.

use std::path::Path;

use crate::backup::lossy_name;
use crate::connection::{SIDECARS, with_suffix};
use crate::digest::digest_file;
use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::event::{Observer, Silent};
use crate::regular_file;
use crate::settings::{Settings, folder_of};
use crate::whole_file::{VerifiedFile, WholeFile, sync_folder_of};

/// Puts the copy at `from` in the place of a missing or damaged database.
///
/// Its sidecars, which are secured, go before the file comes: a log that outlived its database would be
/// replayed into the new one.
pub(super) fn replace_database(settings: &Settings, from: &Path, observer: &dyn Observer) -> Result<()> {
    let database = &settings.database;
    let folder = folder_of(database);
    let file = copy_verified(from, &folder, observer)?;
    // Otherwise the folder's owner has it already.
    if let Ok(old) = database.metadata() {
        file.take_owner(&old);
        file.take_mode(&old)?;
    }
    for suffix in SIDECARS {
        let sidecar = with_suffix(database, suffix);
        match std::fs::remove_file(&sidecar) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).on_file("remove", &sidecar),
        }
    }
    sync_folder_of(database)?;
    file.publish_over(database)
}

/// Puts the copy at `from` in the place of the companion.
pub(super) fn replace_companion(settings: &Settings, from: &Path) -> Result<()> {
    // The file that a link leads to is replaced, not the link.
    let target = settings
        .companion
        .canonicalize()
        .unwrap_or_else(|_| settings.companion.clone());
    let file = copy_verified(from, &folder_of(&target), &Silent)?;
    match target.metadata() {
        Ok(old) => {
            file.take_owner(&old);
            file.take_mode(&old)?;
        }
        // It holds secrets: for its owner only, who is the database's.
        Err(_) => {
            if let Ok(database) = settings.database.metadata() {
                file.take_owner(&database);
            }
        }
    }
    file.publish_over(&target)
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
