//! Puts packets together again.

use std::mem;

use super::MORE;

/// Puts the packets of one channel together into messages.
///
/// It holds no more than one message within the limits it was given. The objects themselves stay with
/// the caller, in the order they came.
#[derive(Debug, Clone)]
pub struct Assembler {
    max_bytes: usize,
    max_objects: usize,
    bytes: Vec<u8>,
    objects: usize,
}

impl Assembler {
    /// Accepts messages of up to `max_bytes` bytes and `max_objects` objects.
    pub fn new(max_bytes: usize, max_objects: usize) -> Self {
        Self {
            max_bytes,
            max_objects,
            bytes: Vec::new(),
            objects: 0,
        }
    }

    /// Takes the next packet, with which `objects` objects came. If it completes a message, returns it
    /// and the number of objects that came with all of its packets.
    ///
    /// # Errors
    ///
    /// [`FramingError`] if the peer breaks the rules or a limit. What was gathered of the message is
    /// dropped; there is no way to go on with this peer but to cut it off.
    pub fn push(
        &mut self,
        packet: &[u8],
        objects: usize,
    ) -> Result<Option<(Vec<u8>, usize)>, FramingError> {
        let pushed = self.gather(packet, objects);
        if !matches!(pushed, Ok(More::Follows)) {
            let message = (mem::take(&mut self.bytes), mem::take(&mut self.objects));
            return pushed.map(|_| Some(message));
        }
        Ok(None)
    }

    fn gather(&mut self, packet: &[u8], objects: usize) -> Result<More, FramingError> {
        let (&flags, piece) = packet.split_first().ok_or(FramingError::Malformed)?;
        let more = match flags {
            0 => More::Done,
            // Packets that bring nothing could go on for ever.
            MORE if !piece.is_empty() || objects > 0 => More::Follows,
            _ => return Err(FramingError::Malformed),
        };
        if piece.len() > self.max_bytes - self.bytes.len() {
            return Err(FramingError::TooManyBytes {
                limit: self.max_bytes,
            });
        }
        if objects > self.max_objects - self.objects {
            return Err(FramingError::TooManyObjects {
                limit: self.max_objects,
            });
        }
        self.bytes.extend_from_slice(piece);
        self.objects += objects;
        Ok(more)
    }
}

/// Whether the message goes on in the next packet.
enum More {
    Follows,
    Done,
}

/// A packet that no peer of this version sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FramingError {
    /// A packet without a header, with an unknown one, or one that brings nothing though more is to follow.
    #[error("a control packet is malformed: cut off the peer, it is broken or hostile")]
    Malformed,
    /// The message is too long.
    #[error("a control message has more than {limit} bytes: cut off the peer, or raise the limit")]
    TooManyBytes {
        /// What is allowed.
        limit: usize,
    },
    /// The message comes with too many objects.
    #[error(
        "a control message has more than {limit} objects: cut off the peer, or raise the limit"
    )]
    TooManyObjects {
        /// What is allowed.
        limit: usize,
    },
}
