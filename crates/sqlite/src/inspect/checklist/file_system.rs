//! Whether the database lies on a network file system, whose locks SQLite cannot rely on.

use std::path::{Path, PathBuf};

use super::{Answered, Context, ok, warning};

/// File systems that other machines may have open at the same time.
const NETWORK: &str = "9p afs beegfs ceph cifs coda gfs2 glusterfs lustre ncpfs nfs nfs4 smb3 smbfs";

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) point: PathBuf,
    pub(crate) kind: String,
    pub(crate) is_read_only: bool,
}

pub(super) fn check(context: &Context<'_>) -> Answered {
    let Some(mount) = mount_of(&context.settings.database) else {
        return ok("what it lies on cannot be told on this system");
    };
    let place = format!("{} at {}", mount.kind, mount.point.display());
    if is_network(&mount.kind) {
        return warning(
            format!(
                "{place}: locks over a network are not reliable, and write-ahead mode does not work there"
            ),
            "run the migration where the files are, with no other machine on them",
        );
    }
    ok(place)
}

/// The file system that `path` is on, where the system tells (Linux).
pub(crate) fn mount_of(path: &Path) -> Option<Mount> {
    let table = std::fs::read("/proc/self/mountinfo").ok()?;
    find_mount(&String::from_utf8_lossy(&table), path)
}

pub(crate) fn is_network(kind: &str) -> bool {
    // `fuseblk` is a local disk read by a program.
    NETWORK.split(' ').any(|known| known == kind) || kind == "fuse" || kind.starts_with("fuse.")
}

/// The last mount on the longest point that holds `path`; the format is that of proc(5).
fn find_mount(table: &str, path: &Path) -> Option<Mount> {
    let mut best: Option<Mount> = None;
    for line in table.lines() {
        let Some((left, right)) = line.split_once(" - ") else {
            continue;
        };
        let mut left = left.split(' ').skip(4);
        let (Some(point), Some(options)) = (left.next(), left.next()) else {
            continue;
        };
        let point = PathBuf::from(unescaped(point));
        let is_longer = best
            .as_ref()
            .is_none_or(|best| point.as_os_str().len() >= best.point.as_os_str().len());
        if path.starts_with(&point) && is_longer {
            best = Some(Mount {
                point,
                kind: right.split(' ').next().unwrap_or_default().to_owned(),
                is_read_only: options.split(',').any(|option| option == "ro"),
            });
        }
    }
    best
}

/// A space, tab, line break or backslash stands as three octal digits.
fn unescaped(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part
            .get(..3)
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match (code, part.get(3..)) {
            (Some(code), Some(rest)) if code.is_ascii() => {
                plain.push(char::from(code));
                plain.push_str(rest);
            }
            _ => {
                plain.push('\\');
                plain.push_str(part);
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 27 0:26 / /srv rw - xfs /dev/vdb rw
31 30 0:27 / /srv/my\\040share ro,nosuid shared:3 - nfs4 host:/x rw
32 27 0:28 / /mnt rw - fuse.sshfs a:/b rw
broken
33 27 0:29 / /mnt rw - fuseblk /dev/sdb1 rw";

    fn on(path: &str) -> (String, bool, bool) {
        let mount = find_mount(TABLE, Path::new(path)).unwrap();
        (
            mount.point.display().to_string(),
            is_network(&mount.kind),
            mount.is_read_only,
        )
    }

    #[test]
    fn the_longest_mount_point_decides_and_of_two_the_later() {
        assert_eq!(on("/srv/data/collab.db"), ("/srv".to_owned(), false, false));
        assert_eq!(
            on("/srv/my share/collab.db"),
            ("/srv/my share".to_owned(), true, true)
        );
        assert_eq!(on("/srvx/collab.db"), ("/".to_owned(), false, false));
        assert_eq!(on("/mnt/collab.db"), ("/mnt".to_owned(), false, false));
    }

    #[test]
    fn programs_that_bring_files_from_elsewhere_count_as_network() {
        for kind in ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "fuse"] {
            assert!(is_network(kind), "{kind}");
        }
        for kind in ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "fuseblk", "zfs"] {
            assert!(!is_network(kind), "{kind}");
        }
    }
}
