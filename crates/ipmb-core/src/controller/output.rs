//! What a controller wants done.

use smallvec::SmallVec;

use super::{ConnId, Strain};
use crate::{EndpointId, HandshakeError, ParkId, Record, RefuseReason};

/// Something for the shell to do. It carries outputs out strictly in the order they come, and all of
/// them before the next [`Controller::handle`](super::Controller::handle).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Send this. What is attached is duplicated (or, where it is an end of a pair, moved) out of
    /// where it is kept now, even if the bytes have to wait until the connection takes them: a later
    /// `Drop…` of the same batch must not reach a message before it.
    Send {
        /// To whom.
        conn: ConnId,
        /// The bytes.
        bytes: Vec<u8>,
        /// The objects, in this order.
        attach: SmallVec<[Attachment; 4]>,
        /// Whether to cut it into packets with the [`Framer`](crate::Framer); else it is one packet of
        /// the handshake, sent as it is.
        framed: bool,
    },
    /// Close the connection. What was sent before goes out first if that needs no waiting.
    /// No [`Input::Closed`](super::Input::Closed) is due for it.
    Close {
        /// Which.
        conn: ConnId,
        /// Why, for the log.
        reason: CloseReason,
    },
    /// Add this to the directory's log before doing anything that follows. If the log is full, replace
    /// its contents by [`Controller::snapshot`](super::Controller::snapshot), which is already up to
    /// date with everything in this batch.
    Append(Record),
    /// Replace the contents of the directory's log by this before doing anything that follows.
    Snapshot(Vec<Record>),
    /// Keep the first three objects of the message just received: doorbell, inbox page and ready set
    /// of the endpoint. Whether they are what they should be is for whoever is introduced to check.
    StoreEndpoint {
        /// The connection it registered on.
        conn: ConnId,
        /// Under which id to keep them.
        id: EndpointId,
    },
    /// Close what is kept of the endpoint.
    DropEndpoint(EndpointId),
    /// Keep all objects of the message just received: the body's, if `body`, comes first.
    StoreParked {
        /// The connection it came on.
        conn: ConnId,
        /// Under which id to keep them.
        id: ParkId,
        /// Whether the first object is the body.
        body: bool,
    },
    /// Close what is kept of the parked message. Only for those that were stored.
    DropParked(ParkId),
    /// Read the old directory of a survivor, the fifth object of the message just received, and answer
    /// with [`Input::SurvivorDirectory`](super::Input::SurvivorDirectory) after this batch. Look at
    /// its beacon (the fourth object) too: if that is above `generation`, there has been a controller
    /// in between that the survivor does not know, its directory is out of date, and the answer is
    /// `None`.
    ReadOldDirectory {
        /// The connection on which it registers.
        conn: ConnId,
        /// The generation of the directory.
        generation: u64,
    },
    /// Raise the beacon that the controller's own endpoint brought from the last generation, so that
    /// whoever still looks at the old directory learns that it is out of date.
    RaiseBeacon {
        /// To at least this.
        to: u64,
    },
    /// Raise a survivor's beacon, the fourth object of the message just received.
    RaiseBeaconOf {
        /// The connection on which it registers.
        conn: ConnId,
        /// To at least this.
        to: u64,
    },
    /// Report with [`Input::ProcessDied`](super::Input::ProcessDied) when the process is dead, or with
    /// [`Input::WatchFailed`](super::Input::WatchFailed) that nobody can tell.
    WatchProcess {
        /// Which.
        pid: u32,
    },
    /// No need any more.
    UnwatchProcess {
        /// Which.
        pid: u32,
    },
    /// Write to the log that a quota is nearly used up.
    Warn(Strain),
}

/// An object that goes with a message, or several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Attachment {
    /// The directory's log, as a read-only memory object.
    Directory,
    /// The beacon of this controller's generation, a memory object.
    Beacon,
    /// One end of a channel. The shell makes the channel when a pair is first mentioned, and keeps
    /// nothing of it once both ends are out. Both are mentioned in the same batch.
    PairEnd {
        /// The number of the pair.
        pair: u64,
        /// Which of its ends.
        side: Side,
    },
    /// The doorbell of an endpoint.
    Doorbell(EndpointId),
    /// The inbox page of an endpoint.
    InboxPage(EndpointId),
    /// The ready set of an endpoint.
    ReadySet(EndpointId),
    /// The memory object that is the body of a parked message.
    ParkedBody(ParkId),
    /// All objects of a parked message but its body, in order.
    ParkedObjects(ParkId),
}

/// One of the two ends of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The end of the member that asked for the introduction.
    Asker,
    /// The end of the one it asked for.
    Peer,
}

/// Why the controller closed a connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// The handshake failed.
    #[error("handshake: {0}")]
    Handshake(#[from] HandshakeError),
    /// It took too long to shake hands and register.
    #[error("did not register in time")]
    Timeout,
    /// There were too many like it, and it was the oldest.
    #[error("too many connections that have not registered")]
    TooManyPending,
    /// It sent a control message that cannot be read.
    #[error("sent a control message that cannot be read")]
    Malformed,
    /// It sent objects that do not belong to its message, or fewer than do.
    #[error("sent {found} objects with {message}, where {expected} belong")]
    Objects {
        /// What it sent.
        message: &'static str,
        /// How many objects belong to it.
        expected: usize,
        /// How many came.
        found: usize,
    },
    /// It sent something that is only for members.
    #[error("sent {message} before it was welcome")]
    NotRegistered {
        /// What it sent.
        message: &'static str,
    },
    /// It registered again on the same connection, or did not wait for the answer.
    #[error("registered twice, or did not wait to be welcome")]
    RegisteredTwice,
    /// It parked a large body inline instead of in an object.
    #[error("sent a body of {len} bytes inline, where {limit} are allowed")]
    BodyTooLarge {
        /// The body's length in bytes.
        len: u64,
        /// The most bytes that go inline.
        limit: u64,
    },
    /// It asked for new pairs to the same peer all the time.
    #[error("asked more than {limit} times to be introduced to {peer}")]
    TooManyIntroductions {
        /// To whom.
        peer: EndpointId,
        /// How often it may.
        limit: u32,
    },
    /// It was told that it cannot join.
    #[error("refused: {0}")]
    Refused(#[from] RefuseReason),
    /// The same process registered the same endpoint on another connection.
    #[error("replaced by a newer connection of the same endpoint")]
    Replaced,
    /// It has said that it leaves.
    #[error("left")]
    Left,
}
