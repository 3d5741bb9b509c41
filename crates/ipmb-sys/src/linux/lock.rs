//! Locks on single bytes of a file that belong to an open file description: the kernel drops them
//! with its last descriptor, so also when a process is killed. (`F_OFD_SETLK`, fcntl(2))

use std::io;
use std::os::fd::BorrowedFd;

use rustix::io::retry_on_intr;

use super::call;

#[derive(Clone, Copy)]
pub(crate) enum Lock {
    /// Any number of holders. The description must be open for reading.
    Shared,
    /// One holder. The description must be open for writing.
    Exclusive,
}

/// Takes the lock; false if another description is in the way.
pub(crate) fn try_lock(file: BorrowedFd<'_>, byte: u16, lock: Lock) -> io::Result<bool> {
    match control(file, libc::F_OFD_SETLK, byte, lock.kind()) {
        Ok(_) => Ok(true),
        Err(e) if matches!(e.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Gives back what this description holds on the byte, if anything.
pub(crate) fn unlock(file: BorrowedFd<'_>, byte: u16) -> io::Result<()> {
    control(file, libc::F_OFD_SETLK, byte, libc::F_UNLCK as _).map(drop)
}

/// Whether any other description holds a lock of any kind on the byte.
pub(crate) fn held_by_other(file: BorrowedFd<'_>, byte: u16) -> io::Result<bool> {
    let found = control(file, libc::F_OFD_GETLK, byte, Lock::Exclusive.kind())?;
    Ok(found != libc::F_UNLCK as libc::c_short)
}

impl Lock {
    fn kind(self) -> libc::c_short {
        match self {
            Self::Shared => libc::F_RDLCK as _,
            Self::Exclusive => libc::F_WRLCK as _,
        }
    }
}

fn control(
    file: BorrowedFd<'_>,
    command: libc::c_int,
    byte: u16,
    kind: libc::c_short,
) -> io::Result<libc::c_short> {
    // SAFETY: a struct of integers, for which zero is a value; `l_pid` has to be zero here.
    let mut request: libc::flock = unsafe { std::mem::zeroed() };
    request.l_type = kind;
    request.l_whence = libc::SEEK_SET as _;
    request.l_start = byte.into();
    request.l_len = 1;
    retry_on_intr(|| call::lock(file, command, &mut request))?;
    Ok(request.l_type)
}
