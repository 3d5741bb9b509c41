//! The names by which endpoints, message types, memory regions and parked messages are known.

use std::{fmt, ops::RangeInclusive};

use serde::{Deserialize, Serialize};

/// One `join`, unique on its bus and kept across a change of controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EndpointId(pub u64);

/// Sixteen lower-case hexadecimal digits.
impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The UUID that identifies the type of a payload, in network byte order.
pub type TypeId = [u8; 16];

/// A memory region's name: 128 random bits, the same in every process that maps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RegionId(pub [u8; 16]);

/// A parked message: its sender and the sender's own count of the messages it parked.
///
/// It stays the same when the message is parked again with another controller, which is what makes
/// its delivery exactly-once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ParkId {
    /// Who sent it.
    pub sender: EndpointId,
    /// The how-manieth message that the sender parked.
    pub sequence: u64,
}

impl ParkId {
    /// From the first to the last there can be of a sender.
    pub(crate) fn all_of(sender: EndpointId) -> RangeInclusive<Self> {
        let id = |sequence| Self { sender, sequence };
        id(0)..=id(u64::MAX)
    }
}
