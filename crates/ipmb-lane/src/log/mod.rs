//! A list of records that one process writes and others read: it grows at its end, and now and then is replaced.
//!
//! ```text
//! header (4096)   magic and version, generation, STATE = replacements << 40 | length
//! area A, area B  records: u32 length, bytes. The area in use is the one of the lowest bit of `replacements`
//! ```
//!
//! A replacement is written in the other area and then published by the one word STATE. A reader copies, and then
//! looks whether STATE still names the same replacement: until it does not, the writer has not touched the area.
//! (24 bits of it come round after 16 million replacements, each of which follows a full area.)

pub(crate) mod reader;
pub(crate) mod writer;

use crate::memory::{LaneError, Memory};
use crate::region::Region;

const LOG_HEADER_LEN: usize = if cfg!(loom) { 64 } else { 4096 };
const MAGIC: usize = 0;
const GENERATION: usize = 8;
/// On a line of its own, as it is read for each send.
const STATE: usize = if cfg!(loom) { 16 } else { 128 };

/// "ipmblog", and the version of the layout.
const MAGIC_VALUE: u64 = u64::from_le_bytes(*b"ipmblog\x01");

/// What the word STATE says.
#[derive(Clone, Copy, PartialEq, Eq)]
struct State(u64);

impl State {
    const LENGTH_BITS: u32 = 40;

    fn new(replacements: u64, len: usize) -> Self {
        Self(replacements << Self::LENGTH_BITS | len as u64)
    }

    fn replacements(self) -> u64 {
        self.0 >> Self::LENGTH_BITS
    }

    fn len(self) -> u64 {
        self.0 & ((1 << Self::LENGTH_BITS) - 1)
    }
}

/// The memory of a log, and the size of an area.
struct Areas<M> {
    region: Region<M>,
    len: usize,
}

impl<M: Memory> Areas<M> {
    fn new(memory: M) -> Result<Self, LaneError> {
        let region = Region::new(memory, LOG_HEADER_LEN + 16)?;
        let len = (region.len() - LOG_HEADER_LEN) / 2 / 8 * 8;
        if len as u64 >= 1 << State::LENGTH_BITS {
            return Err(LaneError::BadCapacity { capacity: len });
        }
        Ok(Self { region, len })
    }

    /// Where the area of a replacement begins.
    fn start(&self, replacements: u64) -> usize {
        LOG_HEADER_LEN + self.len * (replacements % 2) as usize
    }
}
