//! What happens to a controller.

use std::fmt;

use crate::Directory;

/// A connection to the controller. The shell numbers them and never uses a number twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Something that happened, as the shell reports it to [`Controller::handle`](super::Controller::handle).
///
/// Inputs for a connection that was closed, by either side, are ignored.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Input<'a> {
    /// Somebody connected. Credentials are the kernel's; the shell has checked that this user may
    /// join at all.
    Accepted {
        /// Its number from now on.
        conn: ConnId,
        /// The process at the other end; 0 if it cannot be seen from here (another pid namespace).
        pid: u32,
        /// The user it runs as.
        uid: u32,
        /// Fresh random bytes, for the handshake.
        nonce: [u8; 32],
    },
    /// The controller's own endpoint. It needs no handshake, and registers like everybody else.
    LocalMember {
        /// Its number from now on.
        conn: ConnId,
        /// The controller's process.
        pid: u32,
        /// The user it runs as.
        uid: u32,
    },
    /// Something arrived: a raw packet while [`Controller::phase`](super::Controller::phase) says
    /// [`Phase::Handshaking`], afterwards one whole control message. The shell asks for the phase
    /// before it reads each packet.
    ///
    /// The objects that came with it stay with the shell. Outputs of the same `handle` say which of
    /// them to keep; it closes the others after it has carried those outputs out.
    Received {
        /// From whom.
        conn: ConnId,
        /// The bytes.
        bytes: &'a [u8],
        /// How many objects came with them.
        objects: usize,
    },
    /// The answer to [`Output::ReadOldDirectory`](super::Output::ReadOldDirectory).
    SurvivorDirectory {
        /// Whose.
        conn: ConnId,
        /// What it says; `None` if it cannot be read.
        directory: Option<Directory>,
        /// Nothing has changed since: no later controller has let anybody in.
        current: bool,
    },
    /// The other side closed the connection, or the shell did because the other side does not read
    /// what it is sent.
    Closed {
        /// Which.
        conn: ConnId,
    },
    /// A process being watched is dead (or was, when the watch was asked for).
    ProcessDied {
        /// Which.
        pid: u32,
    },
    /// A process cannot be watched.
    WatchFailed {
        /// Which.
        pid: u32,
    },
    /// Whether nobody can be accepted at the moment, for want of descriptors or memory. While it is so,
    /// survivors cannot come, and that none does says nothing.
    Unreachable(bool),
    /// Nothing, but time has passed. Due at [`Controller::next_deadline`](super::Controller::next_deadline).
    Tick,
}

/// How far a connection has come: what the shell makes of its packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Packets are raw, at most [`MAX_HANDSHAKE_PACKET`](crate::MAX_HANDSHAKE_PACKET) bytes. Nothing
    /// is to be allocated for the peer yet.
    Handshaking,
    /// Packets are pieces of control messages, for an [`Assembler`](crate::Assembler) within
    /// [`Quotas::message_bytes`](crate::Quotas::message_bytes) and
    /// [`Quotas::message_objects`](crate::Quotas::message_objects).
    Admitted,
}
