//! What a sleeping receiver waits on. (eventfd(2))

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::event::EventfdFlags;
use rustix::fs::OFlags;
use rustix::io::{Errno, ReadWriteFlags, retry_on_intr};

use super::{OwnedObject, call, wait_readable};

/// Wakes its owner. Shared by sending the object; any number of processes may ring one doorbell.
///
/// Rings coalesce, and are kept until [`clear`](Self::clear): ring, then wait, and the wait ends
/// at once.
#[derive(Debug)]
pub struct Doorbell {
    event: OwnedFd,
}

impl Doorbell {
    /// A doorbell that was not rung. Fails when the process has no descriptors left.
    pub fn create() -> io::Result<Self> {
        let event = call::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { event })
    }

    /// Takes a doorbell that a peer sent, once it is [examined](Self::examine).
    pub fn from_object(object: OwnedObject) -> io::Result<Self> {
        Self::examine(object.as_fd())?;
        Ok(object.into())
    }

    /// Whether what a peer sent is a doorbell, which will not block us; `InvalidInput` if it is
    /// something else.
    ///
    /// Without `/proc` this cannot be told, and the object is believed.
    pub fn examine(object: BorrowedFd<'_>) -> io::Result<()> {
        const KIND: &str = "anon_inode:[eventfd]";
        match call::read_link(&format!("/proc/self/fd/{}", object.as_raw_fd())) {
            Ok(link) if link == Path::new(KIND) => {}
            Err(_) if !Path::new("/proc/self").exists() => {}
            Ok(_) => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "the object is no doorbell (eventfd): disconnect the peer that sent it",
                ));
            }
            Err(e) => return Err(e.into()),
        }
        let flags = call::get_flags(object)? | OFlags::NONBLOCK;
        Ok(call::set_flags(object, flags)?)
    }

    /// Wakes whoever waits, now or next. Wakes nobody twice before a [`clear`](Self::clear).
    ///
    /// Does not block, even if somebody who holds the doorbell fills its counter and takes the
    /// non-blocking mode away, which the kernel keeps with the object and not with us. (Who does both
    /// in the moment between two system calls of ours can keep us until the owner clears it.)
    pub fn ring(&self) {
        // Adding nothing wakes those who wait, and there is always room for it.
        let is_rung = self.wait(Some(Duration::ZERO)).unwrap_or(false);
        let count = u64::from(!is_rung);
        // EAGAIN: the counter is at its maximum, so it is rung. No other error can come from an
        // eventfd.
        let _ = retry_on_intr(|| call::write(&self.event, &count.to_ne_bytes()));
    }

    /// Forgets all rings so far. Clear first, then look for what there is to do, then wait.
    pub fn clear(&self) {
        let mut count = [0; 8];
        // By flag of the call: a peer can take O_NONBLOCK from the object at any time.
        let cleared = retry_on_intr(|| {
            let mut into = [IoSliceMut::new(&mut count)];
            call::preadv2(&self.event, &mut into, u64::MAX, ReadWriteFlags::NOWAIT)
        });
        if matches!(cleared, Err(Errno::OPNOTSUPP | Errno::NOSYS)) {
            let _ = retry_on_intr(|| call::read(&self.event, &mut count));
        }
    }

    /// Waits until the doorbell is rung; false after the timeout (`None`: never). Does not clear.
    pub fn wait(&self, timeout: Option<Duration>) -> io::Result<bool> {
        wait_readable(self.as_fd(), timeout)
    }

    /// A second handle of the same doorbell.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            event: call::duplicate(&self.event)?,
        })
    }

    /// The object, to be sent or closed.
    pub fn into_object(self) -> OwnedObject {
        self.event
    }
}

impl From<OwnedObject> for Doorbell {
    /// The object has to be one; see [`Doorbell::from_object`] if a peer sent it.
    fn from(event: OwnedObject) -> Self {
        Self { event }
    }
}

impl AsFd for Doorbell {
    /// Readable while the doorbell is rung.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}
