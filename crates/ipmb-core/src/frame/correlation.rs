//! What a message has to do with another one.

use super::{FrameError, cursor::Cursor};

pub(super) const REQUEST: u8 = 1 << 3;
pub(super) const REPLY: u8 = 1 << 4;

/// That a message asks for a reply, or is one.
///
/// The number is the asker's: it says which of its requests is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Correlation {
    /// Its sender waits for a reply under this number.
    Request(u64),
    /// It is the reply to the receiver's request of this number.
    Reply(u64),
}

impl Correlation {
    pub(super) fn flag(self) -> u8 {
        match self {
            Self::Request(_) => REQUEST,
            Self::Reply(_) => REPLY,
        }
    }

    /// The number.
    pub fn number(self) -> u64 {
        match self {
            Self::Request(number) | Self::Reply(number) => number,
        }
    }

    /// What the flags announce.
    pub(super) fn parse(flags: u8, cursor: &mut Cursor<'_>) -> Result<Option<Self>, FrameError> {
        match flags & (REQUEST | REPLY) {
            0 => Ok(None),
            REQUEST => Ok(Some(Self::Request(cursor.u64()?))),
            REPLY => Ok(Some(Self::Reply(cursor.u64()?))),
            _ => Err(FrameError::NotCanonical),
        }
    }
}
