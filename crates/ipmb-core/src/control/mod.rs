//! What members and the controller say to each other once the handshake is over.
//!
//! Each value is encoded with postcard, cut into packets by the [`Framer`](crate::Framer) and put
//! together again by the [`Assembler`](crate::Assembler). Objects travel beside the bytes and have no
//! names: the order in which they come is part of the message, and given with each of them here.

mod bytes;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{EndpointId, Label, ParkId, Parkable, Quota, ReceiveLimits, Selector, Whose};

/// From a member, or somebody who wants to become one, to the controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ToController {
    /// "Let me join" (once, and first). Answered by [`ToMember::Welcome`] or [`ToMember::Refused`].
    ///
    /// Objects: doorbell, inbox page, ready set; and from a survivor also its beacon and its old
    /// directory.
    Register {
        /// 64 random bits, drawn once for each `join` and kept for every attempt and every
        /// controller. So an attempt that a dying controller had already published is taken up again
        /// by its successor, instead of leaving an endpoint on the bus that nobody stands behind.
        id: EndpointId,
        /// What it goes by.
        label: Label,
        /// What it accepts.
        limits: ReceiveLimits,
        /// Whether it receives at all.
        receiving: bool,
        /// What it brings from an earlier controller that had welcomed it.
        survivor: Option<Survivor>,
    },
    /// "Introduce me to that endpoint." Answered by [`ToMember::Introduced`], at once or when the peer
    /// has registered again after a failover, or by [`ToMember::NoSuchPeer`].
    ///
    /// Not answered if this controller has made a pair for the two, at either's request, that the asker
    /// has not seen yet: then the introduction is on its way. Objects: none.
    Introduce {
        /// Whom it wants to reach.
        peer: EndpointId,
        /// The pair of the newest [`ToMember::Introduced`] of this peer that it has from this
        /// controller, which is broken (its other end closed while the peer is still in the directory); 0
        /// if there is none. Were it only said that one broke, and not which, two pairs could be on their
        /// way at the same time, and the peer would find the same lanes behind both.
        after: u64,
    },
    /// "Keep this until somebody comes for it." Answered by [`ToMember::Parked`],
    /// [`ToMember::Routable`], [`ToMember::ParkRefused`], [`ToMember::Delivered`] or
    /// [`ToMember::Expired`]; after `Parked` one of `Routable`, `Delivered` and `Expired` follows.
    ///
    /// A sender that has parked a message, and sees somebody in the directory for whom it is, holds back
    /// what it sends there until it is told what became of the message, so that nothing overtakes it.
    /// With a new controller it parks again, before anything else and in order, what it has not been
    /// told about, and what of earlier messages it has not sent yet.
    ///
    /// Objects: the body's, if it is one; then those of the message itself and the descriptors of
    /// its memory regions, in the order of the message header.
    Park {
        /// The sender's own count of the messages it parked: the same when it parks one again.
        sequence: u64,
        /// Whom it is for. The ttl is what is left of it now.
        selector: Selector,
        /// When it is parked again: for so many nanoseconds its ttl has been over. Whoever had joined by then, and was
        /// only not known to be without it, may still get it.
        over: u64,
        /// Header and payload, as they would have gone into the lane.
        body: Body,
        /// How many objects come with it, the body's not counted.
        objects: u32,
    },
    /// "These have arrived": the parked messages that came with a [`ToMember::Deliver`], told once the
    /// member has the [`ToMember::Welcome`] as well. Until then the controller keeps them. No answer.
    /// Objects: none.
    Took {
        /// Which.
        ids: Vec<ParkId>,
    },
    /// "I receive no longer, but still send." No answer to it, but whoever has asked it something is
    /// told, once for each connection, by a [`ToMember::NoSuchPeer`]. Objects: none.
    StopReceiving {
        /// Who may be waiting for a reply.
        askers: Vec<EndpointId>,
    },
    /// "Keep this no longer": its ttl is over, and nothing has been heard of it. The controller counts the
    /// ttl from when it has read the [`ToController::Park`], which may be late. Answered by
    /// [`ToMember::Expired`], or by [`ToMember::Delivered`] if it is on its way to somebody, or somebody has
    /// it from an earlier controller. Objects: none.
    Withdraw {
        /// Which of the messages it parked.
        sequence: u64,
    },
    /// "I leave." Answered by [`ToMember::Left`], and the connection is closed. Whoever only closed it would not know
    /// whether a controller that dies at this moment had noticed: the next one would expect it back.
    /// Objects: none.
    Leave,
}

/// What a member brings to a new controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survivor {
    /// Its place in the join order.
    pub order: u64,
    /// The generation of the controller that welcomed it last.
    pub generation: u64,
    /// The parked messages that it received from that controller, so that they do not come twice
    /// when their senders park them again. Those for which the controller has had a
    /// [`ToController::Took`] long ago may be left out.
    pub delivered: Vec<ParkId>,
}

/// Header and payload of a parked message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Body {
    /// In the control message itself; for bodies up to [`MAX_INLINE_BODY`] bytes.
    Inline(#[serde(with = "bytes")] Vec<u8>),
    /// In a sealed, immutable memory object, the first of the objects.
    Object {
        /// Its length in bytes. The shell checks that it is true before it lets the message through.
        len: u64,
    },
}

/// The largest [`Body::Inline`], in bytes.
pub const MAX_INLINE_BODY: usize = 16 * 1024;

/// From the controller to a member, or to somebody who wants to become one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ToMember {
    /// "You are on the bus." Everybody can see it by now. Objects: the directory (a log, read-only)
    /// and the beacon (a word that rises above `generation` when the directory is out of date because
    /// another controller serves).
    Welcome {
        /// The id it asked for.
        id: EndpointId,
        /// Its place in the join order.
        order: u64,
        /// The controller's generation.
        generation: u64,
        /// How many [`ToMember::Deliver`] stood before this message. They are valid now, and come
        /// before everything from the lanes; without a `Welcome` they are to be forgotten.
        deliveries: u32,
    },
    /// "You cannot join", and the connection closes. Objects: none.
    Refused(RefuseReason),
    /// A parked message, kept for you. Answered by [`ToController::Took`]. Objects: the body's, if it is
    /// one, and then `objects` of them.
    Deliver {
        /// Which.
        id: ParkId,
        /// Header and payload.
        body: Body,
        /// How many objects come with it, the body's not counted.
        objects: u32,
    },
    /// "This is how to reach that endpoint, and it is being told how to reach you." If it comes again
    /// for the same peer, the newer pair replaces the older one, from which what is in it is read first.
    ///
    /// Objects: one end of a channel between the two; doorbell, inbox page and ready set of the peer.
    Introduced {
        /// Whom.
        peer: EndpointId,
        /// The process it lives in, as the kernel told the controller.
        pid: u32,
        /// The user it runs as, likewise.
        uid: u32,
        /// What it accepts.
        limits: ReceiveLimits,
        /// Whether you asked for it; otherwise the peer did.
        introduced_by_you: bool,
        /// Counts the pairs that this controller has made, from 1.
        pair: u64,
    },
    /// The peer of an [`ToController::Introduce`] is not, or no longer, on the bus; or it was asked
    /// something and receives no longer. Objects: none.
    NoSuchPeer {
        /// Whom you asked for, or asked.
        peer: EndpointId,
    },
    /// "I keep it." Objects: none.
    Parked {
        /// Which of your messages.
        sequence: u64,
    },
    /// "Somebody matches: look at the directory and send it yourself. I do not keep it." In its place:
    /// not before it is known what became of the messages that were parked before it, if they may be
    /// for the same endpoint; but if its ttl ends before that, its sender has to wait for that. Objects: none.
    Routable {
        /// Which of your messages.
        sequence: u64,
        /// The place in the join order of the last who has joined. Who comes later may get messages
        /// that were parked after this one, and is not to get this one then.
        last: u64,
    },
    /// "I cannot keep it." Objects: none.
    ParkRefused {
        /// Which of your messages.
        sequence: u64,
        /// Why.
        reason: ParkRefusal,
    },
    /// A parked message has arrived. Objects: none.
    Delivered {
        /// Which of your messages.
        sequence: u64,
        /// Where, if that is known. It may have left since.
        to: Option<EndpointId>,
    },
    /// A parked message has found nobody within its ttl. Objects: none.
    Expired {
        /// Which of your messages.
        sequence: u64,
    },
    /// "You are on the bus no more": the answer to a [`ToController::Leave`]. Objects: none.
    Left,
}

/// Why somebody cannot join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum RefuseReason {
    /// The words of the label are too long together.
    #[error("the label has {size} bytes, and this bus allows {limit}: use fewer or shorter words")]
    LabelTooLarge {
        /// How many bytes the label has.
        size: u64,
        /// The most bytes that a label may have.
        limit: u64,
    },
    /// The bus is full.
    #[error("the bus already has {limit} endpoints, the most it allows")]
    TooManyEndpoints {
        /// The most endpoints there may be.
        limit: u64,
    },
    /// The bus has no room for the label.
    #[error(
        "the directory of the bus has no room: {quota} bytes are used by {whose}, and this endpoint takes {wanted}: use shorter labels or fewer endpoints"
    )]
    DirectoryFull {
        /// Whose room it is.
        whose: Whose,
        /// Of that, in bytes.
        quota: Quota,
        /// What the endpoint takes, in bytes.
        wanted: u64,
    },
    /// Another process has registered under that id.
    #[error("another process is on the bus under this id: join anew under a fresh one")]
    IdTaken,
    /// The survivor says that it comes from a controller later than this one.
    #[error("this controller is older than the one that the endpoint was registered with")]
    Outdated,
    /// The user has enough endpoints.
    #[error("this user already has {limit} endpoints on the bus, the most it allows")]
    TooManyOfUser {
        /// The most endpoints that one user may have.
        limit: u64,
    },
}

/// Why a message cannot be parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum ParkRefusal {
    /// What may be parked is.
    #[error(
        "{whose} has parked {quota} {what} that it may, and this message takes {wanted}: wait for a receiver or lower the ttl"
    )]
    Full {
        /// Whose share it is.
        whose: Whose,
        /// What there is no more of.
        what: Parkable,
        /// How much of it is parked.
        quota: Quota,
        /// What the message takes.
        wanted: u64,
    },
    /// It would take too long to find out who matches.
    #[error(
        "the selector has {size} operators and operands, and to park a message on a bus with so many endpoints it can have {limit}"
    )]
    Selector {
        /// How many it has.
        size: u64,
        /// The most operators and operands, with as many endpoints as there are now.
        limit: u64,
    },
}

impl ToController {
    /// The bytes of the message.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a whole message.
    pub fn decode(bytes: &[u8]) -> Result<Self, ControlError> {
        decode(bytes)
    }

    /// How many objects must come with it.
    pub fn objects(&self) -> usize {
        match self {
            Self::Register { survivor, .. } => 3 + 2 * usize::from(survivor.is_some()),
            Self::Park { body, objects, .. } => body.objects().saturating_add(*objects as usize),
            Self::Introduce { .. }
            | Self::Took { .. }
            | Self::StopReceiving { .. }
            | Self::Withdraw { .. }
            | Self::Leave => 0,
        }
    }

    /// What it is called in errors and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Register { .. } => "Register",
            Self::Introduce { .. } => "Introduce",
            Self::Park { .. } => "Park",
            Self::Took { .. } => "Took",
            Self::StopReceiving { .. } => "StopReceiving",
            Self::Withdraw { .. } => "Withdraw",
            Self::Leave => "Leave",
        }
    }
}

impl ToMember {
    /// The bytes of the message.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a whole message.
    pub fn decode(bytes: &[u8]) -> Result<Self, ControlError> {
        decode(bytes)
    }

    /// How many objects must come with it.
    pub fn objects(&self) -> usize {
        match self {
            Self::Welcome { .. } => 2,
            Self::Deliver { body, objects, .. } => body.objects().saturating_add(*objects as usize),
            Self::Introduced { .. } => 4,
            Self::Refused(_)
            | Self::NoSuchPeer { .. }
            | Self::Parked { .. }
            | Self::Routable { .. }
            | Self::ParkRefused { .. }
            | Self::Delivered { .. }
            | Self::Expired { .. }
            | Self::Left => 0,
        }
    }
}

impl Body {
    /// Its length in bytes, as its sender states it.
    pub fn len(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Object { len } => *len,
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn objects(&self) -> usize {
        usize::from(matches!(self, Self::Object { .. }))
    }
}

/// A control message that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the other side sent a control message that cannot be read")]
pub struct ControlError;

fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    // A vector takes whatever is written to it, so there is no error; were there one, the empty
    // message would be refused by whoever decodes it.
    postcard::to_stdvec(message).unwrap_or_default()
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ControlError> {
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Ok(message),
        Ok(_) | Err(_) => Err(ControlError),
    }
}

#[cfg(test)]
mod tests;
