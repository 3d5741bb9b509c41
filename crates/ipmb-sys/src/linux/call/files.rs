//! Files and directories, locks on files, and second handles.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{
    Access, AtFlags, Dir, FlockOperation, Mode, OFlags, Stat, StatFs, accessat as access_at,
    chmodat as chmod_at, fchmod as chmod_open, fcntl_getfl, fcntl_setfl, flock as lock_whole,
    fstat as stat_open, fstatfs as stat_system, mkdirat as make_directory, mkfifoat as make_fifo,
    openat as open_at, renameat as rename_at, stat as stat_path, statat as stat_at,
    unlinkat as unlink_at,
};
use rustix::io::{Errno, Result, fcntl_dupfd_cloexec};
use rustix::path::Arg;

use super::{calls, checked, strike};

calls! {
    Openat => fn openat(at: impl AsFd, path: impl Arg, flags: OFlags, mode: Mode) -> OwnedFd = open_at;
    Mkdirat => fn mkdirat(at: impl AsFd, path: impl Arg, mode: Mode) -> () = make_directory;
    Mkfifoat => fn mkfifoat(at: impl AsFd, path: impl Arg, mode: Mode) -> () = make_fifo;
    Stat => fn stat(path: impl Arg) -> Stat = stat_path;
    Stat => fn statat(at: impl AsFd, path: impl Arg, flags: AtFlags) -> Stat = stat_at;
    Fstat => fn fstat(file: impl AsFd) -> Stat = stat_open;
    Fstatfs => fn fstatfs(file: impl AsFd) -> StatFs = stat_system;
    Chmod => fn chmodat(at: impl AsFd, path: impl Arg, mode: Mode, flags: AtFlags) -> () = chmod_at;
    Chmod => fn fchmod(file: impl AsFd, mode: Mode) -> () = chmod_open;
    Accessat => fn accessat(at: impl AsFd, path: impl Arg, access: Access, flags: AtFlags) -> () = access_at;
    Flock => fn flock(file: impl AsFd, operation: FlockOperation) -> () = lock_whole;
    Renameat => fn renameat(from: impl AsFd, name: impl Arg, to: impl AsFd, other: impl Arg) -> () = rename_at;
    Unlinkat => fn unlinkat(at: impl AsFd, path: impl Arg, flags: AtFlags) -> () = unlink_at;
    FcntlGetfl => fn get_flags(file: impl AsFd) -> OFlags = fcntl_getfl;
    FcntlSetfl => fn set_flags(file: impl AsFd, flags: OFlags) -> () = fcntl_setfl;
    Openat => fn read_directory(at: impl AsFd) -> Dir = Dir::read_from;
    Readlink => fn read_link(path: &str) -> PathBuf = follow;
    FcntlDupfd => fn duplicate(file: impl AsFd) -> OwnedFd = duplicate_above_standard;
}

/// `F_OFD_SETLK`, `F_OFD_GETLK`.
#[inline(always)]
pub(in super::super) fn lock(
    file: BorrowedFd<'_>,
    command: libc::c_int,
    request: &mut libc::flock,
) -> Result<()> {
    let _ = strike!(FcntlLock);
    // SAFETY: these commands take a pointer to a `flock`, which is live and the caller's.
    checked(unsafe { libc::fcntl(file.as_raw_fd(), command, request) }).map(drop)
}

/// The text of a small file of the system's.
#[inline(always)]
pub(in super::super) fn read_text(path: &str) -> Result<String> {
    let _ = strike!(Openat);
    std::fs::read_to_string(path).map_err(of_io)
}

fn follow(path: &str) -> Result<PathBuf> {
    std::fs::read_link(path).map_err(of_io)
}

/// As the standard library does it: never one of the numbers 0 to 2, which programs take for granted.
fn duplicate_above_standard(file: impl AsFd) -> Result<OwnedFd> {
    fcntl_dupfd_cloexec(file, 3)
}

fn of_io(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}
