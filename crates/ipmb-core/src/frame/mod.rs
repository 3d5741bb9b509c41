//! What stands in a lane before the payload.
//!
//! Nothing, if the frame's tag names the type of the message ([`DeclaredTypes`]). What follows is for tag 0.
//!
//! Written by hand, because it is on the way of every message, and because what a hostile peer wrote
//! must cost no more than its length. All numbers are little-endian, nothing is aligned:
//!
//! ```text
//! message   flags u8 | type id 16 | [objects u32] | [regions u32, then 37 each] | [sender u64, sequence u64]
//!           | [number u64] | payload
//! region    id 16 | size u64 | cell u32 | owner u16 | nonce u48 | with object u8
//! forget    0x80 | ids, 16 each
//! declare   0x81 | type id 16
//! ```
//!
//! A flag says which of the bracketed parts are there. Parts that would say nothing (no objects, no
//! regions) must be absent, so that a header has exactly one encoding.

mod correlation;
mod cursor;
mod loan_ref;
mod region_ref;
mod types;

#[cfg(test)]
mod tests;

use smallvec::SmallVec;

use crate::{EndpointId, ParkId, RegionId, TypeId};
pub use correlation::Correlation;
use correlation::{REPLY, REQUEST};
use cursor::Cursor;
pub use loan_ref::{LoanRef, LoanRefs};
pub use region_ref::RegionRef;
pub use types::DeclaredTypes;

const OBJECTS: u8 = 1 << 0;
const REGIONS: u8 = 1 << 1;
const PARKED: u8 = 1 << 2;
const FORGET: u8 = 1 << 7;
const DECLARE: u8 = FORGET | 1;

/// The length of the header of a message without attachments, in bytes.
pub const PLAIN_HEADER_LEN: usize = 17;
/// The length of the header of such a message that has a [`Correlation`], in bytes.
pub const CORRELATED_HEADER_LEN: usize = PLAIN_HEADER_LEN + 8;

/// What the receiver must know about a message besides its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageHeader {
    /// The type of the payload.
    pub type_id: TypeId,
    /// The number of objects that the user attached.
    ///
    /// The peer says so: do not reserve room by it.
    pub objects: u32,
    /// The memory regions that the user attached.
    pub regions: SmallVec<[RegionRef; 2]>,
    /// Set if the message was parked, so that it is not delivered twice.
    pub parked: Option<ParkId>,
    /// Set if the message is a request or a reply.
    pub correlation: Option<Correlation>,
}

impl MessageHeader {
    /// The header of a message without attachments.
    pub fn new(type_id: TypeId) -> Self {
        Self {
            type_id,
            objects: 0,
            regions: SmallVec::new(),
            parked: None,
            correlation: None,
        }
    }

    /// The encoding of `MessageHeader::new(type_id)`, without going through one.
    pub fn encode_fixed(type_id: TypeId) -> [u8; PLAIN_HEADER_LEN] {
        let mut header = [0; PLAIN_HEADER_LEN];
        header[1..].copy_from_slice(&type_id);
        header
    }

    /// Reads a frame whose header is of that kind, as nearly all are: the type and the payload.
    #[inline]
    pub fn parse_fixed(frame: &[u8]) -> Option<(TypeId, &[u8])> {
        let (header, payload) = frame.split_first_chunk::<PLAIN_HEADER_LEN>()?;
        let [0, type_id @ ..] = header else {
            return None;
        };
        Some((*type_id, payload))
    }

    /// As [`encode_fixed`](Self::encode_fixed), with a correlation.
    pub fn encode_correlated(
        type_id: TypeId,
        correlation: Correlation,
    ) -> [u8; CORRELATED_HEADER_LEN] {
        let mut header = [correlation.flag(); CORRELATED_HEADER_LEN];
        header[1..PLAIN_HEADER_LEN].copy_from_slice(&type_id);
        header[PLAIN_HEADER_LEN..].copy_from_slice(&correlation.number().to_le_bytes());
        header
    }

    /// Reads a frame whose header is of that kind.
    #[inline]
    pub fn parse_correlated(frame: &[u8]) -> Option<(TypeId, Correlation, &[u8])> {
        let ([flags, type_id @ ..], rest) = frame.split_first_chunk::<PLAIN_HEADER_LEN>()?;
        let (number, payload) = rest.split_first_chunk()?;
        let number = u64::from_le_bytes(*number);
        let correlation = match *flags {
            REQUEST => Correlation::Request(number),
            REPLY => Correlation::Reply(number),
            _ => return None,
        };
        Some((*type_id, correlation, payload))
    }

    /// Appends the header to `out`; the payload follows it.
    pub fn encode(&self, out: &mut impl Extend<u8>) {
        let flag = |present: bool, flag: u8| if present { flag } else { 0 };
        let flags = flag(self.objects > 0, OBJECTS)
            | flag(!self.regions.is_empty(), REGIONS)
            | flag(self.parked.is_some(), PARKED)
            | self.correlation.map_or(0, Correlation::flag);
        out.extend([flags]);
        out.extend(self.type_id);
        if self.objects > 0 {
            out.extend(self.objects.to_le_bytes());
        }
        if !self.regions.is_empty() {
            // That many regions do not fit into an address space.
            out.extend((self.regions.len() as u32).to_le_bytes());
            for region in &self.regions {
                region.encode(out);
            }
        }
        if let Some(ParkId { sender, sequence }) = self.parked {
            out.extend(sender.0.to_le_bytes());
            out.extend(sequence.to_le_bytes());
        }
        if let Some(correlation) = self.correlation {
            out.extend(correlation.number().to_le_bytes());
        }
    }

    /// The length of the encoding, in bytes.
    pub fn encoded_len(&self) -> usize {
        let part = |present: bool, len: usize| if present { len } else { 0 };
        PLAIN_HEADER_LEN
            + part(self.objects > 0, 4)
            + part(
                !self.regions.is_empty(),
                4 + self.regions.len() * RegionRef::LEN,
            )
            + part(self.parked.is_some(), 16)
            + part(self.correlation.is_some(), 8)
    }

    /// How many kernel objects travel beside the lane: the user's, then one for every region that is
    /// new to the receiver.
    pub fn objects_beside(&self) -> u64 {
        let regions = self.regions.iter().filter(|region| region.with_object);
        u64::from(self.objects) + regions.count() as u64
    }

    fn parse(flags: u8, cursor: &mut Cursor<'_>) -> Result<Self, FrameError> {
        if flags & !(OBJECTS | REGIONS | PARKED | REQUEST | REPLY) != 0 {
            return Err(FrameError::UnknownFlags(flags));
        }
        let mut header = Self::new(cursor.array()?);
        if flags & OBJECTS != 0 {
            header.objects = cursor.count()?;
        }
        if flags & REGIONS != 0 {
            // Grows with what is there, not with what the peer says is there.
            for _ in 0..cursor.count()? {
                header.regions.push(RegionRef::parse(cursor)?);
            }
        }
        if flags & PARKED != 0 {
            header.parked = Some(ParkId {
                sender: EndpointId(cursor.u64()?),
                sequence: cursor.u64()?,
            });
        }
        header.correlation = Correlation::parse(flags, cursor)?;
        Ok(header)
    }
}

/// What one frame of a lane says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LaneMessage<'a> {
    /// A message of the user's.
    Message {
        /// What it carries.
        header: MessageHeader,
        /// The serialised payload.
        payload: &'a [u8],
    },
    /// The sender will never again refer to these regions by their ids.
    Forget(SmallVec<[RegionId; 4]>),
    /// The next tag is that of this type.
    Declare(TypeId),
}

impl<'a> LaneMessage<'a> {
    /// The tag of a frame that is one of these.
    pub const TAG: u16 = 0;

    /// Reads a frame. `frame` must be private memory, which the peer cannot change meanwhile.
    ///
    /// # Errors
    ///
    /// [`FrameError`] if the peer did not write it with [`MessageHeader::encode`],
    /// [`encode_forget`](Self::encode_forget) or [`encode_declare`](Self::encode_declare).
    pub fn parse(frame: &'a [u8]) -> Result<Self, FrameError> {
        let mut cursor = Cursor::new(frame);
        let [flags] = cursor.array()?;
        if flags == FORGET {
            let mut regions = SmallVec::new();
            while !cursor.rest().is_empty() {
                regions.push(RegionId(cursor.array()?));
            }
            return Ok(Self::Forget(regions));
        }
        if flags == DECLARE {
            let type_id = cursor.array()?;
            return match cursor.rest() {
                [] => Ok(Self::Declare(type_id)),
                _ => Err(FrameError::NotCanonical),
            };
        }
        let header = MessageHeader::parse(flags, &mut cursor)?;
        Ok(Self::Message {
            header,
            payload: cursor.rest(),
        })
    }

    /// The frame that says [`Forget`](Self::Forget).
    pub fn encode_forget(regions: &[RegionId]) -> Vec<u8> {
        let mut frame = Vec::with_capacity(1 + 16 * regions.len());
        frame.push(FORGET);
        for region in regions {
            frame.extend(region.0);
        }
        frame
    }

    /// The frame that says [`Declare`](Self::Declare).
    pub fn encode_declare(type_id: TypeId) -> [u8; 17] {
        let mut frame = [DECLARE; 17];
        frame[1..].copy_from_slice(&type_id);
        frame
    }
}

/// A frame that no sender of this version writes. The lane cannot be trusted any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The frame ends inside its header.
    #[error("a frame ends inside its header: cut off the sender, it is broken or hostile")]
    Truncated,
    /// The first byte has bits that mean nothing.
    #[error("a frame has the unknown flags {0:#04x}: cut off the sender, it is broken or hostile")]
    UnknownFlags(u8),
    /// A part is there that says nothing, or a field has a value that means nothing.
    #[error("a frame's header is not canonical: cut off the sender, it is broken or hostile")]
    NotCanonical,
    /// The frame is tagged as a message of a type that was not declared.
    #[error("a frame has the undeclared tag {0}: cut off the sender, it is broken or hostile")]
    Undeclared(u16),
    /// More types were declared than a receiver remembers.
    #[error("too many types are declared: cut off the sender, it is broken or hostile")]
    TooManyTypes,
}
