//! Which processes hold a lock on a file, as the kernel tells.

use std::path::Path;

use crate::connection::with_suffix;

/// The processes that hold a lock on the file, or on its index of a write-ahead log, that keeps others out. Only Linux
/// tells, in proc(5), `/proc/locks`; it is not known of processes in other containers.
pub(crate) fn holders(path: &Path) -> Vec<u32> {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::MetadataExt;
        let table = std::fs::read_to_string("/proc/locks").unwrap_or_default();
        let mut holders = Vec::new();
        for file in [path.to_owned(), with_suffix(path, "-shm")] {
            if let Ok(metadata) = file.metadata() {
                holders.extend(in_table(&table, metadata.dev(), metadata.ino()));
            }
        }
        holders.sort_unstable();
        holders.dedup();
        holders.retain(|pid| *pid != std::process::id());
        holders
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = with_suffix(path, "");
        Vec::new()
    }
}

/// `1: POSIX  ADVISORY  WRITE 4711 08:01:262146 1073741824 1073742335`: hexadecimal device, decimal inode. A line of
/// someone who waits has `->` behind its number.
#[cfg(target_os = "linux")]
fn in_table(table: &str, device: u64, inode: u64) -> impl Iterator<Item = u32> {
    let file = format!(
        "{:02x}:{:02x}:{inode}",
        rustix::fs::major(device),
        rustix::fs::minor(device)
    );
    table.lines().filter_map(move |line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [_, _, _, "WRITE", pid, locked, ..] if *locked == file => pid.parse().ok().filter(|pid| *pid > 0),
            _ => None,
        }
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_kernel_tells_who_keeps_others_out() {
        let table = "\
1: POSIX  ADVISORY  WRITE 4711 08:01:262146 1073741824 1073742335
1: -> POSIX  ADVISORY  WRITE 4712 08:01:262146 1073741824 1073742335
2: POSIX  ADVISORY  READ 4713 08:01:262146 1073741826 1073742335
3: FLOCK  ADVISORY  WRITE 4714 08:01:262147 0 EOF
4: FLOCK  ADVISORY  WRITE -1 08:01:262146 0 EOF
";
        let device = rustix::fs::makedev(8, 1);
        assert_eq!(in_table(table, device, 262_146).collect::<Vec<_>>(), [4711]);
        assert_eq!(in_table(table, device, 262_147).collect::<Vec<_>>(), [4714]);
    }
}
