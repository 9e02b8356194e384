//! Opening files by what they are, and not by their name alone.
//!
//! Whoever may write in a folder decides what stands there under a name: a link to another file, a pipe that is never
//! written to, a device that never ends. What is read is a regular file of bounded length. What is written is new, or
//! a regular file that no other name leads to.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{Error as IoError, ErrorKind as Io, Read};
use std::path::Path;

use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::files::folder_of;
use crate::hint::Hint;

/// Opens a regular file for reading, without waiting for whoever writes into a pipe. Links are followed.
///
/// # Errors
/// When it is no regular file, or the operating system refuses.
pub fn open(path: &Path) -> std::io::Result<File> {
    // A device may do something when it is opened.
    refuse_other(&path.metadata()?)?;
    let file = without_waiting(OpenOptions::new().read(true), true).open(path)?;
    refuse_other(&file.metadata()?)?;
    Ok(file)
}

/// What came of a call on a file; `None` where there is no such file.
///
/// # Errors
/// Any other failure.
pub fn if_there<T>(outcome: std::io::Result<T>) -> std::io::Result<Option<T>> {
    match outcome {
        Err(error) if error.kind() == Io::NotFound => Ok(None),
        outcome => outcome.map(Some),
    }
}

/// The content of a regular file of at most `limit` bytes.
///
/// # Errors
/// As [`open`], and when the file is longer.
pub fn read(path: &Path, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(IoError::new(
            Io::InvalidData,
            format!("it is larger than {limit} bytes"),
        ));
    }
    Ok(bytes)
}

/// Makes a file that is not there yet, for the owner of its folder, with at most this mode.
///
/// # Errors
/// When something has the name, be it a link to nothing, or the operating system refuses.
pub fn create_new(path: &Path, mode: u32) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let file = options.open(path)?;
    give_to_owner_of_folder(&file, path);
    Ok(file)
}

/// Opens the file of ours that has a fixed name for reading.
///
/// # Errors
/// As [`open_ours`], and when it is not there.
pub fn open_ours_to_read(path: &Path) -> Result<File> {
    refuse_foreign(path, &path.symlink_metadata().on_file("look at", path)?)?;
    let file = without_waiting(OpenOptions::new().read(true), false)
        .open(path)
        .on_file("open", path)?;
    refuse_foreign(path, &file.metadata().on_file("look at", path)?)?;
    Ok(file)
}

/// Opens the file of ours that has a fixed name, or makes it with at most this mode. Nothing in it changes.
///
/// # Errors
/// [`ErrorKind::ForeignFile`] when what has the name is a link or no regular file, or has a second name.
pub fn open_ours(path: &Path, mode: u32) -> Result<File> {
    loop {
        let metadata = match path.symlink_metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == Io::NotFound => match create_new(path, mode) {
                // Another process was faster.
                Err(error) if error.kind() == Io::AlreadyExists => continue,
                made => return made.on_file("create", path),
            },
            Err(error) => return Err(error).on_file("look at", path),
        };
        refuse_foreign(path, &metadata)?;
        let file = match without_waiting(OpenOptions::new().read(true).write(true), false).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == Io::NotFound => continue,
            Err(error) => return Err(error).on_file("open", path),
        };
        refuse_foreign(path, &file.metadata().on_file("look at", path)?)?;
        return Ok(file);
    }
}

/// Whether `path` still leads to the open file, and not to nothing or to another.
pub fn has_name(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let id = |metadata: Metadata| (metadata.dev(), metadata.ino());
        let named = path.symlink_metadata().map(id);
        file.metadata()
            .map(id)
            .is_ok_and(|opened| named.is_ok_and(|named| named == opened))
    }
    #[cfg(not(unix))]
    {
        let _ = (file, path);
        true
    }
}

/// Refuses to put a file in the place of something that is no regular file: a link, or a device.
///
/// # Errors
/// [`ErrorKind::ForeignFile`].
pub fn refuse_to_replace(path: &Path) -> Result<()> {
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_file() => Ok(()),
        Ok(metadata) => Err(Error::new(
            ErrorKind::ForeignFile,
            format!("{} is not replaced: {}", path.display(), kind_of(&metadata)),
        )
        .with_truth("Nothing was written.")
        .with_hint(Hint::LookAtEntry(path.into()))),
        Err(error) if error.kind() == Io::NotFound => Ok(()),
        Err(error) => Err(error).on_file("look at", path),
    }
}

/// What has the name of a file of ours is not ours.
pub fn foreign_file(path: &Path, why: &str) -> Error {
    Error::new(
        ErrorKind::ForeignFile,
        format!("{} is not a file of this program: {why}", path.display()),
    )
    .with_truth("It was not opened for writing; nothing was changed.")
    .with_hint(Hint::SetForeignAside(path.into()))
}

fn refuse_foreign(path: &Path, metadata: &Metadata) -> Result<()> {
    if !metadata.is_file() {
        return Err(foreign_file(path, kind_of(metadata)));
    }
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::nlink(metadata) > 1 {
        return Err(foreign_file(path, "it has another name as well (a hard link)"));
    }
    Ok(())
}

fn refuse_other(metadata: &Metadata) -> std::io::Result<()> {
    if metadata.is_file() {
        Ok(())
    } else {
        Err(IoError::new(Io::InvalidInput, kind_of(metadata)))
    }
}

fn kind_of(metadata: &Metadata) -> &'static str {
    let kind = metadata.file_type();
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return "it is a pipe";
        }
        if kind.is_socket() {
            return "it is a socket";
        }
        if kind.is_char_device() || kind.is_block_device() {
            return "it is a device";
        }
    }
    if kind.is_symlink() {
        "it is a symbolic link"
    } else if kind.is_dir() {
        "it is a folder"
    } else {
        "it is not a regular file"
    }
}

/// Adds that opening waits for nobody, and what happens to a link at the end of the path.
fn without_waiting(options: &mut OpenOptions, follow: bool) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let mut flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        flags.set(OFlags::NOFOLLOW, !follow);
        // The bits of these flags are small positive numbers everywhere.
        std::os::unix::fs::OpenOptionsExt::custom_flags(options, flags.bits() as i32);
    }
    #[cfg(not(unix))]
    let _ = follow;
    options
}

/// Makes `folder`, and the folders above it that are missing, each for the owner of the one above it. What is in it
/// later is lost with it in a power cut unless its name is on disk, too.
///
/// # Errors
/// When a folder cannot be made or put on disk.
pub fn make_folder(folder: &Path) -> Result<()> {
    let missing: Vec<&Path> = folder
        .ancestors()
        .take_while(|above| !above.as_os_str().is_empty() && !above.exists())
        .collect();
    if missing.is_empty() && !folder.is_dir() {
        return Err(Error::io("make the folder", folder, Io::NotADirectory.into()));
    }
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o755);
    for made in missing.iter().rev() {
        match builder.create(made) {
            Ok(()) => {
                // Not followed: the owner of the folder above could have put a link in its place.
                if let Ok(opened) = without_waiting(OpenOptions::new().read(true), false).open(made) {
                    give_to_owner_of_folder(&opened, made);
                }
            }
            // Another process was faster.
            Err(error) if error.kind() == Io::AlreadyExists && made.is_dir() => {}
            Err(error) => return Err(error).on_file("make the folder", made),
        }
    }
    missing
        .into_iter()
        .try_for_each(crate::files::whole_file::sync_folder_of)
}

/// Refuses a link to a folder that another user made and that leads to a folder of somebody else.
///
/// # Errors
/// [`ErrorKind::ForeignFile`].
pub fn refuse_strange_link(folder: &Path) -> Result<()> {
    #[cfg(unix)]
    if let Ok(link) = folder.symlink_metadata()
        && link.is_symlink()
    {
        use std::os::unix::fs::MetadataExt;
        let trusted = [0, rustix::process::geteuid().as_raw()];
        let leads_to = folder.metadata().on_file("look at", folder)?;
        if !trusted.contains(&link.uid()) && link.uid() != leads_to.uid() {
            return Err(foreign_file(
                folder,
                "it is another user's link to a folder of somebody else",
            ));
        }
    }
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

/// Gives what the superuser made to the owner of the folder that it is in: whoever runs the servers has to be able to
/// read and write it.
pub fn give_to_owner_of_folder(file: &File, path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, fchown};
        let (Ok(own), Ok(folder)) = (file.metadata(), folder_of(path).metadata()) else {
            return;
        };
        if own.uid() == 0 && (own.uid(), own.gid()) != (folder.uid(), folder.gid()) {
            // Where this is refused the file is what it would have been without.
            let _ = fchown(file, Some(folder.uid()), Some(folder.gid()));
        }
    }
    #[cfg(not(unix))]
    let _ = (file, path);
}
