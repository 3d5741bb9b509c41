//! Who is at the other end, by the word of the kernel.

use std::fs::metadata;
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;

/// Identity of a process, as the kernel tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Process id in our namespace; 0 if the process is not visible from here.
    pub pid: u32,
    /// Effective user id in our namespace; the overflow id (65534) if it is not mapped here.
    pub uid: u32,
    /// Effective group id in our namespace.
    pub gid: u32,
}

/// In which namespaces the ids of this process mean something, as the kernel numbers them: users,
/// processes. 0 where it does not tell, for want of `/proc`.
pub fn namespaces() -> (u64, u64) {
    let number = |path| metadata(path).map_or(0, |found| found.ino());
    (number("/proc/self/ns/user"), number("/proc/self/ns/pid"))
}

impl Credentials {
    /// Those of this process.
    pub fn current() -> Self {
        Self {
            pid: std::process::id(),
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
        }
    }

    /// `SO_PEERCRED`: for a pair, its creator; for a connection, who connected or who listens.
    ///
    /// Not by rustix, whose process ids are never 0, while the kernel says 0 for a peer in a
    /// process namespace that is not below ours.
    pub(crate) fn of_peer(socket: BorrowedFd<'_>) -> io::Result<Self> {
        let mut found = MaybeUninit::<libc::ucred>::zeroed();
        let mut len = size_of::<libc::ucred>() as libc::socklen_t;
        // SAFETY: `found` and `len` are live, and `len` is the size of `found`.
        let failed = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERCRED,
                found.as_mut_ptr().cast(),
                &mut len,
            )
        };
        if failed != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it was zeroed, all of its fields are integers, and the kernel wrote the rest.
        let found = unsafe { found.assume_init() };
        Ok(Self {
            pid: u32::try_from(found.pid).unwrap_or(0),
            uid: found.uid,
            gid: found.gid,
        })
    }
}
