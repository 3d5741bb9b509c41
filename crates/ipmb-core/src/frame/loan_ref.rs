//! How a message refers to memory that was lent to its receiver.

use super::{FrameError, LaneMessage};

/// A part of the sender's memory that stands in the payload in the place of bytes.
///
/// The references of a message follow its payload, so that the payload can be written before they
/// are known; a bit in the tag says that they are there:
///
/// ```text
/// payload | 28 each: position u32, loan u32, slot u32, epoch u32, offset u48, len u48 | count u32
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoanRef {
    /// For which of the byte strings in the payload it stands, counted from zero.
    pub position: u32,
    /// What the receiver returns when it is done.
    pub loan: u32,
    /// In which piece of memory it is.
    pub slot: u32,
    /// Which of the pieces that the slot has had.
    pub epoch: u32,
    /// Where it begins there. 48 bits.
    pub offset: u64,
    /// How many bytes it has. 48 bits.
    pub len: u64,
}

impl LoanRef {
    /// The bit of a frame's tag that says that references follow the payload. The other bits are
    /// those of a message without.
    pub const TAG_BIT: u16 = 1 << 15;

    const LEN: usize = 4 * 4 + 2 * 6;

    /// The most that there are in one message: a receiver allows for so many bytes.
    pub const MOST: usize = 1024;

    /// Hands what follows the payload to `write`, in pieces.
    ///
    /// # Errors
    ///
    /// Those of `write`.
    #[inline]
    pub fn write_all<E>(
        references: &[Self],
        mut write: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        for reference in references {
            write(&reference.to_bytes())?;
        }
        write(&(references.len() as u32).to_le_bytes())
    }

    /// As [`write_all`](Self::write_all), at the end of a vector.
    pub fn append_all(references: &[Self], out: &mut Vec<u8>) {
        let Ok(()) = Self::write_all(references, |bytes| {
            out.extend_from_slice(bytes);
            Ok::<_, std::convert::Infallible>(())
        });
    }

    /// Splits a frame whose tag has the bit: the references, and the length of what precedes them.
    ///
    /// # Errors
    ///
    /// [`FrameError`] if it was not written with [`write_all`](Self::write_all).
    #[inline]
    pub fn split(frame: &[u8]) -> Result<(LoanRefs<'_>, usize), FrameError> {
        let (rest, count) = frame.split_last_chunk::<4>().ok_or(FrameError::Truncated)?;
        let count = u32::from_le_bytes(*count) as usize;
        if count == 0 {
            return Err(FrameError::NotCanonical);
        }
        let len = count
            .checked_mul(Self::LEN)
            .and_then(|all| rest.len().checked_sub(all))
            .ok_or(FrameError::Truncated)?;
        let (references, _) = rest.get(len..).unwrap_or_default().as_chunks();
        Ok((LoanRefs(references), len))
    }

    #[inline]
    fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[0..4].copy_from_slice(&self.position.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.loan.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.slot.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[16..22].copy_from_slice(&self.offset.to_le_bytes()[..6]);
        bytes[22..28].copy_from_slice(&self.len.to_le_bytes()[..6]);
        bytes
    }

    #[inline]
    fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let u32_at = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        let u48_at = |at: usize| {
            let digit = |i: usize| if i < 6 { bytes[at + i] } else { 0 };
            u64::from_le_bytes(std::array::from_fn(digit))
        };
        Self {
            position: u32_at(0),
            loan: u32_at(4),
            slot: u32_at(8),
            epoch: u32_at(12),
            offset: u48_at(16),
            len: u48_at(22),
        }
    }
}

/// The references of a message.
#[derive(Debug, Clone, Copy)]
pub struct LoanRefs<'a>(&'a [[u8; LoanRef::LEN]]);

impl LoanRefs<'_> {
    /// All of them, in the order in which they were written.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = LoanRef> {
        self.0.iter().map(LoanRef::from_bytes)
    }
}

/// With the bit, a tag must not mean anything else.
const _: () = assert!(LaneMessage::TAG & LoanRef::TAG_BIT == 0);
