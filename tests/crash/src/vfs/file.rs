//! One open file of the shim: a head of ours, then the real file.

use std::ffi::c_int;
use std::ptr;
use std::sync::Arc;

use rusqlite::ffi::{self, sqlite3_file, sqlite3_int64, sqlite3_io_methods};

use super::Raw;
use crate::trace::{Name, Op};
use crate::watch::{Kind, Watch};

/// The head. SQLite gives room for it and for the real file behind it.
#[repr(C, align(8))]
pub(super) struct File {
    base: sqlite3_file,
    /// Null for files that nobody watches.
    handle: *mut Handle,
}

/// What is known of a watched file.
pub(super) struct Handle {
    watch: Arc<Watch>,
    file: usize,
    name: Name,
    syncs_folder: bool,
}

impl Handle {
    pub(super) fn new(watch: Arc<Watch>, file: usize, name: Name, syncs_folder: bool) -> Self {
        Self {
            watch,
            file,
            name,
            syncs_folder,
        }
    }
}

impl File {
    pub(super) fn closed() -> Self {
        Self {
            base: sqlite3_file {
                pMethods: ptr::null(),
            },
            handle: ptr::null_mut(),
        }
    }

    /// Where the real file is.
    ///
    /// # Safety
    /// `file` must have the room that the shim asks SQLite for.
    pub(super) unsafe fn real(file: *mut Self) -> *mut sqlite3_file {
        // SAFETY: the real file follows the head, whose size is a multiple of 8.
        unsafe { file.add(1).cast() }
    }

    /// # Safety
    /// `file` must be a closed head before an open real file.
    pub(super) unsafe fn opened(file: *mut Self, handle: Option<Handle>) {
        // SAFETY: the head was written by `closed`.
        unsafe {
            (*file).handle = handle.map_or(ptr::null_mut(), |handle| Box::into_raw(Box::new(handle)));
            (*file).base.pMethods = &METHODS;
        }
    }

    /// Closes a real file that failed to open, as SQLite would.
    ///
    /// # Safety
    /// `real` must have been given to the real file system's open.
    pub(super) unsafe fn close_real(real: *mut sqlite3_file) {
        // SAFETY: a real file without methods has nothing to close.
        unsafe {
            if let Some(methods) = (*real).pMethods.as_ref()
                && let Some(close) = methods.xClose
            {
                close(real);
            }
        }
    }
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// The handle, if the file is watched.
///
/// # Safety
/// `file` must be an open file of the shim, and used by one thread at a time, as SQLite does.
unsafe fn handle<'a>(file: *mut sqlite3_file) -> Option<&'a mut Handle> {
    // SAFETY: the handle lives from `opened` to `close`.
    unsafe { (*file.cast::<File>()).handle.as_mut() }
}

/// Calls a method of the real file with the real file.
macro_rules! forward {
    ($file:ident . $method:ident ( $($argument:expr),* )) => {{
        // SAFETY: the real file was opened by the real file system, which set its methods; the arguments are
        // those that SQLite gave.
        unsafe {
            let real = File::real($file.cast());
            let method = (*(*real).pMethods).$method.expect("the real file system has all methods");
            method(real, $($argument),*)
        }
    }};
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    let code = forward!(file.xClose());
    // SAFETY: SQLite closes a file once; the handle came from a box.
    unsafe {
        let head: *mut File = file.cast();
        if !(*head).handle.is_null() {
            drop(Box::from_raw((*head).handle));
        }
        ptr::write(head, File::closed());
    }
    code
}

unsafe extern "C" fn read(file: *mut sqlite3_file, out: Raw, size: c_int, at: sqlite3_int64) -> c_int {
    // SAFETY: SQLite gives an open file.
    if let Some(handle) = unsafe { handle(file) }
        && let Some(code) = handle.watch.fails(Kind::Read)
    {
        return code;
    }
    forward!(file.xRead(out, size, at))
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    data: *const std::ffi::c_void,
    size: c_int,
    at: sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite gives an open file.
    let Some(handle) = (unsafe { handle(file) }) else {
        return forward!(file.xWrite(data, size, at));
    };
    if let Some(code) = handle.watch.fails(Kind::Write) {
        // Disks and file systems fail in the middle, too.
        let _ = forward!(file.xWrite(data, size / 2, at));
        return code;
    }
    let code = forward!(file.xWrite(data, size, at));
    if code == ffi::SQLITE_OK {
        let length = usize::try_from(size).unwrap_or_default();
        // SAFETY: SQLite gives `size` bytes.
        let bytes = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length) }.to_vec();
        let offset = usize::try_from(at).unwrap_or_default();
        handle.watch.note(Op::Write {
            file: handle.file,
            offset,
            bytes,
        });
    }
    code
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    // SAFETY: SQLite gives an open file.
    let Some(handle) = (unsafe { handle(file) }) else {
        return forward!(file.xTruncate(size));
    };
    if let Some(code) = handle.watch.fails(Kind::Truncate) {
        return code;
    }
    let code = forward!(file.xTruncate(size));
    if code == ffi::SQLITE_OK {
        handle.watch.note(Op::Truncate {
            file: handle.file,
            length: usize::try_from(size).unwrap_or_default(),
        });
    }
    code
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: SQLite gives an open file.
    let Some(handle) = (unsafe { handle(file) }) else {
        return forward!(file.xSync(flags));
    };
    if let Some(code) = handle.watch.fails(Kind::Sync) {
        return code;
    }
    handle.watch.note(Op::Sync {
        file: handle.file,
        name: handle.name,
        folder: std::mem::take(&mut handle.syncs_folder),
    });
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, out: *mut sqlite3_int64) -> c_int {
    forward!(file.xFileSize(out))
}

unsafe extern "C" fn lock(file: *mut sqlite3_file, level: c_int) -> c_int {
    forward!(file.xLock(level))
}

unsafe extern "C" fn unlock(file: *mut sqlite3_file, level: c_int) -> c_int {
    forward!(file.xUnlock(level))
}

unsafe extern "C" fn check_reserved_lock(file: *mut sqlite3_file, out: *mut c_int) -> c_int {
    forward!(file.xCheckReservedLock(out))
}

unsafe extern "C" fn file_control(file: *mut sqlite3_file, op: c_int, argument: Raw) -> c_int {
    // SQLite may tell the file system to grow a file; that would be a write that nobody sees.
    // SAFETY: SQLite gives an open file.
    if unsafe { handle(file) }.is_some()
        && matches!(op, ffi::SQLITE_FCNTL_SIZE_HINT | ffi::SQLITE_FCNTL_CHUNK_SIZE)
    {
        return ffi::SQLITE_NOTFOUND;
    }
    forward!(file.xFileControl(op, argument))
}

unsafe extern "C" fn sector_size(file: *mut sqlite3_file) -> c_int {
    forward!(file.xSectorSize())
}

unsafe extern "C" fn device_characteristics(file: *mut sqlite3_file) -> c_int {
    // Some file systems write several pages as one; the model of the disk does not.
    forward!(file.xDeviceCharacteristics()) & !ffi::SQLITE_IOCAP_BATCH_ATOMIC
}

unsafe extern "C" fn shm_map(
    file: *mut sqlite3_file,
    page: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut std::ffi::c_void,
) -> c_int {
    forward!(file.xShmMap(page, size, extend, out))
}

unsafe extern "C" fn shm_lock(file: *mut sqlite3_file, offset: c_int, count: c_int, flags: c_int) -> c_int {
    forward!(file.xShmLock(offset, count, flags))
}

unsafe extern "C" fn shm_barrier(file: *mut sqlite3_file) {
    forward!(file.xShmBarrier())
}

unsafe extern "C" fn shm_unmap(file: *mut sqlite3_file, delete: c_int) -> c_int {
    forward!(file.xShmUnmap(delete))
}
