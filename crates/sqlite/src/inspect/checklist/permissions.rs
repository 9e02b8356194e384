//! Whether this user may write where a migration writes: asked without writing.

use std::path::Path;

use crate::sqlite::connection;
use bridge_migrate_core::{folder_of, regular_file};

use super::{Answer, Answered, Context, failed, file_system::mount_of, ok};

pub(super) fn check(context: &Context<'_>) -> Answered {
    let settings = context.settings;
    if settings.database.exists()
        && let Err(error) = connection::ask_to_write(&settings.database)
    {
        return Err(Answer::from(&error));
    }
    let folders = [
        ("the folder of the database", folder_of(&settings.database)),
        ("the backup folder", settings.backup_dir.clone()),
        ("the log folder", settings.log_dir.clone()),
    ];
    for (what, folder) in &folders {
        // A folder that does not exist yet is made in the nearest one that does.
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
        let Some(existing) = folder.ancestors().find(|folder| folder.exists()) else {
            continue;
        };
        if let Err(why) = may_create_in(existing) {
            return failed(
                format!("{what} {}: {why}", existing.display()),
                "run as the user of the server, or change the mode of the folder",
            );
        }
    }
    if settings.companion.exists()
        && let Err(error) = regular_file::open(&settings.companion)
    {
        return failed(
            format!("{} cannot be read: {error}", settings.companion.display()),
            "run as the user of the server",
        );
    }
    ok("the database, its folder, the backup folder and the log folder can be written")
}

fn may_create_in(folder: &Path) -> Result<(), String> {
    let metadata = folder.metadata().map_err(|error| error.to_string())?;
    if !metadata.is_dir() {
        return Err("it is not a folder".to_owned());
    }
    if mount_of(folder).is_some_and(|mount| mount.is_read_only) {
        return Err("its file system is mounted read-only".to_owned());
    }
    if is_allowed(&metadata) {
        Ok(())
    } else {
        Err("this user may not create files in it".to_owned())
    }
}

/// As the mode bits say. Access lists may say otherwise; then the migration says so before it changes anything.
#[cfg(unix)]
fn is_allowed(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    let Some(identity) = Identity::own() else {
        return !metadata.permissions().readonly();
    };
    identity.may_write_and_enter(metadata.uid(), metadata.gid(), metadata.mode())
}

#[cfg(not(unix))]
fn is_allowed(metadata: &std::fs::Metadata) -> bool {
    // The attribute means something else on folders there.
    let _ = metadata;
    true
}

/// Who this process is, as far as files are concerned.
#[cfg(unix)]
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    user: u32,
    groups: Vec<u32>,
}

#[cfg(unix)]
impl Identity {
    /// From `/proc`, where there is one.
    fn own() -> Option<Self> {
        Self::parse(&std::fs::read_to_string("/proc/self/status").ok()?)
    }

    fn parse(status: &str) -> Option<Self> {
        let numbers = |name: &str| -> Option<Vec<u32>> {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            Some(
                line.split_whitespace()
                    .filter_map(|word| word.parse().ok())
                    .collect(),
            )
        };
        // Real, effective, saved and file-system identity; the last one counts.
        let user = numbers("Uid:")?.get(3).copied()?;
        let mut groups = numbers("Groups:").unwrap_or_default();
        groups.push(numbers("Gid:")?.get(3).copied()?);
        Some(Self { user, groups })
    }

    fn may_write_and_enter(&self, owner: u32, group: u32, mode: u32) -> bool {
        let class = if self.user == 0 {
            return true;
        } else if self.user == owner {
            mode >> 6
        } else if self.groups.contains(&group) {
            mode >> 3
        } else {
            mode
        };
        class & 0o3 == 0o3
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_class_that_fits_first_decides() {
        let status = "Name:\tx\nUid:\t1000\t1000\t1000\t1000\nGid:\t100\t100\t100\t100\nGroups:\t27 44 \n";
        let identity = Identity::parse(status).unwrap();
        assert_eq!(
            identity,
            Identity {
                user: 1000,
                groups: vec![27, 44, 100]
            }
        );
        assert!(identity.may_write_and_enter(1000, 0, 0o700));
        assert!(!identity.may_write_and_enter(1000, 0, 0o577));
        assert!(identity.may_write_and_enter(0, 44, 0o070));
        assert!(!identity.may_write_and_enter(0, 44, 0o707));
        assert!(!identity.may_write_and_enter(0, 0, 0o706));
        assert!(identity.may_write_and_enter(0, 0, 0o003));
        let root = Identity {
            user: 0,
            groups: vec![0],
        };
        assert!(root.may_write_and_enter(1, 1, 0));
    }

    #[test]
    fn what_is_no_status_is_no_identity() {
        for status in ["", "Uid:\t1\n", "Uid:\tx\nGid:\t1\t1\t1\t1\n"] {
            assert_eq!(Identity::parse(status), None, "{status:?}");
        }
    }
}
