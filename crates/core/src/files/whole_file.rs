//! The one way in which files appear: whole, on disk and verified, or not at all.
//!
//! A [`WholeFile`] is written beside its target under a name that nobody takes for the real thing. Only a
//! [`VerifiedFile`] can be given its name, by a rename that the folder remembers through a power cut.

use std::fs::{File, Metadata};
use std::path::{Path, PathBuf};
use std::{ffi::OsStr, time::Duration};

use tempfile::{NamedTempFile, TempPath};

use crate::error::{Error, IoContext, Result};
use crate::files::folder_of;
use crate::files::regular_file::{self, give_to_owner_of_folder, refuse_to_replace};

/// How the temporary names begin.
pub const PREFIX: &str = ".bridge-migrate-";
/// How the temporary names end.
const SUFFIX: &str = ".tmp";
/// The file that the process holds locked which made a folder of copies.
pub const OWNER: &str = "owner.lock";
/// Younger temporary files may belong to a process that has not locked them yet.
const MIN_ABANDONED_AGE: Duration = if cfg!(unix) {
    Duration::from_secs(60)
} else {
    Duration::from_secs(24 * 60 * 60)
};

/// A file that is being written under a temporary name, readable by its owner only. Dropping it removes it.
#[derive(Debug)]
pub struct WholeFile {
    file: NamedTempFile,
}

impl WholeFile {
    /// An empty file in `folder`, which must be the folder of the later target.
    ///
    /// # Errors
    /// When the folder does not exist or cannot be written.
    pub fn create_in(folder: &Path) -> Result<Self> {
        let file = tempfile::Builder::new()
            .prefix(PREFIX)
            .suffix(SUFFIX)
            .tempfile_in(folder)
            .map_err(|source| Error::io("make a file in", folder, source))?;
        give_to_owner_of_folder(file.as_file(), file.path());
        // Tells other processes that the owner lives. Windows would keep SQLite out of the file, too.
        #[cfg(unix)]
        file.as_file().try_lock().map_err(|error| match error {
            std::fs::TryLockError::Error(source) => Error::io("lock", file.path(), source),
            std::fs::TryLockError::WouldBlock => {
                Error::io("lock", file.path(), std::io::ErrorKind::WouldBlock.into())
            }
        })?;
        Ok(Self { file })
    }

    /// The file, to write to.
    pub fn file(&self) -> &File {
        self.file.as_file()
    }

    /// Where the file is for now.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Has `verify` look at the finished file and puts it on disk; what `verify` found comes back with it.
    ///
    /// # Errors
    /// The error of `verify`, or when the file cannot be synced. The file is gone then.
    pub fn verified<T>(self, verify: impl FnOnce(&Self) -> Result<T>) -> Result<(VerifiedFile, T)> {
        let found = verify(&self)?;
        self.file
            .as_file()
            .sync_all()
            .on_file("put on disk", self.file.path())?;
        Ok((VerifiedFile { file: self.file }, found))
    }
}

/// A file that is complete, on disk and verified, but has no name yet. Dropping it removes it.
#[derive(Debug)]
pub struct VerifiedFile {
    file: NamedTempFile,
}

/// What became of a wish for a new name.
#[derive(Debug)]
pub enum Publication {
    /// The file has the name.
    Done(PublishedFile),
    /// Something else has it; the file is as it was.
    Taken(VerifiedFile),
}

impl VerifiedFile {
    /// Gives the file the name `name` in its folder unless that is taken, safe against other processes.
    ///
    /// # Errors
    /// When the file cannot be renamed or the folder cannot be synced. The file is gone then.
    pub fn publish_new(self, name: &OsStr) -> Result<Publication> {
        let temporary = self.file.path().to_owned();
        let path = folder_of(&temporary).join(name);
        match self.file.persist_noclobber(&path) {
            Ok(file) => {
                let published = PublishedFile {
                    path,
                    temporary,
                    file: Some(file),
                };
                sync_folder_of(&published.path)?;
                Ok(Publication::Done(published))
            }
            Err(refused) if refused.error.kind() == std::io::ErrorKind::AlreadyExists => {
                Ok(Publication::Taken(Self { file: refused.file }))
            }
            Err(refused) => Err(Error::io("create", &path, refused.error)),
        }
    }

    /// Takes the mode of another file; without this the file stays for its owner only.
    ///
    /// # Errors
    /// When the mode cannot be set.
    pub fn take_mode(&self, like: &Metadata) -> Result<()> {
        self.file
            .as_file()
            .set_permissions(like.permissions())
            .on_file("set the mode of", self.file.path())
    }

    /// Takes the owner and group of another file as far as this user may: only the superuser can give files
    /// away, for others the file stays theirs.
    pub fn take_owner(&self, like: &Metadata) {
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt, fchown};
            let other = |own: &Metadata| (own.uid(), own.gid()) != (like.uid(), like.gid());
            if self.file.as_file().metadata().is_ok_and(|own| other(&own)) {
                let _ = fchown(self.file.as_file(), Some(like.uid()), Some(like.gid()));
            }
        }
        #[cfg(not(unix))]
        let _ = like;
    }

    /// Puts the file at `target` unless something is there; whether it did.
    ///
    /// # Errors
    /// When the file cannot be renamed or the folder cannot be synced.
    pub fn publish_where_nothing_is(self, target: &Path) -> Result<bool> {
        // Closed before, as in `publish_over`.
        match self.file.into_temp_path().persist_noclobber(target) {
            Ok(()) => sync_folder_of(target).map(|()| true),
            Err(refused) if refused.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
            Err(refused) => Err(Error::io("create", target, refused.error)),
        }
    }

    /// Puts the file in the place of `target`, and returns the file that was there at that moment, which whoever had
    /// opened it may still be writing. `None` when nothing was, and where the file system cannot exchange two names.
    ///
    /// # Errors
    /// As [`publish_over`](Self::publish_over).
    pub fn publish_in_exchange(self, target: &Path) -> Result<Option<File>> {
        refuse_to_replace(target)?;
        #[cfg(target_os = "linux")]
        loop {
            use rustix::fs::{CWD, RenameFlags, renameat_with};
            use rustix::io::Errno;
            let rename = |how| renameat_with(CWD, self.file.path(), CWD, target, how);
            match rename(RenameFlags::EXCHANGE) {
                Ok(()) => {
                    // Under the temporary name now, which goes with `self`.
                    let replaced = regular_file::open(self.file.path()).on_file("read", target)?;
                    return sync_folder_of(target).map(|()| Some(replaced));
                }
                Err(Errno::NOENT) => match rename(RenameFlags::NOREPLACE) {
                    Ok(()) => return sync_folder_of(target).map(|()| None),
                    Err(Errno::EXIST) => {}
                    Err(error) => return Err(Error::io("replace", target, error.into())),
                },
                // The file system knows no such flag, or the system no such call.
                Err(_) => break,
            }
        }
        self.publish_over(target).map(|()| None)
    }

    /// Puts the file in the place of `target`.
    ///
    /// # Errors
    /// [`ErrorKind::ForeignFile`](crate::error::ErrorKind::ForeignFile) when `target` is no regular file; when the file
    /// cannot be renamed or the folder cannot be synced. `target` is the old or the new file.
    pub fn publish_over(self, target: &Path) -> Result<()> {
        refuse_to_replace(target)?;
        // Closed before the rename: closing a live database's descriptor would drop the locks of others.
        self.file
            .into_temp_path()
            .persist(target)
            .map_err(|refused| Error::io("replace", target, refused.error))?;
        sync_folder_of(target)
    }
}

/// A file that has its name. Dropping it removes it again, until [`keep`](Self::keep) is called.
#[derive(Debug)]
pub struct PublishedFile {
    path: PathBuf,
    temporary: PathBuf,
    file: Option<File>,
}

impl PublishedFile {
    /// The file's name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves the file for good.
    pub fn keep(mut self) -> PathBuf {
        self.file = None;
        std::mem::take(&mut self.path)
    }

    /// Takes the name away again.
    ///
    /// # Errors
    /// When the file cannot be renamed. The file is gone then.
    pub fn withdraw(mut self) -> Result<VerifiedFile> {
        std::fs::rename(&self.path, &self.temporary).on_file("rename", &self.path)?;
        let path = TempPath::try_from_path(&self.temporary).on_file("rename", &self.path)?;
        match self.file.take() {
            Some(file) => Ok(VerifiedFile {
                file: NamedTempFile::from_parts(file, path),
            }),
            None => Err(Error::io(
                "rename",
                &self.path,
                std::io::ErrorKind::NotFound.into(),
            )),
        }
    }
}

impl Drop for PublishedFile {
    fn drop(&mut self) {
        if self.file.is_some() {
            // The error that led here is the one to report.
            let _ = std::fs::remove_file(&self.path);
            let _ = sync_folder_of(&self.path);
        }
    }
}

/// Puts the names in the folder of `path` on disk.
///
/// # Errors
/// When the folder cannot be synced.
pub fn sync_folder_of(path: &Path) -> Result<()> {
    let folder = folder_of(path);
    if cfg!(unix) {
        File::open(&folder)
            .and_then(|file| file.sync_all())
            .on_file("put on disk", &folder)?;
    }
    Ok(())
}

/// Removes what killed runs left in `folder`, and says how many files that were.
///
/// A file whose owner lives is locked by it; one that is younger than a minute is left in any case. Files
/// that cannot be looked at or removed are left for another time. The same holds for folders of copies.
pub fn remove_abandoned(folder: &Path) -> usize {
    let remove = |path: &PathBuf| match path.is_dir() {
        true => std::fs::remove_dir_all(path).is_ok(),
        false => std::fs::remove_file(path).is_ok(),
    };
    abandoned(folder).filter(remove).count()
}

/// What killed runs left in `folder`: nothing in a folder that cannot be read.
pub fn abandoned(folder: &Path) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            name.to_string_lossy().starts_with(PREFIX)
        })
        .map(|entry| entry.path())
        .filter(|path| is_abandoned(path))
}

fn is_abandoned(path: &Path) -> bool {
    let Ok(metadata) = path.symlink_metadata() else {
        return false;
    };
    let old = metadata
        .modified()
        .ok()
        .and_then(|modified| modified.elapsed().ok())
        .is_some_and(|age| age >= MIN_ABANDONED_AGE);
    let is_free = |path: &Path| regular_file::open(path).is_ok_and(|file| file.try_lock().is_ok());
    let is_left = if metadata.is_dir() {
        // One without the file was left on purpose.
        is_free(&path.join(OWNER))
    } else {
        metadata.is_file() && path.to_string_lossy().ends_with(SUFFIX) && (!cfg!(unix) || is_free(path))
    };
    old && is_left
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::SystemTime;

    use super::*;
    use crate::error::ErrorKind;
    use crate::files::regular_file::make_folder;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn verified(folder: &Path, text: &str) -> VerifiedFile {
        let whole = WholeFile::create_in(folder).unwrap();
        whole.file().write_all(text.as_bytes()).unwrap();
        whole.verified(|_| Ok(())).unwrap().0
    }

    #[test]
    fn a_file_that_fails_its_check_never_appears() {
        let folder = tempfile::tempdir().unwrap();
        let whole = WholeFile::create_in(folder.path()).unwrap();
        let refused = whole.verified(|_| -> Result<()> { Err(Error::new(ErrorKind::Corrupt, "bad")) });
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(names(folder.path()), [""; 0]);
    }

    #[test]
    fn a_taken_name_is_not_overwritten_and_the_next_one_can_be_tried() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), "theirs").unwrap();
        let Publication::Taken(file) = verified(folder.path(), "ours").publish_new("a".as_ref()).unwrap()
        else {
            panic!("overwrote a file");
        };
        let Publication::Done(published) = file.publish_new("b".as_ref()).unwrap() else {
            panic!("b is free");
        };
        let path = published.keep();
        assert_eq!(names(folder.path()), ["a", "b"]);
        assert_eq!(
            std::fs::read_to_string(folder.path().join("a")).unwrap(),
            "theirs"
        );
        assert_eq!(std::fs::read_to_string(path).unwrap(), "ours");
    }

    #[test]
    fn a_published_file_that_is_not_kept_goes_away_again() {
        let folder = tempfile::tempdir().unwrap();
        drop(verified(folder.path(), "x").publish_new("a".as_ref()).unwrap());
        assert_eq!(names(folder.path()), [""; 0]);
        let Publication::Done(published) = verified(folder.path(), "x").publish_new("a".as_ref()).unwrap()
        else {
            panic!("a is free");
        };
        let again = published.withdraw().unwrap();
        assert!(!folder.path().join("a").exists());
        let Publication::Done(published) = again.publish_new("c".as_ref()).unwrap() else {
            panic!("c is free");
        };
        published.keep();
        assert_eq!(names(folder.path()), ["c"]);
    }

    #[cfg(unix)]
    #[test]
    fn new_files_are_for_their_owner_only_and_replacements_keep_the_mode() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a");
        let Publication::Done(published) = verified(folder.path(), "x").publish_new("a".as_ref()).unwrap()
        else {
            panic!("a is free");
        };
        published.keep();
        let mode = || target.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600);
        std::fs::set_permissions(&target, PermissionsExt::from_mode(0o640)).unwrap();
        let like = target.metadata().unwrap();
        let new = verified(folder.path(), "y");
        new.take_owner(&like);
        new.take_mode(&like).unwrap();
        new.publish_over(&target).unwrap();
        assert_eq!(mode(), 0o640);
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "y");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_that_takes_anothers_place_gives_that_back_and_leaves_no_other_name() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a");
        let into_nothing = verified(folder.path(), "ours").publish_in_exchange(&target);
        assert!(into_nothing.unwrap().is_none());
        std::fs::write(&target, "theirs").unwrap();
        let replaced = verified(folder.path(), "ours")
            .publish_in_exchange(&target)
            .unwrap();
        assert_eq!(std::io::read_to_string(replaced.unwrap()).unwrap(), "theirs");
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "ours");
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn a_folder_is_made_with_those_above_it_and_may_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b/c");
        make_folder(&deep).unwrap();
        make_folder(&deep).unwrap();
        assert!(deep.is_dir());
        std::fs::write(deep.join("file"), "").unwrap();
        assert!(make_folder(&deep.join("file")).is_err());
    }

    #[test]
    fn only_old_files_without_a_living_owner_are_cleaned_up() {
        let folder = tempfile::tempdir().unwrap();
        let old = SystemTime::now() - MIN_ABANDONED_AGE - Duration::from_secs(1);
        let alive = WholeFile::create_in(folder.path()).unwrap();
        alive.file().set_modified(old).unwrap();
        let orphan = folder.path().join(".bridge-migrate-orphan.tmp");
        File::create(&orphan).unwrap().set_modified(old).unwrap();
        let young = folder.path().join(".bridge-migrate-young.tmp");
        File::create(&young).unwrap();
        let other = folder.path().join("collab.db");
        File::create(&other).unwrap().set_modified(old).unwrap();
        let copies = |name: &str, has_owner: bool| {
            let copies = folder.path().join(name);
            std::fs::create_dir(&copies).unwrap();
            if has_owner {
                File::create(copies.join(OWNER)).unwrap();
            }
            File::open(&copies).unwrap().set_modified(old).unwrap();
            copies
        };
        let of_dead = copies(".bridge-migrate-dead", true);
        let of_living = copies(".bridge-migrate-living", true);
        let owner = File::open(of_living.join(OWNER)).unwrap();
        owner.try_lock().unwrap();
        let on_purpose = copies(".bridge-migrate-kept", false);

        assert_eq!(remove_abandoned(folder.path()), 2);
        assert!(!orphan.exists() && !of_dead.exists());
        assert!(alive.path().exists() && young.exists() && other.exists());
        assert!(of_living.exists() && on_purpose.exists());
    }
}
