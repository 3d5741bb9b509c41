#[cfg(not(loom))]
use crate::bulk;
use crate::memory::{LaneError, Memory};
use crate::sync::{AtomicU64, Ordering};

/// A [`Memory`] seen as words and as bytes to copy, every access checked against its length.
///
/// There is no way here to get a reference to bytes, only to atomics. Copies race with a peer that breaks the rules
/// (and, in lanes that drop their oldest message, with one that does not): what comes out then is any bytes at all,
/// in private memory, where they are judged.
pub(crate) struct Region<M> {
    start: *mut u8,
    len: usize,
    _memory: M,
}

// SAFETY: the pointer is the memory's, which is `Send + Sync`; all that is done through it is atomics and raw copies.
unsafe impl<M: Memory> Send for Region<M> {}
// SAFETY: as above.
unsafe impl<M: Memory> Sync for Region<M> {}

impl<M: Memory> Region<M> {
    /// Takes memory of at least `needed` bytes.
    pub(crate) fn new(memory: M, needed: usize) -> Result<Self, LaneError> {
        let (start, len) = (memory.as_ptr(), memory.len());
        if len < needed || !start.addr().is_multiple_of(ALIGNMENT) {
            return Err(LaneError::BadSize {
                needed,
                actual: len,
            });
        }
        Ok(Self {
            start,
            len,
            _memory: memory,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The word at a multiple of eight.
    #[inline]
    pub(crate) fn word(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8) && self.holds(offset, 8));
        // SAFETY: in bounds and aligned, by the line above and by `new`; the memory lives as long as `self`.
        unsafe { &*self.start.cast::<AtomicU64>().add(offset / 8) }
    }

    /// The same without a check, for the words of a lane that every message takes.
    ///
    /// # Safety
    ///
    /// The offset is a multiple of eight, and there are eight bytes behind it.
    #[inline]
    pub(crate) unsafe fn word_unchecked(&self, offset: usize) -> &AtomicU64 {
        debug_assert!(offset.is_multiple_of(8) && self.holds(offset, 8));
        // SAFETY: in bounds and aligned, as promised by the caller; the memory lives as long as `self`.
        unsafe { &*self.start.cast::<AtomicU64>().add(offset / 8) }
    }

    /// Copies `bytes` to `offset`.
    #[inline]
    pub(crate) fn copy_in(&self, offset: usize, bytes: &[u8]) {
        assert!(self.holds(offset, bytes.len()));
        // SAFETY: in bounds, by the line above; the memory lives as long as `self`.
        unsafe { put(self.start, offset, bytes) }
    }

    /// A part of the memory, to be written from its beginning on.
    #[inline]
    pub(crate) fn room(&self, offset: usize, len: usize) -> Room {
        assert!(self.holds(offset, len));
        Room {
            start: self.start,
            begin: offset,
            next: offset,
            end: offset + len,
        }
    }

    /// A word that may be in a read-only mapping. There, only relaxed loads are sure not to write, so that the
    /// acquiring is done by the caller's fence.
    #[inline]
    pub(crate) fn peek(&self, offset: usize) -> u64 {
        self.word(offset).load(Ordering::Relaxed)
    }

    #[inline]
    fn holds(&self, offset: usize, len: usize) -> bool {
        offset <= self.len && len <= self.len - offset
    }
}

/// Where bytes are going to be written, all checks done. It does not keep the memory alive.
pub(crate) struct Room {
    start: *mut u8,
    begin: usize,
    next: usize,
    end: usize,
}

impl Room {
    /// Appends `bytes`; `false`, and nothing is written, if they are more than is left.
    ///
    /// # Safety
    ///
    /// The region still lives.
    #[inline]
    pub(crate) unsafe fn write(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() > self.remaining() {
            return false;
        }
        // SAFETY: `begin..end` is in bounds, and the memory is there, as promised by the caller.
        unsafe { put(self.start, self.next, bytes) };
        self.next += bytes.len();
        true
    }

    #[inline]
    pub(crate) fn written(&self) -> usize {
        self.next - self.begin
    }

    #[inline]
    pub(crate) fn remaining(&self) -> usize {
        self.end - self.next
    }

    /// Makes it shorter, if it is longer.
    #[inline]
    pub(crate) fn truncate(&mut self, len: usize) {
        self.end = self.end.min(self.begin + len).max(self.next);
    }
}

#[cfg(not(loom))]
const ALIGNMENT: usize = 64;

/// Copies `bytes` to `offset`.
///
/// # Safety
///
/// `start` is that of a region which lives, and holds that.
#[cfg(not(loom))]
#[inline]
unsafe fn put(start: *mut u8, offset: usize, bytes: &[u8]) {
    // SAFETY: in bounds, as promised by the caller; `bytes` is private, so that the two do not overlap.
    unsafe { bulk::copy_in(bytes.as_ptr(), start.add(offset), bytes.len()) }
}

#[cfg(not(loom))]
impl<M: Memory> Region<M> {
    /// Appends `len` bytes from `offset` to `out`.
    #[inline(always)]
    pub(crate) fn copy_out(&self, offset: usize, len: usize, out: &mut Vec<u8>) {
        assert!(self.holds(offset, len));
        if out.is_empty() {
            // Just what is needed, and nothing is copied over: it may become somebody's message.
            if out.capacity() < len {
                *out = Vec::with_capacity(len);
            }
        } else {
            out.reserve(len);
        }
        // SAFETY: in bounds, by the lines above, on both sides; a vector's own memory overlaps with nothing.
        unsafe {
            let end = out.as_mut_ptr().add(out.len());
            bulk::copy_out(self.start.add(offset), end, len);
            out.set_len(out.len() + len);
        }
    }
}

#[cfg(loom)]
const ALIGNMENT: usize = std::mem::align_of::<AtomicU64>();

/// With loom a byte is a part of a relaxed word, so that loom finds a copy that may see bytes which are too old.
///
/// # Safety
///
/// As above.
#[cfg(loom)]
unsafe fn put(start: *mut u8, offset: usize, bytes: &[u8]) {
    let mut rest = bytes;
    let mut at = offset;
    while !rest.is_empty() {
        // SAFETY: the words of a region are all aligned, and this one is in bounds, as promised by the caller.
        let word = unsafe { &*start.cast::<AtomicU64>().add(at / 8) };
        let start = at % 8;
        let (now, later) = rest.split_at(rest.len().min(8 - start));
        let mut content = [0; 8];
        if now.len() < 8 {
            content = word.load(Ordering::Relaxed).to_le_bytes();
        }
        content[start..start + now.len()].copy_from_slice(now);
        word.store(u64::from_le_bytes(content), Ordering::Relaxed);
        (rest, at) = (later, at + now.len());
    }
}

#[cfg(loom)]
impl<M: Memory> Region<M> {
    pub(crate) fn copy_out(&self, offset: usize, len: usize, out: &mut Vec<u8>) {
        assert!(self.holds(offset, len));
        let (mut at, end) = (offset, offset + len);
        while at < end {
            let (start, now) = (at % 8, (8 - at % 8).min(end - at));
            let content = self.word(at - start).load(Ordering::Relaxed).to_le_bytes();
            out.extend_from_slice(&content[start..start + now]);
            at += now;
        }
    }
}
