//! How a message refers to a memory region.

use crate::RegionId;

use super::{FrameError, cursor::Cursor};

/// A memory region in a message: its id, and what it takes to recycle it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegionRef {
    /// The region's id.
    pub id: RegionId,
    /// Its size in bytes.
    pub size: u64,
    /// The cell in the owner's table of uses that counts this use.
    pub cell: u32,
    /// Whose table it is.
    pub owner: u16,
    /// What the cell must hold for this use to count. 48 bits: the upper 16 are not sent.
    pub nonce: u64,
    /// Whether its descriptor travels beside the lane, because the receiver has not seen it yet.
    pub with_object: bool,
}

impl RegionRef {
    /// The length of its encoding, in bytes.
    pub(super) const LEN: usize = 16 + 8 + 4 + 2 + 6 + 1;

    pub(super) fn encode(&self, out: &mut impl Extend<u8>) {
        out.extend(self.id.0);
        out.extend(self.size.to_le_bytes());
        out.extend(self.cell.to_le_bytes());
        out.extend(self.owner.to_le_bytes());
        out.extend(self.nonce.to_le_bytes().into_iter().take(6));
        out.extend([u8::from(self.with_object)]);
    }

    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, FrameError> {
        Ok(Self {
            id: RegionId(cursor.array()?),
            size: cursor.u64()?,
            cell: cursor.u32()?,
            owner: cursor.u16()?,
            nonce: u64::from(cursor.u32()?) | u64::from(cursor.u16()?) << 32,
            with_object: match cursor.array()? {
                [0] => false,
                [1] => true,
                _ => return Err(FrameError::NotCanonical),
            },
        })
    }
}
