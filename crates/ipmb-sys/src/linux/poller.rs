//! Waiting for one object or many. (ppoll(2), epoll(7))

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, epoll};
use rustix::io::{Errno, retry_on_intr};

use super::{ForkGuard, call};

/// Waits for many objects at once.
///
/// It holds no object: remove one before you close it. Any number of threads may add and remove
/// while one waits.
#[derive(Debug)]
pub struct Poller {
    // Not for liveness, but because a child would otherwise change what its parent waits for.
    _guard: ForkGuard,
    epoll: OwnedFd,
}

/// What to wait for. A hang-up or an error of the object is reported in every case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Reported by every wait as long as there is something to read.
    Readable,
    /// Reported once each time something to read arrives: read until there is nothing.
    ReadableEdge,
    /// Reported once, and not again until it is [modified](Poller::modify): by an object that can always be read,
    /// as a [`Doorbell`](super::Doorbell) can, any thread wakes the one that waits, and nobody else does.
    ReadableOnce,
    /// As `Readable`, and also as long as there is room to write. For a queue that waits to go.
    ReadableWritable,
    /// Nothing but the hang-up.
    HangupOnly,
}

/// What happened to one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// As given to [`Poller::add`].
    pub token: u64,
    /// There is something to read.
    pub readable: bool,
    /// There is room to write, and it was asked for.
    pub writable: bool,
    /// The other side is gone. What it sent before can still be read, if `readable` is set too.
    pub hangup: bool,
}

/// Events per wait; the others come with the next.
const BATCH: usize = 64;

impl Poller {
    /// A poller that waits for nothing yet. Fails when the process has no descriptors left.
    pub fn new() -> io::Result<Self> {
        let epoll = call::epoll_create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self {
            _guard: ForkGuard::guard(epoll.as_fd()),
            epoll,
        })
    }

    /// Adds an object; `AlreadyExists` if it is in. The token is the caller's and need not be
    /// unique.
    pub fn add(&self, object: BorrowedFd<'_>, token: u64, interest: Interest) -> io::Result<()> {
        let data = epoll::EventData::new_u64(token);
        Ok(call::epoll_add(
            &self.epoll,
            object,
            data,
            interest.flags(),
        )?)
    }

    /// Changes token and interest; `NotFound` if the object is not in.
    pub fn modify(&self, object: BorrowedFd<'_>, token: u64, interest: Interest) -> io::Result<()> {
        let data = epoll::EventData::new_u64(token);
        Ok(call::epoll_modify(
            &self.epoll,
            object,
            data,
            interest.flags(),
        )?)
    }

    /// Takes an object out; `NotFound` if it is not in. An event for it that a wait has already
    /// returned is the caller's to ignore.
    pub fn remove(&self, object: BorrowedFd<'_>) -> io::Result<()> {
        Ok(call::epoll_delete(&self.epoll, object)?)
    }

    /// Waits until something happens or the timeout ends (`None`: never), to the precision of the
    /// system's clock. `events` is cleared, and empty afterwards only after a timeout.
    pub fn wait(&self, events: &mut Vec<Event>, timeout: Option<Duration>) -> io::Result<()> {
        events.clear();
        let mut found = [NOTHING; BATCH];
        // `epoll_wait` counts in milliseconds; 5.10 has no `epoll_pwait2` yet. An epoll is itself
        // an object that can be polled, to the nanosecond.
        let no_wait = Timespec::default();
        let limit = match timeout {
            None => None,
            Some(time) if time.is_zero() => Some(&no_wait),
            Some(_) if !wait_readable(self.epoll.as_fd(), timeout)? => return Ok(()),
            Some(_) => Some(&no_wait),
        };
        let count = retry_on_intr(|| call::epoll_wait(&self.epoll, &mut found[..], limit))?;
        events.extend(
            found
                .into_iter()
                .take(count)
                .map(|epoll::Event { flags, data }| Event {
                    token: data.u64(),
                    readable: flags.contains(epoll::EventFlags::IN),
                    writable: flags.contains(epoll::EventFlags::OUT),
                    hangup: flags.intersects(HANGUP),
                }),
        );
        Ok(())
    }
}

impl AsFd for Poller {
    /// Readable when a wait would return at once.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

impl Interest {
    fn flags(self) -> epoll::EventFlags {
        use epoll::EventFlags as F;
        match self {
            Self::Readable => F::IN | F::RDHUP,
            Self::ReadableEdge => F::IN | F::RDHUP | F::ET,
            Self::ReadableOnce => F::IN | F::ONESHOT,
            Self::ReadableWritable => F::IN | F::OUT | F::RDHUP,
            Self::HangupOnly => F::RDHUP,
        }
    }
}

const NOTHING: epoll::Event = epoll::Event {
    flags: epoll::EventFlags::empty(),
    data: epoll::EventData::new_u64(0),
};

const HANGUP: epoll::EventFlags = epoll::EventFlags::HUP
    .union(epoll::EventFlags::RDHUP)
    .union(epoll::EventFlags::ERR);

/// Waits until the object has something to read or hangs up; false after the timeout (`None`:
/// never).
pub fn wait_readable(object: BorrowedFd<'_>, timeout: Option<Duration>) -> io::Result<bool> {
    Ok(!wait_for(object, PollFlags::IN, timeout)?.is_empty())
}

/// Waits until the object has room to write or hangs up; false after the timeout (`None`: never).
pub fn wait_writable(object: BorrowedFd<'_>, timeout: Option<Duration>) -> io::Result<bool> {
    Ok(!wait_for(object, PollFlags::OUT, timeout)?.is_empty())
}

/// Waits for one object and tells what is there; empty after the timeout.
pub(crate) fn wait_for(
    object: BorrowedFd<'_>,
    flags: PollFlags,
    timeout: Option<Duration>,
) -> io::Result<PollFlags> {
    // A time too far to express is never.
    let end = timeout.and_then(|time| Instant::now().checked_add(time));
    let mut polled = [PollFd::from_borrowed_fd(object, flags)];
    loop {
        let left = match end {
            Some(end) => Timespec::try_from(end.saturating_duration_since(Instant::now())).ok(),
            None => None,
        };
        match call::poll(&mut polled, left.as_ref()) {
            Ok(_) => return Ok(polled[0].revents()),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}
