//! What a folder holds: names and bytes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// Everything below a folder, by its path in it. `None` is a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree(pub BTreeMap<PathBuf, Option<Vec<u8>>>);

impl Tree {
    /// What is below `root`.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn read(root: &Path) -> Self {
        let mut tree = Self::default();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(root).unwrap().to_owned();
                let kind = path.symlink_metadata().unwrap().file_type();
                if kind.is_dir() {
                    tree.0.insert(name, None);
                    folders.push(path);
                } else {
                    assert!(kind.is_file(), "{} is no file", path.display());
                    tree.0.insert(name, Some(fs::read(path).unwrap()));
                }
            }
        }
        tree
    }

    /// Makes `root` hold this and nothing else. Files are new ones, for their owner only.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, root: &Path) {
        for entry in fs::read_dir(root).unwrap() {
            let path = entry.unwrap().path();
            let is_folder = path.symlink_metadata().unwrap().is_dir();
            let removed = if is_folder {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            removed.unwrap();
        }
        // A folder stands before what is in it.
        for (name, bytes) in &self.0 {
            let path = root.join(name);
            match bytes {
                None => fs::DirBuilder::new().mode(0o755).create(path).unwrap(),
                Some(bytes) => {
                    fs::write(&path, bytes).unwrap();
                    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
                }
            }
        }
    }

    /// The bytes of a file.
    pub fn get(&self, name: impl AsRef<Path>) -> Option<&[u8]> {
        self.0.get(name.as_ref()).and_then(Option::as_deref)
    }

    /// What tells it from all others.
    pub fn digest(&self) -> [u8; 32] {
        let mut sha = Sha256::new();
        for (name, bytes) in &self.0 {
            sha.update(name.as_os_str().as_encoded_bytes());
            sha.update([0, u8::from(bytes.is_some())]);
            if let Some(bytes) = bytes {
                sha.update((bytes.len() as u64).to_le_bytes());
                sha.update(bytes);
            }
        }
        sha.finalize().into()
    }
}
