//! What a run ran on, without a name of it.

use std::{fs, path::Path, thread};

use crate::lab::Tools;

/// A sentence about the machine: its cores, memory and file system, and the floors' versions.
pub(crate) fn describe(folder: &Path, tools: &Tools) -> String {
    let mut parts = Vec::new();
    if let Ok(cores) = thread::available_parallelism() {
        parts.push(format!("{cores} cores"));
    }
    if let Some(memory) = fs::read_to_string("/proc/meminfo")
        .ok()
        .as_deref()
        .and_then(memory)
    {
        parts.push(format!("{memory} GiB of memory"));
    }
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    if let Some(kind) = folder.to_str().and_then(|folder| file_system(&mounts, folder)) {
        parts.push(kind.to_owned());
    }
    for (name, version) in [("sqlite3 shell", &tools.sqlite3), ("Python", &tools.python3)] {
        parts.push(match version {
            Some(version) => format!("{name} {version}"),
            None => format!("no {name}"),
        });
    }
    format!(
        "{} {}: {}.",
        std::env::consts::OS,
        std::env::consts::ARCH,
        parts.join(", ")
    )
}

fn memory(meminfo: &str) -> Option<u64> {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some((kilobytes + (1 << 19)) >> 20)
}

/// The kind of the file system that holds an absolute path.
fn file_system<'a>(mounts: &'a str, path: &str) -> Option<&'a str> {
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?, words.next()?))
    });
    let holds = |point: &str| Path::new(path).starts_with(point);
    // Of two on one mount point the later hides the earlier, and `max_by_key` takes the last.
    mounts
        .filter(|(point, _)| holds(point))
        .max_by_key(|(point, _)| point.len())
        .map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_system_is_that_of_the_nearest_mount_point() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /tmp2 xfs rw 0 0\n";
        assert_eq!(file_system(mounts, "/tmp/x"), Some("tmpfs"));
        assert_eq!(file_system(mounts, "/tmp2"), Some("xfs"));
        assert_eq!(file_system(mounts, "/home"), Some("ext4"));
        assert_eq!(file_system("", "/home"), None);
    }

    #[test]
    fn memory_is_rounded_to_the_size_that_was_bought() {
        assert_eq!(memory("MemTotal:       24684288 kB\nMemFree: 1 kB\n"), Some(24));
        assert_eq!(memory("MemFree: 1 kB\n"), None);
    }
}
