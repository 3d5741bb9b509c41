//! One `join`: what its sender, its receiver and its driver share.

mod deliver;
mod link;
mod park;
mod routing;
mod spread;
mod usage;

pub(crate) use deliver::{AtOnce, Target};
pub(crate) use link::{Fate, Flushed, Link, Pipe, Status};
pub(crate) use park::{ParkState, ParkedMessage};
pub(crate) use routing::{Bearings, Routing};

use crate::{
    JoinError, Options,
    inbox::{Arrival, Inbox, Limits, OURSELVES},
    loan::Pool,
    memory::Shared,
    peer::{Contact, Line, Peer, Reach, RoomBell},
};
use ipmb_core::{Credential, EndpointId, ReceiveLimits, ToController};
use ipmb_lane::{BiasedGuard, BiasedMutex, READY_LEN, ReadySet, Waker};
use ipmb_sys::{
    Access, BorrowedObject, Channel, Doorbell, Interest, Poller, fork_generation, map_memory,
    page_size,
};
use std::{
    io,
    os::fd::AsFd,
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
};

/// What the driver's poller calls an event by which another thread wakes it.
pub(crate) const WAKE: u64 = 0;

/// What the sender, the receiver and the driver of an endpoint share.
pub(crate) struct Endpoint {
    pub(crate) id: EndpointId,
    pub(crate) options: Options,
    pub(crate) credential: Credential,
    pub(crate) inbox: Inbox,
    pub(crate) room: RoomBell,
    /// What the driver waits with.
    pub(crate) poller: Arc<Poller>,
    link: Mutex<Link>,
    link_changed: Condvar,
    routing: BiasedMutex<Routing>,
    /// What this endpoint lends, if it ever has lent something.
    pub(crate) loans: OnceLock<Arc<Pool>>,
    fork_generation: u32,
}

impl Endpoint {
    pub(crate) fn new(options: Options, token: &str) -> Result<Self, JoinError> {
        let mut id = [0; 8];
        ipmb_sys::random(&mut id).map_err(JoinError::Resources)?;
        let id = EndpointId(u64::from_le_bytes(id));
        let limits = Limits {
            message: options.message_limit,
            budget: options.inbox_budget,
            spin: options.spin,
        };
        let inbox = Inbox::new(limits).map_err(JoinError::Resources)?;
        let poller = Poller::new().map_err(JoinError::Resources)?;
        let (doorbell, ..) = inbox.objects();
        poller
            .add(doorbell.as_fd(), WAKE, Interest::ReadableOnce)
            .map_err(JoinError::Resources)?;
        Ok(Self {
            id,
            credential: Credential::new(&options.identifier, token),
            inbox,
            room: RoomBell::new().map_err(JoinError::Resources)?,
            poller: Arc::new(poller),
            link: Mutex::default(),
            link_changed: Condvar::new(),
            routing: BiasedMutex::default(),
            loans: OnceLock::new(),
            fork_generation: fork_generation(),
            options,
        })
    }

    /// Wakes the driver, now or when it waits next.
    pub(crate) fn wake(&self) {
        let (doorbell, ..) = self.inbox.objects();
        let (poller, object) = (&self.poller, doorbell.as_fd());
        // It can always be read: so it is reported, once.
        if poller.modify(object, WAKE, Interest::ReadableOnce).is_ok() {
            return;
        }
        // The system may have no memory to modify it, though none has been seen that needs any.
        let _ = poller.remove(object);
        if let Err(error) = poller.add(object, WAKE, Interest::ReadableOnce) {
            tracing::error!(%error, "the endpoint's own thread cannot be woken");
        }
    }

    /// What this endpoint accepts.
    pub(crate) fn limits(&self) -> ReceiveLimits {
        ReceiveLimits {
            message: self.options.message_limit,
            budget: self.options.inbox_budget,
            overflow: self.options.overflow,
        }
    }

    /// Whether this is a copy of an endpoint in a child made by `fork`.
    #[inline]
    pub(crate) fn is_forked(&self) -> bool {
        self.fork_generation != fork_generation()
    }

    pub(crate) fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells those who wait for a change of the link.
    pub(crate) fn link_changed(&self) -> &Condvar {
        &self.link_changed
    }

    #[inline]
    pub(crate) fn with_routing<R>(&self, f: impl FnOnce(&mut Routing) -> R) -> R {
        self.routing.with(f)
    }

    #[inline]
    pub(crate) fn routing(&self) -> BiasedGuard<'_, Routing> {
        self.routing.lock()
    }

    /// Sends a control message, if there is a controller to send it to. What has to reach the
    /// next controller too is kept in the [`Link`] and sent again by the driver.
    pub(crate) fn tell_controller(&self, link: &mut Link, message: &ToController) {
        if let Some(pipe) = link.pipe.as_mut()
            && link.status == Status::Member
        {
            // A broken pipe is the driver's to notice.
            if !matches!(pipe.send(&message.encode(), Vec::new()), Ok(Flushed::All)) {
                self.wake();
            }
        }
    }

    /// Whether the controller that we are registered with still has its end of the connection.
    pub(crate) fn controller_lives(&self) -> bool {
        let link = self.link();
        link.status == Status::Member
            && (link.pipe.as_ref()).is_some_and(|pipe| !pipe.channel().is_disconnected())
    }

    /// Asks to be introduced to a peer: the first time, or because a pair broke (see
    /// [`ToController::Introduce`]). To be called while nobody else can use the contact: once there is a
    /// line, nobody is wanted any more.
    pub(crate) fn seek(&self, peer: EndpointId, after: u64) {
        let mut link = self.link();
        link.wanted.insert(peer, after);
        self.tell_controller(&mut link, &ToController::Introduce { peer, after });
    }

    /// The way from this endpoint to itself needs no controller.
    pub(crate) fn meet_ourselves(&self, peer: &Peer, contact: &mut Contact) -> io::Result<()> {
        let (to, from) = Channel::pair()?;
        let (doorbell, page, ready) = self.inbox.objects();
        let shared = SharedPages::map(page.as_fd(), ready.as_fd())?;
        let reach = shared.reach(Arc::new(to), doorbell.try_clone()?);
        let mut line = Line::new(reach, peer.limits, true);
        line.open(self.room.doorbell())?;
        *contact = Contact::Line(Box::new(line));
        let pid = std::process::id();
        self.inbox
            .arrive(Arrival::Sender(OURSELVES, self.id, pid, Arc::new(from)));
        self.inbox.arrive(Arrival::ChannelNews(OURSELVES));
        Ok(())
    }

    /// The system refused something that a sender may be waiting for.
    pub(crate) fn report_lack(&self, error: io::Error) {
        self.link().lack = Some(error);
        self.room.announce();
    }

    /// A receiver turned out to be gone: routes around it.
    pub(crate) fn lose(&self, peer: &Peer) {
        tracing::debug!(id = %peer.id, "an endpoint receives no more");
        self.routing().avoid(peer.id);
        peer.lose();
        self.room.announce();
        self.announce_departure([peer.id]);
    }

    /// Those who wait for somebody's replies are told that he is gone, by the driver: it knows whether
    /// there is something to be read first.
    pub(crate) fn announce_departure(&self, gone: impl IntoIterator<Item = EndpointId>) {
        self.link().departed.extend(gone);
        self.wake();
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        if let Some(pool) = self.loans.get()
            && !self.is_forked()
        {
            pool.close();
        }
    }
}

/// What a receiver shares with those who send to it.
pub(crate) struct SharedPages {
    waker: Waker<Shared>,
    ready: ReadySet<Shared>,
}

impl SharedPages {
    pub(crate) fn map(page: BorrowedObject<'_>, ready: BorrowedObject<'_>) -> io::Result<Self> {
        let page = map(page, Access::ReadOnly, page_size())?;
        let ready = map(ready, Access::ReadWrite, READY_LEN)?;
        Ok(Self {
            waker: Waker::new(page).map_err(io::Error::other)?,
            ready: ReadySet::new(ready).map_err(io::Error::other)?,
        })
    }

    pub(crate) fn reach(self, channel: Arc<Channel>, doorbell: Doorbell) -> Reach {
        let Self { waker, ready } = self;
        Reach {
            channel,
            doorbell,
            waker,
            ready,
        }
    }
}

fn map(object: BorrowedObject<'_>, access: Access, len: usize) -> io::Result<Shared> {
    Ok(Shared::new(map_memory(object, access, len..=len)?))
}
