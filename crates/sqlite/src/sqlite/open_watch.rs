//! Who else opens the database file while a run works on it.

use std::path::Path;

/// Tells whether the database file was opened since the last look.
///
/// The Bridge opens its database for each call, so a call that waits for the write lock has been seen. A program
/// that keeps its connection for long is not seen here. Only Linux tells; elsewhere nothing is known.
#[derive(Debug)]
pub(crate) struct OpenWatch(Option<system::Watch>);

impl OpenWatch {
    /// Begins to watch.
    pub(crate) fn of(database: &Path) -> Self {
        Self(system::Watch::begin(database))
    }

    /// Whether somebody opened the file since the last look; `None` when that cannot be known.
    pub(crate) fn was_opened(&self) -> Option<bool> {
        self.0.as_ref()?.was_opened()
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::mem::MaybeUninit;
    use std::os::fd::OwnedFd;
    use std::path::Path;

    use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
    use rustix::io::Errno;

    #[derive(Debug)]
    pub(super) struct Watch(OwnedFd);

    impl Watch {
        pub(super) fn begin(database: &Path) -> Option<Self> {
            let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok()?;
            inotify::add_watch(&events, database, WatchFlags::OPEN).ok()?;
            Some(Self(events))
        }

        pub(super) fn was_opened(&self) -> Option<bool> {
            let mut buffer = [MaybeUninit::uninit(); 512];
            let mut events = Reader::new(&self.0, &mut buffer);
            let mut was_opened = false;
            loop {
                match events.next() {
                    Ok(_) => was_opened = true,
                    Err(Errno::WOULDBLOCK) => return Some(was_opened),
                    Err(Errno::INTR) => {}
                    Err(_) => return None,
                }
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::path::Path;

    #[derive(Debug)]
    pub(super) enum Watch {}

    impl Watch {
        pub(super) fn begin(_database: &Path) -> Option<Self> {
            None
        }

        pub(super) fn was_opened(&self) -> Option<bool> {
            match *self {}
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sqlite::connection::create_writer;

    #[test]
    fn another_connection_is_seen_once_and_own_work_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("collab.db");
        let own = create_writer(&path, Duration::ZERO).unwrap();
        own.execute_batch("CREATE TABLE t (x)").unwrap();
        let watch = OpenWatch::of(&path);
        own.execute_batch("INSERT INTO t VALUES (1); SELECT * FROM t")
            .unwrap();
        assert_eq!(watch.was_opened(), Some(false));
        for _ in 0..100 {
            create_writer(&path, Duration::ZERO).unwrap();
        }
        assert_eq!(watch.was_opened(), Some(true));
        assert_eq!(watch.was_opened(), Some(false));
    }

    #[test]
    fn of_a_file_that_is_not_there_nothing_is_known() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(OpenWatch::of(&folder.path().join("none.db")).was_opened(), None);
    }
}
