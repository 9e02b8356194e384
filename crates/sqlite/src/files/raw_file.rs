//! Reads the bytes of a live database without SQLite, and without taking SQLite's locks away.

use std::fs::{File, Metadata};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bridge_migrate_core::{IoContext, Result, regular_file};

/// A live database file, open for reading its bytes.
///
/// POSIX drops *all* locks that a process holds on a file as soon as the process closes *any* descriptor of
/// it (<https://sqlite.org/howtocorrupt.html>, section 2.2). A server that embeds the engine holds such locks
/// through its own connections, so a descriptor opened here stays open until its file is deleted.
#[derive(Debug, Clone)]
pub(crate) struct RawFile(Arc<Mutex<File>>);

impl RawFile {
    /// Opens `path`, or takes the descriptor that an earlier call left open.
    pub(crate) fn open(path: &Path) -> std::io::Result<Self> {
        open_kept(path).map(Self)
    }

    /// The file's length in bytes.
    pub(crate) fn len(&self) -> std::io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    /// What the system knows of the file.
    pub(crate) fn metadata(&self) -> std::io::Result<Metadata> {
        self.with(File::metadata)
    }

    /// Fills `buffer` from `offset` on, and says how many bytes there were.
    pub(crate) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.with(|file| read_at(file, offset, buffer))
    }

    /// Copies up to `length` bytes from `offset` to where `target` stands; inside the kernel where it can.
    pub(crate) fn copy_to(&self, offset: u64, length: u64, mut target: &File) -> std::io::Result<u64> {
        self.with(|mut file| {
            file.seek(SeekFrom::Start(offset))?;
            std::io::copy(&mut file.take(length), &mut target)
        })
    }

    /// Copies the whole file to where `target` stands.
    pub(crate) fn copy_all(&self, target: &File) -> std::io::Result<u64> {
        self.copy_to(0, u64::MAX, target)
    }

    fn with<T>(&self, work: impl FnOnce(&File) -> std::io::Result<T>) -> std::io::Result<T> {
        work(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Fills `buffer` from `offset` on, and says how many bytes there were.
pub(crate) fn read_at(mut file: &File, offset: u64, buffer: &mut [u8]) -> std::io::Result<usize> {
    file.seek(SeekFrom::Start(offset))?;
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The first bytes of a live database, fewer if the file is shorter.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn read_start<const N: usize>(path: &Path) -> Result<Vec<u8>> {
    let mut buffer = vec![0; N];
    let read = RawFile::open(path)
        .on_file("open", path)?
        .read_at(0, &mut buffer)
        .on_file("read", path)?;
    buffer.truncate(read);
    Ok(buffer)
}

/// A file's last write is told in steps that are shorter than this.
const STEP: Duration = Duration::from_millis(50);
/// The same on file systems that keep whole seconds, or only even ones.
const COARSE_STEP: Duration = Duration::from_millis(2500);

/// How some files stand at a moment, by which one sees later whether anybody wrote to them since.
#[derive(Debug)]
pub(crate) struct Standing(Vec<(PathBuf, Option<Stamp>)>);

impl Standing {
    pub(crate) fn of(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let stamped = |path: PathBuf| {
            let stamp = Stamp::of(&path);
            (path, stamp)
        };
        Self(paths.into_iter().map(stamped).collect())
    }

    /// Whether the last writes are so long ago that any further one has another time.
    pub(crate) fn is_settled(&self) -> bool {
        self.0
            .iter()
            .filter_map(|(_, stamp)| stamp.as_ref())
            .all(Stamp::is_settled)
    }

    /// Whether nobody wrote since. Only of what [was settled](Self::is_settled) is that known.
    pub(crate) fn is_unchanged(&self) -> bool {
        self.0.iter().all(|(path, stamp)| Stamp::of(path) == *stamp)
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    bytes: u64,
    written: Option<SystemTime>,
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = path.metadata().ok()?;
        Some(Self {
            file: identity(&metadata),
            bytes: metadata.len(),
            written: metadata.modified().ok(),
        })
    }

    fn is_settled(&self) -> bool {
        self.written.is_some_and(|written| {
            let is_coarse = written
                .duration_since(SystemTime::UNIX_EPOCH)
                .is_ok_and(|since| since.subsec_nanos() == 0);
            let step = if is_coarse { COARSE_STEP } else { STEP };
            // A time that lies ahead, because the clock was set back, is not met again by chance.
            written.elapsed().map_or(true, |age| age >= step)
        })
    }
}

/// By what one tells a file from another that has its name. Windows keeps the name of an open file.
fn identity(metadata: &Metadata) -> (u64, u64) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        (metadata.dev(), metadata.ino())
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        (0, 0)
    }
}

/// Which file has the name, if any.
pub(crate) fn file_at(path: &Path) -> Option<(u64, u64)> {
    path.metadata().ok().as_ref().map(identity)
}

#[cfg(unix)]
fn open_kept(path: &Path) -> std::io::Result<Arc<Mutex<File>>> {
    use std::os::unix::fs::MetadataExt;

    struct Kept {
        device: u64,
        inode: u64,
        file: Arc<Mutex<File>>,
    }
    static KEPT: Mutex<Vec<Kept>> = Mutex::new(Vec::new());

    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    kept.retain(|entry| {
        let linked = |file: &Mutex<File>| {
            file.try_lock()
                .ok()
                .and_then(|file| file.metadata().ok())
                .is_none_or(|metadata| metadata.nlink() > 0)
        };
        Arc::strong_count(&entry.file) > 1 || linked(&entry.file)
    });
    let wanted = path.metadata()?;
    if let Some(entry) = kept
        .iter()
        .find(|entry| entry.device == wanted.dev() && entry.inode == wanted.ino())
    {
        return Ok(Arc::clone(&entry.file));
    }
    let file = regular_file::open(path)?;
    let opened = file.metadata()?;
    let file = Arc::new(Mutex::new(file));
    kept.push(Kept {
        device: opened.dev(),
        inode: opened.ino(),
        file: Arc::clone(&file),
    });
    Ok(file)
}

/// Windows has no such rule about locks.
#[cfg(not(unix))]
fn open_kept(path: &Path) -> std::io::Result<Arc<Mutex<File>>> {
    regular_file::open(path).map(|file| Arc::new(Mutex::new(file)))
}
