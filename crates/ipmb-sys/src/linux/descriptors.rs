//! Second descriptors, and when there are no free ones.

use std::io;
use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use super::{OwnedObject, call};

/// A second handle of the same object. Fails when the process has no descriptors left.
pub fn duplicate(object: impl AsFd) -> io::Result<OwnedObject> {
    Ok(call::duplicate(object)?)
}

/// What the system says when the process has no free descriptor.
pub fn out_of_descriptors() -> io::Error {
    Errno::MFILE.into()
}

/// How many descriptors this process may have.
pub fn descriptor_limit() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    })
}

/// Whether the process, or the system, has no free descriptor.
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE)
    )
}

/// Whether the system has no room for what it was asked for, and may have some later: descriptors,
/// memory, buffers, threads, locks. That a packet is too long is one of these: those of a [`Channel`](super::Channel) are never
/// longer than the buffer of a socket, unless somebody makes that smaller.
pub fn is_lack(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::MFILE
                | Errno::NFILE
                | Errno::NOMEM
                | Errno::NOBUFS
                | Errno::NOSPC
                | Errno::AGAIN
                | Errno::TOOMANYREFS
                | Errno::MSGSIZE
                | Errno::NOLCK
        )
    ) || matches!(
        error.kind(),
        io::ErrorKind::OutOfMemory | io::ErrorKind::WouldBlock
    )
}
