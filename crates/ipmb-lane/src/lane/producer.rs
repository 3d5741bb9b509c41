use std::sync::OnceLock;

use super::{
    CAPACITY, CLOSED, DROPPED, DROPS_OLDEST, FLAGS, FRAGMENT, FRAGMENT_PREFIX, HEAD, HEAVY, MAGIC,
    MAGIC_VALUE, MESSAGE, MESSAGE_PREFIX, NOT_EARLIER, PADDING, RETIRED, Ring, SLOT, TAIL, WANT,
    frame_size, frame_word,
};
use crate::fence;
use crate::memory::{LaneError, Memory};
use crate::region::Room;
use crate::sync::Ordering;

/// The lane has no room for this now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lane is full: wait for room, or drop a message")]
pub struct Full;

/// More bytes than were reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the grant is used up: reserve as many bytes as are written")]
pub struct Overrun;

/// Messages longer than some 64 KiB stream, so that the consumer copies what is still in a cache while the producer goes on.
const LARGEST_FRAME: usize = 65 << 10;

/// How often a producer tries to move HEAD against its consumer. An honest one moves it a few times meanwhile.
const ATTEMPTS: usize = 64;

/// The sending side of a lane. One at a time writes; it may move between threads.
///
/// Nothing that the consumer writes is believed: a HEAD that cannot be is taken as "full".
pub struct Producer<M: Memory> {
    ring: Ring<M>,
    drops_oldest: bool,
    tail: u64,
    /// What HEAD was when it was read last, so that its cache line is fetched only when the lane looks full.
    head: u64,
    /// How often HEAD was read because the lane looked full, and how often something was unread then.
    rounds: u32,
    behind: u32,
    dropped: u64,
    /// The last fragment written was not the last of its message.
    unfinished: bool,
    slot: OnceLock<u32>,
}

impl<M: Memory> Producer<M> {
    /// Makes a lane of the memory. All of it behind [`HEADER_LEN`](crate::HEADER_LEN) bytes is the ring.
    ///
    /// With `drops_oldest`, [`drop_oldest`](Self::drop_oldest) works, at the price of a compare-and-swap for each
    /// message received.
    ///
    /// # Errors
    ///
    /// The size of the memory is not [`memory_len`](crate::memory_len) of a power of two from 4096.
    pub fn create(mem: M, drops_oldest: bool) -> Result<Self, LaneError> {
        let ring = Ring::new(mem)?;
        for word in [TAIL, HEAD, DROPPED, RETIRED, WANT, SLOT, CLOSED] {
            ring.store(word, 0);
        }
        ring.store(CAPACITY, ring.capacity);
        let flags = [(drops_oldest, DROPS_OLDEST), (fence::has_heavy(), HEAVY)];
        let flags = flags.iter().filter(|it| it.0).fold(0, |all, it| all | it.1);
        ring.store(FLAGS, flags);
        ring.store(MAGIC, MAGIC_VALUE);
        Ok(Self {
            ring,
            drops_oldest,
            tail: 0,
            head: 0,
            rounds: 0,
            behind: 0,
            dropped: 0,
            unfinished: false,
            slot: OnceLock::new(),
        })
    }

    /// Bytes in the ring.
    pub fn capacity(&self) -> usize {
        self.ring.capacity as usize
    }

    /// How often the whole ring has been written, more or less, and how often the consumer was behind then. A count
    /// for statistics, which wraps.
    #[inline]
    pub fn rounds(&self) -> (u32, u32) {
        (self.rounds, self.behind)
    }

    /// The longest message, in bytes, that [`reserve`](Self::reserve) takes; longer ones go by
    /// [`push_fragment`](Self::push_fragment). A quarter of the ring at most, with its prefix: when half of the ring is
    /// free there is room for it, wherever the end of the ring is.
    pub fn max_frame(&self) -> usize {
        (self.capacity() / 4).min(LARGEST_FRAME) - FRAGMENT_PREFIX
    }

    /// Room for one whole message of at most `len` bytes. It is sent by [`Grant::commit`].
    ///
    /// # Errors
    ///
    /// [`Full`], also when `len` is more than [`max_frame`](Self::max_frame).
    #[inline]
    pub fn reserve(&mut self, len: usize) -> Result<Grant<'_, M>, Full> {
        let mut grant = self.reserve_from(len)?;
        grant.room.truncate(len);
        Ok(grant)
    }

    /// Room for one whole message of `len` bytes, or of as many more as are free in one piece there, up to
    /// [`max_frame`](Self::max_frame): for a message whose length is a guess.
    ///
    /// # Errors
    ///
    /// As [`reserve`](Self::reserve).
    #[inline]
    pub fn reserve_from(&mut self, len: usize) -> Result<Grant<'_, M>, Full> {
        if len > self.max_frame() {
            return Err(Full);
        }
        let size = frame_size(MESSAGE_PREFIX, len);
        let padding = self.padding(size);
        if self.free() < padding + size {
            self.refresh();
            if self.free() < padding + size {
                return Err(Full);
            }
        }
        let start = self.tail.wrapping_add(padding);
        let room = (self.free() - padding).min(self.ring.to_end(start)) as usize;
        let len = (room - MESSAGE_PREFIX).min(self.max_frame());
        let place = self.ring.place(start) + MESSAGE_PREFIX;
        Ok(Grant {
            start,
            room: self.ring.region.room(place, len),
            producer: self,
        })
    }

    /// Sends the next part of a message of any length, and says how many bytes that was.
    ///
    /// `rest` is the rest of the message from `offset` on, or the next part of it that the caller has at hand, in
    /// pieces. The first part is the one at offset 0, the last is the one that ends at `message_len`. The tag is the same
    /// for all of them. To stop in the middle, and send something else (or call [`abandon`](Self::abandon)): the consumer
    /// throws the torn message away.
    ///
    /// # Errors
    ///
    /// [`Full`]: there is not enough room for a part that is worth it.
    pub fn push_fragment(
        &mut self,
        tag: u16,
        message_len: u64,
        offset: u64,
        rest: &[&[u8]],
    ) -> Result<usize, Full> {
        let rest_len: usize = rest.iter().map(|piece| piece.len()).sum();
        if rest_len == 0 && message_len != 0 {
            return Ok(0);
        }
        let wanted = rest_len.min(self.max_frame());
        let (start, len) = match self.fragment_room(wanted) {
            Some((start, len)) if len == wanted => (start, len),
            _ => {
                self.refresh();
                self.fragment_room(wanted).ok_or(Full)?
            }
        };
        self.ring.write_word(start.wrapping_add(8), message_len);
        self.ring.write_word(start.wrapping_add(16), offset);
        let (mut place, mut left) = (self.ring.place(start) + FRAGMENT_PREFIX, len);
        for piece in rest {
            let now = piece.get(..left).unwrap_or(piece);
            self.ring.region.copy_in(place, now);
            place += now.len();
            left -= now.len();
        }
        self.publish(start, (FRAGMENT, tag), FRAGMENT_PREFIX, len);
        self.unfinished = offset.saturating_add(len as u64) < message_len;
        Ok(len)
    }

    /// Gives up the message whose first fragments have been sent; nothing more of it will follow.
    pub fn abandon(&mut self) {
        self.unfinished = false;
    }

    /// Whether `reserve(len)` would find room now, or [`push_fragment`](Self::push_fragment) of `len` bytes would for
    /// as much of them as it sends at a time.
    pub fn room_for(&self, len: usize) -> bool {
        self.capacity() as u64 - self.used(self.ring.load(HEAD)) >= self.needed(len)
    }

    /// Whether there is room now for all of a message of `len` bytes, in as many fragments as it takes. One that is
    /// longer than the ring can only stream: for that, whether there is room for its beginning.
    pub fn room_for_all(&self, len: usize) -> bool {
        let max_frame = self.max_frame();
        // The end of the ring cuts a fragment in two, or has padding in front of it.
        let fragments = len / max_frame + 2;
        let padding = frame_size(FRAGMENT_PREFIX, max_frame / 4);
        let all = (fragments as u64)
            .saturating_mul(frame_size(FRAGMENT_PREFIX, 0) + 8)
            .saturating_add(len as u64)
            .saturating_add(padding);
        if len <= max_frame || all > self.ring.capacity {
            return self.room_for(len);
        }
        self.ring.capacity - self.used(self.ring.load(HEAD)) >= all
    }

    /// The slot that the consumer gave at [`Consumer::attach`](crate::Consumer::attach); none until then.
    pub fn slot(&self) -> Option<u32> {
        if let Some(&slot) = self.slot.get() {
            return Some(slot);
        }
        let slot = u32::try_from(self.ring.load(SLOT).checked_sub(1)?).ok()?;
        Some(*self.slot.get_or_init(|| slot))
    }

    /// Whether the consumer has closed the lane: nothing that is sent will be received.
    pub fn is_closed(&self) -> bool {
        self.ring.load(CLOSED) != 0
    }

    /// How many bytes of the ring have been consumed since the lane was made, at most
    /// [`produced`](Self::produced).
    pub fn consumed(&self) -> u64 {
        self.tail.wrapping_sub(self.used(self.ring.load(HEAD)))
    }

    /// How many bytes of the ring have been written since the lane was made, prefixes and padding included.
    pub fn produced(&self) -> u64 {
        self.tail
    }

    /// Frees, and counts, the oldest message that has not been popped. What has been popped of a message that came
    /// in fragments is thrown away with the rest.
    ///
    /// Returns the position behind the message, as [`produced`](Self::produced) counts.
    /// `None`: there is none (the message that is being sent now does not count), or the lane was not made for it.
    pub fn drop_oldest(&mut self) -> Option<u64> {
        for _ in 0..if self.drops_oldest { ATTEMPTS } else { 0 } {
            let seen = self.ring.load(HEAD);
            let head = self.tail.wrapping_sub(self.used(seen));
            let end = self.oldest_end(head)?;
            if self.ring.move_head(seen, end) {
                self.head = end;
                self.count_dropped();
                return Some(end);
            }
        }
        None
    }

    /// Counts a message that was not sent because the lane was full.
    pub fn count_dropped(&mut self) {
        self.dropped = self.dropped.wrapping_add(1);
        self.ring.store(DROPPED, self.dropped);
    }

    /// Says that nothing follows in this lane; a successor takes over.
    pub fn retire(&mut self) {
        self.ring.store(RETIRED, 1);
    }

    /// Says that the sender is going to wait for room for `bytes` bytes. It must then look at
    /// [`room_for`](Self::room_for) once more, and only then sleep; and say so again each time it has been woken
    /// and still has no room. What streams is not woken for each fragment, but for as much as half of the ring.
    pub fn want_room(&self, bytes: usize) {
        let much = (bytes as u64).min(self.ring.capacity / 2);
        self.want(self.needed(bytes).max(much));
    }

    fn want(&self, wanted: u64) {
        self.ring.word(WANT).store(wanted, Ordering::Relaxed);
        // Against the fence in `Consumer::wants_room`: the consumer sees the wish, or we see the room it made.
        fence::heavy();
    }

    /// As [`want_room`](Self::want_room), for who waits until all in front of this position is
    /// [consumed](Self::consumed).
    pub fn want_consumed(&self, position: u64) {
        let unread = self.tail.wrapping_sub(position);
        self.want(self.ring.capacity.saturating_sub(unread) | NOT_EARLIER);
    }

    /// Takes [`want_room`](Self::want_room) back.
    pub fn cancel_want_room(&self) {
        self.ring.store(WANT, 0);
    }

    /// The end of the oldest message. `head` may be anywhere and the frames anything: then it is the end of all.
    fn oldest_end(&self, head: u64) -> Option<u64> {
        let mut end = head;
        while end != self.tail {
            let Some(frame) = self.ring.frame(end, self.tail) else {
                return Some(self.tail);
            };
            if end != head && frame.is_first() {
                return Some(end); // the message before it was abandoned
            }
            end = frame.end;
            if frame.is_last() {
                return Some(end);
            }
        }
        (end != head && !self.unfinished).then_some(end)
    }

    /// Bytes between HEAD and TAIL; all, if HEAD cannot be true.
    fn used(&self, head: u64) -> u64 {
        let used = self.tail.wrapping_sub(head);
        if used > self.ring.capacity || !used.is_multiple_of(8) {
            return self.ring.capacity;
        }
        used
    }

    fn free(&self) -> u64 {
        self.ring.capacity - self.tail.wrapping_sub(self.head)
    }

    fn refresh(&mut self) {
        let used = self.used(self.ring.load(HEAD));
        self.head = self.tail.wrapping_sub(used);
        self.rounds = self.rounds.wrapping_add(1);
        self.behind = self.behind.wrapping_add(u32::from(used > 0));
    }

    /// Bytes of padding in front of a frame of `size` bytes.
    fn padding(&self, size: u64) -> u64 {
        let to_end = self.ring.to_end(self.tail);
        if to_end < size { to_end } else { 0 }
    }

    fn with_padding(&self, size: u64) -> u64 {
        self.padding(size) + size
    }

    /// Bytes that must be free for `len` bytes, whichever way they are sent.
    fn needed(&self, len: usize) -> u64 {
        self.with_padding(frame_size(FRAGMENT_PREFIX, len.min(self.max_frame())))
    }

    /// Where a fragment of up to `wanted` bytes can be now, and how long: in front of the end of the ring rather than
    /// behind padding, and not so short that the prefix costs more than the bytes.
    fn fragment_room(&self, wanted: usize) -> Option<(u64, usize)> {
        let least = wanted.min(self.max_frame() / 4);
        let fitting = |room: u64| {
            let len = (room as usize).checked_sub(FRAGMENT_PREFIX)?.min(wanted);
            (len >= least).then_some(len)
        };
        let (free, to_end) = (self.free(), self.ring.to_end(self.tail));
        if let Some(len) = fitting(free.min(to_end)) {
            return Some((self.tail, len));
        }
        let len = fitting(free.checked_sub(to_end)?)?;
        Some((self.tail.wrapping_add(to_end), len))
    }

    /// Makes the frame at `start`, and the padding in front of it, visible.
    #[inline]
    fn publish(&mut self, start: u64, (kind, tag): (u16, u16), prefix: usize, len: usize) {
        self.ring
            .write_word(start, frame_word(kind, tag, len as u64));
        let padding = start.wrapping_sub(self.tail);
        if padding > 0 {
            self.ring
                .write_word(self.tail, frame_word(PADDING, 0, padding - 8));
        }
        self.tail = start.wrapping_add(frame_size(prefix, len));
        self.ring.store(TAIL, self.tail);
    }
}

/// Room in a lane for one message. Dropping it sends nothing.
pub struct Grant<'a, M: Memory> {
    producer: &'a mut Producer<M>,
    start: u64,
    room: Room,
}

impl<M: Memory> Grant<'_, M> {
    /// Appends `bytes` to the message.
    ///
    /// # Errors
    ///
    /// [`Overrun`]: that would be more than was reserved. Nothing has been written.
    #[inline]
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Overrun> {
        // SAFETY: the region is that of the producer, which the grant borrows.
        match unsafe { self.room.write(bytes) } {
            true => Ok(()),
            false => Err(Overrun),
        }
    }

    /// How many bytes have been written.
    #[inline]
    pub fn written(&self) -> usize {
        self.room.written()
    }

    /// How many bytes can still be written.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.room.remaining()
    }

    /// Sends what has been written, as one message, with a tag that says what it is; to the lane it means nothing.
    #[inline]
    pub fn commit(self, tag: u16) {
        self.producer.publish(
            self.start,
            (MESSAGE, tag),
            MESSAGE_PREFIX,
            self.room.written(),
        );
        self.producer.unfinished = false;
    }
}
