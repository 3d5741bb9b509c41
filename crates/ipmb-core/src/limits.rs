//! What a receiver accepts, as it tells the bus when it joins.

use serde::{Deserialize, Serialize};

/// What an endpoint is willing to receive. Senders read it from the directory and obey.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ReceiveLimits {
    /// The largest message that it accepts, in bytes.
    pub message: u64,
    /// The largest lane that it maps, in bytes.
    pub budget: u64,
    /// What a sender does when a lane to it is full.
    pub overflow: Overflow,
}

/// What becomes of a message for which the lane has no room.
///
/// Under the two that drop, nobody waits, with one exception: a message that is larger than the
/// whole inbox budget (or than nine tenths of it) streams while it is received, and once it is
/// begun its sender waits for the receiver, as under `Block`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Overflow {
    /// The sender waits for room, up to its timeout.
    #[default]
    Block,
    /// The new message is dropped and counted.
    DropNewest,
    /// The oldest message in the lane is dropped and counted. But when it is objects that pile up
    /// (the kernel queues those of some hundred messages), the new message is dropped: objects that
    /// are on their way cannot be taken back.
    DropOldest,
}
