//! A file system for SQLite that stands before the real one and tells [`crate::watch`] what passes through.
//!
//! It becomes SQLite's default, so that the engine uses it without knowing. Files that nobody watches pass through
//! untouched, and so does the shared memory of a log.
#![allow(unsafe_code, reason = "SQLite's file systems are tables of C functions")]

mod file;

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::Once;

use rusqlite::ffi;

use crate::trace::{Name, Op};
use crate::watch::{self, Kind};
use file::{File, Handle};

/// The journal, log or database of the database at `path`.
pub fn sibling(path: &Path, name: Name) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(name.suffix());
    PathBuf::from(text)
}

/// Makes the shim SQLite's default file system, once per process.
///
/// # Panics
/// When SQLite refuses it.
pub fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: SQLite's own default is there for the life of the process once it was initialised, which
        // this call does.
        let real = unsafe { ffi::sqlite3_vfs_find(ptr::null()) };
        assert!(!real.is_null(), "SQLite has no file system");
        // SAFETY: just looked at; nothing writes to a registered file system.
        let (size, longest) = unsafe { ((*real).szOsFile, (*real).mxPathname) };
        let shim = Box::leak(Box::new(ffi::sqlite3_vfs {
            iVersion: 2,
            szOsFile: c_int::try_from(size_of::<File>()).unwrap() + size,
            mxPathname: longest,
            pNext: ptr::null_mut(),
            zName: c"crash".as_ptr(),
            pAppData: real.cast(),
            xOpen: Some(open),
            xDelete: Some(delete),
            xAccess: Some(access),
            xFullPathname: Some(full_pathname),
            // Nothing here loads extensions.
            xDlOpen: None,
            xDlError: None,
            xDlSym: None,
            xDlClose: None,
            xRandomness: Some(randomness),
            xSleep: Some(sleep),
            xCurrentTime: None,
            xGetLastError: Some(last_error),
            xCurrentTimeInt64: Some(current_time),
            xSetSystemCall: None,
            xGetSystemCall: None,
            xNextSystemCall: None,
        }));
        // SAFETY: the table and its name live as long as the process, and all its functions follow SQLite's
        // rules.
        let code = unsafe { ffi::sqlite3_vfs_register(shim, 1) };
        assert_eq!(code, ffi::SQLITE_OK);
    });
}

/// The file system behind the shim.
///
/// # Safety
/// `vfs` must be the shim.
unsafe fn real(vfs: *mut ffi::sqlite3_vfs) -> *mut ffi::sqlite3_vfs {
    // SAFETY: the shim's data is the real file system.
    unsafe { (*vfs).pAppData.cast() }
}

/// The bytes of a name that SQLite gave.
///
/// # Safety
/// `name` must be null or end with a null byte.
unsafe fn bytes<'a>(name: *const c_char) -> Option<&'a [u8]> {
    // SAFETY: not null, and SQLite's names end with a null byte.
    (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) }.to_bytes())
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let file: *mut File = file.cast();
    // SAFETY: SQLite gives room for szOsFile bytes, and a name or null.
    let (watched, real_file, path) = unsafe {
        ptr::write(file, File::closed());
        let path = bytes(name);
        (path.and_then(watch::find), File::real(file), path)
    };
    if let Some((watch, _)) = &watched
        && let Some(code) = watch.fails(Kind::Open)
    {
        return code;
    }
    let path = path.map(|path| Path::new(OsStr::from_bytes(path)));
    let existed = path.is_some_and(|path| path.symlink_metadata().is_ok());
    // SAFETY: the real file's room follows ours, and the arguments are those that SQLite gave.
    unsafe {
        let real = real(vfs);
        let open = (*real).xOpen.expect("every file system opens files");
        let code = open(real, name.cast(), real_file, flags, out);
        if code != ffi::SQLITE_OK {
            File::close_real(real_file);
            return code;
        }
        let handle = watched.map(|(watch, name)| {
            let journal = ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_WAL;
            let created = flags & ffi::SQLITE_OPEN_CREATE != 0;
            let number = watch.opened(name, !existed);
            // As in SQLite's own: the first sync of a journal that could be new puts its name on disk.
            Handle::new(watch, number, name, created && flags & journal != 0)
        });
        File::opened(file, handle);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn delete(vfs: *mut ffi::sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    // SAFETY: SQLite's names end with a null byte.
    let watched = unsafe { bytes(name) }.and_then(watch::find);
    if let Some((watch, _)) = &watched
        && let Some(code) = watch.fails(Kind::Delete)
    {
        return code;
    }
    // What is watched is thrown away; syncing its folder would only take time.
    let sync_for_real = if watched.is_some() { 0 } else { sync };
    // SAFETY: the arguments are those that SQLite gave.
    let code = unsafe {
        let real = real(vfs);
        (*real).xDelete.expect("every file system deletes files")(real, name, sync_for_real)
    };
    if let Some((watch, name)) = watched
        && code == ffi::SQLITE_OK
    {
        watch.note(Op::Delete {
            name,
            folder: sync & 1 != 0,
        });
    }
    code
}

unsafe extern "C" fn access(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: the arguments are those that SQLite gave.
    unsafe {
        let real = real(vfs);
        (*real).xAccess.expect("every file system looks at files")(real, name, flags, out)
    }
}

unsafe extern "C" fn full_pathname(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    size: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: the arguments are those that SQLite gave.
    unsafe {
        let real = real(vfs);
        (*real).xFullPathname.expect("every file system resolves names")(real, name, size, out)
    }
}

unsafe extern "C" fn randomness(vfs: *mut ffi::sqlite3_vfs, size: c_int, out: *mut c_char) -> c_int {
    // SAFETY: the arguments are those that SQLite gave.
    unsafe {
        let real = real(vfs);
        (*real).xRandomness.expect("every file system has chance")(real, size, out)
    }
}

unsafe extern "C" fn sleep(vfs: *mut ffi::sqlite3_vfs, micros: c_int) -> c_int {
    // SAFETY: the arguments are those that SQLite gave.
    unsafe {
        let real = real(vfs);
        (*real).xSleep.expect("every file system sleeps")(real, micros)
    }
}

unsafe extern "C" fn last_error(vfs: *mut ffi::sqlite3_vfs, size: c_int, out: *mut c_char) -> c_int {
    // SAFETY: the arguments are those that SQLite gave.
    unsafe {
        let real = real(vfs);
        match (*real).xGetLastError {
            Some(last_error) => last_error(real, size, out),
            None => 0,
        }
    }
}

unsafe extern "C" fn current_time(vfs: *mut ffi::sqlite3_vfs, out: *mut ffi::sqlite3_int64) -> c_int {
    // SAFETY: the arguments are those that SQLite gave.
    unsafe {
        let real = real(vfs);
        (*real).xCurrentTimeInt64.expect("version 2 has it")(real, out)
    }
}

/// A pointer to something that C takes for raw memory.
type Raw = *mut c_void;
