//! What a sleeping receiver waits on. (eventfd(2), epoll(7))
//!
//! Whoever may ring a doorbell has the same object as its owner, and can do to it whatever the owner can: read it,
//! fill it, change its mode. So nothing depends on its count. It is a semaphore that is never empty: a read takes one
//! off it, and there are more than anybody can ever read. To add nothing to it is never refused, and wakes who waits.
//! Who listens does not look whether it can be read (it always can), but is told each ring by an edge-triggered epoll
//! of his own.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFlags, Timespec, epoll};
use rustix::fs::OFlags;
use rustix::io::{Errno, ReadWriteFlags, retry_on_intr};

use super::poller::wait_for;
use super::{ForkGuard, OwnedObject, call, wait_readable};

/// With so much in it, nobody empties a doorbell in a thousand years, one by one.
const FULL: u64 = 1 << 62;

/// Wakes its owner, who [hears](Hearing) it. Shared by sending the object; any number of processes may ring one
/// doorbell, and none of them can keep its owner from hearing the others.
#[derive(Debug)]
pub struct Doorbell {
    event: OwnedFd,
}

impl Doorbell {
    /// A doorbell. Fails when the process has no descriptors left.
    pub fn create() -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK | EventfdFlags::SEMAPHORE;
        let event = call::eventfd(1, flags)?;
        match retry_on_intr(|| call::write(&event, &FULL.to_ne_bytes())) {
            // Only somebody else could have filled it.
            Ok(_) | Err(Errno::AGAIN) => Ok(Self { event }),
            Err(error) => Err(error.into()),
        }
    }

    /// Hears its rings from now on. Fails when the process has no descriptors left.
    pub fn hearing(&self) -> io::Result<Hearing> {
        let epoll = call::epoll_create(epoll::CreateFlags::CLOEXEC)?;
        let hearing = Hearing {
            _guard: ForkGuard::guard(epoll.as_fd()),
            epoll,
        };
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        let data = epoll::EventData::new_u64(0);
        call::epoll_add(&hearing.epoll, &self.event, data, flags)?;
        Ok(hearing)
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

    /// Wakes the owner, now or when he waits next.
    ///
    /// Does not block, whatever others have done to the object. (Who brings its count above the maximum, which takes
    /// asynchronous input and output, and takes its non-blocking mode away, both between two system calls of ours, can
    /// keep us until the next who rings.)
    pub fn ring(&self) {
        let no_wait = Some(Duration::ZERO);
        let state = wait_for(self.event.as_fd(), PollFlags::IN, no_wait);
        if state.is_ok_and(|state| state.contains(PollFlags::ERR)) {
            // Above its maximum: the only count to which nothing can be added.
            self.take_one();
        }
        // Again, if somebody has just brought it there; who does that a third time wakes the owner by it.
        for _ in 0..2 {
            match retry_on_intr(|| call::write(&self.event, &0_u64.to_ne_bytes())) {
                Err(Errno::AGAIN) => self.take_one(),
                // No other error can come from an eventfd.
                _ => return,
            }
        }
    }

    fn take_one(&self) {
        let mut count = [0; 8];
        // By flag of the call: a peer can take O_NONBLOCK from the object at any time.
        let _ = retry_on_intr(|| {
            let mut into = [IoSliceMut::new(&mut count)];
            call::preadv2(&self.event, &mut into, u64::MAX, ReadWriteFlags::NOWAIT)
        });
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
    /// To wait for its rings with a [`Poller`](super::Poller): [by edge](super::Interest::ReadableEdge), since it is
    /// always readable. The first is told at once.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

/// How the owner of a doorbell hears it. There may be several for one doorbell; each is told all rings.
///
/// Rings coalesce, and are kept until [`clear`](Self::clear): ring, then wait, and the wait ends at once.
#[derive(Debug)]
pub struct Hearing {
    // Not for liveness, but because a child would otherwise take the rings of its parent.
    _guard: ForkGuard,
    epoll: OwnedFd,
}

/// What came of waiting for a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing in that time.
    Nothing,
    /// A ring. It is kept, and has to be [cleared](Hearing::clear).
    Kept,
    /// A ring, which is cleared.
    Cleared,
}

impl Hearing {
    /// Waits until the doorbell is rung, or for the timeout (`None`: never). One thread at a time.
    pub fn wait(&self, timeout: Option<Duration>) -> io::Result<Heard> {
        if timeout.is_some() {
            return Ok(match wait_readable(self.as_fd(), timeout)? {
                true => Heard::Kept,
                false => Heard::Nothing,
            });
        }
        match retry_on_intr(|| self.take(None))? {
            0 => Ok(Heard::Nothing),
            _ => Ok(Heard::Cleared),
        }
    }

    /// Forgets all rings so far. Clear first, then look for what there is to do, then wait.
    pub fn clear(&self) {
        let _ = retry_on_intr(|| self.take(Some(&Timespec::default())));
    }

    fn take(&self, timeout: Option<&Timespec>) -> Result<usize, Errno> {
        let mut event = [epoll::Event {
            flags: epoll::EventFlags::empty(),
            data: epoll::EventData::new_u64(0),
        }];
        call::epoll_wait(&self.epoll, &mut event[..], timeout)
    }
}

impl AsFd for Hearing {
    /// Readable while there is a ring that was not cleared. Can be polled, and be in an epoll; not to be waited on as
    /// an epoll.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}
