//! How much one peer can make the controller hold.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How much of a quota is used, and how much there is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// What is used.
    pub used: u64,
    /// The most that can be used.
    pub limit: u64,
}

impl Quota {
    /// So much is used of so much.
    pub const fn new(used: u64, limit: u64) -> Self {
        Self { used, limit }
    }

    /// What is left.
    pub const fn left(self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

impl fmt::Display for Quota {
    /// As in "3 of 4096".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.used, self.limit)
    }
}

/// What can be parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Parkable {
    /// Bodies, selectors and bookkeeping.
    Bytes,
    /// Messages.
    Messages,
    /// Objects, those that hold bodies included.
    Objects,
    /// Operators and operands of selectors.
    Operands,
}

impl fmt::Display for Parkable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bytes => "bytes",
            Self::Messages => "messages",
            Self::Objects => "objects",
            Self::Operands => "operands",
        })
    }
}

/// Who shares a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Whose {
    /// One endpoint.
    Endpoint,
    /// All endpoints of one user, those that have left included.
    User,
    /// Everybody.
    Bus,
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Endpoint => "this endpoint",
            Self::User => "this user",
            Self::Bus => "the bus",
        })
    }
}

/// The limits of a bus. The controller's own; members learn of one when they meet it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Endpoints on the bus, those included that have yet to register again after a failover.
    pub members: usize,
    /// Endpoints of one user.
    pub members_per_user: usize,
    /// The words of one label added up, in bytes.
    pub label_bytes: usize,
    /// The records of all members added up, in bytes, as they stand in the directory's log (each with
    /// a length of four bytes in front), and 64 bytes for each word of a label, which everybody keeps
    /// in memory. At most half of what the log can take, so that there is room for changes after each
    /// snapshot.
    pub directory_bytes: usize,
    /// What one endpoint may have parked, in bytes: bodies, selectors and bookkeeping.
    pub parked_bytes_per_endpoint: u64,
    /// How many messages one endpoint may have parked.
    pub parked_messages_per_endpoint: u64,
    /// How many objects one endpoint may have parked, those that hold bodies included.
    pub parked_objects_per_endpoint: u64,
    /// What is parked on the whole bus, in bytes. Without it an endpoint could leave and come back
    /// under another id to park more.
    pub parked_bytes: u64,
    /// How many objects are parked on the whole bus.
    pub parked_objects: u64,
    /// How many operators and operands the selectors of all parked messages have together: each join
    /// looks at them.
    pub parked_operands: u64,
    /// What all endpoints of one user may have together of the directory, and of what can be parked on
    /// the whole bus (those included that have left): one part in so many.
    pub share_per_user: u64,
    /// The work of finding out whether anybody matches a message that is to be parked: its operators
    /// and operands times the endpoints on the bus.
    pub selector_work: u64,
    /// Connections that have not registered yet; beyond it the oldest that has said nothing is cut off,
    /// or if all have, the oldest of the process that has most of them.
    pub pending_handshakes: usize,
    /// How often the controller makes a new pair for the same two members.
    pub introductions_per_pair: u32,
    /// How many delivered messages the controller remembers, in order not to deliver one again when
    /// its sender lost its connection before it heard of the delivery.
    pub remembered_deliveries: usize,
    /// The largest control message, in bytes: what the shell's [`Assembler`](crate::Assembler) takes
    /// from an admitted connection.
    pub message_bytes: usize,
    /// The most objects in one control message, likewise.
    pub message_objects: usize,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            members: 4096,
            members_per_user: 2048,
            label_bytes: 1 << 20,
            directory_bytes: 16 << 20,
            parked_bytes_per_endpoint: 64 << 20,
            parked_messages_per_endpoint: 4096,
            parked_objects_per_endpoint: 1024,
            parked_bytes: 1 << 30,
            parked_objects: 16 * 1024,
            parked_operands: 2 << 20,
            share_per_user: 2,
            selector_work: 1 << 20,
            pending_handshakes: 64,
            introductions_per_pair: 8,
            remembered_deliveries: 16 * 1024,
            message_bytes: 2 << 20,
            message_objects: 1 + 1024,
        }
    }
}
