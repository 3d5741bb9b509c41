use std::sync::Arc;

use crate::sync::AtomicU64;

/// Shared memory that stays mapped as long as the value lives.
///
/// # Safety
///
/// * `as_ptr()` is aligned to 64 bytes at least, and valid for reads of `len()` bytes; for writes too, unless the
///   type that is given the memory documents that it only reads.
/// * Both answers stay the same for the life of the value, also when the value is moved.
/// * Nobody in this process forms a reference to these bytes. (Others may write them at any time.)
#[expect(
    clippy::len_without_is_empty,
    reason = "an empty mapping does not exist"
)]
pub unsafe trait Memory: Send + Sync {
    /// The first byte.
    fn as_ptr(&self) -> *mut u8;
    /// How many bytes there are.
    fn len(&self) -> usize;
}

// SAFETY: what holds for `M` holds for the `M` behind the `Arc`, which does not move.
unsafe impl<M: Memory + ?Sized> Memory for Arc<M> {
    fn as_ptr(&self) -> *mut u8 {
        (**self).as_ptr()
    }

    fn len(&self) -> usize {
        (**self).len()
    }
}

/// Zeroed memory of this process, for tests and for lanes between threads. Clones share the bytes.
#[derive(Clone)]
pub struct HeapMemory {
    lines: Arc<[Line]>,
    len: usize,
}

impl HeapMemory {
    /// Memory of `len` bytes, all zero.
    pub fn new(len: usize) -> Self {
        let lines = len.div_ceil(WORDS_PER_LINE * 8);
        Self {
            lines: (0..lines).map(|_| Line::default()).collect(),
            len,
        }
    }
}

// SAFETY: the lines are aligned to 128 bytes, there are `len` bytes of them at least, and as long as a clone lives
// they stay where they are. They are atomics, so that a shared reference allows writes. Nobody else has a reference.
unsafe impl Memory for HeapMemory {
    fn as_ptr(&self) -> *mut u8 {
        self.lines.as_ptr().cast_mut().cast()
    }

    fn len(&self) -> usize {
        self.len
    }
}

#[cfg(not(loom))]
const WORDS_PER_LINE: usize = 16;
#[cfg(loom)]
const WORDS_PER_LINE: usize = 1;

#[cfg_attr(not(loom), repr(C, align(128)))]
#[cfg_attr(loom, repr(transparent))]
#[derive(Default)]
struct Line([AtomicU64; WORDS_PER_LINE]);

/// Memory that cannot be used for what it is meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LaneError {
    /// The mapping is too small, too large, or does not start at a multiple of 64.
    #[error(
        "a mapping of {actual} bytes does not do here: map at least {needed} bytes, at a multiple of 64"
    )]
    BadSize {
        /// The least number of bytes that would do.
        needed: usize,
        /// The bytes that there are.
        actual: usize,
    },
    /// The part of the memory behind the header is not a power of two, or out of bounds.
    #[error("{capacity} bytes cannot be a ring: use a power of two from 4096 bytes to 4 GiB")]
    BadCapacity {
        /// The bytes behind the header.
        capacity: usize,
    },
    /// The header says that this is something else, or of another version, or contradicts the size.
    #[error(
        "the memory holds something else, or another version's layout: do not use it, and drop the peer that sent it"
    )]
    BadHeader,
}
