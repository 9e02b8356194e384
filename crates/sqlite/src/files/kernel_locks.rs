//! What the kernel tells of locks and threads. Only Linux tells, in proc(5).

use std::path::Path;

#[cfg(target_os = "linux")]
use crate::files::database_file::with_suffix;

/// The processes that hold a lock on the file, or on its index of a write-ahead log, that keeps others out. It is not
/// known of processes in other containers.
#[cfg(target_os = "linux")]
pub(crate) fn holders(path: &Path) -> Vec<u32> {
    let mut holders: Vec<u32> = [path.to_owned(), with_suffix(path, "-shm")]
        .iter()
        .filter_map(|file| locks(file))
        .flatten()
        .filter(|lock| lock.excludes && lock.pid != std::process::id())
        .map(|lock| lock.pid)
        .collect();
    holders.sort_unstable();
    holders.dedup();
    holders
}

/// The processes that read a state of the database which its write-ahead log must not lose: each holds a lock on one of
/// five bytes of the index (<https://sqlite.org/walformat.html#wal_locks>).
#[cfg(target_os = "linux")]
pub(crate) fn log_readers(path: &Path) -> Vec<u32> {
    let reads = |lock: &Lock| (123..=127).contains(lock.bytes.start()) && lock.pid != std::process::id();
    let locks = locks(&with_suffix(path, "-shm")).unwrap_or_default();
    locks
        .iter()
        .filter(|lock| reads(lock))
        .map(|lock| lock.pid)
        .collect()
}

/// Whether a process, perhaps this one, has the database's write-ahead log open: it then holds a lock on a certain byte
/// of its index (<https://sqlite.org/walformat.html#wal_locks>).
#[cfg(target_os = "linux")]
pub(crate) fn has_open_log(path: &Path) -> Option<bool> {
    /// `UNIX_SHM_DMS`, behind the eight locks of the index.
    const IS_OPEN: u64 = 128;
    let locks = locks(&with_suffix(path, "-shm"))?;
    Some(locks.iter().any(|lock| lock.bytes.contains(&IS_OPEN)))
}

/// Whether no other thread of this process can do anything meanwhile.
#[cfg(target_os = "linux")]
pub(crate) fn is_only_thread() -> Option<bool> {
    Some(std::fs::read_dir("/proc/self/task").ok()?.nth(1).is_none())
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn holders(_: &Path) -> Vec<u32> {
    Vec::new()
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn log_readers(_: &Path) -> Vec<u32> {
    Vec::new()
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn has_open_log(_: &Path) -> Option<bool> {
    None
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn is_only_thread() -> Option<bool> {
    None
}

/// A lock on a file.
#[cfg(target_os = "linux")]
#[derive(Debug, PartialEq, Eq)]
struct Lock {
    pid: u32,
    excludes: bool,
    bytes: std::ops::RangeInclusive<u64>,
}

/// The locks on a file; `None` when the kernel does not tell, or there is no such file.
#[cfg(target_os = "linux")]
fn locks(file: &Path) -> Option<Vec<Lock>> {
    use std::os::unix::fs::MetadataExt;
    let metadata = file.metadata().ok()?;
    let table = std::fs::read_to_string("/proc/locks").ok()?;
    Some(in_table(&table, metadata.dev(), metadata.ino()).collect())
}

/// `1: POSIX  ADVISORY  WRITE 4711 08:01:262146 1073741824 1073742335`: hexadecimal device, decimal inode. A line of
/// someone who waits has `->` behind its number.
#[cfg(target_os = "linux")]
fn in_table(table: &str, device: u64, inode: u64) -> impl Iterator<Item = Lock> {
    let file = format!(
        "{:02x}:{:02x}:{inode}",
        rustix::fs::major(device),
        rustix::fs::minor(device)
    );
    table.lines().filter_map(move |line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, _, _, kind @ ("READ" | "WRITE"), pid, locked, first, last] = *words.as_slice() else {
            return None;
        };
        (locked == file).then_some(())?;
        Some(Lock {
            pid: pid.parse().ok().filter(|pid| *pid > 0)?,
            excludes: kind == "WRITE",
            bytes: first.parse().ok()?..=last.parse().unwrap_or(u64::MAX),
        })
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
        let found = |inode| in_table(table, device, inode).collect::<Vec<_>>();
        let lock = |pid, excludes, bytes| Lock { pid, excludes, bytes };
        assert_eq!(
            found(262_146),
            [
                lock(4711, true, 1_073_741_824..=1_073_742_335),
                lock(4713, false, 1_073_741_826..=1_073_742_335)
            ]
        );
        assert_eq!(found(262_147), [lock(4714, true, 0..=u64::MAX)]);
    }
}
