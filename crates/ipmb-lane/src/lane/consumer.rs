use super::{
    CAPACITY, CLOSED, Corrupt, DROPPED, DROPS_OLDEST, FLAGS, Frame, HEAD, HEAVY, MAGIC,
    MAGIC_VALUE, NOT_EARLIER, RETIRED, Ring, SLOT, TAIL, WANT,
};
use crate::fence;
use crate::memory::{LaneError, Memory};
use crate::sync::Ordering;

/// What [`Consumer::pop`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Popped {
    /// One whole message.
    Message {
        /// What the producer said that it is. It could say anything.
        tag: u16,
    },
    /// Nothing is there.
    Empty,
    /// A part of a message that is not its end. Call again; it was cut short so that others get their turn.
    Partial,
}

/// For a message in fragments memory is reserved, when it begins, for as many bytes as so many rings have, at most.
const RESERVED_RINGS: u64 = 16;
/// And for no more than this.
const MOST_RESERVED: u64 = 64 << 20;

/// So much memory is kept for the next message in fragments, in bytes.
const KEPT: usize = 4096;

/// How often a copy is begun anew because the producer dropped its original, before others get their turn.
const ATTEMPTS: usize = 64;

/// The receiving side of a lane. One at a time reads; it may move between threads.
pub struct Consumer<M: Memory> {
    ring: Ring<M>,
    drops_oldest: bool,
    /// The producer's fence in `want_room` reaches us.
    heavy: bool,
    /// Where we are. In a lane that drops its oldest message HEAD says so instead.
    head: u64,
    /// What TAIL was when it was read last, so that its cache line is fetched only when all of that is consumed.
    tail: u64,
    /// What has arrived of a message in fragments, how long it will be, and its tag.
    partial: Vec<u8>,
    partial_len: u64,
    partial_tag: u16,
    corrupt: bool,
    /// Once the lane is closed: so many bytes are still read at most.
    left: Option<u64>,
}

impl<M: Memory> Consumer<M> {
    /// Takes the receiving side of a lane, and tells the producer the slot: the lane's number in the inbox.
    ///
    /// # Errors
    ///
    /// [`LaneError`]: this is not a lane, or its header contradicts the size of the memory.
    pub fn attach(mem: M, slot: u32) -> Result<Self, LaneError> {
        let ring = Ring::new(mem)?;
        let flags = ring.load(FLAGS);
        if ring.load(MAGIC) != MAGIC_VALUE
            || ring.load(CAPACITY) != ring.capacity
            || flags & !(DROPS_OLDEST | HEAVY) != 0
        {
            return Err(LaneError::BadHeader);
        }
        ring.store(SLOT, u64::from(slot) + 1);
        Ok(Self {
            ring,
            drops_oldest: flags & DROPS_OLDEST != 0,
            heavy: flags & HEAVY != 0,
            head: 0,
            tail: 0,
            partial: Vec::new(),
            partial_len: 0,
            partial_tag: 0,
            corrupt: false,
            left: None,
        })
    }

    /// Takes the next message, or the next part of one, out of the lane.
    ///
    /// `out` is cleared, and holds a whole message if the answer is [`Popped::Message`]. A message in fragments is
    /// collected inside, in the memory of `out` if it has some, and changes places with `out` when it is complete. So
    /// the memory of `out` serves for the next one, also in another lane. The work of a call is bounded by one frame.
    ///
    /// # Errors
    ///
    /// [`Corrupt`]: the producer broke the layout, or began a message longer than `limit` bytes. So does every later
    /// call.
    #[inline]
    pub fn pop(&mut self, out: &mut Vec<u8>, limit: u64) -> Result<Popped, Corrupt> {
        out.clear();
        if self.corrupt {
            return Err(Corrupt);
        }
        if self.left == Some(0) {
            return Ok(Popped::Empty);
        }
        let popped = if self.drops_oldest {
            self.pop_contended(out, limit)
        } else {
            self.pop_alone(out, limit)
        };
        if popped.is_err() {
            self.corrupt = true;
            self.partial = Vec::new();
            out.clear();
        }
        popped
    }

    /// Takes the next message out of the lane if it came in one piece, is no longer than `limit` bytes, and has a tag
    /// that is `accepted`. Whatever else there is stays for [`pop`](Self::pop), nonsense included. `out` is then the
    /// message, and as it was otherwise.
    ///
    /// The same as `pop`, for what nearly all messages are; never in a lane that drops its oldest message.
    #[inline(always)]
    pub fn pop_whole(
        &mut self,
        out: &mut Vec<u8>,
        limit: u64,
        accepted: impl FnOnce(u16) -> bool,
    ) -> Option<u16> {
        if self.drops_oldest || self.corrupt {
            return None;
        }
        if self.head == self.tail {
            self.tail = self.ring.load(TAIL);
            if self.head == self.tail {
                return None;
            }
        }
        let frame = self.ring.whole_frame(self.head, self.tail)?;
        if frame.len as u64 > limit || !accepted(frame.tag) {
            return None;
        }
        // A message before it that never ended was given up by its sender.
        self.partial.clear();
        out.clear();
        self.ring.region.copy_out(frame.bytes, frame.len, out);
        self.head = frame.end;
        self.ring.store(HEAD, self.head);
        Some(frame.tag)
    }

    /// Whether there is something to pop. Cheap: no shared memory is looked at while there is more of what was seen
    /// before, and two words at most otherwise. False in a lane that is [`Corrupt`].
    #[inline]
    pub fn has_news(&self) -> bool {
        if self.corrupt {
            return false;
        }
        let seen = !self.drops_oldest && self.head != self.tail;
        seen || self.ring.load(TAIL) != self.position()
    }

    /// Whether the producer has retired the lane, and all that it sent before is popped.
    pub fn is_retired(&self) -> bool {
        self.ring.load(RETIRED) != 0 && !self.has_news()
    }

    /// How many messages the producer dropped. It could say anything.
    pub fn dropped(&self) -> u64 {
        self.ring.load(DROPPED)
    }

    /// How many bytes the ring holds.
    pub fn capacity(&self) -> u64 {
        self.ring.capacity
    }

    /// How many bytes of the ring are not read yet, what stands around messages included. As the producer says; no
    /// more than there can be.
    pub fn unread(&self) -> u64 {
        let unread = self.ring.load(TAIL).wrapping_sub(self.position());
        unread.min(self.ring.capacity)
    }

    /// How many bytes there are of a message that has not arrived as a whole.
    pub fn collected(&self) -> usize {
        self.partial.len()
    }

    /// Whether the producer waits for room, and now there is enough: then ring its doorbell. True once for each
    /// [`want_room`](crate::Producer::want_room). To be asked after messages have been popped.
    #[inline]
    pub fn wants_room(&self) -> bool {
        // Against the fence in `Producer::want_room`: we see the wish, or the producer sees the room we made.
        fence::light(self.heavy);
        let word = self.ring.word(WANT);
        let wanted = word.load(Ordering::Relaxed);
        if wanted == 0 {
            return false;
        }
        let used = self.ring.load(TAIL).wrapping_sub(self.position());
        let free = self.ring.capacity.saturating_sub(used);
        let enough = match wanted & NOT_EARLIER {
            0 => free >= wanted || free >= self.ring.capacity / 2,
            _ => free >= wanted & !NOT_EARLIER,
        };
        enough && word.swap(0, Ordering::AcqRel) != 0
    }

    /// Tells the producer that nothing will be popped any more, but for what is there now: not more than fills the
    /// ring once, whatever a producer adds that does not care.
    pub fn close(&mut self) {
        self.ring.store(CLOSED, 1);
        self.left = Some(self.ring.capacity);
    }

    fn position(&self) -> u64 {
        if self.drops_oldest {
            self.ring.load(HEAD)
        } else {
            self.head
        }
    }

    /// Only we move HEAD: no compare-and-swap, and it is never read back.
    #[inline]
    fn pop_alone(&mut self, out: &mut Vec<u8>, limit: u64) -> Result<Popped, Corrupt> {
        if self.head == self.tail {
            self.tail = self.ring.load(TAIL);
            if self.head == self.tail {
                return Ok(Popped::Empty);
            }
        }
        let frame = self.ring.frame(self.head, self.tail).ok_or(Corrupt)?;
        let popped = self.take(&frame, out, limit)?;
        self.head = frame.end;
        self.ring.store(HEAD, self.head);
        Ok(popped)
    }

    /// The producer may drop, and overwrite, what we are just reading. So even nonsense is nonsense only if HEAD is
    /// still where it was.
    fn pop_contended(&mut self, out: &mut Vec<u8>, limit: u64) -> Result<Popped, Corrupt> {
        for _ in 0..ATTEMPTS {
            let head = self.ring.load(HEAD);
            let tail = self.ring.load(TAIL);
            if head == tail {
                return Ok(Popped::Empty);
            }
            let (popped, end) = match self.ring.frame(head, tail) {
                Some(frame) => (self.take(&frame, out, limit), frame.end),
                None => (Err(Corrupt), head),
            };
            let end = if popped.is_ok() { end } else { head };
            if self.ring.move_head(head, end) {
                return popped;
            }
            // The message was dropped. If we had the beginning of it, the first frame of the next throws that away.
            out.clear();
        }
        Ok(Popped::Partial)
    }

    /// Gets memory for a message that has begun, all at once: it is not moved while it grows. No more than the sender
    /// has us map anyway, many times over; what is longer gets more as it arrives.
    fn expect(&mut self, len: u64, out: &mut Vec<u8>) {
        // What was received before it may have left enough.
        if out.capacity() > self.partial.capacity() {
            std::mem::swap(out, &mut self.partial);
        }
        let most = self
            .ring
            .capacity
            .saturating_mul(RESERVED_RINGS)
            .min(MOST_RESERVED);
        // If there is not so much memory, what arrives may yet find some.
        let _ = self.partial.try_reserve_exact(len.min(most) as usize);
    }

    /// Copies the bytes of a frame to where they belong.
    #[inline]
    fn take(&mut self, frame: &Frame, out: &mut Vec<u8>, limit: u64) -> Result<Popped, Corrupt> {
        if frame.message_len > limit {
            return Err(Corrupt);
        }
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub((frame.len as u64).max(8));
        }
        if frame.is_first() {
            // If there was a message before it that never ended, its sender gave up.
            self.partial.clear();
            self.partial_len = frame.message_len;
            self.partial_tag = frame.tag;
            if !frame.is_last() {
                self.expect(frame.message_len, out);
            }
            if frame.is_last() {
                self.ring.region.copy_out(frame.bytes, frame.len, out);
                return Ok(Popped::Message { tag: frame.tag });
            }
        } else if frame.offset != self.partial.len() as u64
            || frame.message_len != self.partial_len
            || frame.tag != self.partial_tag
        {
            return Err(Corrupt);
        }
        self.ring
            .region
            .copy_out(frame.bytes, frame.len, &mut self.partial);
        if !frame.is_last() {
            return Ok(Popped::Partial);
        }
        std::mem::swap(out, &mut self.partial);
        if self.partial.capacity() > KEPT {
            // One large buffer is kept, by whom `out` belongs to; not one more in each lane.
            self.partial = Vec::new();
        }
        Ok(Popped::Message { tag: frame.tag })
    }
}
