//! A control message cut into packets, and put together again.
//!
//! A packet is one byte of flags (bit 0: more packets of this message follow) and a piece of the
//! message. The channel keeps packets whole and in order, and counts the objects of each; so nothing
//! else is needed. Objects go with the earliest packets that have room, in order.

mod assembler;

#[cfg(test)]
mod tests;

use std::ops::Range;

pub use assembler::{Assembler, FramingError};

const MORE: u8 = 1;

/// The length of a packet's header, in bytes.
pub const PACKET_HEADER_LEN: usize = 1;

/// Cuts messages into packets.
#[derive(Debug, Clone, Copy)]
pub struct Framer;

impl Framer {
    /// Plans the packets, at least one, that carry `message` and `objects` objects, if a packet holds
    /// `max_packet` bytes, its header included, and `max_objects` objects.
    ///
    /// A `max_packet` without room for a byte besides the header counts as having it, and a
    /// `max_objects` of 0 counts as 1, so there is always a plan.
    pub fn split(
        message: &[u8],
        objects: usize,
        max_packet: usize,
        max_objects: usize,
    ) -> Vec<PacketPlan> {
        let max_bytes = max_packet.saturating_sub(PACKET_HEADER_LEN).max(1);
        let max_objects = max_objects.max(1);
        let packets = message
            .len()
            .div_ceil(max_bytes)
            .max(objects.div_ceil(max_objects))
            .max(1);
        (0..packets)
            .map(|i| PacketPlan {
                header: [if i + 1 < packets { MORE } else { 0 }],
                bytes: piece(i, max_bytes, message.len()),
                objects: piece(i, max_objects, objects),
            })
            .collect()
    }
}

/// The `i`th piece of `len` things, `max` to a piece. Empty past the end.
fn piece(i: usize, max: usize, len: usize) -> Range<usize> {
    let start = i.saturating_mul(max).min(len);
    start..start.saturating_add(max).min(len)
}

/// What goes into one packet: the header, then `bytes` of the message, and `objects` beside them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PacketPlan {
    /// What comes first.
    pub header: [u8; PACKET_HEADER_LEN],
    /// Which bytes of the message follow.
    pub bytes: Range<usize>,
    /// Which of the message's objects go along.
    pub objects: Range<usize>,
}

impl PacketPlan {
    /// The packet's bytes. `message` must be the one that was split.
    pub fn packet(&self, message: &[u8]) -> Vec<u8> {
        let piece = message.get(self.bytes.clone()).unwrap_or_default();
        [&self.header, piece].concat()
    }
}
