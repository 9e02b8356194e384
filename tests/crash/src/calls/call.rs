//! One system call, in terms of files: read from the program's registers and memory while it stands still.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Component, Path, PathBuf};

use nix::libc;

/// More than one write of the program is.
const MAX_BYTES: u64 = 1 << 28;

/// What a call is about to do to the files that are watched.
#[derive(Debug, Clone)]
pub struct Call {
    /// The file or folder; for a new name, that name.
    pub path: PathBuf,
    /// What happens to it.
    pub action: Action,
    /// The descriptor, where the call is given one.
    pub fd: Option<i32>,
}

/// What a call does.
#[derive(Debug, Clone)]
pub enum Action {
    /// Opens a file.
    Open {
        /// The flags of open(2).
        flags: i32,
        /// Whether the name was taken before.
        existed: bool,
    },
    /// Writes bytes.
    Write {
        /// Where; `None` where the descriptor stands.
        offset: Option<u64>,
        /// What.
        bytes: Vec<u8>,
    },
    /// Writes bytes that the program never holds in its memory.
    Copy {
        /// Where the offset stands in the program's memory; 0 for where the descriptor stands.
        offset_at: u64,
    },
    /// Gives the file another length, or sees that it has at least that.
    Resize {
        /// The length in bytes.
        length: u64,
        /// Whether a longer file stays as it is.
        at_least: bool,
    },
    /// Puts a file or a folder on disk.
    Sync,
    /// Gives a file another name.
    Rename {
        /// The old name.
        from: PathBuf,
        /// Whether the file that had the new name takes the old one.
        exchanges: bool,
    },
    /// Gives a file one more name.
    Link {
        /// The first name.
        from: PathBuf,
    },
    /// Takes a name away.
    Unlink,
    /// Makes a folder.
    MakeFolder,
    /// Locks or unlocks a file with flock(2).
    Lock,
    /// Prints to standard output.
    Say {
        /// What.
        bytes: Vec<u8>,
    },
    /// Something that the tests cannot imitate.
    Unknown {
        /// The call's number.
        number: i64,
    },
}

/// Looks into the program while it stands still.
#[derive(Debug)]
pub struct Process {
    folder: PathBuf,
    memory: File,
}

impl Process {
    /// The process's own files, after its exec.
    ///
    /// # Errors
    /// When it is gone.
    pub fn open(pid: i32) -> io::Result<Self> {
        let folder = PathBuf::from(format!("/proc/{pid}"));
        let memory = File::open(folder.join("mem"))?;
        Ok(Self { folder, memory })
    }

    /// A number of 64 bits in its memory.
    ///
    /// # Errors
    /// When there is none.
    pub fn number_at(&self, address: u64) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.memory.read_exact_at(&mut bytes, address)?;
        Ok(u64::from_ne_bytes(bytes))
    }

    /// The file behind a descriptor, whatever its name is now.
    pub fn file_of(&self, fd: i32) -> PathBuf {
        self.folder.join(format!("fd/{fd}"))
    }

    /// Which file a descriptor stands for.
    ///
    /// # Errors
    /// When it is closed.
    pub fn inode(&self, fd: i32) -> io::Result<u64> {
        Ok(fs::metadata(self.file_of(fd))?.ino())
    }

    /// Where a descriptor stands.
    ///
    /// # Errors
    /// When it is closed.
    pub fn position(&self, fd: i32) -> io::Result<u64> {
        let text = fs::read_to_string(self.folder.join(format!("fdinfo/{fd}")))?;
        let position = text.lines().find_map(|line| line.strip_prefix("pos:"));
        Ok(position.unwrap().trim().parse().unwrap())
    }

    /// The name of the file behind a descriptor, or the last one that it had.
    fn name_of(&self, fd: i32) -> io::Result<PathBuf> {
        let name = fs::read_link(self.file_of(fd))?.into_os_string().into_vec();
        let name = name.strip_suffix(b" (deleted)").unwrap_or(&name);
        Ok(PathBuf::from(OsString::from_vec(name.to_vec())))
    }

    fn bytes(&self, address: u64, length: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(length.min(MAX_BYTES)).unwrap()];
        self.memory.read_exact_at(&mut bytes, address)?;
        Ok(bytes)
    }

    /// The bytes that an array of (address, length) names.
    fn vectors(&self, address: u64, count: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for index in 0..count {
            let at = address + 16 * index;
            bytes.append(&mut self.bytes(self.number_at(at)?, self.number_at(at + 8)?)?);
        }
        Ok(bytes)
    }

    fn path(&self, folder: i32, address: u64) -> io::Result<PathBuf> {
        let mut bytes = vec![0; libc::PATH_MAX as usize];
        let mut length = 0;
        // A path may end just before memory that does not exist.
        while length < bytes.len() {
            let read = self
                .memory
                .read_at(&mut bytes[length..], address + length as u64)?;
            let end = bytes[..length + read].iter().position(|byte| *byte == 0);
            length += read;
            if end.is_some() || read == 0 {
                bytes.truncate(end.unwrap_or(length));
                break;
            }
        }
        let path = PathBuf::from(OsString::from_vec(bytes));
        let folder = match folder {
            _ if path.is_absolute() => PathBuf::new(),
            libc::AT_FDCWD => fs::read_link(self.folder.join("cwd"))?,
            fd => self.name_of(fd)?,
        };
        Ok(normal(&folder.join(path)))
    }

    /// What the call with this number and these arguments is about to do below `watched`; `None` for anything else.
    ///
    /// # Errors
    /// When the arguments lead nowhere: the kernel will refuse the call.
    pub fn decode(&self, number: i64, arguments: [u64; 6], watched: &Path) -> io::Result<Option<Call>> {
        let [a, b, c, d, e, _] = arguments;
        let is_below = |path: &Path| path.starts_with(watched);
        let by_path = |path: PathBuf, action| {
            is_below(&path).then_some(Call {
                path,
                action,
                fd: None,
            })
        };
        let by_fd = |fd: u64, action| -> io::Result<Option<Call>> {
            let fd = fd as i32;
            let path = self.name_of(fd)?;
            Ok(is_below(&path).then_some(Call {
                path,
                action,
                fd: Some(fd),
            }))
        };
        let open = |path: PathBuf, flags: u64| {
            let existed = path.symlink_metadata().is_ok();
            let flags = flags as i32;
            by_path(path, Action::Open { flags, existed })
        };
        let create = libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC;
        const HERE: i32 = libc::AT_FDCWD;
        let call = match number {
            libc::SYS_open => open(self.path(HERE, a)?, b),
            libc::SYS_creat => open(self.path(HERE, a)?, create as u64),
            libc::SYS_openat => open(self.path(a as i32, b)?, c),
            libc::SYS_openat2 => open(self.path(a as i32, b)?, self.number_at(c)?),
            libc::SYS_write if a == 1 => Some(Call {
                path: PathBuf::new(),
                action: Action::Say {
                    bytes: self.bytes(b, c)?,
                },
                fd: Some(1),
            }),
            // The bytes are read only where they matter: most writes of a program go elsewhere.
            libc::SYS_write
            | libc::SYS_pwrite64
            | libc::SYS_writev
            | libc::SYS_pwritev
            | libc::SYS_pwritev2 => {
                let offset = (!matches!(number, libc::SYS_write | libc::SYS_writev)).then_some(d);
                let is_plain = matches!(number, libc::SYS_write | libc::SYS_pwrite64);
                let bytes = match is_below(&self.name_of(a as i32)?) {
                    true if is_plain => self.bytes(b, c)?,
                    true => self.vectors(b, c)?,
                    false => return Ok(None),
                };
                by_fd(a, Action::Write { offset, bytes })?
            }
            libc::SYS_copy_file_range => by_fd(c, Action::Copy { offset_at: d })?,
            libc::SYS_sendfile => by_fd(a, Action::Copy { offset_at: 0 })?,
            libc::SYS_splice => by_fd(c, Action::Copy { offset_at: d })?,
            libc::SYS_ftruncate => by_fd(a, resize(b, false))?,
            libc::SYS_truncate => by_path(self.path(HERE, a)?, Action::Unknown { number }),
            libc::SYS_fallocate if b == 0 => by_fd(a, resize(c + d, true))?,
            libc::SYS_fallocate => by_fd(a, Action::Unknown { number })?,
            libc::SYS_fsync | libc::SYS_fdatasync => by_fd(a, Action::Sync)?,
            libc::SYS_flock => by_fd(a, Action::Lock)?,
            libc::SYS_rename => by_path(self.path(HERE, b)?, rename(self.path(HERE, a)?, false)),
            libc::SYS_renameat | libc::SYS_renameat2 => {
                let exchanges = number == libc::SYS_renameat2 && e & u64::from(libc::RENAME_EXCHANGE) != 0;
                by_path(
                    self.path(c as i32, d)?,
                    rename(self.path(a as i32, b)?, exchanges),
                )
            }
            libc::SYS_link => by_path(self.path(HERE, b)?, link(self.path(HERE, a)?)),
            libc::SYS_linkat => by_path(self.path(c as i32, d)?, link(self.path(a as i32, b)?)),
            libc::SYS_unlink | libc::SYS_rmdir => by_path(self.path(HERE, a)?, Action::Unlink),
            libc::SYS_unlinkat => by_path(self.path(a as i32, b)?, Action::Unlink),
            libc::SYS_mkdir => by_path(self.path(HERE, a)?, Action::MakeFolder),
            libc::SYS_mkdirat => by_path(self.path(a as i32, b)?, Action::MakeFolder),
            libc::SYS_symlink | libc::SYS_mknod => by_path(self.path(HERE, b)?, Action::Unknown { number }),
            libc::SYS_symlinkat => by_path(self.path(b as i32, c)?, Action::Unknown { number }),
            libc::SYS_mknodat => by_path(self.path(a as i32, b)?, Action::Unknown { number }),
            // Clones of whole files; everything else is about terminals.
            libc::SYS_ioctl if matches!(b as u32, 0x4004_9409 | 0x4020_940d) => {
                by_fd(a, Action::Unknown { number })?
            }
            libc::SYS_ioctl => None,
            // A weaker promise than a sync: taken for none.
            libc::SYS_sync_file_range | libc::SYS_msync => None,
            _ => Some(Call {
                path: watched.to_owned(),
                action: Action::Unknown { number },
                fd: None,
            }),
        };
        Ok(call)
    }
}

fn resize(length: u64, at_least: bool) -> Action {
    Action::Resize { length, at_least }
}

fn rename(from: PathBuf, exchanges: bool) -> Action {
    Action::Rename { from, exchanges }
}

fn link(from: PathBuf) -> Action {
    Action::Link { from }
}

/// Without `.` and `..`, which is right where no folder is a link.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(normal.pop()),
            part => normal.push(part),
        }
    }
    normal
}
