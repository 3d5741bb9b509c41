//! Who holds a memory region, by the word of the kernel.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::lock::{self, Lock};
use super::{ForkGuard, call};

/// A numbered slot in a memory region, held until it is dropped or its process dies.
///
/// It is an exclusive lock on one byte of the region's file, through an open file description of
/// its own, so that two claims in one process are two slots. The contents are not touched.
#[derive(Debug)]
pub struct Claim {
    _guard: ForkGuard,
    file: OwnedFd,
    slot: u16,
}

impl Claim {
    /// Takes the lowest free slot below `slots`.
    ///
    /// # Errors
    ///
    /// `ResourceBusy` if all are taken, `Unsupported` if `/proc` is not mounted.
    pub fn take(object: BorrowedFd<'_>, slots: u16) -> io::Result<Self> {
        let file = reopen(object)?;
        for slot in 0..slots {
            if lock::try_lock(file.as_fd(), slot, Lock::Exclusive)? {
                return Ok(Self {
                    _guard: ForkGuard::guard(file.as_fd()),
                    file,
                    slot,
                });
            }
        }
        Err(io::Error::new(
            io::ErrorKind::ResourceBusy,
            format!(
                "all {slots} process slots of the memory region are taken: share it with fewer processes"
            ),
        ))
    }

    /// The number of the slot that this claim holds.
    pub fn slot(&self) -> u16 {
        self.slot
    }

    /// Whether anybody holds the slot, this claim included. In doubt, yes.
    pub fn is_held(&self, slot: u16) -> bool {
        slot == self.slot || lock::held_by_other(self.file.as_fd(), slot).unwrap_or(true)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Closing alone would not do while a process that another thread is spawning still has a
        // copy, for the moment until its `exec`.
        let _ = lock::unlock(self.file.as_fd(), self.slot);
    }
}

/// A descriptor of a memory object that can be sent away, and tells its creator whether anybody has
/// it still: see [`is_leased`]. It can be mapped like the object itself.
///
/// It holds a lock through an open file description of its own. So it counts as long as it lies in
/// a channel or is open in a living process, and no longer.
///
/// # Errors
///
/// As [`Claim::take`]; `ResourceBusy` if there is one already.
pub fn lease(object: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let file = reopen(object)?;
    if lock::try_lock(file.as_fd(), 0, Lock::Exclusive)? {
        return Ok(file);
    }
    Err(io::Error::new(
        io::ErrorKind::ResourceBusy,
        "the memory is leased already: make one of its own for each that it is sent to",
    ))
}

/// Whether anybody has the [`lease`] of this object. In doubt, yes.
pub fn is_leased(object: BorrowedFd<'_>) -> bool {
    lock::held_by_other(object, 0).unwrap_or(true)
}

/// A second description of the same file: locks belong to descriptions, and that of `object` is
/// shared with every process that it was sent to.
fn reopen(object: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", object.as_raw_fd());
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    match retry_on_intr(|| call::openat(CWD, path.as_str(), flags, Mode::empty())) {
        Ok(file) => Ok(file),
        Err(Errno::NOENT) => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "/proc is not mounted, so that memory regions cannot be claimed: mount it",
        )),
        Err(e) => Err(e.into()),
    }
}
