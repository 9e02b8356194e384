//! Which system calls are looked at: the kernel stops the program at these and at no other.

#![allow(unsafe_code, reason = "the kernel takes the filter by a pointer")]

use std::io;

use nix::libc;

/// The x86-64 calling convention, as the kernel names it.
const ARCHITECTURE: u32 = 0xC000_003E;

/// Everything that changes a file or a folder, opens one, puts one on disk or locks one.
const LOOKED_AT: [libc::c_long; 41] = [
    libc::SYS_open,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_creat,
    libc::SYS_write,
    libc::SYS_pwrite64,
    libc::SYS_writev,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_copy_file_range,
    libc::SYS_sendfile,
    libc::SYS_splice,
    libc::SYS_truncate,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_sync_file_range,
    libc::SYS_sync,
    libc::SYS_syncfs,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_link,
    libc::SYS_linkat,
    libc::SYS_symlink,
    libc::SYS_symlinkat,
    libc::SYS_unlink,
    libc::SYS_unlinkat,
    libc::SYS_rmdir,
    libc::SYS_mkdir,
    libc::SYS_mkdirat,
    libc::SYS_mknod,
    libc::SYS_mknodat,
    libc::SYS_flock,
    libc::SYS_ioctl,
    libc::SYS_vmsplice,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_submit,
    libc::SYS_msync,
];

/// The filter as the kernel's little machine runs it.
pub(super) fn program() -> Vec<libc::sock_filter> {
    let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    let equal = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    let end = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let count = u8::try_from(LOOKED_AT.len()).unwrap();
    // The architecture stands at 4, the number of the call at 0.
    let mut program = vec![
        step(load, 0, 0, 4),
        step(equal, 0, count + 1, ARCHITECTURE),
        step(load, 0, 0, 0),
    ];
    for (index, number) in (0u8..).zip(LOOKED_AT) {
        program.push(step(equal, count - index, 0, u32::try_from(number).unwrap()));
    }
    program.push(step(end, 0, 0, libc::SECCOMP_RET_ALLOW));
    program.push(step(end, 0, 0, libc::SECCOMP_RET_TRACE));
    program
}

/// Sets the filter for this process and what it starts. Makes system calls only, so that it may stand between a fork
/// and an exec.
///
/// # Errors
/// What the kernel says.
pub(super) fn set(program: &[libc::sock_filter]) -> io::Result<()> {
    let filter = libc::sock_fprog {
        len: program.len() as libc::c_ushort,
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: these only change what this process may do; the kernel copies the filter and does not write to it.
    let failed = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) != 0
    };
    if failed {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
