//! A folder for a copy of the data that is nobody's backup: for its owner only, and gone when it is dropped, or by a
//! later run when this one is killed.

use std::fs::File;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use bridge_migrate_core::regular_file::{create_new, give_to_owner_of_folder};
use bridge_migrate_core::whole_file::{OWNER, PREFIX, remove_abandoned};
use bridge_migrate_core::{Error, IoContext, Result, disk::place_for_copy};

/// Dropping it removes it.
#[derive(Debug)]
pub(crate) struct PrivateFolder {
    folder: TempDir,
    _owner: File,
}

impl PrivateFolder {
    /// A folder in the first of `folders` that has room for `bytes`; see [`place_for_copy`].
    pub(crate) fn make(folders: &[&Path], bytes: u64, what_for: &str) -> Result<Self> {
        let parent = place_for_copy(folders, bytes, what_for)?;
        remove_abandoned(&parent);
        let mut builder = tempfile::Builder::new();
        builder.prefix(PREFIX);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        let folder = builder
            .tempdir_in(&parent)
            .map_err(|source| Error::io("make a folder in", &parent, source))?;
        // Whoever owns the folder above can remove what a killed superuser left.
        if let Ok(made) = File::open(folder.path()) {
            give_to_owner_of_folder(&made, folder.path());
        }
        let owner_path = folder.path().join(OWNER);
        let owner = create_new(&owner_path, 0o600).on_file("make", &owner_path)?;
        owner
            .try_lock()
            .map_err(|_| Error::io("lock", &owner_path, std::io::ErrorKind::WouldBlock.into()))?;
        Ok(Self {
            folder,
            _owner: owner,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves it for good.
    pub(crate) fn keep(self) -> PathBuf {
        let _ = std::fs::remove_file(self.folder.path().join(OWNER));
        self.folder.keep()
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn it_is_for_its_owner_only_and_leaves_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let make = || PrivateFolder::make(&[parent.path()], 1, "a copy").unwrap();
        let made = make();
        let mode = made.path().metadata().unwrap().permissions().mode();
        assert_eq!((mode & 0o777, made.path().parent()), (0o700, Some(parent.path())));
        drop(made);
        assert_eq!(parent.path().read_dir().unwrap().count(), 0);
        let kept = make().keep();
        assert_eq!(kept.read_dir().unwrap().count(), 0);
    }
}
