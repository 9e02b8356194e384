//! Finds backups on disk.

use std::path::{Path, PathBuf};
use std::{collections::BTreeMap, error::Error as _, ffi::OsStr};

use super::names::{MANIFEST_SUFFIX, Meaning, Stamp, file_name, lossy_name, meaning, stamp_of};
use super::{Backup, Completeness, companion::flaw_of, manifest::Manifest};
use crate::files::database_file::with_suffix;
use bridge_migrate_core::{
    Error, ErrorKind, Hint, IoContext, Result, Settings, folder_of, regular_file::if_there,
};

/// All backups of the database in the backup folder, newest first; foreign files come last. One that cannot be
/// looked at is [`Completeness::Unreadable`] and hides no other.
///
/// # Errors
/// When the folder cannot be read. A folder that does not exist holds no backups.
pub fn list(settings: &Settings) -> Result<Vec<Backup>> {
    newest_first(settings).map(Iterator::collect)
}

/// [`list`], each looked at when it is asked for.
pub(crate) fn newest_first(settings: &Settings) -> Result<impl Iterator<Item = Backup>> {
    let folder = &settings.backup_dir;
    let database = file_name(&settings.database)?;
    let entries = if_there(std::fs::read_dir(folder)).on_file("list", folder)?;
    let mut stamped: BTreeMap<Stamp, PathBuf> = BTreeMap::new();
    let mut foreign = Vec::new();
    for entry in entries.into_iter().flatten() {
        let name = entry.on_file("list", folder)?.file_name();
        match meaning(database, &name) {
            Some(Meaning::Database(stamp) | Meaning::Manifest(stamp)) => {
                let mut copy = database.to_owned();
                copy.push(format!(".backup.{stamp}"));
                stamped.insert(stamp, folder.join(copy));
            }
            Some(Meaning::Foreign) => foreign.push(folder.join(name)),
            None => {}
        }
    }
    foreign.sort();
    let own = stamped
        .into_iter()
        .rev()
        .map(move |(_, path)| look_at(settings, &path));
    let foreign = foreign.into_iter().map(|path| {
        let problem = "its name is not one that this program gives".to_owned();
        without_manifest(path, Completeness::Foreign, problem)
    });
    Ok(own.chain(foreign))
}

/// What [`load`] gives, or, when a file of it cannot be looked at, a backup that says so.
pub fn look_at(settings: &Settings, path: &Path) -> Backup {
    load(settings, path)
        .unwrap_or_else(|error| without_manifest(copy_of(path), Completeness::Unreadable, unreadable(&error)))
}

/// Why a backup cannot be looked at, in one line.
pub(crate) fn unreadable(error: &Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// What is known of a copy by its name only.
fn without_manifest(database: PathBuf, state: Completeness, problem: String) -> Backup {
    Backup {
        stamp: database.file_name().and_then(stamp_of),
        companion: None,
        manifest_path: with_suffix(&database, MANIFEST_SUFFIX),
        manifest: None,
        state,
        problem: Some(problem),
        database,
    }
}

/// The backup whose copy of the database, or whose manifest, is at `path`.
///
/// # Errors
/// When a file of it cannot be looked at for another reason than that it is not there.
pub fn load(settings: &Settings, path: &Path) -> Result<Backup> {
    let database = copy_of(path);
    let manifest_path = with_suffix(&database, MANIFEST_SUFFIX);
    let mut problem = None;
    let manifest = match Manifest::read(&manifest_path) {
        Ok(Some(manifest)) => Some(manifest),
        Ok(None) => {
            problem = Some("it has no manifest".to_owned());
            None
        }
        Err(error) if error.kind() == ErrorKind::BackupInvalid => {
            problem = Some(error.message().to_owned());
            None
        }
        Err(error) => return Err(error),
    };
    let mut companion = None;
    if let Some(manifest) = &manifest {
        problem = length_problem(&database, manifest.database.digest.bytes)?;
        if let Some(entry) = &manifest.companion {
            match companion_path(settings, &database, &entry.file) {
                Some(path) => {
                    let mut other = length_problem(&path, entry.digest.bytes)?;
                    if other.is_none() {
                        other = flaw_of(settings.companion_format, &path)?;
                    }
                    problem = problem.or(other);
                    companion = Some(path);
                }
                None => problem = Some("its manifest names a file outside its folder".to_owned()),
            }
        }
    }
    let state = match problem {
        None => Completeness::Complete,
        Some(_) => Completeness::Incomplete,
    };
    Ok(Backup {
        stamp: database.file_name().and_then(stamp_of),
        database,
        companion,
        manifest_path,
        manifest,
        state,
        problem,
    })
}

/// The backup that `name` means: `latest` for the newest complete one that does not [secure](Backup::is_securing) a
/// state, unless a newer one cannot be looked at, a stamp, a file name in the backup folder, or a path; of the copy of the database or of the manifest.
///
/// # Errors
/// [`ErrorKind::Usage`] when there is none; when it, or one that may be the latest, cannot be looked at for another
/// reason than that.
pub fn find(settings: &Settings, name: &OsStr) -> Result<Backup> {
    if name == "latest" {
        return latest(settings);
    }
    let mut stamped = file_name(&settings.database)?.to_owned();
    stamped.push(".backup.");
    stamped.push(name);
    let candidates = [
        settings.backup_dir.join(stamped),
        settings.backup_dir.join(name),
        PathBuf::from(name),
    ];
    let mut unread = None;
    for path in &candidates {
        match is_there(path) {
            Ok(true) => return load(settings, path),
            Ok(false) => {}
            Err(error) => {
                unread.get_or_insert(error);
            }
        }
    }
    Err(unread.unwrap_or_else(|| not_found(format!("there is no backup {}", Path::new(name).display()))))
}

fn latest(settings: &Settings) -> Result<Backup> {
    let newest = newest_first(settings)?
        .find(|backup| matches!(backup.state, Completeness::Complete | Completeness::Unreadable) && !backup.is_securing())
        .ok_or_else(|| {
            not_found(format!(
                "there is no complete backup in {} but those that secure a state before a restore or rollback",
                settings.backup_dir.display()
            ))
        })?;
    if newest.state == Completeness::Complete {
        return Ok(newest);
    }
    // An older one in its place would lose what came since.
    load(settings, &newest.database).map_err(|error| {
        error
            .with_truth(
                "It may be the latest backup. Nothing was changed; an older one can be named by its stamp.",
            )
            .with_hint(Hint::BackupList)
    })
}

/// The backup that was recorded as being at `path`: that of the same name in the backup folder, since a folder is
/// moved or copied with all that is in it, or else the one at `path`. `is_it` tells it from others of its name. A
/// complete one is preferred.
///
/// # Errors
/// When one of the two cannot be looked at and the other is not a complete one.
pub(crate) fn find_again(
    settings: &Settings,
    path: &Path,
    is_it: impl Fn(&Manifest) -> bool,
) -> Result<Option<Backup>> {
    let here = path.file_name().map(|name| settings.backup_dir.join(name));
    let (mut found, mut unread) = (None, None);
    for path in [here.as_deref(), Some(path)].into_iter().flatten() {
        match load(settings, path) {
            Ok(backup) if backup.manifest.as_ref().is_some_and(&is_it) => {
                if backup.state == Completeness::Complete {
                    return Ok(Some(backup));
                }
                found.get_or_insert(backup);
            }
            Ok(_) => {}
            Err(error) => {
                unread.get_or_insert(error);
            }
        }
    }
    unread.map_or(Ok(found), Err)
}

/// Whether the copy of a database, or its manifest, is at `path`.
fn is_there(path: &Path) -> Result<bool> {
    for path in [path, &with_suffix(path, MANIFEST_SUFFIX)] {
        use std::io::ErrorKind as Io;
        match path.metadata() {
            Ok(metadata) if metadata.is_file() => return Ok(true),
            Ok(_) => {}
            // A name that no file can have is that of none.
            Err(error)
                if matches!(
                    error.kind(),
                    Io::NotFound | Io::NotADirectory | Io::InvalidInput | Io::InvalidFilename
                ) => {}
            Err(error) => return Err(error).on_file("look at", path),
        }
    }
    Ok(false)
}

fn not_found(message: String) -> Error {
    Error::unchanged(ErrorKind::Usage, message).with_hint(Hint::BackupList)
}

/// The copy of the database, of which `path` is the name or that of its manifest.
fn copy_of(path: &Path) -> PathBuf {
    let is_manifest = path.extension().is_some_and(|extension| extension == "json")
        && path.file_stem().and_then(stamp_of).is_some();
    match is_manifest {
        true => path.with_extension(""),
        false => path.to_owned(),
    }
}

fn length_problem(path: &Path, bytes: u64) -> Result<Option<String>> {
    let name = lossy_name(path);
    let metadata = if_there(path.metadata()).on_file("look at", path)?;
    Ok(match metadata.map(|metadata| metadata.len()) {
        Some(length) if length == bytes => None,
        Some(length) => Some(format!("{name} has {length} bytes instead of {bytes}")),
        None => Some(format!("{name} does not exist")),
    })
}

/// Where the companion's copy is. A name in a manifest must not lead out of the folder.
fn companion_path(settings: &Settings, database: &Path, name: &str) -> Option<PathBuf> {
    let folder = folder_of(database);
    // A name that is no text is in the manifest only approximately.
    let expected = || {
        let stamp = stamp_of(database.file_name()?)?;
        let mut expected = settings.companion.file_name()?.to_owned();
        expected.push(format!(".backup.{stamp}"));
        (expected.to_string_lossy() == name).then(|| folder.join(expected))
    };
    let plain = || {
        let path = Path::new(name);
        // No file system has a name with a NUL, and asking for one is an error of its own.
        (path.file_name() == Some(path.as_os_str()) && !name.contains('\0')).then(|| folder.join(path))
    };
    expected().or_else(plain)
}
