//! The layout of a lane, and what its two sides share: [`Ring`], which finds frames.
//!
//! ```text
//! header (HEADER_LEN)   lines of 128 bytes, so that two sides never write the same cache line (nor a pair of them,
//!                       which the prefetcher fetches together)
//!   0  identity          magic and version, capacity, flags    written once, by the producer
//!   1  TAIL              how far the producer has written      producer, for each message
//!   2  HEAD              how far the consumer has read         consumer, for each message (see below)
//!   3  DROPPED, RETIRED, WANT                                  producer, rarely
//!   4  SLOT, CLOSED                                            consumer, once
//! ring (capacity)       frames; TAIL and HEAD count bytes and never wrap, `& (capacity - 1)` is the place
//! ```
//!
//! A frame is a word (length in 32 bits, kind and tag in 16 each), the rest of the prefix (for a fragment: length of
//! the whole message, and its offset in it), and bytes, filled up to a multiple of eight. It never wraps: what is left
//! at the end of the ring is filled with padding, which is published together with the frame behind it. The tag is the
//! caller's; it is the same in all fragments of a message.
//!
//! In a lane that drops its oldest message the producer moves HEAD too, so that there both sides move it by
//! compare-and-swap. A copy counts only when HEAD was still where it began: as HEAD never goes back, the bytes were
//! not overwritten before. In all other lanes each word has one writer, and nothing is compared.

pub(crate) mod consumer;
pub(crate) mod producer;

use crate::memory::{LaneError, Memory};
use crate::region::Region;
use crate::sync::{AtomicU64, Ordering};

/// Bytes in front of the ring.
pub const HEADER_LEN: usize = if cfg!(loom) { 192 } else { 4096 };
/// Bytes in the smallest ring.
pub const MIN_CAPACITY: usize = if cfg!(loom) { 128 } else { 4096 };
const MAX_CAPACITY: u64 = 1 << 32;

/// The memory that a lane with a ring of `capacity` bytes (a power of two, [`MIN_CAPACITY`] at least) needs, in bytes.
pub const fn memory_len(capacity: usize) -> usize {
    HEADER_LEN + capacity
}

const LINE: usize = if cfg!(loom) { 32 } else { 128 };
const MAGIC: Word = Word::at(0, 0);
const CAPACITY: Word = Word::at(0, 1);
const FLAGS: Word = Word::at(0, 2);
const TAIL: Word = Word::at(1, 0);
const HEAD: Word = Word::at(2, 0);
const DROPPED: Word = Word::at(3, 0);
const RETIRED: Word = Word::at(3, 1);
const WANT: Word = Word::at(3, 2);
/// In WANT: half of the ring is not enough, if that is less.
const NOT_EARLIER: u64 = 1 << 63;
const SLOT: Word = Word::at(4, 0);
const CLOSED: Word = Word::at(4, 1);

/// The offset of a word in the header.
#[derive(Clone, Copy)]
struct Word(usize);

impl Word {
    const fn at(line: usize, index: usize) -> Self {
        let offset = line * LINE + index * 8;
        assert!(offset + 8 <= HEADER_LEN);
        Self(offset)
    }
}

/// "ipmblan", and the version of the layout.
const MAGIC_VALUE: u64 = u64::from_le_bytes(*b"ipmblan\x02");
const DROPS_OLDEST: u64 = 1;
/// The producer's fence in `want_room` reaches the consumer.
const HEAVY: u64 = 2;

/// The peer broke the rules of the layout. What it sent is not to be trusted: drop the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the other side broke the layout of the shared memory: drop the peer")]
pub struct Corrupt;

/// The memory of a lane, and the capacity that was checked against its size: a power of two, [`MIN_CAPACITY`] at least.
struct Ring<M> {
    region: Region<M>,
    capacity: u64,
}

/// A frame whose prefix has been read, once, and checked.
struct Frame {
    tag: u16,
    /// Where its bytes are in the memory.
    bytes: usize,
    len: usize,
    /// Which part of which message: a whole message is the part at 0 with the message's length.
    offset: u64,
    message_len: u64,
    /// The position behind it.
    end: u64,
}

impl Frame {
    fn is_first(&self) -> bool {
        self.offset == 0
    }

    fn is_last(&self) -> bool {
        self.offset + self.len as u64 == self.message_len
    }
}

const MESSAGE: u16 = 1;
const FRAGMENT: u16 = 2;
const PADDING: u16 = 3;
const MESSAGE_PREFIX: usize = 8;
const FRAGMENT_PREFIX: usize = 24;

/// Bytes that a frame takes in the ring.
#[inline]
fn frame_size(prefix: usize, len: usize) -> u64 {
    (prefix as u64 + len as u64).next_multiple_of(8)
}

fn frame_word(kind: u16, tag: u16, len: u64) -> u64 {
    u64::from(tag) << 48 | u64::from(kind) << 32 | len
}

fn kind_of(word: u64) -> u16 {
    (word >> 32) as u16
}

impl<M: Memory> Ring<M> {
    /// Takes the memory, whose size says what the capacity is.
    fn new(memory: M) -> Result<Self, LaneError> {
        let region = Region::new(memory, memory_len(MIN_CAPACITY))?;
        let capacity = region.len() - HEADER_LEN;
        if !capacity.is_power_of_two() || capacity as u64 > MAX_CAPACITY {
            return Err(LaneError::BadCapacity { capacity });
        }
        Ok(Self {
            region,
            capacity: capacity as u64,
        })
    }

    #[inline]
    fn word(&self, word: Word) -> &AtomicU64 {
        // SAFETY: `Word::at` makes only multiples of eight inside the header, and `new` has seen that it is there.
        unsafe { self.region.word_unchecked(word.0) }
    }

    #[inline]
    fn load(&self, word: Word) -> u64 {
        self.word(word).load(Ordering::Acquire)
    }

    #[inline]
    fn store(&self, word: Word, value: u64) {
        self.word(word).store(value, Ordering::Release);
    }

    /// Moves HEAD, in a lane where the other side does so too. False: it was no longer at `from`.
    ///
    /// Releases what was read before (so that it is not overwritten before it is read) and acquires what the other
    /// side did before it moved.
    fn move_head(&self, from: u64, to: u64) -> bool {
        let head = self.word(HEAD);
        head.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// Bytes from `position` to the end of the ring.
    #[inline]
    fn to_end(&self, position: u64) -> u64 {
        self.capacity - (position & (self.capacity - 1))
    }

    /// Where in the memory a position is.
    #[inline]
    fn place(&self, position: u64) -> usize {
        HEADER_LEN + (position & (self.capacity - 1)) as usize
    }

    /// The word at a position, or what is left of it at a multiple of eight.
    #[inline]
    fn word_at(&self, position: u64) -> &AtomicU64 {
        let place = HEADER_LEN + (position & (self.capacity - 8)) as usize;
        // SAFETY: the mask, for a power of two from eight on, which `new` has seen to be there behind the header,
        // leaves multiples of eight in front of the end.
        unsafe { self.region.word_unchecked(place) }
    }

    #[inline]
    fn read_word(&self, position: u64) -> u64 {
        self.word_at(position).load(Ordering::Relaxed)
    }

    #[inline]
    fn write_word(&self, position: u64, value: u64) {
        self.word_at(position).store(value, Ordering::Relaxed);
    }

    /// The frame at `head`, or behind the padding there, if there is a sound one in front of `tail`.
    #[inline]
    fn frame(&self, head: u64, tail: u64) -> Option<Frame> {
        let available = tail.wrapping_sub(head);
        if available > self.capacity || !head.is_multiple_of(8) || !tail.is_multiple_of(8) {
            return None;
        }
        if available < 8 {
            return None;
        }
        let word = self.read_word(head);
        let to_end = self.to_end(head);
        if kind_of(word) != PADDING {
            return self.frame_from(word, head, available.min(to_end));
        }
        // Padding reaches to the end of the ring exactly, and is never all of it: there is a frame behind it.
        let behind = available
            .checked_sub(to_end)
            .filter(|&behind| behind >= 8)?;
        if word != frame_word(PADDING, 0, to_end - 8) {
            return None;
        }
        let start = head.wrapping_add(to_end);
        self.frame_from(self.read_word(start), start, behind)
    }

    /// The frame at `head` if it is a sound one and a whole message, not behind padding.
    #[inline]
    fn whole_frame(&self, head: u64, tail: u64) -> Option<Frame> {
        let available = tail.wrapping_sub(head);
        if available > self.capacity || available < 8 || !(head | tail).is_multiple_of(8) {
            return None;
        }
        let word = self.read_word(head);
        if kind_of(word) != MESSAGE {
            return None;
        }
        self.frame_from(word, head, available.min(self.to_end(head)))
    }

    /// The frame at `start` with the first word `word`, if it fits in `room` bytes.
    #[inline]
    fn frame_from(&self, word: u64, start: u64, room: u64) -> Option<Frame> {
        let len = word & u64::from(u32::MAX);
        let (prefix, message_len, offset) = match kind_of(word) {
            MESSAGE => (MESSAGE_PREFIX, len, 0),
            FRAGMENT if room >= FRAGMENT_PREFIX as u64 => (
                FRAGMENT_PREFIX,
                self.read_word(start.wrapping_add(8)),
                self.read_word(start.wrapping_add(16)),
            ),
            _ => return None,
        };
        let size = (prefix as u64 + len).next_multiple_of(8);
        // A fragment that is empty brings nothing forward.
        let moves = len > 0 || message_len == 0;
        let inside = offset
            .checked_add(len)
            .is_some_and(|end| end <= message_len);
        (size <= room && moves && inside).then(|| Frame {
            tag: (word >> 48) as u16,
            bytes: self.place(start) + prefix,
            len: len as usize,
            offset,
            message_len,
            end: start.wrapping_add(size),
        })
    }
}
