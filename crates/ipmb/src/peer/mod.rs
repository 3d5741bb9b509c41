//! The sending side: what an endpoint knows of the others, and how a message gets to one of them.

mod attached;
mod flow;
mod lanes;
mod lending;
mod line;
mod outbound;
mod pair;
mod prepared;
mod room;
mod steps;

#[cfg(test)]
pub(crate) use lanes::FIRST_CAPACITY;
pub(crate) use lanes::{largest_lane, most_lanes};
pub(crate) use lending::Given;
pub(crate) use line::{Attempt, Line, Reach};
pub(crate) use outbound::{ENVELOPE, Outbound, Progress};
pub(crate) use pair::PairPacket;
pub(crate) use room::RoomBell;

use ipmb_core::{EndpointId, ReceiveLimits};
use ipmb_lane::{BiasedGuard, BiasedMutex};

/// So many objects come with one message at most, those of memory regions included. A receiver has to
/// hold them all at once.
pub(crate) const MOST_OBJECTS: usize = 4096;

/// Another endpoint (or ourselves), as a receiver of our messages.
pub(crate) struct Peer {
    pub(crate) id: EndpointId,
    pub(crate) limits: ReceiveLimits,
    contact: BiasedMutex<Contact>,
}

/// How far we know the way to a peer.
#[derive(Default)]
pub(crate) enum Contact {
    /// Never asked for.
    #[default]
    None,
    /// The controller is asked to introduce us. A line that broke before the peer had its end is
    /// kept: nothing in it has been read.
    Asked(Option<Box<Line>>),
    /// Introduced.
    Line(Box<Line>),
    /// The peer receives no more, or has left, or is dead.
    Gone,
}

impl Peer {
    pub(crate) fn new(id: EndpointId, limits: ReceiveLimits) -> Self {
        Self {
            id,
            limits,
            contact: BiasedMutex::default(),
        }
    }

    pub(crate) fn contact(&self) -> BiasedGuard<'_, Contact> {
        self.contact.lock()
    }

    /// Does something with the contact, unless another thread is just using it.
    #[inline]
    pub(crate) fn try_with_contact<R>(&self, f: impl FnOnce(&mut Contact) -> R) -> Option<R> {
        self.contact.try_with(f)
    }

    /// The contact, unless another thread is just using it.
    #[inline]
    pub(crate) fn try_contact(&self) -> Option<BiasedGuard<'_, Contact>> {
        self.contact.try_lock()
    }

    /// Asks the kernel whether the peer still has its end of the channel. Who has not been
    /// introduced yet may be there.
    pub(crate) fn is_reachable(&self) -> bool {
        match &*self.contact() {
            Contact::Line(line) => !line.is_confirmed() || !line.channel().is_disconnected(),
            Contact::None | Contact::Asked(_) => true,
            Contact::Gone => false,
        }
    }

    /// Whether we were introduced, and the peer still has its end of the channel.
    pub(crate) fn is_connected(&self) -> bool {
        match &*self.contact() {
            Contact::Line(line) => !line.channel().is_disconnected(),
            Contact::None | Contact::Asked(_) | Contact::Gone => false,
        }
    }

    /// Whether it reads what we send, or will when it goes on. Who has left in good order does not.
    pub(crate) fn receives(&self) -> bool {
        match &*self.contact() {
            Contact::Line(line) => {
                line.is_confirmed() && !line.is_closed() && !line.channel().is_disconnected()
            }
            Contact::None | Contact::Asked(_) | Contact::Gone => false,
        }
    }

    /// The peer receives no more: takes back what it never read.
    pub(crate) fn lose(&self) {
        let contact = std::mem::replace(&mut *self.contact(), Contact::Gone);
        if let Contact::Line(mut line) | Contact::Asked(Some(mut line)) = contact {
            line.recall();
        }
    }
}
