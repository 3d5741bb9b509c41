use crate::memory::{LaneError, Memory};
use crate::region::Region;
use crate::sync::{Ordering, fence_after_swap};

/// Bytes of memory that a [`ReadySet`] needs.
pub const READY_LEN: usize = if cfg!(loom) { WORDS * 8 } else { 4096 };
/// How many bits there are. Slots that are equal modulo this share one.
pub const READY_SLOTS: u32 = WORDS as u32 * 64;

const WORDS: usize = if cfg!(loom) { 2 } else { 16 };

/// A bitmap of the lanes that have news, shared by an inbox and all its senders.
///
/// It is a hint: a hostile member may clear bits, and an honest one sets its bit behind the fence that makes sure that
/// a receiver which goes to sleep sees the message. So a receiver looks at all its lanes before it sleeps, with
/// [`Consumer::has_news`](crate::Consumer::has_news). While it is awake no bit is lost. Safe to share between threads.
pub struct ReadySet<M: Memory> {
    region: Region<M>,
}

impl<M: Memory> ReadySet<M> {
    /// The bitmap in this memory; zeroed memory is an empty one.
    ///
    /// # Errors
    ///
    /// [`LaneError::BadSize`]: less than [`READY_LEN`] bytes.
    pub fn new(mem: M) -> Result<Self, LaneError> {
        Region::new(mem, READY_LEN).map(|region| Self { region })
    }

    /// Says that the lane has news. To be called after [`Waker::fence`](crate::Waker::fence).
    #[inline]
    pub fn set(&self, slot: u32) {
        let slot = slot % READY_SLOTS;
        let word = self.region.word(slot as usize / 64 * 8);
        let bit = 1 << (slot % 64);
        // A receiver that is behind has the bit set already: then a load is enough, and the line stays shared.
        if word.load(Ordering::Relaxed) & bit == 0 {
            word.fetch_or(bit, Ordering::AcqRel);
        }
    }

    /// Takes all bits of a word. Bit `b` of word `w` stands for the slots that are `64 * w + b` modulo
    /// [`READY_SLOTS`]. Words that do not exist are empty.
    #[inline]
    pub fn take(&self, word: usize) -> u64 {
        if word >= WORDS {
            return 0;
        }
        let word = self.region.word(word * 8);
        if word.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        let bits = word.swap(0, Ordering::AcqRel);
        // A sender that found its bit still set has published before; this makes us see what it published.
        fence_after_swap();
        bits
    }

    /// The bits of a word, left as they are. Words that do not exist are empty.
    #[inline]
    pub fn peek(&self, word: usize) -> u64 {
        if word >= WORDS {
            return 0;
        }
        self.region.word(word * 8).load(Ordering::Relaxed)
    }

    /// How many words [`take`](Self::take) knows.
    pub const fn words() -> usize {
        WORDS
    }

    /// Sets the bit of a lane that the receiver has not finished with.
    pub fn put_back(&self, slot: u32) {
        self.set(slot);
    }
}
