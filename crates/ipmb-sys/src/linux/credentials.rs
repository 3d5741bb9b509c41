//! Who is at the other end, by the word of the kernel.

use std::io;
use std::os::fd::BorrowedFd;

use super::call;

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
    let number = |path: &str| call::stat(path).map_or(0, |found| found.st_ino);
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
    pub(crate) fn of_peer(socket: BorrowedFd<'_>) -> io::Result<Self> {
        let found = call::peer(socket)?;
        Ok(Self {
            pid: u32::try_from(found.pid).unwrap_or(0),
            uid: found.uid,
            gid: found.gid,
        })
    }
}
